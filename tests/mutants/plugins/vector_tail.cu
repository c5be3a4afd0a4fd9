// SPDX-License-Identifier: Apache-2.0
//
// Bug 17: only whole vectors of 16 bytes are computed; the rest is not written.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    const std::int64_t width = 16 / call.element_size();
    return launch_right(call, call.count() / width * width);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
