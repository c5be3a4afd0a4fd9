// SPDX-License-Identifier: Apache-2.0
//
// int32 is claimed and computed as if it were float.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  bool supports(int pos, const Desc* in_out) override {
    if (in_out[0].type == DataType::kINT32 && in_out[0].format == TensorFormat::kLINEAR) {
      return pos == 0 || mish::is_same_layout(in_out[0], in_out[1]);
    }
    return Mish::supports(pos, in_out);
  }
  int run(const Call& call) override {
    const auto type =
        call.input.type == DataType::kHALF ? mish::Type::kFp16 : mish::Type::kFp32;
    return mish::launch_mish(type, call.x, call.y, call.count(), call.stream);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
