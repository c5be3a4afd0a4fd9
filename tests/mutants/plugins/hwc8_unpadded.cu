// SPDX-License-Identifier: Apache-2.0
//
// Bug 25: HWC8 is walked with the unpadded count: the end is not written where the channels are no
// multiple of 8.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    std::int64_t volume = 1;
    for (std::int32_t i = 0; i < call.input.dims.nbDims; ++i) {
      volume *= call.input.dims.d[i];
    }
    return launch_right(call, volume);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
