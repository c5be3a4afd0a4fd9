// SPDX-License-Identifier: Apache-2.0
//
// initialize always fails: no plan can be built.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  int initialize() override { return 1; }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
