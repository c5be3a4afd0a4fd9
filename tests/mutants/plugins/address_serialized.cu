// SPDX-License-Identifier: Apache-2.0
//
// Bug 20: what is serialized is the address of the scale: right in the process that wrote the plan
// only.
#include <map>

#include "scale.h"

namespace mutant {

struct Wrong : Scaled {
  std::string save() const override {
    static std::map<float, const float*> kept;
    const float*& address = kept[scale];
    if (address == nullptr) {
      address = new float(scale);
    }
    return std::string(reinterpret_cast<const char*>(&address), sizeof address);
  }
  void load(const std::string& bytes) override {
    const float* address = nullptr;
    std::memcpy(&address, bytes.data(), sizeof address);
    scale = *address;
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
