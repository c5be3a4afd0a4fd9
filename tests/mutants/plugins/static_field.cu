// SPDX-License-Identifier: Apache-2.0
//
// The field's value is kept in a static variable: of two plugins in a plan both get the last
// one's.
#include "scale.h"

namespace mutant {

struct Wrong : Scaled {
  void created(const Fields* fields) override {
    Scaled::created(fields);
    shared = scale;
  }
  void load(const std::string& bytes) override {
    Scaled::load(bytes);
    shared = scale;
  }
  int run(const Call& call) override { return run_scaled(call, shared); }

  static inline float shared = 1.0F;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
