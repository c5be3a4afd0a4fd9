// SPDX-License-Identifier: Apache-2.0
//
// Bug 19: the field scale is not serialized: after reading a plan it is whatever it was set to
// before.
#include "scale.h"

namespace mutant {

struct Wrong : Scaled {
  std::string save() const override { return "scale"; }
  void load(const std::string&) override { scale = 0.5F; }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
