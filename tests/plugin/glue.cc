// SPDX-License-Identifier: Apache-2.0
//
// The plugin's TensorRT side without TensorRT: the registry, the logger and the kernel are replaced
// by the ones below, so that what the plugin answers can be checked on any machine.
#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "mish_kernel.h"
#include "mish_plugin_v2.h"
#include "mish_plugin_v3.h"
#include "mish_tensor.h"

using nvinfer1::DataType;
using nvinfer1::PluginTensorDesc;
using nvinfer1::TensorFormat;

static int failures = 0;

#define EXPECT(condition)                                                   \
  do {                                                                      \
    if (!(condition)) {                                                     \
      ++failures;                                                           \
      std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);   \
    }                                                                       \
  } while (false)

// What the replaced parts saw.
static std::string logged;
static std::int64_t launched = -1;
static mish::Type launched_type{};
static cudaError_t launch_status = cudaSuccess;

class Logger : public nvinfer1::ILogger {
 public:
  void log(Severity, const char* message) noexcept override { logged += message; }
};
static Logger logger;

extern "C" nvinfer1::ILogger* getLogger() noexcept { return &logger; }
extern "C" const char* CUDARTAPI cudaGetErrorString(cudaError_t) { return "a CUDA error"; }

namespace mish {
cudaError_t launch_mish(Type type, const void*, void*, std::int64_t count, cudaStream_t) noexcept {
  launched = count;
  launched_type = type;
  return launch_status;
}
}  // namespace mish

static PluginTensorDesc describe(DataType type, TensorFormat format,
                                 const std::vector<std::int64_t>& shape) {
  PluginTensorDesc desc{};
  desc.type = type;
  desc.format = format;
  desc.dims.nbDims = static_cast<std::int32_t>(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i) {
    desc.dims.d[i] = static_cast<std::remove_reference_t<decltype(desc.dims.d[0])>>(shape[i]);
  }
  return desc;
}

static std::int64_t volume(TensorFormat format, const std::vector<std::int64_t>& shape) {
  return mish::padded_volume(describe(DataType::kHALF, format, shape));
}

static void check_volume() {
  constexpr auto linear = TensorFormat::kLINEAR;
  constexpr auto packed = TensorFormat::kHWC8;
  EXPECT(volume(linear, {}) == 1);
  EXPECT(volume(linear, {3, 5}) == 15);
  EXPECT(volume(linear, {3, 0, 5}) == 0);
  EXPECT(volume(linear, {3, -1}) == -1);
  EXPECT(volume(packed, {2, 12, 3, 5}) == 2 * 16 * 3 * 5);
  EXPECT(volume(packed, {12, 3, 5}) == 16 * 3 * 5);
  EXPECT(volume(packed, {7, 2, 8, 3, 5}) == 7 * 2 * 8 * 3 * 5);
  EXPECT(volume(packed, {1, 1, 16384, 16448}) == std::int64_t{2155872256});
  EXPECT(volume(packed, {2, 0, 3, 5}) == 0);
  EXPECT(volume(packed, {3, 5}) == -1);
  const std::int64_t most = std::numeric_limits<std::int32_t>::max();
  EXPECT(volume(linear, {most, most}) == most * most);
  EXPECT(volume(linear, {most, most, most}) == -1);
  EXPECT(volume(linear, {most, most, most, 0}) == 0);
}

static void check_support() {
  const std::vector<std::int64_t> shape{2, 12, 3, 5};
  for (std::int32_t f = 0; f < 16; ++f) {
    const auto format = static_cast<TensorFormat>(f);
    const bool linear = format == TensorFormat::kLINEAR;
    const bool packed = format == TensorFormat::kHWC8;
    EXPECT(mish::is_supported(describe(DataType::kFLOAT, format, shape)) == linear);
    EXPECT(mish::is_supported(describe(DataType::kHALF, format, shape)) == (linear || packed));
    EXPECT(mish::is_supported(describe(DataType::kHALF, format, {3, 5})) == linear);
    EXPECT(!mish::is_supported(describe(DataType::kINT8, format, shape)));
    EXPECT(!mish::is_supported(describe(DataType::kINT32, format, shape)));
#if NV_TENSORRT_MAJOR >= 10
    EXPECT(mish::is_supported(describe(DataType::kBF16, format, shape)) == (linear || packed));
#endif
  }
}

