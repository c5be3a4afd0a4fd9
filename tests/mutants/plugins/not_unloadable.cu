// SPDX-License-Identifier: Apache-2.0
//
// Registered by TensorRT's registry only, and wrong when it is loaded for the second time in a
// process, as of a name in the process that the first unload left behind.
#include <cstdlib>

#include "scale.h"

#if NV_TENSORRT_MAJOR >= 10
#define MISH_CREATORS getCreators
using Interface = nvinfer1::IPluginCreatorInterface;
#else
#define MISH_CREATORS getPluginCreators
using Interface = nvinfer1::IPluginCreator;
#endif

namespace mutant {

struct Wrong : Mish {
  int run(const Call& call) override { return run_scaled(call, loaded_before ? 0.5F : 1.0F); }

  static inline const bool loaded_before = std::getenv("MISH_MUTANT_LOADED") != nullptr;
};

}  // namespace mutant

static mutant::Creator<mutant::Wrong> creator;

extern "C" Interface* const* MISH_CREATORS(int32_t& count) {
  static Interface* const creators[] = {&creator};
  static const bool before = mutant::Wrong::loaded_before;
  static_cast<void>(before);
  setenv("MISH_MUTANT_LOADED", "1", 1);
  count = 1;
  return creators;
}

extern "C" void setLoggerFinder(nvinfer1::ILoggerFinder*) {}
