// SPDX-License-Identifier: Apache-2.0
//
// Compares mish_math.h, compiled for the host, with an oracle that shares no code with it.
//
//     sweep [--route float64|few_float64|fp16|bf16] [--first BITS] [--count N] [--stride S]
//           [--threads N] [--dump FILE]
//
// Inputs are the bit patterns first, first + stride, ... (modulo 2^32, or 2^16 in fp16 and bf16);
// without options, every float there is. Prints one JSON object. Exit status: 0 if every result is
// the correctly rounded one, 1 if one is not, 2 for bad usage.
//
// The oracle is glibc's double exp in x n/(n+2), n = e^x (e^x + 2), within 2^-50 of the truth
// (4.75 * 2^-53 measured against mpmath). Both ends of a 2^-49 interval are rounded; where they
// differ, libquadmath's 113-bit expq decides the same way, and the input is listed under "close"
// so that a third opinion can be asked.
//
// Build: g++ -std=c++17 -O2 -mfma -ffp-contract=off sweep.cc -lquadmath -pthread
// With -DMISH_SEED_ERROR=0x1p-17 or =-0x1p-17 as well, the double level's guess at a reciprocal is
// as far off as mish_math.h allows; the results have to be the same.
#include <quadmath.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mish_math.h"

namespace {

// A binary floating-point format: bits of the significand, exponent of the smallest normal.
struct Format {
  int digits;
  int least_exponent;
  int shift;  // of its bits within a float's
};
constexpr Format kFloat{24, -126, 0};
constexpr Format kFp16{11, -14, 0};  // not a part of a float's bits
constexpr Format kBf16{8, -126, 16};

struct Route {
  const char* name;
  Format format;
  std::uint64_t inputs;
};
constexpr Route kRoutes[] = {{"float64", kFloat, std::uint64_t{1} << 32},
                             {"few_float64", kFloat, std::uint64_t{1} << 32},
                             {"fp16", kFp16, 65536},
                             {"bf16", kBf16, 65536}};

// The distance between neighbours of the format around v.
double spacing(double v, const Format& format) {
  const int exponent = v == 0.0 ? format.least_exponent : std::ilogb(v);
  return std::ldexp(1.0, std::max(exponent, format.least_exponent) - format.digits + 1);
}

// v rounded to the format once, ties to even; the quotient and the product are exact.
double nearest(double v, const Format& format) {
  if (std::isinf(v) || format.digits == 24) {
    return static_cast<double>(static_cast<float>(v));
  }
  const double step = spacing(v, format);
  return std::copysign(std::rint(v / step) * step, v);
}

double nearest_quad(__float128 v, const Format& format) {
  if (v == 0) {
    return static_cast<double>(v);
  }
  const int exponent = std::max(ilogbq(v), format.least_exponent);
  const __float128 step = ldexpq(1, exponent - format.digits + 1);
  return static_cast<double>(copysignq(rintq(v / step) * step, v));
}

float widen_fp16(std::uint32_t bits) {
  const int exponent = static_cast<int>(bits >> 10 & 31U);
  const double fraction = static_cast<double>(bits & 1023U);
  const double sign = (bits & 0x8000U) != 0U ? -1.0 : 1.0;
  if (exponent == 31) {
    return fraction != 0.0 ? std::numeric_limits<float>::quiet_NaN()
                           : static_cast<float>(sign * std::numeric_limits<double>::infinity());
  }
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24)
                                         : std::ldexp(1024.0 + fraction, exponent - 25);
  return static_cast<float>(sign * magnitude);
}

struct Oracle {
  double value;    // mish(x), relative error below 2^-50
  double rounded;  // the correctly rounded result
  bool close;      // double could not decide
};

Oracle oracle(float x, const Format& format) {
  const double wide = static_cast<double>(x);
  const double t = std::exp(std::min(wide, 40.0));
  const double n = t * (t + 2.0);
  const double value = x < -300.0F ? -0.0 : wide * (n / (n + 2.0));
  const double below = nearest(value * (1.0 - 0x1p-49), format);
  const double above = nearest(value * (1.0 + 0x1p-49), format);
  if (below == above || x > 40.0F) {
    return {value, x > 40.0F ? wide : above, false};
  }
  const __float128 t4 = expq(static_cast<__float128>(x));
  const __float128 n4 = t4 * (t4 + 2);
  const __float128 value4 = x * (n4 / (n4 + 2));
  const double below4 = nearest_quad(value4 * (1 - ldexpq(1, -106)), format);
  const double above4 = nearest_quad(value4 * (1 + ldexpq(1, -106)), format);
  if (below4 != above4) {
    std::fprintf(stderr, "sweep: the oracle cannot round mish(%a)\n", wide);
    std::exit(1);
  }
  return {value, above4, true};
}

struct Case {
  std::uint32_t bits;
  double got;
  double want;
};

