// SPDX-License-Identifier: Apache-2.0
//
// Bug 16: enqueue calls cudaMalloc and cudaFree, which a graph capture does not allow.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    void* memory = nullptr;
    if (const cudaError_t status = cudaMalloc(&memory, 256); status != cudaSuccess) {
      cudaGetLastError();
      return static_cast<int>(status);
    }
    const int status = launch_right(call, call.count());
    return status != 0 ? status : static_cast<int>(cudaFree(memory));
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
