// SPDX-License-Identifier: Apache-2.0
#include "mish_plugin_v2.h"

#if NV_TENSORRT_MAJOR < 10

#include <cstring>
#include <new>

#include "mish_tensor.h"

namespace mish {

using nvinfer1::DataType;
using nvinfer1::DimsExprs;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginTensorDesc;

// What a plan keeps of the plugin: a tag, then a list of named fields, which is empty. A later
// version with fields can tell such a plan from its own.
struct SerializedMish {
  char tag[8];
  std::uint32_t fields;
};
static constexpr SerializedMish kSerialized{{'M', 'i', 's', 'h', 'E', 'x', '0', '1'}, 0};

// Copies a name that the caller keeps, null meaning the empty one.
static void assign(std::string& owned, const char* borrowed) noexcept {
  try {
    owned = borrowed == nullptr ? "" : borrowed;
  } catch (...) {
    log_error("MishExact: no memory for a namespace");
  }
}

static MishPluginV2* make(const std::string& plugin_namespace) noexcept {
  try {
    return new MishPluginV2(plugin_namespace);
  } catch (...) {
    log_error("MishExact: no memory for a plugin");
    return nullptr;
  }
}

MishPluginV2::MishPluginV2(const std::string& plugin_namespace) : namespace_(plugin_namespace) {}

nvinfer1::IPluginV2DynamicExt* MishPluginV2::clone() const noexcept { return make(namespace_); }

DimsExprs MishPluginV2::getOutputDimensions(int32_t, const DimsExprs* inputs, int32_t,
                                            nvinfer1::IExprBuilder&) noexcept {
  return inputs[0];
}

bool MishPluginV2::supportsFormatCombination(int32_t pos, const PluginTensorDesc* in_out,
                                             int32_t nb_inputs, int32_t nb_outputs) noexcept {
  if (nb_inputs != 1 || nb_outputs != 1 || pos < 0 || pos > 1) {
    return false;
  }
  return pos == 0 ? is_supported(in_out[0]) : is_same_layout(in_out[0], in_out[1]);
}

void MishPluginV2::configurePlugin(const DynamicPluginTensorDesc*, int32_t,
                                   const DynamicPluginTensorDesc*, int32_t) noexcept {}

size_t MishPluginV2::getWorkspaceSize(const PluginTensorDesc*, int32_t, const PluginTensorDesc*,
                                      int32_t) const noexcept {
  return 0;
}

int32_t MishPluginV2::enqueue(const PluginTensorDesc* input_desc,
                              const PluginTensorDesc* output_desc, const void* const* inputs,
                              void* const* outputs, void*, cudaStream_t stream) noexcept {
  return enqueue_mish(input_desc[0], output_desc[0], inputs[0], outputs[0], stream);
}

DataType MishPluginV2::getOutputDataType(int32_t, const DataType* input_types,
                                         int32_t) const noexcept {
  return input_types[0];
}

const char* MishPluginV2::getPluginType() const noexcept { return kPluginName; }
const char* MishPluginV2::getPluginVersion() const noexcept { return kPluginVersion; }
int32_t MishPluginV2::getNbOutputs() const noexcept { return 1; }
int32_t MishPluginV2::initialize() noexcept { return 0; }
void MishPluginV2::terminate() noexcept {}
size_t MishPluginV2::getSerializationSize() const noexcept { return sizeof kSerialized; }

void MishPluginV2::serialize(void* buffer) const noexcept {
  std::memcpy(buffer, &kSerialized, sizeof kSerialized);
}

void MishPluginV2::destroy() noexcept { delete this; }

void MishPluginV2::setPluginNamespace(const char* plugin_namespace) noexcept {
  assign(namespace_, plugin_namespace);
}

const char* MishPluginV2::getPluginNamespace() const noexcept { return namespace_.c_str(); }

const char* MishCreatorV2::getPluginName() const noexcept { return kPluginName; }
const char* MishCreatorV2::getPluginVersion() const noexcept { return kPluginVersion; }
const nvinfer1::PluginFieldCollection* MishCreatorV2::getFieldNames() noexcept { return &fields_; }

MishPluginV2* MishCreatorV2::createPlugin(
    const char*, const nvinfer1::PluginFieldCollection* fields) noexcept {
  return are_fields_valid(fields) ? make(namespace_) : nullptr;
}

MishPluginV2* MishCreatorV2::deserializePlugin(const char*, const void* data,
                                                      size_t length) noexcept {
  if (data == nullptr || length != sizeof kSerialized ||
      std::memcmp(data, &kSerialized, sizeof kSerialized) != 0) {
    log_error("MishExact: this plan was not written by version 1 of the plugin");
    return nullptr;
  }
  return make(namespace_);
}

void MishCreatorV2::setPluginNamespace(const char* plugin_namespace) noexcept {
  assign(namespace_, plugin_namespace);
}

const char* MishCreatorV2::getPluginNamespace() const noexcept { return namespace_.c_str(); }

}  // namespace mish

#endif
