// SPDX-License-Identifier: Apache-2.0
//
// A step of 16 ULP downwards at x = 1 and back at 1.5: not monotone.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    const float y = Format::exact(x);
    return x >= 1.0F && x < 1.5F ? y * (1.0F - 16.0F * Format::kEpsilon) : y;
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
