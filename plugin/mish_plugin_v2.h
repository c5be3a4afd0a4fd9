// SPDX-License-Identifier: Apache-2.0
//
// MishExact for TensorRT 8.6 (and 9): IPluginV2DynamicExt.
#pragma once

#include <NvInferRuntime.h>

#if NV_TENSORRT_MAJOR < 10

#include <string>

namespace mish {

// One input, one output of the same shape and type. Has no fields; its namespace is its only
// state.
class MishPluginV2 : public nvinfer1::IPluginV2DynamicExt {
 public:
  explicit MishPluginV2(const std::string& plugin_namespace);  // throws std::bad_alloc

  IPluginV2DynamicExt* clone() const noexcept override;  // null if there is no memory
  nvinfer1::DimsExprs getOutputDimensions(int32_t output_index, const nvinfer1::DimsExprs* inputs,
                                          int32_t nb_inputs,
                                          nvinfer1::IExprBuilder& builder) noexcept override;
  // Reads in_out[0] ... in_out[pos] only: the others are not set yet.
  bool supportsFormatCombination(int32_t pos, const nvinfer1::PluginTensorDesc* in_out,
                                 int32_t nb_inputs, int32_t nb_outputs) noexcept override;
  void configurePlugin(const nvinfer1::DynamicPluginTensorDesc* in, int32_t nb_inputs,
                       const nvinfer1::DynamicPluginTensorDesc* out,
                       int32_t nb_outputs) noexcept override;
  size_t getWorkspaceSize(const nvinfer1::PluginTensorDesc* inputs, int32_t nb_inputs,
                          const nvinfer1::PluginTensorDesc* outputs,
                          int32_t nb_outputs) const noexcept override;
  int32_t enqueue(const nvinfer1::PluginTensorDesc* input_desc,
                  const nvinfer1::PluginTensorDesc* output_desc, const void* const* inputs,
                  void* const* outputs, void* workspace, cudaStream_t stream) noexcept override;

  nvinfer1::DataType getOutputDataType(int32_t index, const nvinfer1::DataType* input_types,
                                       int32_t nb_inputs) const noexcept override;

  const char* getPluginType() const noexcept override;
  const char* getPluginVersion() const noexcept override;
  int32_t getNbOutputs() const noexcept override;
  int32_t initialize() noexcept override;
  void terminate() noexcept override;
  size_t getSerializationSize() const noexcept override;
  void serialize(void* buffer) const noexcept override;
  void destroy() noexcept override;
  void setPluginNamespace(const char* plugin_namespace) noexcept override;
  const char* getPluginNamespace() const noexcept override;

 private:
  std::string namespace_;
};

// Makes MishPluginV2 from an ONNX node or from a plan. Neither has fields. (The return types are
// covariant because the base class, IPluginV2, is deprecated by name in 8.6.)
class MishCreatorV2 : public nvinfer1::IPluginCreator {
 public:
  const char* getPluginName() const noexcept override;
  const char* getPluginVersion() const noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override;
  // Null, and a line in the log, if `fields` is not empty.
  MishPluginV2* createPlugin(
      const char* name, const nvinfer1::PluginFieldCollection* fields) noexcept override;
  // Null, and a line in the log, if the bytes are not what serialize() writes.
  MishPluginV2* deserializePlugin(const char* name, const void* data,
                                         size_t length) noexcept override;
  void setPluginNamespace(const char* plugin_namespace) noexcept override;
  const char* getPluginNamespace() const noexcept override;

 private:
  nvinfer1::PluginFieldCollection fields_{0, nullptr};
  std::string namespace_;
};

}  // namespace mish

#endif
