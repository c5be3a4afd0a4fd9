// SPDX-License-Identifier: Apache-2.0
//
// A right Mish plugin with every answer overridable, and both of TensorRT's plugin interfaces
// around it: IPluginV2DynamicExt before 10, IPluginV3 from then on. A mutant derives from Mish,
// overrides the one answer that its bug is about, and ends in MISH_MUTANT(Class).
#pragma once

#include <NvInferRuntime.h>

#include <cstdint>
#include <cstring>
#include <string>
#if NV_TENSORRT_MAJOR >= 10
#include <algorithm>
#include <type_traits>
#include <vector>
#endif

#include "mish_kernel.h"
#include "mish_tensor.h"

// The interfaces overload names that their bases hide on purpose; nvcc warns of it in templates.
#pragma nv_diag_suppress 997

namespace mutant {

using Desc = nvinfer1::PluginTensorDesc;
using Fields = nvinfer1::PluginFieldCollection;
using nvinfer1::DataType;
using nvinfer1::TensorFormat;

// One enqueue.
struct Call {
  const Desc& input;
  const Desc& output;
  const void* x;
  void* y;
  void* workspace;
  cudaStream_t stream;

  // Elements in memory, padding included.
  std::int64_t count() const { return mish::padded_volume(input); }
  std::int64_t element_size() const { return input.type == DataType::kFLOAT ? 4 : 2; }

  template <class Format>
  const typename Format::Element* x_as() const {
    return static_cast<const typename Format::Element*>(x);
  }
  template <class Format>
  typename Format::Element* y_as() const {
    return static_cast<typename Format::Element*>(y);
  }
};

// The kernel's type for a tensor that `supports` took.
inline mish::Type type_of(const Desc& desc) {
  return desc.type == DataType::kFLOAT  ? mish::Type::kFp32
         : desc.type == DataType::kHALF ? mish::Type::kFp16
                                        : mish::Type::kBf16;
}

inline int launch_right(const Call& call, std::int64_t count) {
  return mish::launch_mish(type_of(call.input), call.x, call.y, count, call.stream);
}

// A right plugin. The hooks of its life default to nothing; copies are made by the copy
// constructor, and `cloned` is then called on the new one.
struct Mish {
  static const char* creator_name() { return "MishMutant"; }
  static const char* creator_version() { return "1"; }
  static const Fields* fields() {
    static const Fields none{0, nullptr};
    return &none;
  }
  static bool accepts(const Fields* given) { return mish::are_fields_valid(given); }

  virtual ~Mish() = default;

  virtual const char* version() const { return "1"; }
  virtual void set_namespace(const char* name) { namespace_ = name == nullptr ? "" : name; }
  virtual const char* get_namespace() const { return namespace_.c_str(); }

  virtual void created(const Fields*) {}
  virtual void cloned() {}
  virtual int initialize() { return 0; }
  virtual void configure(const Desc&) {}
  virtual std::string save() const { return "mutant 1"; }
  virtual void load(const std::string&) {}

  virtual bool supports(int pos, const Desc* in_out) {
    return pos == 0 ? mish::is_supported(in_out[0]) : mish::is_same_layout(in_out[0], in_out[1]);
  }
  virtual DataType output_type(DataType input) const { return input; }
  virtual std::size_t workspace(const Desc&) const { return 0; }
  virtual int run(const Call& call) {
    return mish::enqueue_mish(call.input, call.output, call.x, call.y, call.stream);
  }

#if NV_TENSORRT_MAJOR >= 10
  // Whether the output is declared to share the input's memory.
  static constexpr bool kAliases = false;

  virtual void shape_changed(const Desc& input) { configure(input); }
  // Positive numbers, each another way to compute the same; none for a plugin with one way only.
  virtual std::vector<std::int32_t> tactics() const { return {}; }
  virtual void set_tactic(std::int32_t) {}
  // Of what timings depend on beside shapes and formats; null keeps them out of the timing cache.
  virtual const char* timing_id() const { return nullptr; }
#endif

 private:
  std::string namespace_;
};

#if NV_TENSORRT_MAJOR < 10

template <class Bug>
class Plugin final : public nvinfer1::IPluginV2DynamicExt {
 public:
  using Dynamic = nvinfer1::DynamicPluginTensorDesc;

  Bug bug;

