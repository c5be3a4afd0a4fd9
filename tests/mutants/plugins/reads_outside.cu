// SPDX-License-Identifier: Apache-2.0
//
// The kernel reads one vector beyond the input, and makes nothing of it: only a tool that watches
// every access sees it.
#include "shell.h"

#include <cstddef>

namespace mutant {

__global__ void touch(const std::byte* end) {
  static_cast<void>(*static_cast<const volatile unsigned char*>(static_cast<const void*>(end)));
}

struct Wrong : Mish {
  int run(const Call& call) override {
    if (call.count() > 0) {
      touch<<<1, 1, 0, call.stream>>>(static_cast<const std::byte*>(call.x) +
                                      call.count() * call.element_size());
    }
    return launch_right(call, call.count());
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
