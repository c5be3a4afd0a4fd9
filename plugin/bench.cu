// SPDX-License-Identifier: Apache-2.0
//
// The kernel alone on a GPU, without TensorRT: the checksum over every input, to compare with
// sweep.cc's; the error of the hardware's reciprocal; odd lengths and starts between guards; more
// elements than 32 bits count; time against a copy of the same bytes.
//
//     bench [--elements N]
//
// One JSON object per line. Exit status 1 if a CUDA call fails, a guard is broken or the reciprocal
// is less exact than mish_math.h has it.
//
// Build: nvcc -std=c++17 -O3 -fmad=false -Xcompiler=-ffp-contract=off -arch=native
//        bench.cu mish_kernel.cu -o bench
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "mish_kernel.h"
#include "mish_math.h"

namespace {

void must(cudaError_t status, const char* what) {
  if (status != cudaSuccess) {
    std::fprintf(stderr, "bench: %s: %s\n", what, cudaGetErrorString(status));
    std::exit(1);
  }
}
#define MUST(call) must((call), #call)

struct Kind {
  const char* name;
  mish::Type type;
  int bytes;
};
constexpr Kind kKinds[] = {{"fp32", mish::Type::kFp32, 4},
                           {"fp16", mish::Type::kFp16, 2},
                           {"bf16", mish::Type::kBf16, 2}};

}  // namespace

// A named namespace: nvcc refuses kernels with internal linkage in some headers' company.
namespace bench {

__device__ float widen(mish::Type type, const void* from, std::int64_t i) {
  switch (type) {
    case mish::Type::kFp32:
      return static_cast<const float*>(from)[i];
    case mish::Type::kFp16:
      return __half2float(static_cast<const __half*>(from)[i]);
    default:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(from)[i]);
  }
}

__global__ void bit_patterns(int bytes, void* to, std::uint32_t first, std::int64_t count) {
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * blockDim.x) {
    const std::uint32_t bits = first + static_cast<std::uint32_t>(i);
    if (bytes == 4) {
      static_cast<std::uint32_t*>(to)[i] = bits;
    } else {
      static_cast<std::uint16_t*>(to)[i] = static_cast<std::uint16_t>(bits);
    }
  }
}

// The other way of an fp32 Mish, for GPUs with few float64 units, run on this GPU.
__global__ void few_float64(const float* from, float* to, std::int64_t count) {
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * blockDim.x) {
    to[i] = mish::mish(from[i], mish::FewFloat64Units{});
  }
}

// The sum of mixed() in sweep.cc, in any order.
__global__ void checksum(mish::Type type, const void* results, std::uint32_t first,
                         std::int64_t count, unsigned long long* total) {
  unsigned long long sum = 0;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * blockDim.x) {
    const float y = widen(type, results, i);
    const std::uint32_t output = isnan(y) ? 0x7FC00000U : mish::bits_of(y);
    const std::uint32_t input = first + static_cast<std::uint32_t>(i);
    unsigned long long z = static_cast<unsigned long long>(input) << 32 | output;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    sum += z ^ z >> 31;
  }
  atomicAdd(total, sum);
}

// The largest relative error of reciprocal_guess for d in [1/2, 2^347), as a double's bits: every
// high word, each with the least and the greatest low word of d and of the guess. The fma's
// rounding is relative to the error.
__global__ void reciprocal_error(std::uint32_t first, std::uint32_t end,
                                 unsigned long long* worst) {
  double most = 0.0;
  for (std::uint32_t high = first + blockIdx.x * blockDim.x + threadIdx.x; high < end;
       high += gridDim.x * blockDim.x) {
    for (int i = 0; i < 4; ++i) {
      const double d = mish::double_of(high, (i & 1) != 0 ? 0xFFFFFFFFU : 0U);
      const double y = mish::reciprocal_guess(d, (i & 2) != 0 ? 0xFFFFFFFFU : 0U);
      const double error = fabs(mish::fma(-d, y, 1.0));
      most = error <= most ? most : error;  // NaN counts as more
    }
  }
  atomicMax(worst, static_cast<unsigned long long>(__double_as_longlong(most)));
}

