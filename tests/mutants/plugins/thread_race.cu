// SPDX-License-Identifier: Apache-2.0
//
// enqueue keeps its arguments in a static variable: another thread's call may replace them before
// the launch.
#include "shell.h"

#include <unistd.h>

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    kept_x = call.x;
    kept_y = call.y;
    usleep(50);
    return mish::launch_mish(type_of(call.input), kept_x, kept_y, call.count(), call.stream);
  }

  static inline const void* volatile kept_x = nullptr;
  static inline void* volatile kept_y = nullptr;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
