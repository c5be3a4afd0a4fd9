// SPDX-License-Identifier: Apache-2.0
//
// Mish, correctly rounded, for host and device.
//
//     mish(x) = x * tanh(ln(1 + e^x)) = x * n / (n + 2),   n = e^x (e^x + 2)
//
// The right-hand form is an identity (tanh(ln u) = (u^2 - 1) / (u^2 + 1)) without cancellation:
// every sum in it has two positive terms, and a relative error of e^x enters the result at
// most once.
//
// Why a sweep on the host is a proof for the device. With one exception everything below is made of
// +, -, *, fma, conversions between float and double, comparisons, maximum, fmin/fmax with one
// operand known to be a number, and operations on bits. IEEE 754 defines each of these to the last
// bit, in the default rounding mode and without flushing subnormals. There is no division and no
// exp(). The one freedom that a compiler has is to contract a*b+c into one rounding: the device
// code uses the _rn intrinsics, which nvcc does not contract, and the host must be compiled with
// -ffp-contract=off, which sweep.cc checks at run time. So host and device compute the same bits
// for the same x; and as a float has 2^32 values, all of them can be tried, which sweep.cc does.
// (bench.cu compares the checksums of both.)
//
// The exception is the first guess at a reciprocal in the double level, on a device an instruction
// (rcp.approx.ftz.f64) whose low bits no document gives. Of it only kSeedError is assumed, which
// bench.cu tests for every number that it reads; the level's error bound holds for any guess within
// it. So which inputs go on to the last level depends on the guess, but no result does: where the
// level is sure, its rounding is the correct one. sweep.cc can be built with the guess moved to
// either end of what is assumed.
//
// Three levels. Each one knows how far off it can be, returns its rounding if no rounding boundary
// lies that near (A. Ziv, ACM TOMS 17(3), 1991), and leaves the other inputs to the next:
//
//     pairs of floats    relative error < 2^-37     GPUs with few float64 units
//     double             relative error < 2^-45.5   other GPUs, and what the pairs left over
//     pairs of doubles   relative error < 2^-80     what double left over
//
// The last level must end: mish(x) is transcendental for a nonzero algebraic x (Lindemann), so no
// result lies on a boundary, and of all 2^32 none comes nearer than 2^-52.6, relatively.
//
// fp16 and bf16 have 65 536 values each, so they need no test at run time: the shorter routes in
// float arithmetic at the end of this file were checked on every one of them.
#pragma once

#if defined(__USE_FAST_MATH__) || defined(__FAST_MATH__)
#error "mish_math.h is exact only without fast math"
#endif

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define MISH_FUNCTION __host__ __device__ __forceinline__
#define MISH_RARE inline __host__ __device__ __noinline__
#else
#define MISH_FUNCTION inline
#define MISH_RARE inline
#endif

