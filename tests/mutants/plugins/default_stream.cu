// SPDX-License-Identifier: Apache-2.0
//
// Bug 15: the launch is on the default stream, not on the one given.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    return mish::launch_mish(type_of(call.input), call.x, call.y, call.count(), nullptr);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
