// SPDX-License-Identifier: Apache-2.0
//
// Bug 13: from rank 2 on only the first item of the batch is computed.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    const auto& dims = call.input.dims;
    const bool batched = dims.nbDims > 1 && dims.d[0] > 0;
    return launch_right(call, batched ? call.count() / dims.d[0] : call.count());
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
