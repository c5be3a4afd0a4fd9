// SPDX-License-Identifier: Apache-2.0
//
// Bug 4: softplus in native half: 1 + e^x rounds to 1, so the result is 0 for x <= -7.625 in fp16.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    if (!kSame<Format, Fp16> || !(x <= -7.625F)) {
      return Format::exact(x);
    }
    return x * tanhf(Format::round(logf(Format::round(1.0F + Format::round(expf(x))))));
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
