// SPDX-License-Identifier: Apache-2.0
//
// Bug 14: elements counted in 32 bits: negative for a padded volume beyond 2^31, and nothing is
// launched.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    const auto elements = static_cast<std::int32_t>(call.count());
    return elements <= 0 ? 0 : launch_right(call, elements);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
