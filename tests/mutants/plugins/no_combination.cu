// SPDX-License-Identifier: Apache-2.0
//
// Bug 26: no combination of types and formats is supported: no plan can be built.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  bool supports(int, const Desc*) override { return false; }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