namespace mish {

// ---- one IEEE operation each ----------------------------------------------------------------

#if defined(__CUDA_ARCH__)
MISH_FUNCTION float add(float a, float b) { return __fadd_rn(a, b); }
MISH_FUNCTION float mul(float a, float b) { return __fmul_rn(a, b); }
MISH_FUNCTION float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
MISH_FUNCTION double add(double a, double b) { return __dadd_rn(a, b); }
MISH_FUNCTION double mul(double a, double b) { return __dmul_rn(a, b); }
MISH_FUNCTION double fma(double a, double b, double c) { return __fma_rn(a, b, c); }
MISH_FUNCTION std::uint32_t bits_of(float v) { return __float_as_uint(v); }
MISH_FUNCTION float float_of(std::uint32_t bits) { return __uint_as_float(bits); }
MISH_FUNCTION std::uint32_t high_word(double v) {
  return static_cast<std::uint32_t>(__double2hiint(v));
}
MISH_FUNCTION std::uint32_t low_word(double v) {
  return static_cast<std::uint32_t>(__double2loint(v));
}
MISH_FUNCTION double double_of(std::uint32_t high, std::uint32_t low) {
  return __hiloint2double(static_cast<int>(high), static_cast<int>(low));
}
#else
MISH_FUNCTION float add(float a, float b) { return a + b; }
MISH_FUNCTION float mul(float a, float b) { return a * b; }
MISH_FUNCTION float fma(float a, float b, float c) { return std::fma(a, b, c); }
MISH_FUNCTION double add(double a, double b) { return a + b; }
MISH_FUNCTION double mul(double a, double b) { return a * b; }
MISH_FUNCTION double fma(double a, double b, double c) { return std::fma(a, b, c); }
MISH_FUNCTION std::uint32_t bits_of(float v) {
  std::uint32_t bits;
  std::memcpy(&bits, &v, sizeof bits);
  return bits;
}
MISH_FUNCTION float float_of(std::uint32_t bits) {
  float v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}
MISH_FUNCTION std::uint64_t word_of(double v) {
  std::uint64_t word;
  std::memcpy(&word, &v, sizeof word);
  return word;
}
MISH_FUNCTION std::uint32_t high_word(double v) {
  return static_cast<std::uint32_t>(word_of(v) >> 32);
}
MISH_FUNCTION std::uint32_t low_word(double v) { return static_cast<std::uint32_t>(word_of(v)); }
MISH_FUNCTION double double_of(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t word = (static_cast<std::uint64_t>(high) << 32) | low;
  double v;
  std::memcpy(&v, &word, sizeof v);
  return v;
}
#endif

// x within [least, greatest]; NaN becomes one of the ends, so the caller looks at x again.
MISH_FUNCTION float clamp(float x, float least, float greatest) {
  return fminf(fmaxf(x, least), greatest);
}

// ---- unevaluated sums of two numbers --------------------------------------------------------

// hi + lo with |lo| about an ulp of hi or less: twice the precision of T (float or double).
template <class T>
struct Pair {
  T hi;
  T lo;
};

// a + b exactly (D. Knuth, TAOCP vol. 2, 4.2.2, theorem B).
template <class T>
MISH_FUNCTION Pair<T> two_sum(T a, T b) {
  const T sum = add(a, b);
  const T b_part = add(sum, -a);
  const T a_part = add(sum, -b_part);
  return {sum, add(add(a, -a_part), add(b, -b_part))};
}

// a + b exactly if |a| >= |b| or a = 0 (T. Dekker, Numer. Math. 18, 1971).
template <class T>
MISH_FUNCTION Pair<T> fast_two_sum(T a, T b) {
  const T sum = add(a, b);
  return {sum, add(b, -add(sum, -a))};
}

template <class T>
MISH_FUNCTION Pair<T> sum(Pair<T> a, T b) {
  const Pair<T> s = two_sum(a.hi, b);
  return fast_two_sum(s.hi, add(s.lo, a.lo));
}

template <class T>
MISH_FUNCTION Pair<T> product(Pair<T> a, Pair<T> b) {
  const T hi = mul(a.hi, b.hi);
  const T lo = fma(a.hi, b.hi, -hi);
  return fast_two_sum(hi, add(lo, fma(a.hi, b.lo, mul(a.lo, b.hi))));
}

// c + a * b for |c| >= |a * b|: a step of Horner's rule.
template <class T>
MISH_FUNCTION Pair<T> horner(Pair<T> a, Pair<T> b, Pair<T> c) {
  const T hi = mul(a.hi, b.hi);
  const T lo = add(fma(a.hi, b.hi, -hi), fma(a.hi, b.lo, mul(a.lo, b.hi)));
  const Pair<T> s = fast_two_sum(c.hi, hi);
  return fast_two_sum(s.hi, add(s.lo, add(lo, c.lo)));
}

// ---- parts common to all routes -------------------------------------------------------------

// Beyond these arguments the result no longer depends on e^x: mish(-120) is below half of the
// smallest subnormal float, and 1 - n/(n+2) < 2^-45 at 16 is less than any format here keeps.
constexpr float kLeast = -120.0F;
constexpr float kGreatest = 16.0F;

constexpr float kLog2E = 0x1.715476p+0F;  // log2(e)

// 1.5 * 2^23: adding it leaves the nearest integer in the low bits of a float of that size.
constexpr float kRound = 0x1.8p23F;

// 1/d for d in [1, 2^100], relative error below 2^-9.6 (on all significands). Subtracting d's bits
// from a constant negates the exponent and is linear in between; y (c - d y) then halves the number
// of wrong bits, centred by the choice of c. Both constants are from a search over [1, 2).
MISH_FUNCTION float reciprocal_seed(float d) {
  const float y = float_of(0x7EF33400U - bits_of(d));
  return mul(y, fma(-d, y, 0x1.0029fp+1F));
}

// 1/d, relative error below 2^-23.9 (on all significands): one step of third order, from the seed's
// e to e^3 = 2^-28.8, and a rounding.
MISH_FUNCTION float reciprocal(float d) {
  const float y = reciprocal_seed(d);
  const float e = fma(-d, y, 1.0F);
  return fma(y, fma(e, e, e), y);
}

// ---- third level: pairs of doubles ----------------------------------------------------------

// ln 2 = kLn2High + kLn2Low to 2^-94. The high part has 40 bits, so a product with an integer
// below 2^13 is exact.
constexpr double kLn2High = 0x1.62e42fefa2p-1;
constexpr double kLn2Low = 0x1.9ef35793c7673p-41;

// mish(x) as a pair of doubles, relative error below 2^-80 (the last Newton step gives 2^-88;
// 2^-94.5 was the largest seen against 113-bit arithmetic), for x in [-120, 16], |x| >= 2^-126 (a
// smaller x has a smaller absolute error than a subnormal result can show). exp by its Taylor
// series on |r| <= ln2/2: the first term left out, r^22/22!, is below 2^-103.
MISH_FUNCTION Pair<double> mish_double_pair(float x) {
  // 1/i!, i = 0 ... 21, each as the nearest double and the double nearest to the rest.
  constexpr Pair<double> inverse_factorial[] = {
      {0x1p+0, 0x0p+0},
      {0x1p+0, 0x0p+0},
      {0x1p-1, 0x0p+0},
      {0x1.5555555555555p-3, 0x1.5555555555555p-57},
      {0x1.5555555555555p-5, 0x1.5555555555555p-59},
      {0x1.1111111111111p-7, 0x1.1111111111111p-63},
      {0x1.6c16c16c16c17p-10, -0x1.f49f49f49f49fp-65},
      {0x1.a01a01a01a01ap-13, 0x1.a01a01a01a01ap-73},
      {0x1.a01a01a01a01ap-16, 0x1.a01a01a01a01ap-76},
      {0x1.71de3a556c734p-19, -0x1.c154f8ddc6cp-73},
      {0x1.27e4fb7789f5cp-22, 0x1.cbbc05b4fa99ap-76},
      {0x1.ae64567f544e4p-26, -0x1.c062e06d1f209p-80},
      {0x1.1eed8eff8d898p-29, -0x1.2aec959e14c06p-83},
      {0x1.6124613a86d09p-33, 0x1.f28e0cc748ebep-87},
      {0x1.93974a8c07c9dp-37, 0x1.05d6f8a2efd1fp-92},
      {0x1.ae7f3e733b81fp-41, 0x1.1d8656b0ee8cbp-97},
      {0x1.ae7f3e733b81fp-45, 0x1.1d8656b0ee8cbp-101},
      {0x1.952c77030ad4ap-49, 0x1.ac981465ddc6cp-103},
      {0x1.6827863b97d97p-53, 0x1.eec01221a8b0bp-107},
      {0x1.2f49b46814157p-57, 0x1.2650f61dbdcb4p-112},
      {0x1.e542ba4020225p-62, 0x1.ea72b4afe3c2fp-120},
      {0x1.71b8ef6dcf572p-66, -0x1.d043ae40c4647p-120},
  };
  const float rounded = fma(x, kLog2E, kRound);
  const double k = static_cast<double>(add(rounded, -kRound));
  const double r1 = fma(k, -kLn2High, static_cast<double>(x));  // exact: a common grid, small
  const double product_hi = mul(k, kLn2Low);
  const double product_lo = fma(k, kLn2Low, -product_hi);
  const Pair<double> r = sum(two_sum(r1, -product_hi), -product_lo);
  Pair<double> p = inverse_factorial[21];
  for (int i = 20; i >= 0; --i) {
    p = horner(r, p, inverse_factorial[i]);
  }
  // 2^k for k in [-174, 24], from its bits.
  const std::uint32_t exponent = bits_of(rounded) - bits_of(kRound) + 1023U;
  const double scale = double_of(exponent << 20, 0U);
  const Pair<double> t{mul(p.hi, scale), mul(p.lo, scale)};
  const Pair<double> n = product(t, sum(t, 2.0));
  const Pair<double> d = sum(n, 2.0);
  // 1/d by Newton's steps from 2^-22 to 2^-44, 2^-88 (the last one as a pair).
  double y = static_cast<double>(reciprocal(static_cast<float>(d.hi)));
  y = fma(y, fma(-d.hi, y, 1.0), y);
  const double rest = add(fma(-d.hi, y, 1.0), -mul(d.lo, y));
  const Pair<double> inverse = fast_two_sum(y, mul(y, fma(rest, rest, rest)));
  return product(product(n, inverse), Pair<double>{static_cast<double>(x), 0.0});
}

// The float nearest to value.hi + value.lo, |value.lo| at most half an ulp of value.hi. The sum is
// rounded to odd in double first (the last bit says "inexact"), after which a second rounding
// to 24 bits or fewer is as good as one (S. Boldo, G. Melquiond, IEEE TC 57(4), 2008).
MISH_FUNCTION float round_pair(Pair<double> value) {
  std::uint32_t high = high_word(value.hi);
  std::uint32_t low = low_word(value.hi);
  if (value.lo != 0.0 && (low & 1U) == 0U) {
    if ((value.lo > 0.0) == (value.hi > 0.0)) {
      low |= 1U;
    } else {
      high -= low == 0U ? 1U : 0U;
      low -= 1U;
    }
  }
  return static_cast<float>(double_of(high, low));
}

// ---- second level: double -------------------------------------------------------------------

// A rounded result, and whether its level is sure of it.
struct Rounded {
  float rounded;
  bool sure;
};

// The greater of both, NaN for a NaN: IEEE 754-2019's maximum.
MISH_FUNCTION float at_least(float x, float least) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  float greater;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(greater) : "f"(x), "f"(least));
  return greater;
