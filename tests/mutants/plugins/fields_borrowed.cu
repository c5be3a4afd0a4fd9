// SPDX-License-Identifier: Apache-2.0
//
// The plugin keeps the address of the field's value, not the value.
#include "scale.h"

namespace mutant {

struct Wrong : Scaled {
  void created(const Fields* fields) override { address = given(fields); }
  void load(const std::string& bytes) override {
    Scaled::load(bytes);
    address = nullptr;
  }
  std::string save() const override {
    const float value = address == nullptr ? scale : *address;
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  }
  int run(const Call& call) override {
    return run_scaled(call, address == nullptr ? scale : *address);
  }

  const float* address = nullptr;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
