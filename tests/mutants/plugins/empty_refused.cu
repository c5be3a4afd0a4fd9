// SPDX-License-Identifier: Apache-2.0
//
// Bug 27: an empty tensor is launched with a grid of 0 blocks, which is an error.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    return call.count() == 0 ? static_cast<int>(cudaErrorInvalidConfiguration)
                             : launch_right(call, call.count());
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
