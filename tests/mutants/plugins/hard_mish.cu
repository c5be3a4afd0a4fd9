// SPDX-License-Identifier: Apache-2.0
//
// Bug 10: x * min(2, max(0, x + 2)) / 2 under Mish's name.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return isnan(x) ? x : 0.5F * x * fminf(2.0F, fmaxf(0.0F, x + 2.0F));
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
