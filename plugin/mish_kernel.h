// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace mish {

// Element types of the kernel; the values are not TensorRT's.
enum class Type { kFp32, kFp16, kBf16 };

// output[i] = mish(input[i]) for 0 <= i < count, each result the correctly rounded one.
//
// `input` and `output` are device addresses of `count` elements of `type`, which do not overlap.
// Starts aligned to 16 bytes (TensorRT aligns to 256) take the vectorized way, others a slower
// one. Only launches on `stream`: allocates nothing, waits for nothing, may be captured into a
// graph. Returns cudaGetLastError() after the launch; cudaSuccess without a launch for count 0,
// cudaErrorInvalidValue for a negative count, or for a null address with a positive count.
cudaError_t launch_mish(Type type, const void* input, void* output, std::int64_t count,
                        cudaStream_t stream) noexcept;

}  // namespace mish
