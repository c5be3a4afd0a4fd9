// SPDX-License-Identifier: Apache-2.0
//
// Bug 16: enqueue waits for its stream, which a graph capture does not allow.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    const int status = launch_right(call, call.count());
    return status != 0 ? status : static_cast<int>(cudaStreamSynchronize(call.stream));
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
