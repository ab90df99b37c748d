// SPDX-License-Identifier: BSD-3-Clause
// Loops that compilers vectorize, and sums whose order does not depend on how.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef NERVURE_EVERY_LEVEL
#error "A file that is compiled once for all instruction sets must not depend on one."
#endif

// Before a loop over elements whose iterations do not depend on each other, although
// input and output may be the same array (a kernel that works in place).
#if defined(__clang__)
#define NERVURE_VECTORIZE _Pragma("clang loop vectorize(assume_safety)")
#pragma clang diagnostic ignored "-Wpass-failed"  // below -O2 no loop is vectorized
#else
#define NERVURE_VECTORIZE _Pragma("GCC ivdep")
#endif

// Sums stay in registers only if every loop over them is unrolled.
#define NERVURE_EACH(i, count) _Pragma("GCC unroll 16") for (int i = 0; i < count; ++i)

#define NERVURE_INLINE [[gnu::always_inline]] inline

namespace nervure::simd {

#if defined(__AVX512F__)
constexpr int register_bytes = 64;
#elif defined(__AVX__)
constexpr int register_bytes = 32;
#else
constexpr int register_bytes = 16;
#endif

// 64 bytes of elements, in as many registers as that takes. Without the type, sums stay
// scalar: compilers may not reorder them.
template <class T>
struct Block {
  static constexpr int lanes = 64 / sizeof(T);
  static constexpr int registers = 64 / register_bytes;
  using Register __attribute__((vector_size(register_bytes))) = T;
  Register part[registers];

  NERVURE_INLINE static Block load(const T* x) {
    Block block;
    constexpr int step = lanes / registers;
    for (int r = 0; r < registers; ++r)
      std::memcpy(&block.part[r], x + r * step, register_bytes);
    return block;
  }
};

// Folds element i into lane i % lanes, then the lanes by halves: an order that the size
// alone decides. `element(i)` is element i, `block(i)` the block that begins there;
// `fold(a, b)` puts b into a, for registers and for elements.
template <class T>
NERVURE_INLINE T reduce(int64_t size, auto block, auto element, auto fold) {
  constexpr int lanes = Block<T>::lanes;
  T total[lanes] = {element(0)};
  if (size < lanes) {
    for (int64_t i = 1; i < size; ++i) fold(total[0], element(i));
    return total[0];
  }
  Block<T> sums = block(0);
  int64_t i = lanes;
  for (; i + lanes <= size; i += lanes) {
    const Block<T> next = block(i);
    for (int r = 0; r < Block<T>::registers; ++r) fold(sums.part[r], next.part[r]);
  }
  std::memcpy(total, sums.part, sizeof total);
  for (int l = 0; i + l < size; ++l) fold(total[l], element(i + l));
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int l = 0; l < half; ++l) fold(total[l], total[l + half]);
  return total[0];
}

// high + low += x, where low is what does not fit into high: twice the digits of a number.
// Where high is not finite, low is no number and does not count.
template <class V>
NERVURE_INLINE void add_exactly(V& high, V& low, const V& x) {
  const V sum = high + x, part = sum - high;
  const V error = ((high - (sum - part)) + (x - part)) + low;
  const V lost = error == error ? error : V{};
  high = sum + lost;
  low = lost - (high - sum);
}

// The sum of all elements, in an order that the size alone decides, of an error that does
// not grow with it. Takes at least one element.
template <class T>
NERVURE_INLINE double total(int64_t size, auto block, auto element) {
  constexpr int64_t lanes = Block<T>::lanes, stretch = 8 * lanes;
  const auto add = [](auto& a, const auto& b) { a += b; };
  const auto some = [&](int64_t begin, int64_t end) {
    return static_cast<double>(reduce<T>(
        end - begin, [&](int64_t i) { return block(begin + i); },
        [&](int64_t i) { return element(begin + i); }, add));
  };
  if (size <= stretch) return some(0, size);
  Block<T> high = {}, low = {};
  int64_t i = 0;
  for (; i + stretch <= size; i += stretch) {
    Block<T> sums = block(i);
    for (int64_t k = lanes; k < stretch; k += lanes) {
      const Block<T> next = block(i + k);
      for (int r = 0; r < Block<T>::registers; ++r) sums.part[r] += next.part[r];
    }
    for (int r = 0; r < Block<T>::registers; ++r)
      add_exactly(high.part[r], low.part[r], sums.part[r]);
  }
  T highs[lanes], lows[lanes];
  std::memcpy(highs, high.part, sizeof highs);
  std::memcpy(lows, low.part, sizeof lows);
  double sum = i < size ? some(i, size) : 0;
  for (int64_t l = 0; l < lanes; ++l) {  // no number beside one that is not finite
    const auto rest = static_cast<double>(lows[l]);
    sum += static_cast<double>(highs[l]) + (rest == rest ? rest : 0);
  }
  return sum;
}

// The sum of f(x[i], y[i], ...) of some arrays; f takes elements, and registers of them.
template <class T, class... Arrays>
NERVURE_INLINE double total_of(int64_t size, auto f, const Arrays*... x) {
  const auto block = [=](int64_t i) {
    Block<T> result;
    for (int r = 0; r < Block<T>::registers; ++r)
      result.part[r] = f(Block<T>::load(x + i).part[r]...);
    return result;
  };
  return total<T>(size, block, [=](int64_t i) { return f(x[i]...); });
}

template <class T>
double sum(const T* x, int64_t size) {
  return total_of<T>(size, [](auto a) { return a; }, x);
}
template <class T>
double dot(const T* x, const T* y, int64_t size) {
  return total_of<T>(size, [](auto a, auto b) { return a * b; }, x, y);
}

// The largest element; NaNs may be passed over.
template <class T>
T max(const T* x, int64_t size) {
  return reduce<T>(
      size, [=](int64_t i) { return Block<T>::load(x + i); },
      [=](int64_t i) { return x[i]; }, [](auto& a, const auto& b) { a = a < b ? b : a; });
}

}  // namespace nervure::simd
