// SPDX-License-Identifier: Apache-2.0
//
// Bug 11: the fp32 tail through __expf, whose error grows with |x|: over 100 ULP near -90.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    if (!kSame<Format, Fp32> || !(x < -20.0F)) {
      return Format::exact(x);
    }
    #if defined(__CUDA_ARCH__)
    const float e = __expf(x);
    #else
    const float e = exp2f(x * 1.44269504F);
    #endif
    const float n = e * (e + 2.0F);
    return x * (n / (n + 2.0F));
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
