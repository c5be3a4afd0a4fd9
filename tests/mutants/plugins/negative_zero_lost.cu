// SPDX-License-Identifier: Apache-2.0
//
// mish(-0) is +0.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return x == 0.0F ? 0.0F : Format::exact(x);
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