#else
  return x < least ? least : x;
#endif
}

// The relative error below which reciprocal_guess has to be.
constexpr double kSeedError = 0x1p-17;

// Moves the host's guess by this relative error, to show that results do not depend on it.
#if !defined(MISH_SEED_ERROR)
#define MISH_SEED_ERROR 0.0
#endif

// Any number within kSeedError of 1/d, for d in [1/2, 2^347). The hardware's approximation reads
// the high word of d and gives a high word; bench.cu tries every one. The low word may be anything
// (it is worth less than 2^-20): with one that lies in the right register, no instruction clears
// it.
MISH_FUNCTION double reciprocal_guess(double d, std::uint32_t low) {
#if defined(__CUDA_ARCH__)
  double y;
  asm("rcp.approx.ftz.f64 %0, %1;" : "=d"(y) : "d"(d));
#else
  const double y = (1.0 + MISH_SEED_ERROR) / d;
#endif
  return double_of(high_word(y), low);
}

constexpr double kDoubleError = 0x1.6ap-46;  // 2^-45.5, the relative error that is allowed for

// The constants of the double level. On a device they are in constant memory, from where they are
// loaded once per kernel; as literals, half of them are moved into registers for every vector.
struct DoubleConstants {
  double minus_log2_e;
  double minus_ln2;
  double exp[10];  // e^r on |r| <= 0.34661, highest power first: minimax in relative error (Remez)
};
constexpr DoubleConstants kDoubleConstants{
    -0x1.71547652b82fep+0,
    -0x1.62e42fefa39efp-1,
    {0x1.70dc063ddab8ep-19, 0x1.a17c14698ece9p-16, 0x1.a01bc29e73afep-13, 0x1.6c162d8368b98p-10,
     0x1.1111105b42067p-7, 0x1.55555587a3553p-5, 0x1.55555555bb798p-3, 0x1.ffffffffe8248p-2,
     0x1.ffffffffffc39p-1, 0x1.000000000003ap+0}};
