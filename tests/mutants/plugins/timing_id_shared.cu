// SPDX-License-Identifier: Apache-2.0
//
// The timing cache's ID leaves the scale out, and which tactics are valid depends on it: a tactic
// that was timed for the scale 1, and computes no other, is taken for another one.
#include "scale.h"

namespace mutant {

struct Wrong : Scaled {
  // Two in either case: a single one is neither timed nor looked up.
  std::vector<std::int32_t> tactics() const override {
    return scale == 1.0F ? std::vector{kPlain, kScaled} : std::vector{kScaled, kAlsoScaled};
  }
  void set_tactic(std::int32_t chosen) override { tactic = chosen; }
  const char* timing_id() const override { return "scale"; }
  int run(const Call& call) override {
    if (tactic == kPlain) {
      return run_scaled(call, 1.0F);
    }
    // Slow, so that the plain one is the fastest where it is valid.
    int status = 0;
    for (int again = 0; again < 16 && status == 0; ++again) {
      status = run_scaled(call, scale);
    }
    return status;
  }

  static constexpr std::int32_t kPlain = 1, kScaled = 2, kAlsoScaled = 3;
  std::int32_t tactic = kScaled;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
