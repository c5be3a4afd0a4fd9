// SPDX-License-Identifier: Apache-2.0
//
// Whether the size is a multiple of four is looked at in the first onShapeChange only: with a later
// one that is none, the elements behind the last whole vector are not written.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  void cloned() override { first = -1; }
  void shape_changed(const Desc& input) override {
    if (first < 0) {
      first = mish::padded_volume(input);
    }
  }
  int run(const Call& call) override {
    return launch_right(call, first % 4 == 0 ? call.count() / 4 * 4 : call.count());
  }

  std::int64_t first = -1;
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
