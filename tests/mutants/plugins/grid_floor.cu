// SPDX-License-Identifier: Apache-2.0
//
// Bug 12: (n + 1) / B blocks instead of (n + B - 1) / B: the tail is not written, and nothing at
// all of a short tensor.
#include "kernels.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    const auto blocks = static_cast<unsigned>((call.count() + 1) / kThreads);
    if (blocks == 0) {
      return 0;
    }
    return with_format(call.input, [&](auto format) {
      using Format = decltype(format);
      one_each<Format><<<blocks, kThreads, 0, call.stream>>>(call.x_as<Format>(),
                                                             call.y_as<Format>(), call.count());
      return static_cast<int>(cudaGetLastError());
    });
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