#if defined(__CUDACC__)
static __constant__ DoubleConstants kDeviceConstants = kDoubleConstants;
#endif
#if defined(__CUDA_ARCH__)
#define MISH_DOUBLE(name) kDeviceConstants.name
#else
#define MISH_DOUBLE(name) kDoubleConstants.name
#endif

// mish(x) in double, for x >= -120 and NaN. Relative error below kDoubleError, for any guess at the
// reciprocal; 2^-45.62 was the largest found with three of them. With s = e^-x,
//
//     mish(x) = x * (s + 1/2) / (s^2 + s + 1/2)
//
// the form at the top divided by 2 e^2x, which takes one operation less. The sum of errors, each
// term as it enters the result:
//
//     2^-46.06       the polynomial
//     2^-47.80       k (ln2 - the double nearest to it), |k| <= 173, and the rounding of r
//     2^-51          the guess's error to the third power
//     8 * 2^-53      roundings: 2 of the polynomial (the earlier ones are scaled by r), of a (in a
//                    and in d), d, of x a, and of the last two operations
//     2^-45.58       together
MISH_FUNCTION double mish_double(float x) {
  const double wide = static_cast<double>(x);
  // e^-x of at least e^-16, by the high word: as integers those of positive doubles are in order,
  // and those of negative ones below them. x itself is not clamped: beyond 16 the result is x.
  const auto high = static_cast<std::int32_t>(high_word(wide));
  constexpr std::int32_t greatest = 0x40300000;  // of 16.0
  const double inner =
      double_of(static_cast<std::uint32_t>(high < greatest ? high : greatest), low_word(wide));
  // k = nearest integer to -x log2(e), also in the low bits of `rounded`.
  const double rounded = fma(inner, MISH_DOUBLE(minus_log2_e), 0x1.8p52);
  const double k = add(rounded, -0x1.8p52);
  const double r = fma(k, MISH_DOUBLE(minus_ln2), -inner);
  double p = fma(MISH_DOUBLE(exp[0]), r, MISH_DOUBLE(exp[1]));
  p = fma(p, r, MISH_DOUBLE(exp[2]));
  p = fma(p, r, MISH_DOUBLE(exp[3]));
  p = fma(p, r, MISH_DOUBLE(exp[4]));
  p = fma(p, r, MISH_DOUBLE(exp[5]));
  p = fma(p, r, MISH_DOUBLE(exp[6]));
  p = fma(p, r, MISH_DOUBLE(exp[7]));
  p = fma(p, r, MISH_DOUBLE(exp[8]));
  p = fma(p, r, MISH_DOUBLE(exp[9]));
  const double s = double_of(high_word(p) + (low_word(rounded) << 20), low_word(p));  // p 2^k
  const double a = add(s, 0.5);
  const double d = fma(s, s, a);
  // 1/d = y (1 + e + e^2 + ...). It is positive, so a zero keeps its sign; and as a factor of x a
  // it also is right for an infinite x.
  const double y = reciprocal_guess(d, low_word(s));
  const double e = fma(-d, y, 1.0);
  return mul(mul(wide, a), fma(y, fma(e, e, e), y));
}