  IPluginV2DynamicExt* clone() const noexcept override {
    auto* copy = new Plugin(*this);
    copy->bug.cloned();
    return copy;
  }
  nvinfer1::DimsExprs getOutputDimensions(int32_t, const nvinfer1::DimsExprs* inputs, int32_t,
                                          nvinfer1::IExprBuilder&) noexcept override {
    return inputs[0];
  }
  bool supportsFormatCombination(int32_t pos, const Desc* in_out, int32_t,
                                 int32_t) noexcept override {
    return bug.supports(pos, in_out);
  }
  void configurePlugin(const Dynamic* in, int32_t, const Dynamic*, int32_t) noexcept override {
    bug.configure(in[0].desc);
  }
  size_t getWorkspaceSize(const Desc* inputs, int32_t, const Desc*,
                          int32_t) const noexcept override {
    return bug.workspace(inputs[0]);
  }
  int32_t enqueue(const Desc* input, const Desc* output, const void* const* inputs,
                  void* const* outputs, void* workspace, cudaStream_t stream) noexcept override {
    return bug.run({input[0], output[0], inputs[0], outputs[0], workspace, stream});
  }
  DataType getOutputDataType(int32_t, const DataType* types, int32_t) const noexcept override {
    return bug.output_type(types[0]);
  }
  const char* getPluginType() const noexcept override { return Bug::creator_name(); }
  const char* getPluginVersion() const noexcept override { return bug.version(); }
  int32_t getNbOutputs() const noexcept override { return 1; }
  int32_t initialize() noexcept override { return bug.initialize(); }
  void terminate() noexcept override {}
  size_t getSerializationSize() const noexcept override { return bug.save().size(); }
  void serialize(void* buffer) const noexcept override {
    const std::string bytes = bug.save();
    std::memcpy(buffer, bytes.data(), bytes.size());
  }
  void destroy() noexcept override { delete this; }
  void setPluginNamespace(const char* name) noexcept override { bug.set_namespace(name); }
  const char* getPluginNamespace() const noexcept override { return bug.get_namespace(); }
};

template <class Bug>
class Creator final : public nvinfer1::IPluginCreator {
 public:
  const char* getPluginName() const noexcept override { return Bug::creator_name(); }
  const char* getPluginVersion() const noexcept override { return Bug::creator_version(); }
  const Fields* getFieldNames() noexcept override { return Bug::fields(); }
  Plugin<Bug>* createPlugin(const char*, const Fields* fields) noexcept override {
    if (!Bug::accepts(fields)) {
      return nullptr;
    }
    auto* plugin = made();
    plugin->bug.created(fields);
    return plugin;
  }
  Plugin<Bug>* deserializePlugin(const char*, const void* data, size_t size) noexcept override {
    auto* plugin = made();
    plugin->bug.load(std::string(static_cast<const char*>(data), size));
    return plugin;
  }
  void setPluginNamespace(const char* name) noexcept override {
    namespace_ = name == nullptr ? "" : name;
  }
  const char* getPluginNamespace() const noexcept override { return namespace_.c_str(); }

 private:
  Plugin<Bug>* made() const {
    auto* plugin = new Plugin<Bug>;
    plugin->bug.set_namespace(namespace_.c_str());
    return plugin;
  }

