// SPDX-License-Identifier: Apache-2.0
//
// The kernel writes far outside for a batch of 17: a CUDA error that no later call recovers from.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    if (call.input.dims.nbDims > 1 && call.input.dims.d[0] == 17) {
      return mish::launch_mish(type_of(call.input), call.x, reinterpret_cast<void*>(4096),
                               call.count(), call.stream);
    }
    return launch_right(call, call.count());
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