static std::int32_t enqueue(const PluginTensorDesc& from, const PluginTensorDesc& to) {
  launched = -1;
  logged.clear();
  static float memory[2];
  return mish::enqueue_mish(from, to, memory, memory + 1, nullptr);
}

static void check_enqueue() {
  const std::vector<std::int64_t> shape{2, 12, 3, 5};
  const auto single = describe(DataType::kFLOAT, TensorFormat::kLINEAR, shape);
  const auto half = describe(DataType::kHALF, TensorFormat::kHWC8, shape);
  EXPECT(enqueue(single, single) == 0 && launched == 360);
  EXPECT(launched_type == mish::Type::kFp32);
  EXPECT(enqueue(half, half) == 0 && launched == 480);
  EXPECT(launched_type == mish::Type::kFp16);
  EXPECT(enqueue(single, half) != 0 && launched == -1 && !logged.empty());
  const auto shorter = describe(DataType::kFLOAT, TensorFormat::kLINEAR, {2, 12, 3, 4});
  EXPECT(enqueue(single, shorter) != 0 && launched == -1);
  launch_status = cudaErrorLaunchFailure;
  EXPECT(enqueue(single, single) == cudaErrorLaunchFailure && logged == "a CUDA error");
  launch_status = cudaSuccess;
}

// The input's description at position 0 and, at 1, the output's; what lies beyond `pos` is another
// type on purpose: an answer that depends on it is wrong.
template <class Plugin, class Wrap>
static void check_formats(Plugin& plugin, Wrap wrap) {
  const std::vector<std::int64_t> shape{2, 12, 3, 5};
  const auto single = describe(DataType::kFLOAT, TensorFormat::kLINEAR, shape);
  const auto half = describe(DataType::kHALF, TensorFormat::kHWC8, shape);
  const auto half_linear = describe(DataType::kHALF, TensorFormat::kLINEAR, shape);
  const auto text = describe(DataType::kINT8, TensorFormat::kCHW32, shape);
  const auto ask = [&](std::int32_t pos, const PluginTensorDesc& in, const PluginTensorDesc& out,
                       std::int32_t inputs = 1, std::int32_t outputs = 1) {
    const auto both = wrap(in, out);
    return plugin.supportsFormatCombination(pos, both.data(), inputs, outputs);
  };
  EXPECT(ask(0, single, text));
  EXPECT(ask(0, half, text));
  EXPECT(!ask(0, text, single));
  EXPECT(ask(1, single, single));
  EXPECT(ask(1, half, half));
  EXPECT(!ask(1, half, half_linear));
  EXPECT(!ask(1, half_linear, single));
  EXPECT(!ask(2, single, single));
  EXPECT(!ask(0, single, single, 2, 1));
  EXPECT(plugin.getNbOutputs() == 1);
}

