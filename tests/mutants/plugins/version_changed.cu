// SPDX-License-Identifier: Apache-2.0
//
// Bug 22: the plugin says version 2, its creator version 1: no creator is found when a plan is
// read.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  const char* version() const override { return "2"; }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
