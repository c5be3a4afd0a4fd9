// SPDX-License-Identifier: Apache-2.0
//
// 8 ULP below the minimum between -1.25 and -1.125, right elsewhere.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    const float y = Format::exact(x);
    return x > -1.25F && x < -1.125F ? y * (1.0F + 8.0F * Format::kEpsilon) : y;
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