// Elements that differ from those 65 536 before them: none, if the input repeats every 65 536.
__global__ void unlike(const std::uint16_t* results, std::int64_t count,
                       unsigned long long* total) {
  unsigned long long sum = 0;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * blockDim.x) {
    sum += i >= 65536 && results[i] != results[i - 65536] ? 1 : 0;
  }
  atomicAdd(total, sum);
}

// Inputs for timing. Not random numbers but a low-discrepancy sequence (golden ratio) through
// the inverse of a logistic distribution, wide enough for every band of Mish.
__global__ void spread(mish::Type type, void* to, std::int64_t count, float low, float high,
                       bool bell) {
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * blockDim.x) {
    const std::uint32_t turn = static_cast<std::uint32_t>(i) * 2654435769U;
    const float u = (static_cast<float>(turn >> 8) + 0.5F) * 0x1p-24F;
    const float x = bell ? logf(u / (1.0F - u)) : low + (high - low) * u;
    switch (type) {
      case mish::Type::kFp32:
        static_cast<float*>(to)[i] = x;
        break;
      case mish::Type::kFp16:
        static_cast<__half*>(to)[i] = __float2half_rn(x);
        break;
      default:
        static_cast<__nv_bfloat16*>(to)[i] = __float2bfloat16_rn(x);
    }
  }
}

}  // namespace bench

