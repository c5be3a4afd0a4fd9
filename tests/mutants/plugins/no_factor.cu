// SPDX-License-Identifier: Apache-2.0
//
// Bug 8: tanh(softplus(x)), the factor x forgotten.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return tanhf(softplus(x));
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