// mish(x) in double and as the nearest float.
struct Estimate {
  double value;
  float rounded;
};

MISH_FUNCTION Estimate estimate_double(float x) {
  const double value = mish_double(x);
  return {value, static_cast<float>(value)};
}

// Whether no boundary between two floats is within kDoubleError of the estimate: cheap, and false
// for every result that is subnormal, zero or NaN. Between normal floats the boundaries are the
// doubles whose low 29 bits are 2^28; one unit there is at least 2^-53 of the value.
MISH_FUNCTION bool clear(const Estimate& estimate) {
#if defined(MISH_MUTANT_NO_GUARD)
  static_cast<void>(estimate);
  return true;
#else
  constexpr auto units = static_cast<std::uint32_t>(kDoubleError * 0x1p53) + 1U;
  const std::uint32_t distance = 8U * low_word(estimate.value) + (0x80000000U + 8U * units);
  return (distance > 16U * units) & (fabsf(estimate.rounded) > 0x1p-126F);
#endif
}

// The same for every result: whether both ends of the interval round to one float. Comparing bits
// makes NaN equal to itself.
MISH_FUNCTION bool agreed(const Estimate& estimate) {
  const auto lower = static_cast<float>(mul(estimate.value, 1.0 - kDoubleError));
  const auto upper = static_cast<float>(mul(estimate.value, 1.0 + kDoubleError));
  return bits_of(lower) == bits_of(upper);
}

// ---- first level for GPUs with few float64 units: pairs of floats ---------------------------

constexpr float kFloatPairError = 0x1p-37F;  // found by trying all inputs: 2^-37.6

