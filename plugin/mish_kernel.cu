// SPDX-License-Identifier: Apache-2.0
#include "mish_kernel.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <type_traits>

#include "mish_math.h"

namespace mish {

// Each format's arithmetic on one element and on a vector of 16 bytes.
struct Fp32 {
  using Element = float;
  // Measured on an H200: asking L2 for the next vector early gains 3 %, where the 16-bit kernels
  // gained nothing. Eight blocks per multiprocessor leave a thread 32 registers; GPUs with few
  // float64 units may not have room for so many threads, so there the compiler chooses.
  static constexpr bool kPrefetch = true;
  static constexpr int kResident = std::is_same_v<NativeUnits, Float64Units> ? 8 : 0;
  static __device__ __forceinline__ float apply(float x) { return mish(x, NativeUnits{}); }
  // All levels, one element after the other.
  static __device__ __noinline__ uint4 settle(uint4 v) {
#pragma unroll 1
    for (int i = 0; i < 4; ++i) {
      v = make_uint4(v.y, v.z, v.w, bits_of(apply(float_of(v.x))));
    }
    return v;
  }
  // All four first levels at once, so that their latencies overlap, and one branch for the vector
  // where a boundary may be near.
  static __device__ __forceinline__ void apply(uint4 v, const uint4* from, uint4* to) {
    const auto x = estimate(float_of(v.x), NativeUnits{});
    const auto y = estimate(float_of(v.y), NativeUnits{});
    const auto z = estimate(float_of(v.z), NativeUnits{});
    const auto w = estimate(float_of(v.w), NativeUnits{});
    *to = make_uint4(bits_of(x.rounded), bits_of(y.rounded), bits_of(z.rounded),
                     bits_of(w.rounded));
    if (!(clear(x) & clear(y) & clear(z) & clear(w)) &&
        !(agreed(x) & agreed(y) & agreed(z) & agreed(w))) {
      *to = settle(*from);  // read again rather than kept in registers
    }
  }
};

// Two numbers of 16 bits in one word of 32.
template <class Format>
__device__ __forceinline__ uint4 apply_pairs(uint4 v) {
  return make_uint4(Format::apply_pair(v.x), Format::apply_pair(v.y), Format::apply_pair(v.z),
                    Format::apply_pair(v.w));
}

struct Fp16 {
  using Element = __half;
  static constexpr bool kPrefetch = false;
  static constexpr int kResident = 0;
  static __device__ __forceinline__ __half apply(__half x) {
    return __float2half_rn(mish_fp16(__half2float(x)));
  }
  static __device__ __forceinline__ unsigned apply_pair(unsigned word) {
    const float2 x = __half22float2(*reinterpret_cast<const __half2*>(&word));
    const __half2 y = __floats2half2_rn(mish_fp16(x.x), mish_fp16(x.y));
    return *reinterpret_cast<const unsigned*>(&y);
  }
  static __device__ __forceinline__ void apply(uint4 v, const uint4*, uint4* to) {
    *to = apply_pairs<Fp16>(v);
  }
};

struct Bf16 {
  using Element = __nv_bfloat16;
  static constexpr bool kPrefetch = false;
  static constexpr int kResident = 0;
  static __device__ __forceinline__ __nv_bfloat16 apply(__nv_bfloat16 x) {
    return __float2bfloat16_rn(mish_bf16(__bfloat162float(x)));
  }
  static __device__ __forceinline__ unsigned apply_pair(unsigned word) {
    const float low = mish_bf16(float_of(word << 16));
    const float high = mish_bf16(float_of(word & 0xFFFF0000U));
    const __nv_bfloat162 y = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const unsigned*>(&y);
  }
  static __device__ __forceinline__ void apply(uint4 v, const uint4*, uint4* to) {
    *to = apply_pairs<Bf16>(v);
  }
};

constexpr int kThreads = 256;

// One thread takes 16 bytes at a time: `rounds` times, the first `rest` threads once more. The last
// count % (16 / size) elements are taken singly, by the first threads of the grid.
template <class Format>
__global__ void __launch_bounds__(kThreads, Format::kResident)
    mish_vectors(const uint4* input, uint4* output, int rounds, unsigned rest,
                 const typename Format::Element* tail_input,
                 typename Format::Element* tail_output, unsigned tail) {
  const unsigned threads = gridDim.x * kThreads;
  const unsigned thread = blockIdx.x * kThreads + threadIdx.x;
  const uint4* from = input + thread;
  uint4* to = output + thread;
#pragma unroll 1
  for (int left = rounds + (thread < rest ? 1 : 0); left > 0; --left) {
    const uint4 now = *from;
    // Not into registers: with 40 of them, for six blocks, that was slower on an H200.
    if (Format::kPrefetch && left > 1) {
      asm volatile("prefetch.global.L2 [%0];" ::"l"(from + threads));
    }
    Format::apply(now, from, to);
    from += threads;
    to += threads;
  }
  if (thread < tail) {
    tail_output[thread] = Format::apply(tail_input[thread]);
  }
}

template <class Format>
__global__ void __launch_bounds__(kThreads)
    mish_elements(const typename Format::Element* input, typename Format::Element* output,
                  std::int64_t count) {
  const std::int64_t threads = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count;
       i += threads) {
    output[i] = Format::apply(input[i]);
  }
}

