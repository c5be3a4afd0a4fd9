// SPDX-License-Identifier: Apache-2.0
//
// Bug 14: bytes counted in 32 bits: negative or 0 from 2^31 bytes on, and nothing is launched.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override {
    const auto bytes = static_cast<std::int32_t>(call.count() * call.element_size());
    return bytes <= 0 ? 0 : launch_right(call, bytes / call.element_size());
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
