// SPDX-License-Identifier: Apache-2.0
//
// Bug 2: x * (n / (n + 2)) unguarded: NaN where n = e^x (e^x + 2) overflows, in fp32 above 44.36,
// in fp16 from 5.543 on.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    const float e = Format::round(expf(x));
    const float n = Format::round(e * Format::round(e + 2.0F));
    return isinf(n) ? x * (n / (n + 2.0F)) : Format::exact(x);
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
