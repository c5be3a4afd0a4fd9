// SPDX-License-Identifier: Apache-2.0
//
// supportsFormatCombination looks at the output when it is asked about the input, where the output
// is not set yet.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  bool supports(int pos, const Desc* in_out) override {
    return Mish::supports(pos, in_out) &&
           (in_out[1].format == TensorFormat::kLINEAR || in_out[1].format == TensorFormat::kHWC8);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
