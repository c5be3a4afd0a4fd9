// SPDX-License-Identifier: Apache-2.0
//
// What both plugin interfaces know about their one input and one output.
#pragma once

#include <NvInferRuntime.h>

#include <cstdint>

#include "mish_kernel.h"

namespace mish {

inline constexpr char kPluginName[] = "MishExact";
inline constexpr char kPluginVersion[] = "1";

// Whether the kernel takes tensors of this type and format: fp32 in LINEAR; fp16, and bf16 where
// TensorRT has it (from 9), in LINEAR, and in HWC8 from rank 3.
bool is_supported(const nvinfer1::PluginTensorDesc& desc) noexcept;

// Whether `output` can stand at the other end of `input`: same type, same format.
bool is_same_layout(const nvinfer1::PluginTensorDesc& input,
                    const nvinfer1::PluginTensorDesc& output) noexcept;

// Elements that a tensor's memory holds, or -1 if a dimension is negative, the count does not fit
// in 64 bits or HWC8 has a rank below 3. In LINEAR it is the product of the dimensions; HWC8 pads
// dimension n-3 to a multiple of 8. The padding is walked, too: it is zero and mish(0) = 0, so
// it stays zero.
std::int64_t padded_volume(const nvinfer1::PluginTensorDesc& desc) noexcept;

// Launches the kernel for these tensors. Returns 0, or another number if they are not supported,
// do not match, or the launch failed: what both interfaces' enqueue returns.
std::int32_t enqueue_mish(const nvinfer1::PluginTensorDesc& input_desc,
                          const nvinfer1::PluginTensorDesc& output_desc, const void* input,
                          void* output, cudaStream_t stream) noexcept;

// Whether `fields` is what MishExact is made from: nothing. Logs what is wrong with it otherwise.
bool are_fields_valid(const nvinfer1::PluginFieldCollection* fields) noexcept;

// Sends a line to TensorRT's logger, where there is one.
void log_error(const char* message) noexcept;

}  // namespace mish
