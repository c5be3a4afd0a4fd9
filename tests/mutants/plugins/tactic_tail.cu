// SPDX-License-Identifier: Apache-2.0
//
// The second of two tactics does not write the elements behind the last whole vector. Where tactics
// are timed it is chosen, as the first one is slow.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  std::vector<std::int32_t> tactics() const override { return {kEach, kVectors}; }
  void set_tactic(std::int32_t chosen) override { tactic = chosen; }
  int run(const Call& call) override {
    if (tactic == kVectors) {
      return launch_right(call, call.count() / 4 * 4);
    }
    int status = 0;
    for (int again = 0; again < 16 && status == 0; ++again) {
      status = launch_right(call, call.count());
    }
    return status;
  }

  static constexpr std::int32_t kEach = 1, kVectors = 2;
  std::int32_t tactic = kEach;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