// Least argument of the float pairs: below it their low parts would become subnormal.
constexpr float kFloatPairLeast = -60.0F;
constexpr float kFloatPairTiny = 0x1p-96F;

// mish(x) as a pair of floats, relative error below 2^-37, for x in [-60, 16], |x| >= 2^-96.
MISH_FUNCTION Pair<float> mish_float_pair(float x) {
  const float rounded = fma(x, kLog2E, kRound);
  const float k = add(rounded, -kRound);
  // ln 2 in three parts; the first two have 15 and 16 bits, so their products with k are exact.
  const float r1 = fma(k, -0x1.62e4p-1F, x);
  const Pair<float> r2 = two_sum(r1, mul(k, -0x1.7f7cp-20F));
  const Pair<float> r = fast_two_sum(r2.hi, fma(k, -0x1.1cf79ap-36F, r2.lo));
  // e^r: the polynomial of degree 9 above; its terms from r^5 on need only a float.
  float tail = 0x1.70dc06p-19F;
  tail = fma(tail, r.hi, 0x1.a17c14p-16F);
  tail = fma(tail, r.hi, 0x1.a01bc2p-13F);
  tail = fma(tail, r.hi, 0x1.6c162ep-10F);
  tail = fma(tail, r.hi, 0x1.11111p-7F);
  Pair<float> p = horner(r, Pair<float>{tail, 0.0F}, Pair<float>{0x1.555556p-5F, -0x1.e172acp-31F});
  p = horner(r, p, Pair<float>{0x1.555556p-3F, -0x1.54890cp-28F});
  p = horner(r, p, Pair<float>{0x1p-1F, -0x1.7db8p-38F});
  p = horner(r, p, Pair<float>{0x1p+0F, -0x1.e38p-44F});
  p = horner(r, p, Pair<float>{0x1p+0F, 0x1.dp-47F});
  const float scale = float_of((bits_of(rounded) << 23) + bits_of(1.0F));  // 2^k
  const Pair<float> t{mul(p.hi, scale), mul(p.lo, scale)};
  const Pair<float> n = product(t, sum(t, 2.0F));
  const Pair<float> d = sum(n, 2.0F);
  const float y = reciprocal(d.hi);
  const float q = mul(n.hi, y);
  const float rest = add(fma(-q, d.hi, n.hi), fma(-q, d.lo, n.lo));
  const float hi = mul(x, q);
  return {hi, fma(x, mul(rest, y), fma(x, q, -hi))};
}

// Round both ends of the interval; not sure where they differ.
MISH_FUNCTION Rounded round_float_pair(Pair<float> value) {
#if defined(MISH_MUTANT_NO_GUARD)
  return {add(value.hi, value.lo), true};
#else
  const float one = add(value.hi, fma(value.hi, -kFloatPairError, value.lo));
  const float other = add(value.hi, fma(value.hi, kFloatPairError, value.lo));
  return {one, one == other};
#endif
}

// ---- Mish of a float ------------------------------------------------------------------------

struct Float64Units {};     // tag: a GPU (or host) whose float64 rate is half of its float32 rate
struct FewFloat64Units {};  // tag: a GPU whose float64 rate is 1/32 or 1/64 of its float32 rate

// What the first level of each kind of GPU finds for mish(x), for every x. Its value is the final
// one if it is `clear`, or else if it is `agreed`.
MISH_FUNCTION Estimate estimate(float x, Float64Units) {
  return estimate_double(at_least(x, kLeast));
}

MISH_FUNCTION Rounded estimate(float x, FewFloat64Units) {
  const Rounded result = round_float_pair(mish_float_pair(clamp(x, kFloatPairLeast, kGreatest)));
  const bool itself = !(x <= kGreatest) || x == 0.0F;
  const bool inside = x >= kFloatPairLeast && fabsf(x) >= kFloatPairTiny;
  return {itself ? x : result.rounded, (result.sure && inside) || itself};
}

MISH_FUNCTION bool clear(const Rounded& result) { return result.sure; }
MISH_FUNCTION bool agreed(const Rounded& result) { return result.sure; }

template <class Units>
MISH_FUNCTION Rounded first_level(float x, Units units) {
  const auto result = estimate(x, units);
  return {result.rounded, clear(result) || agreed(result)};
}

