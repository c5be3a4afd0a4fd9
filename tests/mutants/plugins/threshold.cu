// SPDX-License-Identifier: Apache-2.0
//
// Bug 9: a threshold of 8, above which x is returned: 1.9 ULP of fp32 between 8 and 9.02; right in
// 16 bits.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    return x > 8.0F ? x : Format::exact(x);
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
