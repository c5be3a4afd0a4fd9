// SPDX-License-Identifier: Apache-2.0
//
// Right kernels and how they are launched, for mutants whose bug is in the launch.
#pragma once

#include <cstdint>

#include "arithmetic.h"
#include "shell.h"

namespace mutant {

constexpr int kThreads = 256;

// Calls `launch` with the tensor's format (Fp32, Fp16 or Bf16); returns what that returns.
template <class Launch>
int with_format(const Desc& desc, Launch launch) {
  switch (desc.type) {
    case nvinfer1::DataType::kFLOAT:
      return launch(Fp32{});
    case nvinfer1::DataType::kHALF:
      return launch(Fp16{});
#if NV_TENSORRT_MAJOR >= 10
    case nvinfer1::DataType::kBF16:
      return launch(Bf16{});
#endif
    default:
      return -1;
  }
}

// Calls `launch` with enough blocks for a kernel that strides, unless there is nothing to do;
// returns the launch's own error.
template <class Launch>
int launched(std::int64_t count, Launch launch) {
  if (count <= 0) {
    return 0;
  }
  const std::int64_t blocks = (count + kThreads - 1) / kThreads;
  launch(static_cast<unsigned>(blocks < 65535 ? blocks : 65535));
  return static_cast<int>(cudaGetLastError());
}

// One element per thread, of as many as the grid has threads.
template <class Format>
__global__ void one_each(const typename Format::Element* x, typename Format::Element* y,
                         std::int64_t count) {
  const std::int64_t block = blockIdx.y * static_cast<std::int64_t>(gridDim.x) + blockIdx.x;
  const std::int64_t i = block * blockDim.x + threadIdx.x;
  if (i < count) {
    y[i] = Format::narrow(Format::exact(Format::widen(x[i])));
  }
}

// y = *scale * mish(x), or scale * mish(x) for a null address.
template <class Format>
__global__ void scaled(const typename Format::Element* x, typename Format::Element* y,
                       std::int64_t count, float scale, const float* address) {
  const float factor = address == nullptr ? scale : *address;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
       i < count; i += step) {
    y[i] = Format::narrow(factor * Format::exact(Format::widen(x[i])));
  }
}

inline int run_scaled(const Call& call, float scale, const float* address = nullptr) {
  return with_format(call.input, [&](auto format) {
    using Format = decltype(format);
    return launched(call.count(), [&](unsigned blocks) {
      scaled<Format><<<blocks, kThreads, 0, call.stream>>>(
          call.x_as<Format>(), call.y_as<Format>(), call.count(), scale, address);
    });
  });
}

}  // namespace mutant
