// SPDX-License-Identifier: Apache-2.0
//
// fp16 is claimed, and initialize fails for it: TensorRT builds no such plan.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int initialize() override { return half_ ? 1 : 0; }
  void configure(const Desc& input) override { half_ = input.type == DataType::kHALF; }

 private:
  bool half_ = false;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
