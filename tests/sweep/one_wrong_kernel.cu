// SPDX-License-Identifier: Apache-2.0
//
// The reference plugin, but for one input of all 2^32: for x = 1.2345679 (0x3F9E0652) in fp32 its
// result is 2 ULP too large. No sample of `verify run` has that input but by chance.
#define launch_mish launch_right
#include "mish_kernel.cu"
#undef launch_mish

namespace mish {

__global__ void spoil(const unsigned* input, unsigned* output, std::int64_t count) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
       i < count; i += stride) {
    if (input[i] == 0x3F9E0652U) {
      output[i] += 2;
    }
  }
}

cudaError_t launch_mish(Type type, const void* input, void* output, std::int64_t count,
                        cudaStream_t stream) noexcept {
  const cudaError_t launched = launch_right(type, input, output, count, stream);
  if (launched != cudaSuccess || type != Type::kFp32 || count == 0) {
    return launched;
  }
  spoil<<<1024, 256, 0, stream>>>(static_cast<const unsigned*>(input),
                                  static_cast<unsigned*>(output), count);
  return cudaGetLastError();
}

}  // namespace mish
