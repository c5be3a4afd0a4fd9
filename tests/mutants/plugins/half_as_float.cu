// SPDX-License-Identifier: Apache-2.0
//
// Bug 24: fp16 is claimed, and its bytes are taken for floats.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    return mish::launch_mish(mish::Type::kFp32, call.x, call.y,
                             call.count() * call.element_size() / 4, call.stream);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
