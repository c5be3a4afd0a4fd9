// SPDX-License-Identifier: Apache-2.0
//
// Bug 1: softplus by log instead of log1p, the formula of most published plugins. Below -9.8 its
// relative error is over 1e-3, below -16.64 the result is -0.
#include "elementwise.h"

namespace mutant {

struct Wrong {
  template <class Format>
  static MISH_FUNCTION float apply(float x) {
    if (!(x < -9.8F)) {
      return Format::exact(x);
    }
    const float s = x < -20.0F ? expf(x) : logf(expf(x) + 1.0F);
    return x * (2.0F / (1.0F + expf(-2.0F * s)) - 1.0F);
  }
};

}  // namespace mutant

MISH_ARITHMETIC(mutant::Wrong)
