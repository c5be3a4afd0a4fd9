// SPDX-License-Identifier: Apache-2.0
//
// Bug 25: the kernel for HWC8 is another one, and overflows: NaN from 11.1 on. Elsewhere all is well.
#include "kernels.h"

namespace mutant {

// 0x498D is 11.1 in fp16, 0x7C00 infinity.
__global__ void overflow(const std::uint16_t* x, std::uint16_t* y, std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
       i < count; i += step) {
    if (x[i] >= 0x498D && x[i] <= 0x7C00) {
      y[i] = 0x7FFF;
    }
  }
}

struct Wrong : Mish {
  int run(const Call& call) override {
    const int status = launch_right(call, call.count());
    if (status != 0 || call.input.format != TensorFormat::kHWC8) {
      return status;
    }
    return launched(call.count(), [&](unsigned blocks) {
      overflow<<<blocks, kThreads, 0, call.stream>>>(static_cast<const std::uint16_t*>(call.x),
                                                     static_cast<std::uint16_t*>(call.y),
                                                     call.count());
    });
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
