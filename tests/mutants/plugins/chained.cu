// SPDX-License-Identifier: Apache-2.0
//
// Bug 29: right alone, wrong inside a network: a plugin that reads what another Mish plugin has
// just written passes it on unchanged.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    const bool behind = call.x == last_output && this != last_writer;
    last_output = call.y;
    last_writer = this;
    if (!behind || call.count() == 0) {
      return launch_right(call, call.count());
    }
    return static_cast<int>(cudaMemcpyAsync(call.y, call.x, call.count() * call.element_size(),
                                            cudaMemcpyDeviceToDevice, call.stream));
  }

  static inline thread_local const void* last_output = nullptr;
  static inline thread_local const Wrong* last_writer = nullptr;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
