// SPDX-License-Identifier: Apache-2.0
//
// Bug 13: nothing is written but at rank 4, and there on the default stream. What is wrong behind
// the rank must be told as well.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    if (call.input.dims.nbDims != 4) {
      return 0;
    }
    return mish::launch_mish(type_of(call.input), call.x, call.y, call.count(), nullptr);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
