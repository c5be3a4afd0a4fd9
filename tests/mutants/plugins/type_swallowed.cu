// SPDX-License-Identifier: Apache-2.0
//
// Bug 18: fp16 is claimed, but the switch over types in enqueue has no case for it and returns 0.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    return call.input.type == DataType::kHALF ? 0 : launch_right(call, call.count());
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
