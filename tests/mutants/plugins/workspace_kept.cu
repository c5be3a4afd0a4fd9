// SPDX-License-Identifier: Apache-2.0
//
// Bug 29: a table is written to the workspace once and expected to be there in later calls: right
// alone, wrong where other layers use that memory in between.
#include "kernels.h"

namespace mutant {

__global__ void fill(float* table) { *table = 1.0F; }

struct Wrong : Mish {
  std::size_t workspace(const Desc&) const override { return sizeof(float); }
  void cloned() override { ready = false; }
  int run(const Call& call) override {
    auto* table = static_cast<float*>(call.workspace);
    if (!ready) {
      fill<<<1, 1, 0, call.stream>>>(table);
      ready = true;
    }
    return run_scaled(call, 1.0F, table);
  }

  bool ready = false;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
