// SPDX-License-Identifier: Apache-2.0
//
// The size of the first call is kept: what a longer tensor has beyond it is not written.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  void cloned() override { first = -1; }
  int run(const Call& call) override {
    if (first < 0) {
      first = call.count();
    }
    return launch_right(call, call.count() < first ? call.count() : first);
  }

  std::int64_t first = -1;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
