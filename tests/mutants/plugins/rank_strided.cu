// SPDX-License-Identifier: Apache-2.0
//
// Bug 13: rank hard-coded to 4: all elements are written, but those behind the first 4-D volume from
// that volume's input.
#include "kernels.h"

namespace mutant {

template <class Format>
__global__ void repeated(const typename Format::Element* x, typename Format::Element* y,
                         std::int64_t count, std::int64_t volume) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
       i < count; i += step) {
    y[i] = Format::narrow(Format::exact(Format::widen(x[i % volume])));
  }
}

struct Wrong : Mish {
  int run(const Call& call) override {
    std::int64_t volume = call.count();
    for (std::int32_t i = 4; i < call.input.dims.nbDims && call.input.dims.d[i] > 0; ++i) {
      volume /= call.input.dims.d[i];
    }
    return with_format(call.input, [&](auto format) {
      using Format = decltype(format);
      return launched(call.count(), [&](unsigned blocks) {
        repeated<Format><<<blocks, kThreads, 0, call.stream>>>(
            call.x_as<Format>(), call.y_as<Format>(), call.count(), volume);
      });
    });
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
