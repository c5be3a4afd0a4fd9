// SPDX-License-Identifier: Apache-2.0
//
// Bug 21: the plugin keeps the address of its namespace, and the owner of that string is gone when
// the creator returns.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  void set_namespace(const char* name) override {
    char* owned = new char[16]{};
    std::strncpy(owned, name == nullptr ? "" : name, 15);
    borrowed = owned;
    std::strcpy(owned, "gone");  // what freeing it might leave, each time the same
  }
  const char* get_namespace() const override { return borrowed; }

  const char* borrowed = "";
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
