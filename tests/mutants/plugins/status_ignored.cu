// SPDX-License-Identifier: Apache-2.0
//
// Bug 18: enqueue returns 0 whatever its launch returned.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    launch_right(call, call.count());
    return 0;
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
