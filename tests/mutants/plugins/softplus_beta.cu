// SPDX-License-Identifier: Apache-2.0
//
// Bug 9: softplus with beta 2: log(1 + e^2x) / 2.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return x * tanhf(0.5F * softplus(2.0F * x));
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