// Blocks for `items` items, one per thread and step, and at most 64 per multiprocessor: eight are
// resident at a time, the rest even out the end. More work per thread spares its preamble; measured
// on an H200, before the prefetch, 64 was best among 16 to 128 and no limit.
static cudaError_t count_blocks(std::int64_t items, unsigned& blocks) {
  int device = 0;
  int multiprocessors = 0;
  if (const cudaError_t status = cudaGetDevice(&device); status != cudaSuccess) {
    return status;
  }
  const cudaError_t status =
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  if (status != cudaSuccess) {
    return status;
  }
  const std::int64_t most = std::int64_t{64} * multiprocessors;
  blocks = static_cast<unsigned>(
      std::clamp<std::int64_t>(items / kThreads + (items % kThreads != 0 ? 1 : 0), 1, most));
  return cudaSuccess;
}

template <class Format>
static cudaError_t launch(const void* input, void* output, std::int64_t count,
                          cudaStream_t stream) {
  using Element = typename Format::Element;
  const auto* from = static_cast<const Element*>(input);
  auto* to = static_cast<Element*>(output);
  const auto addresses =
      reinterpret_cast<std::uintptr_t>(input) | reinterpret_cast<std::uintptr_t>(output);
  const bool aligned = addresses % sizeof(uint4) == 0;
  constexpr std::int64_t width = sizeof(uint4) / sizeof(Element);
  const std::int64_t vectors = count / width;
  const std::int64_t done = vectors * width;
  unsigned blocks = 0;
  const cudaError_t status = count_blocks(aligned ? vectors : count, blocks);
  if (status != cudaSuccess) {
    cudaGetLastError();  // or the next launch would report it again
    return status;
  }
  if (aligned) {
    const std::int64_t threads = std::int64_t{kThreads} * blocks;
    mish_vectors<Format><<<blocks, kThreads, 0, stream>>>(
        static_cast<const uint4*>(input), static_cast<uint4*>(output),
        static_cast<int>(vectors / threads), static_cast<unsigned>(vectors % threads), from + done,
        to + done, static_cast<unsigned>(count - done));
  } else {
    mish_elements<Format><<<blocks, kThreads, 0, stream>>>(from, to, count);
  }
  return cudaGetLastError();
}

cudaError_t launch_mish(Type type, const void* input, void* output, std::int64_t count,
                        cudaStream_t stream) noexcept {
  if (count == 0) {
    return cudaSuccess;
  }
  if (count < 0 || input == nullptr || output == nullptr) {
    return cudaErrorInvalidValue;
  }
  switch (type) {
    case Type::kFp32:
      return launch<Fp32>(input, output, count, stream);
    case Type::kFp16:
      return launch<Fp16>(input, output, count, stream);
    case Type::kBf16:
      return launch<Bf16>(input, output, count, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace mish
