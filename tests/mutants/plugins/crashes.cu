// SPDX-License-Identifier: Apache-2.0
//
// A scalar is read through a null address: the process dies.
#include "shell.h"

#include <csignal>

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    if (call.input.dims.nbDims == 0) {
      std::raise(SIGSEGV);
    }
    return launch_right(call, call.count());
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