// mish(x) by the next levels, for the x of which the first is not sure.
MISH_RARE float settle(float x, Float64Units) {
  return round_pair(mish_double_pair(clamp(x, kLeast, kGreatest)));
}

MISH_RARE float settle(float x, FewFloat64Units) {
  const Rounded result = first_level(x, Float64Units{});
  return result.sure ? result.rounded : settle(x, Float64Units{});
}

// mish(x) rounded to the nearest float, ties to even, for every x and both tags, bit for bit the
// same. NaN gives NaN, +inf gives +inf, -inf and everything below -108.661 gives -0, zeros keep
// their sign, results down to the smallest subnormal are kept.
template <class Units>
MISH_FUNCTION float mish(float x, Units units) {
  const Rounded result = first_level(x, units);
  return result.sure ? result.rounded : settle(x, units);
}

#if defined(__CUDA_ARCH__)
// Compute capabilities with a float64 rate of half the float32 rate (CUDA programming guide,
// "arithmetic instructions": 6.0, 7.0, 8.0, 9.0, 10.0); all others have 1/32 or less.
#if __CUDA_ARCH__ == 600 || __CUDA_ARCH__ == 700 || __CUDA_ARCH__ == 800 || \
    __CUDA_ARCH__ == 900 || __CUDA_ARCH__ == 1000
using NativeUnits = Float64Units;
#else
using NativeUnits = FewFloat64Units;
#endif
#else
using NativeUnits = Float64Units;
#endif

// ---- Mish of an fp16 or bf16 number ---------------------------------------------------------

// In both: x is a number of the format, widened, and the result is to be rounded to the format by
// the caller, to nearest even. All 65 536 inputs of each format come out correctly rounded, which
// was found by trying them. In fp16 the order of the products matters: others misround 0x1.a14p-10,
// whose result is 2004.50004 units in the last place.

// e^x = 2^k 2^f, |f| <= 1/2; the polynomials for 2^f are minimax in relative error (Remez): 2^-23.7
// in degree 5, whose coefficients a search then moved by a few ulps, and 2^-18.5 in degree 4.
MISH_FUNCTION float mish_fp16(float x) {
  const float inner = fmaxf(x, -25.0F);  // mish(-25) is below half of fp16's smallest number
  const float rounded = fma(inner, kLog2E, kRound);
  const float f = fma(inner, kLog2E, -add(rounded, -kRound));
  float p = 0x1.5bf74p-10F;
  p = fma(p, f, 0x1.3d0ce4p-7F);
  p = fma(p, f, 0x1.c6b6e6p-5F);
  p = fma(p, f, 0x1.ebf916p-3F);
  p = fma(p, f, 0x1.62e428p-1F);
  p = fma(p, f, 0x1.fffffep-1F);
  const float t = float_of(bits_of(p) + (bits_of(rounded) << 23));
  const float a = add(t, 2.0F);
  const float quotient = mul(a, reciprocal(fma(t, a, 2.0F)));
  const float result = mul(t, mul(inner, quotient));
  return x <= 10.0F ? result : x;
}

// As above. e^x is kept times 2^64, because it is below the smallest float for x < -87.
MISH_FUNCTION float mish_bf16(float x) {
  const float inner = fmaxf(x, -100.0F);  // mish(-100) is below half of bf16's smallest number
  const float rounded = fma(inner, kLog2E, kRound);
  const float f = fma(inner, kLog2E, -add(rounded, -kRound));
  float p = 0x1.3997acp-7F;
  p = fma(p, f, 0x1.ca1498p-5F);
  p = fma(p, f, 0x1.ec06dcp-3F);
  p = fma(p, f, 0x1.62e0dcp-1F);
  p = fma(p, f, 0x1.ffffe8p-1F);
  const float scaled = float_of(bits_of(p) + (bits_of(rounded) << 23) + (64U << 23));
  const float t = mul(scaled, 0x1p-64F);
  const float a = add(t, 2.0F);
  const float d = fma(t, a, 2.0F);
  const float y = reciprocal_seed(d);
  const float quotient = mul(a, fma(y, fma(-d, y, 1.0F), y));  // 1/d to 2^-18.4
  const float result = mul(mul(scaled, mul(inner, quotient)), 0x1p-64F);
  return x <= 10.0F ? result : x;
}

}  // namespace mish