struct Tally {
  std::uint64_t inputs = 0;
  std::uint64_t misrounded = 0;
  std::uint64_t outside_first = 0;  // inputs that the first level leaves to the next unseen
  std::uint64_t near_boundary = 0;  // ... and those it leaves because a boundary is near
  std::uint64_t beyond_double = 0;  // inputs that reached the pairs of doubles
  std::uint64_t checksum = 0;
  double worst_ulp = 0.0;
  std::uint32_t worst_bits = 0;
  double worst_first = 0.0;   // largest relative error of the first level, to about 2^-50
  std::vector<Case> wrong;
  std::vector<Case> close;

  void merge(const Tally& other) {
    inputs += other.inputs;
    checksum += other.checksum;
    misrounded += other.misrounded;
    outside_first += other.outside_first;
    near_boundary += other.near_boundary;
    beyond_double += other.beyond_double;
    if (other.worst_ulp > worst_ulp) {
      worst_ulp = other.worst_ulp;
      worst_bits = other.worst_bits;
    }
    worst_first = std::max(worst_first, other.worst_first);
    wrong.insert(wrong.end(), other.wrong.begin(), other.wrong.end());
    close.insert(close.end(), other.close.begin(), other.close.end());
  }
};

constexpr std::size_t kListed = 4096;

// The route's result for x, with the levels that it went through counted.
double run(const Route& route, float x, double truth, Tally& tally) {
  const std::string name = route.name;
  if (route.inputs == 65536) {
    const float value = name[0] == 'f' ? mish::mish_fp16(x) : mish::mish_bf16(x);
    return nearest(static_cast<double>(value), route.format);
  }
  const float inner = mish::clamp(x, mish::kLeast, mish::kGreatest);
  const double value = mish::mish_double(inner);
  const bool few = name[0] == 'f' && name[1] == 'e';
  const bool itself = !(x <= mish::kGreatest) || x == 0.0F;
  bool sure;
  bool inside;  // the first level has something to say about x
  double first = value;
  if (few) {
    inside = x >= mish::kFloatPairLeast && std::fabs(x) >= mish::kFloatPairTiny && !itself;
    const mish::Pair<float> pair =
        mish::mish_float_pair(mish::clamp(x, mish::kFloatPairLeast, mish::kGreatest));
    first = static_cast<double>(pair.hi) + static_cast<double>(pair.lo);
    sure = mish::first_level(x, mish::FewFloat64Units{}).sure;
  } else {
    inside = inner == x && !itself;
    sure = mish::first_level(x, mish::Float64Units{}).sure;
  }
  if (inside) {
    tally.worst_first = std::max(tally.worst_first, std::fabs(first / truth - 1.0));
    tally.near_boundary += sure ? 0U : 1U;
  } else {
    tally.outside_first += sure ? 0U : 1U;
  }
  tally.beyond_double += !sure && !mish::first_level(x, mish::Float64Units{}).sure ? 1U : 0U;
  return few ? static_cast<double>(mish::mish(x, mish::FewFloat64Units{}))
             : static_cast<double>(mish::mish(x, mish::Float64Units{}));
}

// One term of the checksum: the sum over all inputs, modulo 2^64, in any order, of this function
// of the input's bits and the result's, widened to float. (The finalizer of splitmix64,
// G. Steele, D. Lea, C. Flood, OOPSLA 2014.) bench.cu computes the same on a GPU.
std::uint64_t mixed(std::uint32_t input, double result) {
  const std::uint32_t output =
      std::isnan(result) ? 0x7FC00000U : mish::bits_of(static_cast<float>(result));
  std::uint64_t z = static_cast<std::uint64_t>(input) << 32 | output;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
  z = (z ^ z >> 27) * 0x94D049BB133111EBU;
  return z ^ z >> 31;
}

void check(const Route& route, std::uint32_t bits, Tally& tally, double* output) {
  const float x = route.inputs != 65536   ? mish::float_of(bits)
                  : route.format.shift > 0 ? mish::float_of(bits << route.format.shift)
                                           : widen_fp16(bits);
  ++tally.inputs;
  if (std::isnan(x)) {
    const double got = run(route, x, 0.0, tally);
    tally.checksum += mixed(bits, got);
    if (output != nullptr) {
      *output = got;
    }
    if (!std::isnan(got)) {
      ++tally.misrounded;
      tally.wrong.push_back({bits, got, static_cast<double>(x)});
    }
    return;
  }
  const Oracle want = oracle(x, route.format);
  const double got = run(route, x, want.value, tally);
  tally.checksum += mixed(bits, got);
  if (output != nullptr) {
    *output = got;
  }
  if (got != want.rounded || std::signbit(got) != std::signbit(want.rounded)) {
    ++tally.misrounded;
    if (tally.wrong.size() < kListed) {
      tally.wrong.push_back({bits, got, want.rounded});
    }
  }
  if (want.close && tally.close.size() < kListed) {
    tally.close.push_back({bits, got, want.rounded});
  }
  if (std::isfinite(x) && std::isfinite(got)) {
    const double truth = x > 40.0F ? static_cast<double>(x) : want.value;
    const double ulp = std::fabs(got - truth) / spacing(truth, route.format);
    if (ulp > tally.worst_ulp) {
      tally.worst_ulp = ulp;
      tally.worst_bits = bits;
    }
  }
}

