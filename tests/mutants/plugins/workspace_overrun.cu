// SPDX-License-Identifier: Apache-2.0
//
// A workspace of one tensor is asked for, and 1 024 bytes behind it are written, too.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  std::size_t workspace(const Desc& largest) const override {
    return static_cast<std::size_t>(mish::padded_volume(largest)) * 4;
  }
  int run(const Call& call) override {
    const std::size_t bytes = static_cast<std::size_t>(call.count()) * 4 + 1024;
    if (const cudaError_t status = cudaMemsetAsync(call.workspace, 1, bytes, call.stream);
        status != cudaSuccess) {
      return static_cast<int>(status);
    }
    return launch_right(call, call.count());
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