  std::string namespace_;
};

#else

// Aliasing can be declared from 10.3 on, by another interface; all others keep the first one.
#if NV_TENSORRT_MAJOR > 10 || NV_TENSORRT_MINOR >= 3
template <class Bug>
using Build = std::conditional_t<Bug::kAliases, nvinfer1::IPluginV3OneBuildV2,
                                 nvinfer1::IPluginV3OneBuild>;
#else
template <class Bug>
using Build = nvinfer1::IPluginV3OneBuild;
#endif

template <class Bug>
class Plugin final : public nvinfer1::IPluginV3,
                     public nvinfer1::IPluginV3OneCore,
                     public Build<Bug>,
                     public nvinfer1::IPluginV3OneRuntime {
 public:
  using Dynamic = nvinfer1::DynamicPluginTensorDesc;
  using Kind = nvinfer1::PluginCapabilityType;

  Bug bug;

  Plugin() = default;
  Plugin(const Plugin& other) : IPluginV3(), bug(other.bug) {}

  nvinfer1::IPluginCapability* getCapabilityInterface(Kind kind) noexcept override {
    switch (kind) {
      case Kind::kCORE:
        return static_cast<nvinfer1::IPluginV3OneCore*>(this);
      case Kind::kBUILD:
        return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
      default:
        return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    }
  }
  nvinfer1::IPluginV3* clone() noexcept override {
    auto* copy = new Plugin(*this);
    copy->bug.cloned();
    return copy;
  }
  const char* getPluginName() const noexcept override { return Bug::creator_name(); }
  const char* getPluginVersion() const noexcept override { return bug.version(); }
  const char* getPluginNamespace() const noexcept override { return bug.get_namespace(); }
  int32_t configurePlugin(const Dynamic* in, int32_t, const Dynamic*, int32_t) noexcept override {
    bug.configure(in[0].desc);
    return 0;
  }
  int32_t getOutputDataTypes(DataType* types, int32_t, const DataType* inputs,
                             int32_t) const noexcept override {
    types[0] = bug.output_type(inputs[0]);
    return 0;
  }
  int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t, const nvinfer1::DimsExprs*,
                          int32_t, nvinfer1::DimsExprs* outputs, int32_t,
                          nvinfer1::IExprBuilder&) noexcept override {
    outputs[0] = inputs[0];
    return 0;
  }
  bool supportsFormatCombination(int32_t pos, const Dynamic* in_out, int32_t,
                                 int32_t) noexcept override {
    const Desc both[] = {in_out[0].desc, in_out[1].desc};
    return bug.supports(pos, both);
  }
  int32_t getNbOutputs() const noexcept override { return 1; }
  size_t getWorkspaceSize(const Dynamic* inputs, int32_t, const Dynamic*,
                          int32_t) const noexcept override {
    Desc largest = inputs[0].desc;
    largest.dims = inputs[0].max;
    return bug.workspace(largest);
  }
  int32_t getNbTactics() noexcept override { return static_cast<int32_t>(bug.tactics().size()); }
  int32_t getValidTactics(int32_t* tactics, int32_t) noexcept override {
    const auto valid = bug.tactics();
    std::copy(valid.begin(), valid.end(), tactics);
    return 0;
  }
  const char* getTimingCacheID() noexcept override { return bug.timing_id(); }
  // Without `override`: only the interface for aliasing has it.
  int32_t getAliasedInput(int32_t) noexcept { return Bug::kAliases ? 0 : -1; }
  int32_t setTactic(int32_t tactic) noexcept override {
    bug.set_tactic(tactic);
    return 0;
  }
  int32_t onShapeChange(const Desc* in, int32_t, const Desc*, int32_t) noexcept override {
    bug.shape_changed(in[0]);
    return 0;
  }
  int32_t enqueue(const Desc* input, const Desc* output, const void* const* inputs,
                  void* const* outputs, void* workspace, cudaStream_t stream) noexcept override {
    return bug.run({input[0], output[0], inputs[0], outputs[0], workspace, stream});
  }
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override {
    return bug.initialize() == 0 ? clone() : nullptr;
  }
  const Fields* getFieldsToSerialize() noexcept override {
    bytes_ = bug.save();
    field_ = {"bytes", bytes_.data(), nvinfer1::PluginFieldType::kCHAR,
              static_cast<int32_t>(bytes_.size())};
    saved_ = {1, &field_};
    return &saved_;
  }

 private:
  std::string bytes_;
  nvinfer1::PluginField field_;
  Fields saved_{};
};

template <class Bug>
class Creator final : public nvinfer1::IPluginCreatorV3One {
 public:
  nvinfer1::IPluginV3* createPlugin(const char*, const Fields* fields,
                                    nvinfer1::TensorRTPhase phase) noexcept override {
    const bool stored = phase == nvinfer1::TensorRTPhase::kRUNTIME;
    if (!stored && !Bug::accepts(fields)) {
      return nullptr;
    }
    auto* plugin = new Plugin<Bug>;
    plugin->bug.set_namespace("");
    if (stored) {
      const auto& field = fields->fields[0];
      plugin->bug.load(std::string(static_cast<const char*>(field.data), field.length));
    } else {
      plugin->bug.created(fields);
    }
    return plugin;
  }
  const Fields* getFieldNames() noexcept override { return Bug::fields(); }
  const char* getPluginName() const noexcept override { return Bug::creator_name(); }
  const char* getPluginVersion() const noexcept override { return Bug::creator_version(); }
  const char* getPluginNamespace() const noexcept override { return ""; }
};

#endif

// Registers a creator when the library is loaded, as the reference plugin does.
template <class Bug>
struct Registration {
  Registration() {
    if (nvinfer1::IPluginRegistry* registry = getPluginRegistry(); registry != nullptr) {
      registry->registerCreator(creator, "");
    }
  }
  Creator<Bug> creator;
};

}  // namespace mutant

#define MISH_MUTANT(Bug) \
  static mutant::Registration<Bug> registration;
