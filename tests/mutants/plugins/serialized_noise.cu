// SPDX-License-Identifier: Apache-2.0
//
// Bug 20: the serialized bytes hold a count of calls, as uninitialized padding would: two plans of
// one network differ.
#include "scale.h"

namespace mutant {

struct Wrong : Scaled {
  std::string save() const override {
    static int calls = 0;
    ++calls;
    return Scaled::save() + std::string(reinterpret_cast<const char*>(&calls), sizeof calls);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
