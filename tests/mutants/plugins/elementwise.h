// SPDX-License-Identifier: Apache-2.0
//
// The shell of a mutant whose arithmetic is wrong. It ends in MISH_ARITHMETIC(Wrong), where
// Wrong::apply<Format>(x) is its result before it is rounded to the format; wherever the bug does
// not show, that is Format::exact(x). With MUTANT_ON_HOST only that function is compiled, by any
// C++ compiler.
#pragma once

#include "arithmetic.h"

#if defined(MUTANT_ON_HOST)

// precision: 0 fp32, 1 fp16, 2 bf16.
#define MISH_ARITHMETIC(Wrong)                                                               \
  extern "C" void mutant_apply(int precision, const float* x, float* y, long count) {        \
    using namespace mutant;                                                                  \
    for (long i = 0; i < count; ++i) {                                                       \
      y[i] = precision == 0   ? Wrong::apply<Fp32>(x[i])                                     \
             : precision == 1 ? Fp16::round(Wrong::apply<Fp16>(x[i]))                        \
                              : Bf16::round(Wrong::apply<Bf16>(x[i]));                       \
    }                                                                                        \
  }

#else

#include "kernels.h"
#include "shell.h"

namespace mutant {

template <class Wrong, class Format>
__global__ void elementwise(const typename Format::Element* x, typename Format::Element* y,
                            std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x;
       i < count; i += step) {
    y[i] = Format::narrow(Wrong::template apply<Format>(Format::widen(x[i])));
  }
}

template <class Wrong>
struct Elementwise : Mish {
  int run(const Call& call) override {
    return with_format(call.input, [&](auto format) {
      using Format = decltype(format);
      return launched(call.count(), [&](unsigned blocks) {
        elementwise<Wrong, Format><<<blocks, kThreads, 0, call.stream>>>(
            call.x_as<Format>(), call.y_as<Format>(), call.count());
      });
    });
  }
};

}  // namespace mutant

#define MISH_ARITHMETIC(Wrong) MISH_MUTANT(mutant::Elementwise<Wrong>)

#endif
