// SPDX-License-Identifier: Apache-2.0
//
// 8 ULP off at one single input that every format has.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    const float y = Format::exact(x);
    return x == 0.69921875F ? y * (1.0F + 8.0F * Format::kEpsilon) : y;
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
