// SPDX-License-Identifier: Apache-2.0
//
// Results are clamped to half of the largest finite number.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return isinf(x) ? x : (x > 0.5F * Format::kLargest ? 0.5F * Format::kLargest : Format::exact(x));
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
