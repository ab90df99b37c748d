// SPDX-License-Identifier: BSD-3-Clause
// Counter-based random numbers: Philox 4x32-10, bit for bit those of nervure.random.
//
// A number is a function of where it is used: the key is the seed, the counter is
// (element / 4, node, step low, step high), and one block of the cipher gives the words
// of four elements. So masks need not be stored, and any thread can make any part.
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3"
// (SC 2011), section 3.3 and table 2.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "simd.h"

namespace nervure::random {

using Counter = std::array<uint32_t, 4>;
using Key = std::array<uint32_t, 2>;

constexpr uint64_t multipliers[2] = {0xD2511F53, 0xCD9E8D57};
constexpr uint32_t key_steps[2] = {0x9E3779B9, 0xBB67AE85};  // golden ratio, sqrt(3) - 1

constexpr uint32_t low_word(uint64_t x) { return static_cast<uint32_t>(x); }
constexpr uint32_t high_word(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

// One block: the plain form of the cipher, against which `words` is tested.
constexpr Counter philox(Counter c, Key key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = multipliers[0] * c[0], product1 = multipliers[1] * c[2];
    c = {high_word(product1) ^ c[1] ^ key[0], low_word(product1),
         high_word(product0) ^ c[3] ^ key[1], low_word(product0)};
    key = {key[0] + key_steps[0], key[1] + key_steps[1]};
  }
  return c;
}

// Where random numbers are used: by which node, at which step of training.
struct Stream {
  uint64_t seed, step;
  uint32_t node;
};

namespace detail {

// Several blocks at once, in 64-bit lanes of which only the low halves count: that is
// what the processor's widening product reads. On AVX2 a third of the time of the plain
// loop over `philox`, for which compilers shuffle halves to and fro.
using Lanes __attribute__((vector_size(simd::register_bytes))) = uint64_t;
constexpr int lanes = simd::register_bytes / 8;

NERVURE_INLINE Lanes widening_product(Lanes a, Lanes b) {
#if defined(__AVX512F__)
  return (Lanes)(_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b));
#elif defined(__AVX2__)
  return (Lanes)(_mm256_mul_epu32((__m256i)a, (__m256i)b));
#elif defined(__SSE2__)
  return (Lanes)(_mm_mul_epu32((__m128i)a, (__m128i)b));
#else
  constexpr uint64_t low = 0xffffffff;
  return (a & low) * (b & low);
#endif
}

// Words of the blocks first .. first + lanes - 1.
NERVURE_INLINE void blocks(uint32_t first, const Stream& stream, Key key, uint32_t* out) {
  Lanes c0{}, c1 = Lanes{} + stream.node, c2 = Lanes{} + low_word(stream.step),
              c3 = Lanes{} + high_word(stream.step);
  for (int i = 0; i < lanes; ++i) c0[i] = first + static_cast<uint32_t>(i);
  for (int round = 0; round < 10; ++round) {
    const Lanes product0 = widening_product(c0, Lanes{} + multipliers[0]);
    const Lanes product1 = widening_product(c2, Lanes{} + multipliers[1]);
    c0 = (product1 >> 32) ^ c1 ^ key[0];
    c2 = (product0 >> 32) ^ c3 ^ key[1];
    c1 = product1;
    c3 = product0;
    key = {key[0] + key_steps[0], key[1] + key_steps[1]};
  }
  constexpr uint64_t low = 0xffffffff;
  const Lanes front = (c0 & low) | (c1 << 32), back = (c2 & low) | (c3 << 32);
  for (int i = 0; i < lanes; ++i) {
    const uint64_t block[2] = {front[i], back[i]};
    std::memcpy(out + 4 * i, block, sizeof block);
  }
}

}  // namespace detail

// Words of the elements begin .. begin + size - 1; `begin` is a multiple of 4.
inline void words(const Stream& stream, int64_t begin, int64_t size, uint32_t* out) {
  assert(begin % 4 == 0);
  const Key key = {low_word(stream.seed), high_word(stream.seed)};
  constexpr int64_t group = 4 * detail::lanes;
  int64_t i = 0;
  for (; i + group <= size; i += group)
    detail::blocks(low_word(static_cast<uint64_t>(begin + i) / 4), stream, key, out + i);
  if (i == size) return;
  uint32_t last[group];
  detail::blocks(low_word(static_cast<uint64_t>(begin + i) / 4), stream, key, last);
  std::copy_n(last, size - i, out + i);
}

// call(begin, end, words) for the elements of a range, some at a time: words[i] is that of
// element first + begin + i.
template <class Call>
void each_word(const Stream& stream, int64_t first, int64_t begin, int64_t end,
               const Call& call) {
  constexpr int64_t tile = 512;
  uint32_t drawn[tile + 4];
  for (; begin < end; begin += tile) {
    const int64_t last = std::min(begin + tile, end), before = (first + begin) % 4;
    words(stream, first + begin - before, last - begin + before, drawn);
    call(begin, last, drawn + before);
  }
}

// A word as a number in [0, 1): its 24 high bits over 2^24, exact in any float.
constexpr uint32_t uniform_steps = 1u << 24;
constexpr float uniform(uint32_t word) {
  return static_cast<float>(word >> 8) / static_cast<float>(uniform_steps);
}

namespace detail {

constexpr double ratio(double x, const double (&above)[4], const double (&below)[4]) {
  const auto at = [x](const double (&c)[4]) {
    return ((c[3] * x + c[2]) * x + c[1]) * x + c[0];
  };
  return at(above) / at(below);
}

}  // namespace detail

// A word as a standard normal number, of at most 5.3: where its 23 high bits lie between 0
// and 1, the distribution function is so large. To 1 part in 10^7 by Wichura, Algorithm AS
// 241 (Applied Statistics 37, 1988), PPND7.
inline double normal(uint32_t word) {
  constexpr double near[2][4] = {
      {3.3871327179, 5.0434271938e1, 1.5929113202e2, 5.9109374720e1},
      {1.0, 1.7895169469e1, 7.8757757664e1, 6.7187563600e1}};
  constexpr double far[2][4] = {{1.4234372777, 2.7568153900, 1.3067284816, 1.7023821103e-1},
                                {1.0, 7.3700164250e-1, 1.2021132975e-1, 0.0}};
  const double p = (2.0 * (word >> 9) + 1) / uniform_steps, q = p - 0.5;
  if (std::abs(q) <= 0.425) return q * detail::ratio(0.180625 - q * q, near[0], near[1]);
  const double r = std::sqrt(-std::log(std::min(p, 1 - p)));
  return std::copysign(detail::ratio(r - 1.6, far[0], far[1]), q);
}

}  // namespace nervure::random