namespace {

constexpr int kBlocks = 2048;
constexpr int kThreads = 256;

void check_every_input(const Kind& kind, bool few, std::byte* input, std::byte* output,
                       std::int64_t capacity) {
  unsigned long long* total = nullptr;
  MUST(cudaMalloc(&total, sizeof *total));
  MUST(cudaMemset(total, 0, sizeof *total));
  const std::int64_t inputs = kind.bytes == 4 ? std::int64_t{1} << 32 : 65536;
  const std::int64_t part = std::min(inputs, capacity);
  cudaEvent_t begin, end;
  MUST(cudaEventCreate(&begin));
  MUST(cudaEventCreate(&end));
  double milliseconds = 0.0;
  for (std::int64_t first = 0; first < inputs; first += part) {
    const std::int64_t count = std::min(part, inputs - first);
    const auto bits = static_cast<std::uint32_t>(first);
    bench::bit_patterns<<<kBlocks, kThreads>>>(kind.bytes, input, bits, count);
    MUST(cudaMemset(output, 0xA5, static_cast<std::size_t>(count) * kind.bytes));
    MUST(cudaEventRecord(begin));
    if (few) {
      bench::few_float64<<<kBlocks, kThreads>>>(reinterpret_cast<float*>(input),
                                               reinterpret_cast<float*>(output), count);
      MUST(cudaGetLastError());
    } else {
      MUST(mish::launch_mish(kind.type, input, output, count, nullptr));
    }
    MUST(cudaEventRecord(end));
    bench::checksum<<<kBlocks, kThreads>>>(kind.type, output, bits, count, total);
    MUST(cudaDeviceSynchronize());
    float elapsed = 0.0F;
    MUST(cudaEventElapsedTime(&elapsed, begin, end));
    milliseconds += static_cast<double>(elapsed);
  }
  unsigned long long sum = 0;
  MUST(cudaMemcpy(&sum, total, sizeof sum, cudaMemcpyDeviceToHost));
  MUST(cudaFree(total));
  std::printf("{\"every_input\": \"%s\", \"inputs\": %lld, \"checksum\": \"0x%016llX\", "
              "\"kernel_ms\": %.3f}\n",
              few ? "few_float64" : kind.name, static_cast<long long>(inputs), sum, milliseconds);
}

bool check_reciprocal() {
  constexpr std::uint32_t first = 0x3FE00000U;  // high words of 1/2 and of 2^347
  constexpr std::uint32_t end = 0x55A00000U;
  unsigned long long* worst = nullptr;
  MUST(cudaMalloc(&worst, sizeof *worst));
  MUST(cudaMemset(worst, 0, sizeof *worst));
  bench::reciprocal_error<<<kBlocks, kThreads>>>(first, end, worst);
  MUST(cudaGetLastError());
  double error = 0.0;
  MUST(cudaMemcpy(&error, worst, sizeof error, cudaMemcpyDeviceToHost));
  MUST(cudaFree(worst));
  std::printf("{\"reciprocal\": %lld, \"worst_log2\": %.3f, \"allowed_log2\": %.3f}\n",
              4LL * (end - first), std::log2(error), std::log2(mish::kSeedError));
  return error > 0.0 && error < mish::kSeedError;
}

// Every length to 67 at every start within 16 bytes: nothing beside the output is written, and
// the output is what the kernel gives at an aligned start.
bool check_guards(const Kind& kind, std::byte* input, std::byte* output) {
  constexpr int most = 67;
  constexpr std::size_t space = 1024;
  bench::spread<<<1, kThreads>>>(kind.type, input, space, -20.0F, 8.0F, false);
  MUST(mish::launch_mish(kind.type, input, output, space, nullptr));
  std::vector<unsigned char> expected(space * kind.bytes);
  MUST(cudaMemcpy(expected.data(), output, expected.size(), cudaMemcpyDeviceToHost));
  std::vector<unsigned char> got(expected.size());
  const int starts = 16 / kind.bytes;
  int launches = 0;
  for (int from = 0; from < starts; ++from) {
    for (int to = 0; to < starts; ++to) {
      for (int length = 0; length <= most; ++length) {
        MUST(cudaMemset(output, 0xA5, got.size()));
        MUST(mish::launch_mish(kind.type, input + from * kind.bytes,
                               output + (16 + to) * kind.bytes, length, nullptr));
        MUST(cudaMemcpy(got.data(), output, got.size(), cudaMemcpyDeviceToHost));
        const std::size_t begin = static_cast<std::size_t>(16 + to) * kind.bytes;
        const std::size_t size = static_cast<std::size_t>(length) * kind.bytes;
        for (std::size_t i = 0; i < got.size(); ++i) {
          const bool inside = i >= begin && i < begin + size;
          const unsigned char want =
              inside ? expected[i - begin + static_cast<std::size_t>(from) * kind.bytes] : 0xA5;
          if (got[i] != want) {
            std::fprintf(stderr, "bench: %s, length %d, starts %d and %d: byte %zu is wrong\n",
                         kind.name, length, from, to, i);
            return false;
          }
        }
        ++launches;
      }
    }
  }
  std::printf("{\"guards\": \"%s\", \"launches\": %d, \"broken\": 0}\n", kind.name, launches);
  return true;
}

// 2^31 + 19 elements, twice the memory: every result as in the first 65 536, nothing behind them.
bool check_large() {
  constexpr std::int64_t count = (std::int64_t{1} << 31) + 19;
  constexpr std::size_t bytes = static_cast<std::size_t>(count) * 2;
  std::size_t available = 0;
  std::size_t total_memory = 0;
  MUST(cudaMemGetInfo(&available, &total_memory));
  if (available < 2 * bytes + (std::size_t{1} << 28)) {
    std::printf("{\"large\": \"fp16\", \"elements\": 0, \"wrong\": 0}\n");
    return true;
  }
  std::byte* input = nullptr;
  std::byte* output = nullptr;
  unsigned long long* total = nullptr;
  MUST(cudaMalloc(&input, bytes));
  MUST(cudaMalloc(&output, bytes + 256));
  MUST(cudaMalloc(&total, sizeof *total));
  MUST(cudaMemset(total, 0, sizeof *total));
  MUST(cudaMemset(output, 0xA5, bytes + 256));
  bench::bit_patterns<<<kBlocks, kThreads>>>(2, input, 0U, count);
  MUST(mish::launch_mish(mish::Type::kFp16, input, output, count, nullptr));
  bench::unlike<<<kBlocks, kThreads>>>(reinterpret_cast<std::uint16_t*>(output), count, total);
  unsigned long long wrong = 0;
  MUST(cudaMemcpy(&wrong, total, sizeof wrong, cudaMemcpyDeviceToHost));
  std::vector<unsigned char> behind(256);
  MUST(cudaMemcpy(behind.data(), output + bytes, behind.size(), cudaMemcpyDeviceToHost));
  wrong += static_cast<unsigned long long>(
      std::count_if(behind.begin(), behind.end(), [](unsigned char b) { return b != 0xA5; }));
  MUST(cudaFree(input));
  MUST(cudaFree(output));
  MUST(cudaFree(total));
  std::printf("{\"large\": \"fp16\", \"elements\": %lld, \"wrong\": %llu}\n",
              static_cast<long long>(count), wrong);
  return wrong == 0;
}

template <class Launch>
double median_ms(Launch launch) {
  cudaEvent_t begin, end;
  MUST(cudaEventCreate(&begin));
  MUST(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = 0; i < 60; ++i) {
    MUST(cudaEventRecord(begin));
    launch();
    MUST(cudaEventRecord(end));
    MUST(cudaEventSynchronize(end));
    float elapsed = 0.0F;
    MUST(cudaEventElapsedTime(&elapsed, begin, end));
    if (i >= 10) {
      times.push_back(elapsed);
    }
  }
  std::nth_element(times.begin(), times.begin() + 25, times.end());
  return static_cast<double>(times[25]);
}

void time_kernel(const Kind& kind, const char* data, float low, float high, bool bell,
                 std::byte* input, std::byte* output, std::int64_t elements) {
  bench::spread<<<kBlocks, kThreads>>>(kind.type, input, elements, low, high, bell);
  MUST(cudaDeviceSynchronize());
  const auto bytes = static_cast<std::size_t>(elements) * kind.bytes;
  const double copy = median_ms(
      [&] { MUST(cudaMemcpyAsync(output, input, bytes, cudaMemcpyDeviceToDevice, nullptr)); });
  const double kernel =
      median_ms([&] { MUST(mish::launch_mish(kind.type, input, output, elements, nullptr)); });
  const double moved = 2.0 * static_cast<double>(bytes) * 1e-6;  // MB per ms = GB/s
  std::printf("{\"time\": \"%s\", \"data\": \"%s\", \"elements\": %lld, \"kernel_ms\": %.4f, "
              "\"kernel_gb_s\": %.0f, \"copy_gb_s\": %.0f, \"share_of_copy\": %.4f}\n",
              kind.name, data, static_cast<long long>(elements), kernel, moved / kernel,
              moved / copy, copy / kernel);
}

}  // namespace

