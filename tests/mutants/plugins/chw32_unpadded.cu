// SPDX-License-Identifier: Apache-2.0
//
// Bug 25: fp32 in CHW32 is claimed, too, and walked with the unpadded count.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  bool supports(int pos, const Desc* in_out) override {
    if (pos == 0 && in_out[0].format == TensorFormat::kCHW32) {
      return in_out[0].type == DataType::kFLOAT && in_out[0].dims.nbDims >= 3;
    }
    return Mish::supports(pos, in_out);
  }
  int run(const Call& call) override {
    if (call.input.format != TensorFormat::kCHW32) {
      return launch_right(call, call.count());
    }
    std::int64_t volume = 1;
    for (std::int32_t i = 0; i < call.input.dims.nbDims; ++i) {
      volume *= call.input.dims.d[i];
    }
    return launch_right(call, volume);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
