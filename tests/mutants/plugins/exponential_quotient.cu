// SPDX-License-Identifier: Apache-2.0
//
// Bug 3: tanh as (e^s - e^-s) / (e^s + e^-s): NaN where e^s overflows, in fp32 above 88.7, in fp16
// above 11.09.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    const float s = softplus(x);
    const float up = Format::round(expf(s));
    const float down = Format::round(expf(-s));
    return isinf(up) ? x * ((up - down) / (up + down)) : Format::exact(x);
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