int main(int argc, char** argv) {
  std::int64_t elements = std::int64_t{1} << 26;
  if (argc == 3 && std::strcmp(argv[1], "--elements") == 0) {
    elements = std::atoll(argv[2]);
  } else if (argc != 1) {
    elements = 0;
  }
  if (elements <= 0) {
    std::fprintf(stderr, "usage: bench [--elements N]\n");
    return 2;
  }
  cudaDeviceProp device{};
  MUST(cudaGetDeviceProperties(&device, 0));
  std::printf("{\"device\": \"%s\", \"compute_capability\": \"%d.%d\"}\n", device.name,
              device.major, device.minor);
  const std::int64_t capacity = std::max(elements, std::int64_t{1} << 28);
  std::byte* input = nullptr;
  std::byte* output = nullptr;
  MUST(cudaMalloc(&input, static_cast<std::size_t>(capacity) * 4));
  MUST(cudaMalloc(&output, static_cast<std::size_t>(capacity) * 4));
  bool sound = check_reciprocal();
  for (const Kind& kind : kKinds) {
    check_every_input(kind, false, input, output, capacity);
    sound = check_guards(kind, input, output) && sound;
    time_kernel(kind, "logistic, scale 1", 0.0F, 0.0F, true, input, output, elements);
    time_kernel(kind, "uniform, -12 to 12", -12.0F, 12.0F, false, input, output, elements);
    time_kernel(kind, "uniform, -115 to 20", -115.0F, 20.0F, false, input, output, elements);
  }
  check_every_input(kKinds[0], true, input, output, capacity);
  sound = check_large() && sound;
  MUST(cudaFree(input));
  MUST(cudaFree(output));
  return sound ? 0 : 1;
}
