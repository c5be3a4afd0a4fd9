// SPDX-License-Identifier: Apache-2.0
//
// In each call one element, chosen by the clock, is truncated instead of rounded: within the limits, but
// not repeatable.
#include "kernels.h"

namespace mutant {

__global__ void flip(const float* x, float* y, std::int64_t count) {
  const auto now = static_cast<unsigned long long>(clock64());
  const std::int64_t i = static_cast<std::int64_t>(now % static_cast<unsigned long long>(count));
  if (x[i] > -80.0F && x[i] < 16.0F && x[i] != 0.0F) {
    y[i] = __double2float_rz(mish::mish_double(x[i]));
  }
}

struct Wrong : Mish {
  int run(const Call& call) override {
    const int status = launch_right(call, call.count());
    if (status != 0 || call.input.type != DataType::kFLOAT) {
      return status;
    }
    return launched(call.count(), [&](unsigned) {
      flip<<<1, 1, 0, call.stream>>>(static_cast<const float*>(call.x),
                                     static_cast<float*>(call.y), call.count());
    });
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
