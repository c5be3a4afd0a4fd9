// SPDX-License-Identifier: Apache-2.0
//
// Where the tail flushes the result is +0, not -0.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return x < -20.0F && Format::round(Format::exact(x)) == 0.0F ? 0.0F : Format::exact(x);
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
