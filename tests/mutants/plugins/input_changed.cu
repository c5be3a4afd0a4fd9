// SPDX-License-Identifier: Apache-2.0
//
// Bug 29: the input is used as scratch memory: right alone, wrong where something else reads it,
// too.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    const int status = launch_right(call, call.count());
    if (status != 0 || call.count() == 0) {
      return status;
    }
    return static_cast<int>(
        cudaMemcpyAsync(const_cast<void*>(call.x), call.y, call.count() * call.element_size(),
                        cudaMemcpyDeviceToDevice, call.stream));
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
