// SPDX-License-Identifier: Apache-2.0
//
// The first field is taken for the scale without a look at its name.
#include "scale.h"

namespace mutant {

struct Wrong : Scaled {
  void created(const Fields* fields) override {
    if (fields != nullptr && fields->nbFields > 0) {
      // As long as a name is: an unknown field without a value is a null address.
      std::memcpy(&scale, fields->fields[0].data, sizeof scale);
    }
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
