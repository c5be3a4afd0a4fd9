// SPDX-License-Identifier: Apache-2.0
//
// Bug 18: one row of the grid per 256 elements fails to launch from 2^24 - 256 elements on (a grid
// has at most 65 535 rows); the error is taken for nothing and enqueue returns 0.
#include "kernels.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    if (call.count() == 0) {
      return 0;
    }
    return with_format(call.input, [&](auto format) {
      using Format = decltype(format);
      const dim3 grid(1, static_cast<unsigned>((call.count() + kThreads - 1) / kThreads));
      one_each<Format><<<grid, kThreads, 0, call.stream>>>(call.x_as<Format>(),
                                                           call.y_as<Format>(), call.count());
      cudaGetLastError();
      return 0;
    });
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
