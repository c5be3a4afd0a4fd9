// SPDX-License-Identifier: Apache-2.0
#include "mish_plugin_v3.h"

#if NV_TENSORRT_MAJOR >= 10

#include <new>

#include "mish_tensor.h"

namespace mish {

using nvinfer1::DataType;
using nvinfer1::DimsExprs;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginCapabilityType;
using nvinfer1::PluginTensorDesc;

static bool is_one_to_one(int32_t nb_inputs, int32_t nb_outputs) noexcept {
  return nb_inputs == 1 && nb_outputs == 1;
}

nvinfer1::IPluginCapability* MishPluginV3::getCapabilityInterface(
    PluginCapabilityType type) noexcept {
  switch (type) {
    case PluginCapabilityType::kCORE:
      return static_cast<nvinfer1::IPluginV3OneCore*>(this);
    case PluginCapabilityType::kBUILD:
      return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
    case PluginCapabilityType::kRUNTIME:
      return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
    default:
      return nullptr;
  }
}

nvinfer1::IPluginV3* MishPluginV3::clone() noexcept { return new (std::nothrow) MishPluginV3; }

const char* MishPluginV3::getPluginName() const noexcept { return kPluginName; }
const char* MishPluginV3::getPluginVersion() const noexcept { return kPluginVersion; }
const char* MishPluginV3::getPluginNamespace() const noexcept { return ""; }

int32_t MishPluginV3::configurePlugin(const DynamicPluginTensorDesc*, int32_t nb_inputs,
                                      const DynamicPluginTensorDesc*, int32_t nb_outputs) noexcept {
  return is_one_to_one(nb_inputs, nb_outputs) ? 0 : -1;
}

int32_t MishPluginV3::getOutputDataTypes(DataType* output_types, int32_t nb_outputs,
                                         const DataType* input_types,
                                         int32_t nb_inputs) const noexcept {
  if (!is_one_to_one(nb_inputs, nb_outputs)) {
    return -1;
  }
  output_types[0] = input_types[0];
  return 0;
}

int32_t MishPluginV3::getOutputShapes(const DimsExprs* inputs, int32_t nb_inputs, const DimsExprs*,
                                      int32_t nb_shape_inputs, DimsExprs* outputs,
                                      int32_t nb_outputs, nvinfer1::IExprBuilder&) noexcept {
  if (!is_one_to_one(nb_inputs, nb_outputs) || nb_shape_inputs != 0) {
    return -1;
  }
  outputs[0] = inputs[0];
  return 0;
}

bool MishPluginV3::supportsFormatCombination(int32_t pos, const DynamicPluginTensorDesc* in_out,
                                             int32_t nb_inputs, int32_t nb_outputs) noexcept {
  if (!is_one_to_one(nb_inputs, nb_outputs) || pos < 0 || pos > 1) {
    return false;
  }
  return pos == 0 ? is_supported(in_out[0].desc)
                  : is_same_layout(in_out[0].desc, in_out[1].desc);
}

int32_t MishPluginV3::getNbOutputs() const noexcept { return 1; }

const char* MishPluginV3::getTimingCacheID() noexcept { return kPluginVersion; }

int32_t MishPluginV3::onShapeChange(const PluginTensorDesc*, int32_t nb_inputs,
                                    const PluginTensorDesc*, int32_t nb_outputs) noexcept {
  return is_one_to_one(nb_inputs, nb_outputs) ? 0 : -1;
}

int32_t MishPluginV3::enqueue(const PluginTensorDesc* input_desc,
                              const PluginTensorDesc* output_desc, const void* const* inputs,
                              void* const* outputs, void*, cudaStream_t stream) noexcept {
  return enqueue_mish(input_desc[0], output_desc[0], inputs[0], outputs[0], stream);
}

nvinfer1::IPluginV3* MishPluginV3::attachToContext(nvinfer1::IPluginResourceContext*) noexcept {
  return clone();
}

const nvinfer1::PluginFieldCollection* MishPluginV3::getFieldsToSerialize() noexcept {
  return &fields_;
}

nvinfer1::IPluginV3* MishCreatorV3::createPlugin(const char*,
                                                 const nvinfer1::PluginFieldCollection* fields,
                                                 nvinfer1::TensorRTPhase) noexcept {
  return are_fields_valid(fields) ? new (std::nothrow) MishPluginV3 : nullptr;
}

const nvinfer1::PluginFieldCollection* MishCreatorV3::getFieldNames() noexcept { return &fields_; }
const char* MishCreatorV3::getPluginName() const noexcept { return kPluginName; }
const char* MishCreatorV3::getPluginVersion() const noexcept { return kPluginVersion; }
const char* MishCreatorV3::getPluginNamespace() const noexcept { return ""; }

}  // namespace mish

#endif
