// The arithmetic of a sweep on a GPU: make the inputs of a chunk, hold what a plan returned for
// them against Mish in float64, and keep of every tile no more than what the host needs.
//
// NVRTC compiles it for the GPU, and a C++ compiler for the host, where the tests hold every
// decision to the host's oracle and judge. MISH_BITS, MISH_DIGITS and MISH_MIN_EXPONENT are the
// precision's total bits, significand bits (with the implicit one) and smallest normal exponent;
// MISH_POISON is what an output holds before a plan writes it.
//
// Compile without contraction (-fmad=false, -ffp-contract=off): both then compute the same bits.

#ifdef __CUDACC__
#define ON_DEVICE __device__ __forceinline__
#else
#include <cmath>
#include <cstring>
#define ON_DEVICE static inline
#endif

typedef unsigned int u32;
typedef unsigned long long u64;

// A tile is a leaf of the checksum: consecutive bit patterns, taken by one warp.
constexpr u32 TILE = 1024;
constexpr u32 BUCKETS = 31;  // as in verify/histogram.py
constexpr u32 ROW = 32;      // a row of counts, padded

// Why the host has to judge all of a tile: what stands in the place of its largest error.
constexpr double MIXED = -1.0;     // it lies in no segment as a whole
constexpr double DIRTY = -2.0;     // an element is wrong, or was not written
constexpr double CROWDED = -3.0;   // there is no room left for its doubtful elements

// What is expected in a segment. Only the first is uncertain: the others are what the host's
// oracle returns there, to the last bit.
enum Kind {
  MISH,        // x * n / (n + 2), n = e^x (e^x + 2)
  SERIES,      // x * (3 / 5 + 8 / 25 * x), for |x| < 2^-26
  IDENTITY,    // x: n / (n + 2) is 1 in float64
  MINUS_ZERO,  // x * e^x underflows in float64
  NOT_A_NUMBER
};

// Whole tiles that are judged alike, first_tile <= tile < end_tile, counted from bit pattern 0.
struct Segment {
  u32 first_tile;
  u32 end_tile;
  u32 kind;
  u32 nan_accepted;    // 1 where a deviation accepts any NaN
  double limit;        // in ULP
  double accepted;     // in ULP: what a deviation accepts beyond the limit; the limit if nothing
  double uncertainty;  // of an error, in ULP: two oracles' values differ by no more
};

// A tile whose elements with an error of at least `least` the host asks for.
struct Wanted {
  u32 tile;     // counted from the first that was compared
  u32 segment;  // that it lies in
  double least;
};

// An element that the host has to settle: its input and its output, as bits.
struct Doubt {
  u32 x;
  u32 y;
};

struct Outcome {
  double error;  // in ULP
  u32 bucket;
  bool dirty;     // NaN or infinite, of the wrong sign, or surely beyond what is accepted
  bool doubtful;  // its bucket, or what it is beyond, depends on the oracle's last bits
  bool accepted;  // beyond the limit, and no more than a deviation accepts
};

ON_DEVICE u64 bits_of(double value) {
#ifdef __CUDACC__
  return static_cast<u64>(__double_as_longlong(value));
#else
  u64 bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
#endif
}

