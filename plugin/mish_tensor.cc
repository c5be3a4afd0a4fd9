// SPDX-License-Identifier: Apache-2.0
#include "mish_tensor.h"

#include <string>

namespace mish {

using nvinfer1::DataType;
using nvinfer1::PluginTensorDesc;
using nvinfer1::TensorFormat;

// The kernel's type for TensorRT's. Returns false for a type that it has none for.
static bool find_type(DataType from, Type& to) noexcept {
  switch (from) {
    case DataType::kFLOAT:
      to = Type::kFp32;
      return true;
    case DataType::kHALF:
      to = Type::kFp16;
      return true;
#if NV_TENSORRT_MAJOR >= 9
    case DataType::kBF16:
      to = Type::kBf16;
      return true;
#endif
    default:
      return false;
  }
}

bool is_supported(const PluginTensorDesc& desc) noexcept {
  Type type;
  if (!find_type(desc.type, type)) {
    return false;
  }
  if (desc.format == TensorFormat::kLINEAR) {
    return true;
  }
  return type != Type::kFp32 && desc.format == TensorFormat::kHWC8 && desc.dims.nbDims >= 3;
}

bool is_same_layout(const PluginTensorDesc& input, const PluginTensorDesc& output) noexcept {
  return input.type == output.type && input.format == output.format;
}

std::int64_t padded_volume(const PluginTensorDesc& desc) noexcept {
  const auto& dims = desc.dims;
  const bool packed = desc.format == TensorFormat::kHWC8;
  if (dims.nbDims < (packed ? 3 : 0)) {
    return -1;
  }
  std::int64_t volume = 1;
  bool empty = false;
  bool overflow = false;
  for (std::int32_t i = 0; i < dims.nbDims; ++i) {
    std::int64_t extent = dims.d[i];
    if (extent < 0) {
      return -1;
    }
    if (packed && i == dims.nbDims - 3) {
      overflow = __builtin_add_overflow(extent, std::int64_t{7}, &extent) || overflow;
      extent = extent / 8 * 8;
    }
    empty = empty || extent == 0;
    overflow = __builtin_mul_overflow(volume, extent, &volume) || overflow;
  }
  if (empty) {
    return 0;
  }
  return overflow ? -1 : volume;
}

std::int32_t enqueue_mish(const PluginTensorDesc& input_desc, const PluginTensorDesc& output_desc,
                          const void* input, void* output, cudaStream_t stream) noexcept {
  Type type;
  const std::int64_t count = padded_volume(input_desc);
  if (!is_supported(input_desc) || !is_same_layout(input_desc, output_desc) ||
      !find_type(input_desc.type, type) || count < 0 || padded_volume(output_desc) != count) {
    log_error("MishExact: enqueue got tensors that were not agreed on");
    return -1;
  }
  const cudaError_t status = launch_mish(type, input, output, count, stream);
  if (status != cudaSuccess) {
    log_error(cudaGetErrorString(status));
  }
  return static_cast<std::int32_t>(status);
}

bool are_fields_valid(const nvinfer1::PluginFieldCollection* fields) noexcept {
  if (fields == nullptr || fields->nbFields == 0) {
    return true;
  }
  try {
    std::string message = "MishExact has no fields, but was given";
    for (std::int32_t i = 0; i < fields->nbFields && fields->fields != nullptr; ++i) {
      const char* name = fields->fields[i].name;
      message += std::string(i == 0 ? " " : ", ") + (name == nullptr ? "one without a name" : name);
    }
    log_error(message.c_str());
  } catch (...) {
    log_error("MishExact has no fields");
  }
  return false;
}

void log_error(const char* message) noexcept {
  nvinfer1::ILogger* logger = getLogger();
  if (logger != nullptr) {
    logger->log(nvinfer1::ILogger::Severity::kERROR, message);
  }
}

}  // namespace mish
