// SPDX-License-Identifier: Apache-2.0
//
// NaN becomes 0, as where fmaxf(x, least) clamps the argument.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return isnan(x) ? 0.0F : Format::exact(x);
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
