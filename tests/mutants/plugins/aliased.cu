// SPDX-License-Identifier: Apache-2.0
//
// The output is declared to be the input's memory (which TensorRT asks for only where an
// application allows it), so the result is computed there, and copied to the output if that lies
// elsewhere: the input is overwritten.
#include "shell.h"

namespace mutant {

struct Wrong : Mish {
  static constexpr bool kAliases = true;

  int run(const Call& call) override {
    void* both = const_cast<void*>(call.x);
    const int status =
        mish::launch_mish(type_of(call.input), both, both, call.count(), call.stream);
    if (status != 0 || call.count() == 0 || both == call.y) {
      return status;
    }
    return static_cast<int>(cudaMemcpyAsync(call.y, both, call.count() * call.element_size(),
                                            cudaMemcpyDeviceToDevice, call.stream));
  }
};

}  // namespace mutant

MISH_MUTANT(mutant::Wrong)
