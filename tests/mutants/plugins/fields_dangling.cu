// SPDX-License-Identifier: Apache-2.0
//
// getFieldNames returns a list whose entries are gone.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  static const Fields* fields() {
    static const Fields dangling{1, reinterpret_cast<const nvinfer1::PluginField*>(64)};
    return &dangling;
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