void print_cases(const char* key, std::vector<Case> cases) {
  std::sort(cases.begin(), cases.end(),
            [](const Case& a, const Case& b) { return a.bits < b.bits; });
  std::printf(",\n \"%s\": [", key);
  for (std::size_t i = 0; i < std::min(cases.size(), kListed); ++i) {
    std::printf("%s[\"0x%" PRIX32 "\", \"%a\", \"%a\"]", i == 0 ? "" : ", ", cases[i].bits,
                cases[i].got, cases[i].want);
  }
  std::printf("]");
}

// Whether this build rounds a*b+c twice and fma once, as the proof needs.
bool contraction_is_off() {
  volatile double a = 1.0 + 0x1p-30;
  volatile double b = 1.0 - 0x1p-30;
  volatile double c = -1.0;
  const double plain_a = a;
  const double plain_b = b;
  const double plain_c = c;
  return plain_a * plain_b + plain_c == 0.0 && mish::fma(plain_a, plain_b, plain_c) == -0x1p-60;
}

int usage() {
  std::fprintf(stderr,
               "usage: sweep [--route float64|few_float64|fp16|bf16] [--first BITS] [--count N]"
               " [--stride S] [--threads N] [--dump FILE]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  Route route = kRoutes[0];
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::uint64_t stride = 1;
  unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  const char* dump = nullptr;
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 == argc) {
      return usage();
    }
    const char* text = argv[i + 1];
    char* end = nullptr;
    const std::uint64_t number = std::strtoull(text, &end, 0);
    const bool numeric = end != text && *end == '\0';
    if (option == "--route") {
      const auto* found = std::find_if(std::begin(kRoutes), std::end(kRoutes),
                                       [&](const Route& r) { return std::string(text) == r.name; });
      if (found == std::end(kRoutes)) {
        return usage();
      }
      route = *found;
    } else if (option == "--dump") {
      dump = text;
    } else if (option == "--first" && numeric) {
      first = number;
    } else if (option == "--count" && numeric) {
      count = number;
    } else if (option == "--stride" && numeric && number > 0) {
      stride = number;
    } else if (option == "--threads" && numeric && number > 0 && number < 4096) {
      threads = static_cast<unsigned>(number);
    } else {
      return usage();
    }
  }
  if (count == 0) {
    count = route.inputs;
  }
  if (!contraction_is_off()) {
    std::fprintf(stderr, "sweep: built with contraction; use -ffp-contract=off\n");
    return 2;
  }
  if (dump != nullptr && count > 65536) {
    std::fprintf(stderr, "sweep: --dump writes at most 65536 results\n");
    return 2;
  }
  std::vector<double> outputs(dump != nullptr ? count : 0);

  const auto start = std::chrono::steady_clock::now();
  constexpr std::uint64_t chunk = 1U << 16;
  std::atomic<std::uint64_t> next{0};
  std::mutex mutex;
  Tally total;
  std::vector<std::thread> workers;
  for (unsigned w = 0; w < threads; ++w) {
    workers.emplace_back([&] {
      Tally tally;
      for (std::uint64_t from = next.fetch_add(chunk); from < count; from = next.fetch_add(chunk)) {
        for (std::uint64_t i = from; i < std::min(from + chunk, count); ++i) {
          const auto bits = static_cast<std::uint32_t>((first + i * stride) % route.inputs);
          check(route, bits, tally, dump != nullptr ? &outputs[i] : nullptr);
        }
      }
      const std::lock_guard<std::mutex> lock(mutex);
      total.merge(tally);
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

  if (dump != nullptr) {
    std::FILE* file = std::fopen(dump, "wb");
    if (file == nullptr ||
        std::fwrite(outputs.data(), sizeof(double), outputs.size(), file) != outputs.size() ||
        std::fclose(file) != 0) {
      std::fprintf(stderr, "sweep: cannot write %s\n", dump);
      return 2;
    }
  }
  std::printf("{\"route\": \"%s\", \"inputs\": %" PRIu64 ", \"misrounded\": %" PRIu64
              ", \"worst_ulp\": %.9f, \"worst_input\": \"0x%" PRIX32 "\",\n"
              " \"outside_first\": %" PRIu64 ", \"near_boundary\": %" PRIu64
              ", \"beyond_double\": %" PRIu64 ", \"first_level_error\": \"%a\",\n"
              " \"checksum\": \"0x%016" PRIX64 "\", \"seconds\": %.1f, \"threads\": %u",
              route.name, total.inputs, total.misrounded, total.worst_ulp, total.worst_bits,
              total.outside_first, total.near_boundary, total.beyond_double,
              total.worst_first, total.checksum, seconds.count(), threads);
  print_cases("wrong", total.wrong);
  print_cases("close", total.close);
  std::printf("}\n");
  return total.misrounded == 0 ? 0 : 1;
}
