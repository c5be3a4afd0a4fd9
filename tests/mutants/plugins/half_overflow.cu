// SPDX-License-Identifier: Apache-2.0
//
// Bug 5: 2 e^x overflows in half above 10.4, and the reciprocal of it collapses the output to 0.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    const float twice = Format::round(2.0F * Format::round(expf(x)));
    if (!kSame<Format, Fp16> || !isinf(twice)) {
      return Format::exact(x);
    }
    return x * (1.0F / twice);
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
