// SPDX-License-Identifier: Apache-2.0
//
// Bug 25: the padding of HWC8 is not left zero: it becomes NaN.
#include "kernels.h"

namespace mutant {

// In HWC8 the channels of one pixel lie side by side, padded to a multiple of 8.
__global__ void spoil(std::uint16_t* y, std::int64_t count, int channels, int padded) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
       i < count; i += step) {
    if (i % padded >= channels) {
      y[i] = 0x7FFF;
    }
  }
}

struct Wrong : Mish {
  int run(const Call& call) override {
    const int status = launch_right(call, call.count());
    const auto& dims = call.input.dims;
    if (status != 0 || call.input.format != TensorFormat::kHWC8) {
      return status;
    }
    const auto channels = static_cast<int>(dims.d[dims.nbDims - 3]);
    return launched(call.count(), [&](unsigned blocks) {
      spoil<<<blocks, kThreads, 0, call.stream>>>(static_cast<std::uint16_t*>(call.y), call.count(),
                                                  channels, (channels + 7) / 8 * 8);
    });
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
