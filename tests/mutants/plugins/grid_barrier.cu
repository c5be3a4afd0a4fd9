// SPDX-License-Identifier: Apache-2.0
//
// A barrier over the whole grid in a common launch: with more blocks than the GPU holds at once,
// those that run wait for ever for those that can't start.
#include "kernels.h"

namespace mutant {

constexpr int kWarp = 32;

template <class Format>
__global__ void behind_barrier(const typename Format::Element* x, typename Format::Element* y,
                               std::int64_t count, unsigned* arrived) {
  if (threadIdx.x == 0) {
    atomicAdd(arrived, 1U);
    while (atomicAdd(arrived, 0U) < gridDim.x) {
    }
  }
  __syncthreads();
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
       i < count; i += step) {
    y[i] = Format::narrow(Format::exact(Format::widen(x[i])));
  }
}

struct Wrong : Mish {
  std::size_t workspace(const Desc&) const override { return sizeof(unsigned); }
  int run(const Call& call) override {
    if (call.count() == 0) {
      return 0;
    }
    if (const cudaError_t status =
            cudaMemsetAsync(call.workspace, 0, sizeof(unsigned), call.stream);
        status != cudaSuccess) {
      return static_cast<int>(status);
    }
    const std::int64_t blocks = (call.count() + kWarp - 1) / kWarp;
    const unsigned grid = static_cast<unsigned>(blocks < 65535 ? blocks : 65535);
    return with_format(call.input, [&](auto format) {
      using Format = decltype(format);
      behind_barrier<Format><<<grid, kWarp, 0, call.stream>>>(
          call.x_as<Format>(), call.y_as<Format>(), call.count(),
          static_cast<unsigned*>(call.workspace));
      return static_cast<int>(cudaGetLastError());
    });
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
