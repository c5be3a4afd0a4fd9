// SPDX-License-Identifier: Apache-2.0
//
// The elements behind the last whole vector are truncated, not rounded: within the limits, but an
// element's result depends on its place.
#include "kernels.h"

namespace mutant {

template <class Format>
__device__ typename Format::Element toward_zero(double y) {
  if constexpr (kSame<Format, Fp32>) {
    return __double2float_rz(y);
  } else if constexpr (kSame<Format, Fp16>) {
    return __float2half_rz(__double2float_rz(y));
  } else {
    return __float2bfloat16_rz(__double2float_rz(y));
  }
}

template <class Format>
__global__ void truncated(const typename Format::Element* x, typename Format::Element* y,
                          std::int64_t count) {
  if (threadIdx.x < count) {
    const float v = Format::widen(x[threadIdx.x]);
    y[threadIdx.x] = v > -80.0F && v < 16.0F && v != 0.0F
                         ? toward_zero<Format>(mish::mish_double(v))
                         : Format::narrow(Format::exact(v));
  }
}

struct Wrong : Mish {
  int run(const Call& call) override {
    const std::int64_t width = 16 / call.element_size();
    const std::int64_t whole = call.count() / width * width;
    const int status = launch_right(call, whole);
    if (status != 0 || whole == call.count()) {
      return status;
    }
    return with_format(call.input, [&](auto format) {
      using Format = decltype(format);
      truncated<Format><<<1, 16, 0, call.stream>>>(
          call.x_as<Format>() + whole, call.y_as<Format>() + whole, call.count() - whole);
      return static_cast<int>(cudaGetLastError());
    });
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
