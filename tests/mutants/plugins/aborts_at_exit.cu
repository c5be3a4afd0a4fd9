// SPDX-License-Identifier: Apache-2.0
//
// A process that has used the plugin is aborted at its end.
#include "shell.h"

#include <cstdlib>

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    static const int registered = std::atexit([] { std::abort(); });
    return registered != 0 ? registered : launch_right(call, call.count());
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
