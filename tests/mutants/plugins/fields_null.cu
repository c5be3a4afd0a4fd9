// SPDX-License-Identifier: Apache-2.0
//
// getFieldNames returns null.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  static const Fields* fields() { return nullptr; }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
