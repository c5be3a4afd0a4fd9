// SPDX-License-Identifier: Apache-2.0
//
// Below -6 the result is positive.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return x < -6.0F ? fabsf(Format::exact(x)) : Format::exact(x);
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
