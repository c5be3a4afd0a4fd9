// SPDX-License-Identifier: Apache-2.0
//
// Bug 7: softplus with the logarithm of base 2.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return x * tanhf(1.44269504F * softplus(x));
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