ON_DEVICE double double_of(u64 bits) {
#ifdef __CUDACC__
  return __longlong_as_double(static_cast<long long>(bits));
#else
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

ON_DEVICE float float_of(u32 bits) {
#ifdef __CUDACC__
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

ON_DEVICE double multiply_add(double a, double b, double c) {
#ifdef __CUDACC__
  return __fma_rn(a, b, c);
#else
  return std::fma(a, b, c);
#endif
}

constexpr u32 SIGN = 1u << (MISH_BITS - 1);
constexpr u32 FRACTION_BITS = MISH_DIGITS - 1;
constexpr u32 INFINITE = ((1u << (MISH_BITS - MISH_DIGITS)) - 1) << FRACTION_BITS;
constexpr u32 QUIET = INFINITE | (1u << (FRACTION_BITS - 1));
constexpr u32 POISON = MISH_POISON;

// A number of the precision as float64, exactly.
ON_DEVICE double widen(u32 bits) {
#if MISH_BITS == 32
  return static_cast<double>(float_of(bits));
#elif MISH_DIGITS == 8
  return static_cast<double>(float_of(bits << 16));
#else
  const u64 sign = static_cast<u64>(bits & SIGN) << (64 - MISH_BITS);
  const u32 exponent = (bits & INFINITE) >> FRACTION_BITS;
  const u64 fraction = bits & ((1u << FRACTION_BITS) - 1);
  if (exponent == 0) {
    const u64 smallest = static_cast<u64>(1024 + MISH_MIN_EXPONENT - MISH_DIGITS) << 52;
    return double_of(bits_of(static_cast<double>(fraction) * double_of(smallest)) | sign);
  }
  const bool finite = exponent != (INFINITE >> FRACTION_BITS);
  const u64 wide = finite ? exponent + static_cast<u32>(1022 + MISH_MIN_EXPONENT) : 2047;
  return double_of(sign | wide << 52 | fraction << (52 - FRACTION_BITS));
#endif
}

// e^x for -700 <= x <= 20: x = k ln 2 + r, |r| <= ln 2 / 2, and the Taylor polynomial of degree 13,
// whose rest is below 2^-57.
ON_DEVICE double exponential(double x) {
  const double magic = 6755399441055744.0;  // 1.5 * 2^52: the sum's low bits are an integer
  const double shifted = multiply_add(x, 1.4426950408889634, magic);  // 1 / ln 2
  const double k = shifted - magic;
  // ln 2 in two parts (the first has 32 bits, so that k times it is exact).
  double r = multiply_add(-k, 6.93147180369123816490e-01, x);
  r = multiply_add(-k, 1.90821492927058770002e-10, r);
  double p = 1.0 / 6227020800.0;  // 1 / 13!
  p = multiply_add(p, r, 1.0 / 479001600.0);
  p = multiply_add(p, r, 1.0 / 39916800.0);
  p = multiply_add(p, r, 1.0 / 3628800.0);
  p = multiply_add(p, r, 1.0 / 362880.0);
  p = multiply_add(p, r, 1.0 / 40320.0);
  p = multiply_add(p, r, 1.0 / 5040.0);
  p = multiply_add(p, r, 1.0 / 720.0);
  p = multiply_add(p, r, 1.0 / 120.0);
  p = multiply_add(p, r, 1.0 / 24.0);
  p = multiply_add(p, r, 1.0 / 6.0);
  p = multiply_add(p, r, 0.5);
  p = multiply_add(p, r, 1.0);
  p = multiply_add(p, r, 1.0);
  return double_of(bits_of(p) + (bits_of(shifted) << 52));
}

// Mish for x <= 20, the formula of verify/oracle.py. Below -700 it is no more than of the right
// sign and below 2^-999: nothing of any precision is so small.
ON_DEVICE double mish(double x) {
  const double t = exponential(x < -700.0 ? -700.0 : x);
  const double n = multiply_add(t, t, t + t);
  const double d = n + 2.0;
  // n / d, from a reciprocal in fp32 and a Newton step.
  double r = static_cast<double>(1.0f / static_cast<float>(d));
  r = multiply_add(r, multiply_add(-d, r, 1.0), r);
  double q = n * r;
  q = multiply_add(multiply_add(-d, q, n), r, q);
  return x * q;
}

template <u32 KIND>
ON_DEVICE double expected(double x) {
  if (KIND == SERIES) return x * (3.0 / 5.0 + 8.0 / 25.0 * x);
  if (KIND == IDENTITY) return x;
  if (KIND == MINUS_ZERO) return -0.0;
  return mish(x);
}

// 1 / ULP of the precision at `value`, a power of two, as verify/ulp.py has it.
ON_DEVICE double per_ulp(double value) {
  const u64 smallest = static_cast<u64>(1023 + MISH_MIN_EXPONENT) << 52;
  u64 field = bits_of(value) & 0x7FF0000000000000ull;
  field = field < smallest ? smallest : field;
  return double_of((static_cast<u64>(2045 + MISH_DIGITS) << 52) - field);
}

// The bucket of an error in ULP that is not negative: the exponent, rounded up.
ON_DEVICE u32 bucket_of(double error) {
  const u32 first = 1023 - 4;
  u32 field = static_cast<u32>((bits_of(error) + 0x000FFFFFFFFFFFFFull) >> 52);
  field = field < first ? first : field;
  field -= first;
  return field < BUCKETS - 1 ? field : BUCKETS - 1;
}

ON_DEVICE bool quiet(u32 y) { return (y & QUIET) == QUIET; }

template <u32 KIND>
ON_DEVICE Outcome compare_one(u32 x, u32 y, const Segment& s) {
  Outcome found = {0.0, 0, false, false, false};
  const u32 size = y & (SIGN - 1);
  if (KIND == NOT_A_NUMBER) {
    found.dirty = size <= INFINITE || (y == POISON && x != POISON);
    return found;
  }
  const double e = expected<KIND>(widen(x));
  const double error = (widen(y) - e) * per_ulp(e);
  found.error = error < 0 ? -error : error;
  // Mish has the sign of x, also for zero.
  found.dirty = size >= INFINITE || ((x ^ y) & SIGN) != 0;
  if (KIND != MISH) {
    found.bucket = bucket_of(found.error);
    found.accepted = found.error > s.limit;
    found.dirty |= found.error > s.accepted;
  } else {
    const double low = found.error - s.uncertainty;
    const double high = found.error + s.uncertainty;
    found.bucket = bucket_of(high);
    found.doubtful = bucket_of(low < 0 ? 0.0 : low) != found.bucket;
    if (high > s.limit) {
      found.accepted = low > s.limit;
      found.doubtful |= low <= s.limit || high > s.accepted;
      found.dirty |= low > s.accepted;
    }
    // Just above or below a power of two: the oracles may disagree on what a ULP is.
    const u64 magnitude = bits_of(e) & 0x7FFFFFFFFFFFFFFFull;
    found.doubtful |= (magnitude + 64) >> 52 != (magnitude - 64) >> 52;
  }
  return found;
}

// The same where the kind is not known when this is compiled.
ON_DEVICE Outcome compare_any(u32 x, u32 y, const Segment& s) {
  switch (s.kind) {
    case MISH: return compare_one<MISH>(x, y, s);
    case SERIES: return compare_one<SERIES>(x, y, s);
    case IDENTITY: return compare_one<IDENTITY>(x, y, s);
    case MINUS_ZERO: return compare_one<MINUS_ZERO>(x, y, s);
    default: return compare_one<NOT_A_NUMBER>(x, y, s);
  }
}

// A summand of the checksum: verify/sweep/checksum.py.
ON_DEVICE u64 summand(u32 y, u64 weight) {
  const u32 canonical = (y & (SIGN - 1)) > INFINITE ? QUIET : y;
  return (static_cast<u64>(canonical) + 1) * weight;
}

#ifdef __CUDACC__

constexpr u32 WARPS = 8;  // of a block
constexpr u32 SEGMENTS = 64;
constexpr u32 VECTOR = MISH_BITS == 32 ? 4 : 1;  // elements that a lane loads at a time
constexpr u32 STEPS = TILE / 32 / VECTOR;
constexpr u32 ALL = 0xFFFFFFFFu;

#if MISH_BITS == 32
typedef u32 Element;
#else
typedef unsigned short Element;
#endif

// Bit patterns from `first` on, and the poison that an unwritten output keeps; 16 bytes a thread.
extern "C" __global__ void __launch_bounds__(256)
    generate(uint4* __restrict__ x, uint4* __restrict__ y, u32 first, u32 vectors, u32 poison) {
  for (u32 i = blockIdx.x * 256 + threadIdx.x; i < vectors; i += gridDim.x * 256) {
#if MISH_BITS == 32
    const u32 b = first + 4 * i;
    x[i] = make_uint4(b, b + 1, b + 2, b + 3);
    y[i] = make_uint4(poison, poison, poison, poison);
#else
    const u32 b = first + 8 * i;
    const u32 p = poison | poison << 16;
    x[i] = make_uint4((b & 0xFFFF) | (b + 1) << 16, ((b + 2) & 0xFFFF) | (b + 3) << 16,
                      ((b + 4) & 0xFFFF) | (b + 5) << 16, ((b + 6) & 0xFFFF) | (b + 7) << 16);
    y[i] = make_uint4(p, p, p, p);
#endif
  }
}

struct Found {
  u64 sum;
  u64 low;      // counts of buckets 0 to 7, 8 bits each: a lane has 32 elements
  u64 high[3];  // of 8 to 30, and in the last place how many are accepted
  double worst;
  u32 doubts;  // a bit for each element
  bool dirty;
};

template <u32 KIND>
__device__ __forceinline__ void walk(const Element* __restrict__ y, u32 x, u32 lane,
                                     const u64* __restrict__ weights, const Segment& s,
                                     Found& found) {
#pragma unroll 1
  for (u32 step = 0; step < STEPS; ++step) {
    const u32 place = (step * 32 + lane) * VECTOR;
    u32 some[VECTOR];
#if MISH_BITS == 32
    const uint4 vector = __ldcs(reinterpret_cast<const uint4*>(y + place));
    some[0] = vector.x;
    some[1] = vector.y;
    some[2] = vector.z;
    some[3] = vector.w;
#else
    some[0] = y[place];
#endif
#pragma unroll
    for (u32 i = 0; i < VECTOR; ++i) {
      found.sum += summand(some[i], weights[i * (TILE / VECTOR) + step * 32 + lane]);
      const Outcome one = compare_one<KIND>(x + place + i, some[i], s);
      found.dirty |= one.dirty;
      if (one.doubtful) {
        found.doubts |= 1u << (step * VECTOR + i);
        continue;
      }
      found.worst = one.error > found.worst ? one.error : found.worst;
      if (one.bucket < 8) {
        found.low += 1ull << (8 * one.bucket);
      } else {
        const u64 unit = 1ull << (8 * (one.bucket & 7));
        const u32 row = one.bucket >> 3;
        found.high[0] += row == 1 ? unit : 0;
        found.high[1] += row == 2 ? unit : 0;
        found.high[2] += row == 3 ? unit : 0;
      }
      if (one.accepted) found.high[2] += 1ull << (8 * (BUCKETS & 7));
    }
  }
}

// Compare `tiles` tiles of outputs, the first of them tile `first_tile` of all.
//
// sums, errors: of each tile its checksum leaf, and its largest error in ULP, infinity where all of
// it is NaN and a deviation accepts that, or MIXED, DIRTY or CROWDED. counts: a row for each segment, of the elements of its tiles by bucket,
// but for the doubtful ones, which are in doubts, and for those that are NaN; in its last column,
// how many of them a deviation accepts. Both are added to. doubts has room for `room` elements, and
// doubt_count is how many wanted in, and how much room was left when one tile's did not fit, before
// which all is filled; the latter is 0 where all fitted.
extern "C" __global__ void __launch_bounds__(32 * WARPS)
    compare(const Element* __restrict__ y, u32 first_tile, u32 tiles,
            const Segment* __restrict__ segments, u32 segment_count,
            const u64* __restrict__ weights, u64* __restrict__ sums,
            double* __restrict__ errors, u64* __restrict__ counts, Doubt* __restrict__ doubts,
            u32 room, u32* __restrict__ doubt_count) {
  __shared__ u64 weight[TILE];
  __shared__ u32 count[SEGMENTS][ROW];
  __shared__ Segment segment[SEGMENTS];
  for (u32 i = threadIdx.x; i < TILE; i += 32 * WARPS) {
    // Side by side for the lanes of a warp, which are VECTOR elements apart.
    weight[i % VECTOR * (TILE / VECTOR) + i / VECTOR] = weights[i];
  }
  for (u32 i = threadIdx.x; i < SEGMENTS * ROW; i += 32 * WARPS) count[i / ROW][i % ROW] = 0;
  for (u32 i = threadIdx.x; i < segment_count; i += 32 * WARPS) segment[i] = segments[i];
  __syncthreads();

  const u32 lane = threadIdx.x % 32;
  const u32 warps = gridDim.x * WARPS;
  for (u32 t = blockIdx.x * WARPS + threadIdx.x / 32; t < tiles; t += warps) {
    const u32 tile = first_tile + t;
    u32 chosen = SEGMENTS;
    for (u32 base = 0; base < segment_count; base += 32) {
      const u32 i = base + lane;
      const bool here =
          i < segment_count && segment[i].first_tile <= tile && tile < segment[i].end_tile;
      const u32 voted = __ballot_sync(ALL, here);
      if (voted) chosen = base + __ffs(voted) - 1;
    }
    Found found = {0, 0, {0, 0, 0}, 0.0, 0, chosen == SEGMENTS};
    const Element* const from = y + static_cast<u64>(t) * TILE;
    const u32 x = tile * TILE;
    const Segment s = segment[chosen % SEGMENTS];
    // In no segment only the checksum counts: the cheapest kind makes it.
    switch (chosen == SEGMENTS ? static_cast<u32>(NOT_A_NUMBER) : s.kind) {
      case MISH: walk<MISH>(from, x, lane, weight, s, found); break;
      case SERIES: walk<SERIES>(from, x, lane, weight, s, found); break;
      case IDENTITY: walk<IDENTITY>(from, x, lane, weight, s, found); break;
      case MINUS_ZERO: walk<MINUS_ZERO>(from, x, lane, weight, s, found); break;
      default: walk<NOT_A_NUMBER>(from, x, lane, weight, s, found);
    }
    u32 doubtful = __popc(found.doubts);
    for (u32 apart = 16; apart; apart /= 2) {
      found.sum += __shfl_xor_sync(ALL, found.sum, apart);
      const double other = __shfl_xor_sync(ALL, found.worst, apart);
      found.worst = other > found.worst ? other : found.worst;
      doubtful += __shfl_xor_sync(ALL, doubtful, apart);
    }
    const bool dirty = __any_sync(ALL, found.dirty);
    u32 from_doubt = 0;
    bool crowded = false;
    if (doubtful && !dirty) {
      if (lane == 0) from_doubt = atomicAdd(doubt_count, doubtful);
      from_doubt = __shfl_sync(ALL, from_doubt, 0);
      crowded = from_doubt > room || doubtful > room - from_doubt;
      if (crowded && lane == 0 && from_doubt < room) atomicMax(doubt_count + 1, room - from_doubt);
    }
    bool nothing = dirty && chosen != SEGMENTS && s.nan_accepted;
    if (nothing) {
      for (u32 i = lane; i < TILE; i += 32) nothing &= quiet(from[i]);
      nothing = __all_sync(ALL, nothing);
    }
    if (lane == 0) {
      sums[t] = found.sum;
      const double why = chosen == SEGMENTS ? MIXED : dirty ? DIRTY : CROWDED;
      errors[t] = nothing ? double_of(0x7FF0000000000000ull)
                          : dirty || crowded ? why : found.worst;
    }
    if (dirty || crowded) continue;
    for (u32 bucket = 0; bucket < 8; ++bucket) {
      u32 sum = static_cast<u32>(found.low >> (8 * bucket)) & 0xFF;
      for (u32 apart = 16; apart; apart /= 2) sum += __shfl_xor_sync(ALL, sum, apart);
      if (lane == bucket && sum) atomicAdd(&count[chosen][bucket], sum);
    }
    for (u32 row = 0; row < 3; ++row) {
      for (u32 bucket = 0; found.high[row] && bucket < 8; ++bucket) {
        const u32 some = static_cast<u32>(found.high[row] >> (8 * bucket)) & 0xFF;
        if (some) atomicAdd(&count[chosen][8 * row + 8 + bucket], some);
      }
    }
    if (!doubtful) continue;
    const u32 mine = __popc(found.doubts);
    u32 before = mine;  // a scan over the warp's lanes
    for (u32 apart = 1; apart < 32; apart *= 2) {
      const u32 other = __shfl_up_sync(ALL, before, apart);
      before += lane >= apart ? other : 0;
    }
    u32 at = from_doubt + before - mine;
    for (u32 rest = found.doubts; rest; rest &= rest - 1) {
      const u32 bit = __ffs(rest) - 1;
      const u32 place = (bit / VECTOR * 32 + lane) * VECTOR + bit % VECTOR;
      doubts[at++] = {x + place, from[place]};
    }
  }
  __syncthreads();
  for (u32 i = threadIdx.x; i < SEGMENTS * ROW; i += 32 * WARPS) {
    const u32 some = count[i / ROW][i % ROW];
    if (some) atomicAdd(&counts[i], static_cast<u64>(some));
  }
}

// Of the tiles that are wanted, the elements with an error of at least `least`, and every NaN.
extern "C" __global__ void __launch_bounds__(32 * WARPS)
    pick(const Element* __restrict__ y, u32 first_tile, const Segment* __restrict__ segments,
         const Wanted* __restrict__ wanted, u32 count, Doubt* __restrict__ picked,
         u32* __restrict__ picked_count) {
  const u32 warps = gridDim.x * WARPS;
  for (u32 w = blockIdx.x * WARPS + threadIdx.x / 32; w < count; w += warps) {
    const Wanted one = wanted[w];
    const Segment s = segments[one.segment];
    const Element* const from = y + static_cast<u64>(one.tile) * TILE;
    for (u32 i = threadIdx.x % 32; i < TILE; i += 32) {
      const u32 x = (first_tile + one.tile) * TILE + i;
      if (!(compare_any(x, from[i], s).error < one.least)) {
        picked[atomicAdd(picked_count, 1u)] = {x, from[i]};
      }
    }
  }
}

// The oracle alone: Mish of every stride-th bit pattern from `first` on, as float64.
extern "C" __global__ void __launch_bounds__(256)
    oracle(double* __restrict__ result, u32 first, u32 count, u32 stride) {
  for (u32 i = blockIdx.x * 256 + threadIdx.x; i < count; i += gridDim.x * 256) {
    result[i] = mish(widen(first + i * stride));
  }
}

#else

// What the kernels of the same names do, for the tests; y holds one output in each 32 bits.
extern "C" void compare(const u32* y, u32 first_tile, u32 tiles, const Segment* segments,
                        u32 segment_count, const u64* weights, u64* sums, double* errors,
                        u64* counts, Doubt* doubts, u32 room, u32* doubt_count) {
  Outcome outcomes[TILE];
  for (u32 t = 0; t < tiles; ++t) {
    const u32 tile = first_tile + t;
    const u32* const from = y + static_cast<u64>(t) * TILE;
    const u32 x = tile * TILE;
    sums[t] = 0;
    for (u32 i = 0; i < TILE; ++i) sums[t] += summand(from[i], weights[i]);
    errors[t] = MIXED;
    u32 chosen = 0;
    while (chosen < segment_count &&
           !(segments[chosen].first_tile <= tile && tile < segments[chosen].end_tile)) {
      ++chosen;
    }
    if (chosen == segment_count) continue;
    const Segment& s = segments[chosen];
    bool nothing = s.nan_accepted;
    for (u32 i = 0; i < TILE; ++i) {
      outcomes[i] = compare_any(x + i, from[i], s);
      nothing &= quiet(from[i]);
    }
    if (nothing) {
      errors[t] = double_of(0x7FF0000000000000ull);
      continue;
    }
    u32 doubtful = 0;
    bool dirty = false;
    for (const Outcome& one : outcomes) {
      dirty |= one.dirty;
      doubtful += one.doubtful;
    }
    if (dirty) {
      errors[t] = DIRTY;
      continue;
    }
    const u32 from_doubt = doubt_count[0];
    doubt_count[0] += doubtful;
    if (from_doubt > room || doubtful > room - from_doubt) {
      errors[t] = CROWDED;
      const u32 left = from_doubt < room ? room - from_doubt : 0;
      doubt_count[1] = left > doubt_count[1] ? left : doubt_count[1];
      continue;
    }
    u32 at = from_doubt;
    errors[t] = 0.0;
    for (u32 i = 0; i < TILE; ++i) {
      const Outcome& one = outcomes[i];
      if (one.doubtful) {
        doubts[at++] = {x + i, from[i]};
        continue;
      }
      errors[t] = one.error > errors[t] ? one.error : errors[t];
      ++counts[chosen * ROW + one.bucket];
      counts[chosen * ROW + BUCKETS] += one.accepted;
    }
  }
}

extern "C" void pick(const u32* y, u32 first_tile, const Segment* segments, const Wanted* wanted,
                     u32 count, Doubt* picked, u32* picked_count) {
  for (u32 w = 0; w < count; ++w) {
    const Segment& s = segments[wanted[w].segment];
    for (u32 i = 0; i < TILE; ++i) {
      const u32 x = (first_tile + wanted[w].tile) * TILE + i;
      const u32 one = y[static_cast<u64>(wanted[w].tile) * TILE + i];
      if (!(compare_any(x, one, s).error < wanted[w].least)) {
        picked[(*picked_count)++] = {x, one};
      }
    }
  }
}

extern "C" void oracle(double* result, u32 first, u32 count, u32 stride) {
  for (u32 i = 0; i < count; ++i) result[i] = mish(widen(first + i * stride));
}

#endif