#if NV_TENSORRT_MAJOR >= 10
static void check_interface() {
  using namespace nvinfer1;
  mish::MishCreatorV3 creator;
  EXPECT(std::strcmp(creator.getPluginName(), "MishExact") == 0);
  EXPECT(std::strcmp(creator.getPluginVersion(), "1") == 0);
  EXPECT(std::strcmp(creator.getPluginNamespace(), "") == 0);
  EXPECT(creator.getFieldNames() != nullptr && creator.getFieldNames()->nbFields == 0);
  const PluginField field{"slope", nullptr, PluginFieldType::kFLOAT32, 0};
  const PluginFieldCollection unknown{1, &field};
  logged.clear();
  EXPECT(creator.createPlugin("a", &unknown, TensorRTPhase::kBUILD) == nullptr);
  EXPECT(logged.find("slope") != std::string::npos);
  auto* made = static_cast<mish::MishPluginV3*>(
      creator.createPlugin("a", nullptr, TensorRTPhase::kBUILD));
  EXPECT(made != nullptr);
  EXPECT(made->getFieldsToSerialize() != nullptr && made->getFieldsToSerialize()->nbFields == 0);
  EXPECT(made->getCapabilityInterface(PluginCapabilityType::kCORE) ==
         static_cast<IPluginV3OneCore*>(made));
  EXPECT(made->getCapabilityInterface(PluginCapabilityType::kBUILD) ==
         static_cast<IPluginV3OneBuild*>(made));
  EXPECT(made->getCapabilityInterface(PluginCapabilityType::kRUNTIME) ==
         static_cast<IPluginV3OneRuntime*>(made));
  IPluginV3* attached = made->attachToContext(nullptr);
  EXPECT(attached != nullptr && attached != made);
  delete attached;
  const DataType in = DataType::kBF16;
  DataType out = DataType::kFLOAT;
  EXPECT(made->getOutputDataTypes(&out, 1, &in, 1) == 0 && out == DataType::kBF16);
  EXPECT(made->getOutputDataTypes(&out, 1, &in, 2) != 0);
  EXPECT(made->getWorkspaceSize(nullptr, 1, nullptr, 1) == 0);
  check_formats(*made, [](const PluginTensorDesc& a, const PluginTensorDesc& b) {
    std::vector<DynamicPluginTensorDesc> both(2);
    both[0].desc = a;
    both[1].desc = b;
    return both;
  });
  delete made;
}
#else
static void check_interface() {
  using namespace nvinfer1;
  mish::MishCreatorV2 creator;
  EXPECT(std::strcmp(creator.getPluginName(), "MishExact") == 0);
  EXPECT(std::strcmp(creator.getPluginVersion(), "1") == 0);
  EXPECT(std::strcmp(creator.getPluginNamespace(), "") == 0);
  EXPECT(creator.getFieldNames() != nullptr && creator.getFieldNames()->nbFields == 0);
  const PluginField field{"slope", nullptr, PluginFieldType::kFLOAT32, 0};
  const PluginFieldCollection unknown{1, &field};
  logged.clear();
  EXPECT(creator.createPlugin("a", &unknown) == nullptr);
  EXPECT(logged.find("slope") != std::string::npos);
  {
    std::string borrowed = "ours";
    creator.setPluginNamespace(borrowed.c_str());
    borrowed = "gone";
  }
  EXPECT(std::strcmp(creator.getPluginNamespace(), "ours") == 0);
  mish::MishPluginV2* made = creator.createPlugin("a", nullptr);
  EXPECT(made != nullptr && std::strcmp(made->getPluginNamespace(), "ours") == 0);
  IPluginV2DynamicExt* copy = made->clone();
  EXPECT(copy != nullptr && std::strcmp(copy->getPluginNamespace(), "ours") == 0);
  copy->setPluginNamespace(nullptr);
  EXPECT(std::strcmp(copy->getPluginNamespace(), "") == 0);
  copy->destroy();
  std::vector<unsigned char> bytes(made->getSerializationSize() + 1, 0xA5);
  made->serialize(bytes.data());
  EXPECT(bytes.back() == 0xA5);
  mish::MishPluginV2* read = creator.deserializePlugin("a", bytes.data(), bytes.size() - 1);
  EXPECT(read != nullptr);
  read->destroy();
  EXPECT(creator.deserializePlugin("a", bytes.data(), bytes.size()) == nullptr);
  EXPECT(creator.deserializePlugin("a", bytes.data(), bytes.size() - 2) == nullptr);
  EXPECT(creator.deserializePlugin("a", nullptr, 0) == nullptr);
  bytes[0] ^= 1U;
  EXPECT(creator.deserializePlugin("a", bytes.data(), bytes.size() - 1) == nullptr);
  const DataType in = DataType::kHALF;
  EXPECT(made->getOutputDataType(0, &in, 1) == DataType::kHALF);
  EXPECT(made->getWorkspaceSize(nullptr, 1, nullptr, 1) == 0);
  EXPECT(made->initialize() == 0);
  check_formats(*made, [](const PluginTensorDesc& a, const PluginTensorDesc& b) {
    return std::vector<PluginTensorDesc>{a, b};
  });
  made->destroy();
}
#endif

int main() {
  check_volume();
  check_support();
  check_enqueue();
  check_interface();
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
