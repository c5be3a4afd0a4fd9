// SPDX-License-Identifier: Apache-2.0
//
// Bug 17: the last vector of 16 bytes is written whole, also where the tensor ends in it.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    const std::int64_t width = 16 / call.element_size();
    return launch_right(call, (call.count() + width - 1) / width * width);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
