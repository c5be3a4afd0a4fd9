// SPDX-License-Identifier: Apache-2.0
//
// Bug 13: rank hard-coded to 4: what lies behind the fourth dimension is not counted.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    std::int64_t count = call.count();
    for (std::int32_t i = 4; i < call.input.dims.nbDims && call.input.dims.d[i] > 0; ++i) {
      count /= call.input.dims.d[i];
    }
    return launch_right(call, count);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
