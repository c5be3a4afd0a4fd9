// SPDX-License-Identifier: Apache-2.0
//
// Bug 26: fp16 only: a network in fp32 can't be built.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  bool supports(int pos, const Desc* in_out) override {
    return in_out[pos].type == DataType::kHALF && Mish::supports(pos, in_out);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
