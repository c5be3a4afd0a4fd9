// SPDX-License-Identifier: Apache-2.0
//
// Bug 20: serialize writes the scale and then a revision, deserialize reads them the other way
// round.
#include "scale.h"

namespace mutant {

struct Wrong : Scaled {
  std::string save() const override {
    const float both[] = {scale, 3.0F};
    return std::string(reinterpret_cast<const char*>(both), sizeof both);
  }
  void load(const std::string& bytes) override {
    std::memcpy(&scale, bytes.data() + sizeof scale, sizeof scale);
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
