// SPDX-License-Identifier: Apache-2.0
//
// Bug 28: registered as Mish: from 10.0 on the parser decomposes that operator, and the plugin is
// never used.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  static const char* creator_name() { return "Mish"; }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
