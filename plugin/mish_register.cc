// SPDX-License-Identifier: Apache-2.0
//
// Registers the creator in TensorRT's global registry when the library is loaded, by any plain
// dlopen: that is what `polygraphy --plugins`, `trtexec --plugins` and ctypes.CDLL do. It is the
// only way: a library that also exports getCreators or getPluginCreators is registered twice by
// load_library.
#include "mish_plugin_v2.h"
#include "mish_plugin_v3.h"
#include "mish_tensor.h"

namespace mish {

#if NV_TENSORRT_MAJOR >= 10
using Creator = MishCreatorV3;
#else
using Creator = MishCreatorV2;
#endif

// From TensorRT 11 on the creator is taken back when the library is unloaded, unlike by TensorRT's
// own macro: a registry that keeps the address of an unmapped creator crashes at the next listing.
// In 8.6 that aborts every process at its end, where the registry has gone by then, and 10 was not
// tried: there the library must stay loaded.
class Registration {
 public:
  Registration() noexcept {
    nvinfer1::IPluginRegistry* registry = getPluginRegistry();
    registered_ = registry != nullptr && registry->registerCreator(creator_, "");
    if (!registered_) {
      log_error("MishExact was not registered: its name and version are taken");
    }
  }
#if NV_TENSORRT_MAJOR >= 11
  ~Registration() {
    nvinfer1::IPluginRegistry* registry = getPluginRegistry();
    if (registered_ && registry != nullptr) {
      registry->deregisterCreator(creator_);
    }
  }
#endif
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

 private:
  Creator creator_;
  bool registered_ = false;
};

static Registration registration;

}  // namespace mish
