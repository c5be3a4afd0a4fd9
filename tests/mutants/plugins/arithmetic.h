// SPDX-License-Identifier: Apache-2.0
//
// The number formats of a mutant's arithmetic, for host and device. Everything is computed in
// float; `round` is what storing an intermediate result in the format does to it.
#pragma once

#include <math.h>  // the functions in the global namespace, as on the device

#include <cmath>

#include "mish_math.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace mutant {

// v rounded to `digits` bits, ties to even, on the host; `least` is the exponent of the smallest
// normal number, `greatest` that of the largest.
inline float rounded_on_host(float v, int digits, int least, int greatest) {
  if (v == 0.0F || std::isinf(v) || std::isnan(v)) {
    return v;
  }
  const int exponent = std::ilogb(v) < least ? least : std::ilogb(v);
  const double step = std::ldexp(1.0, exponent - digits + 1);
  const double result = std::copysign(std::rint(static_cast<double>(v) / step) * step, v);
  return std::fabs(result) < std::ldexp(1.0, greatest + 1)
             ? static_cast<float>(result)
             : std::copysign(INFINITY, v);
}

struct Fp32 {
  static constexpr float kEpsilon = 0x1p-23F;
  static constexpr float kLargest = 0x1.fffffep+127F;
  static MISH_FUNCTION float round(float v) { return v; }
  static MISH_FUNCTION float exact(float x) { return mish::mish(x, mish::NativeUnits{}); }
#if defined(__CUDACC__)
  using Element = float;
  static __device__ float widen(float v) { return v; }
  static __device__ float narrow(float v) { return v; }
#endif
};

struct Fp16 {
  static constexpr float kEpsilon = 0x1p-10F;
  static constexpr float kLargest = 65504.0F;
  static MISH_FUNCTION float round(float v) {
#if defined(__CUDA_ARCH__)
    return __half2float(__float2half_rn(v));
#else
    return rounded_on_host(v, 11, -14, 15);
#endif
  }
  static MISH_FUNCTION float exact(float x) { return round(mish::mish_fp16(x)); }
#if defined(__CUDACC__)
  using Element = __half;
  static __device__ float widen(__half v) { return __half2float(v); }
  static __device__ __half narrow(float v) { return __float2half_rn(v); }
#endif
};

struct Bf16 {
  static constexpr float kEpsilon = 0x1p-7F;
  static constexpr float kLargest = 0x1.fep+127F;
  static MISH_FUNCTION float round(float v) {
#if defined(__CUDA_ARCH__)
    return __bfloat162float(__float2bfloat16_rn(v));
#else
    return rounded_on_host(v, 8, -126, 127);
#endif
  }
  static MISH_FUNCTION float exact(float x) { return round(mish::mish_bf16(x)); }
#if defined(__CUDACC__)
  using Element = __nv_bfloat16;
  static __device__ float widen(__nv_bfloat16 v) { return __bfloat162float(v); }
  static __device__ __nv_bfloat16 narrow(float v) { return __float2bfloat16_rn(v); }
#endif
};

template <class A, class B>
constexpr bool kSame = false;
template <class A>
constexpr bool kSame<A, A> = true;

MISH_FUNCTION float softplus(float x) { return x > 20.0F ? x : log1pf(expf(x)); }

}  // namespace mutant
