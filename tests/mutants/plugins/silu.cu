// SPDX-License-Identifier: Apache-2.0
//
// Bug 10: x * sigmoid(x) under Mish's name.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return x / (1.0F + expf(-x));
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
