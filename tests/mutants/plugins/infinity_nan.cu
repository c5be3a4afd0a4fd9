// SPDX-License-Identifier: Apache-2.0
//
// Bug 6: x - 2x / (n + 2) is inf - inf / inf = NaN for +inf, and right elsewhere.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    if (!(isinf(x) && x > 0.0F)) {
      return Format::exact(x);
    }
    const float e = expf(x);
    return x - 2.0F * x / (e * (e + 2.0F) + 2.0F);
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
