// SPDX-License-Identifier: Apache-2.0
//
// Bug 19: clone does not copy the field scale.
#include "scale.h"

namespace mutant {

struct Wrong : Scaled {
  void cloned() override { scale = 0.5F; }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
