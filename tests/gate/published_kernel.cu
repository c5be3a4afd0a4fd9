// SPDX-License-Identifier: Apache-2.0
//
// The formula of most published plugins, in the place of the reference plugin's kernel: softplus
// by log instead of log1p. It is exactly -0 below -16.64, where mish(-17) is -7.0e-7.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "mish_kernel.h"

namespace mish {

__device__ float published(float x) {
  const float softplus = x > 20.0F ? x : (x < -20.0F ? expf(x) : logf(expf(x) + 1.0F));
  return x * (2.0F / (1.0F + expf(-2.0F * softplus)) - 1.0F);
}

template <typename T>
__global__ void published_kernel(const T* input, T* output, std::int64_t count) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
       i < count; i += stride) {
    output[i] = static_cast<T>(published(static_cast<float>(input[i])));
  }
}

template <typename T>
static void launch(const void* input, void* output, std::int64_t count, cudaStream_t stream) {
  const std::int64_t blocks = (count + 255) / 256;
  published_kernel<T><<<static_cast<unsigned>(blocks < 65536 ? blocks : 65536), 256, 0, stream>>>(
      static_cast<const T*>(input), static_cast<T*>(output), count);
}

cudaError_t launch_mish(Type type, const void* input, void* output, std::int64_t count,
                        cudaStream_t stream) noexcept {
  if (count == 0) {
    return cudaSuccess;
  }
  switch (type) {
    case Type::kFp32:
      launch<float>(input, output, count, stream);
      break;
    case Type::kFp16:
      launch<__half>(input, output, count, stream);
      break;
    default:
      launch<__nv_bfloat16>(input, output, count, stream);
      break;
  }
  return cudaGetLastError();
}

}  // namespace mish
