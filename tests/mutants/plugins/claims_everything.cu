// SPDX-License-Identifier: Apache-2.0
//
// Any input is said to go with any output, but the output is always written in the input's type
// and format.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  bool supports(int pos, const Desc* in_out) override { return mish::is_supported(in_out[pos]); }
  int run(const Call& call) override {
    return launch_right(call, call.count());
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
