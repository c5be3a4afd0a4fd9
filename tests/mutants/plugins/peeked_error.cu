// SPDX-License-Identifier: Apache-2.0
//
// Bug 18: cudaPeekAtLastError leaves the error of an empty tensor's launch where it is, and every
// later call reports it.
#include "kernels.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    return with_format(call.input, [&](auto format) {
      using Format = decltype(format);
      const std::int64_t blocks = (call.count() + kThreads - 1) / kThreads;
      one_each<Format><<<static_cast<unsigned>(blocks), kThreads, 0, call.stream>>>(
          call.x_as<Format>(), call.y_as<Format>(), call.count());
      return call.count() == 0 ? 0 : static_cast<int>(cudaPeekAtLastError());
    });
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
