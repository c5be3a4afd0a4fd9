// SPDX-License-Identifier: Apache-2.0
//
// Bug 24: fp16 is claimed, and cast as if it were bf16.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    const auto type = call.input.type == DataType::kHALF ? mish::Type::kBf16 : mish::Type::kFp32;
    return mish::launch_mish(type, call.x, call.y, call.count(), call.stream);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
