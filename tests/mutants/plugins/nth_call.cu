// SPDX-License-Identifier: Apache-2.0
//
// The 700th call of a plugin, as of a ring of events that is full, computes nothing.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  void cloned() override { calls = 0; }
  int run(const Call& call) override {
    return ++calls == 700 ? 0 : launch_right(call, call.count());
  }

  int calls = 0;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
