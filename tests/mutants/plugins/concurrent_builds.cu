// SPDX-License-Identifier: Apache-2.0
//
// configurePlugin uses a static variable without a lock: a plugin that is configured while another
// one is loses its scale.
#include "scale.h"

#include <unistd.h>

#include <atomic>

namespace mutant {

struct Wrong : Scaled {
  void configure(const Desc&) override {
    const int before = inside++;
    usleep(2000);
    if (before != 0 || inside != 1) {
      scale = 0.5F;
    }
    --inside;
  }

  static inline std::atomic<int> inside{0};
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
