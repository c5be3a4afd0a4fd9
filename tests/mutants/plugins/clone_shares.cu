// SPDX-License-Identifier: Apache-2.0
//
// Bug 19: clones share the original's memory, and the destructor of any of them takes it along.
#include "scale.h"

namespace mutant {

struct Wrong : Scaled {
  Wrong() = default;
  Wrong(const Wrong&) = default;
  ~Wrong() override { *shared = 0.0F; }  // never freed, so that every use after it shows the same
  int run(const Call& call) override { return run_scaled(call, scale * *shared); }

  float* shared = new float(1.0F);
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
