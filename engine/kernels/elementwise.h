// SPDX-License-Identifier: BSD-3-Clause
// What elementwise kernels share: loops over a range, and how gradients are put down.
#pragma once

#include "../simd.h"
#include "../sums.h"
#include "kernel.h"

namespace nervure {

// y[i] = f(i) over a range.
template <class T>
NERVURE_INLINE void fill(T* y, Range range, auto f) {
  NERVURE_VECTORIZE
  for (int64_t i = range.begin; i < range.end; ++i) y[i] = f(i);
}

// dx[i] = f(i), or dx[i] += f(i) where the operand accumulates; nothing if not wanted.
template <class T>
NERVURE_INLINE void put(const Operand<T>& x, Range range, auto f) {
  T* dx = x.gradient;
  if (dx == nullptr) return;
  if (x.accumulate)
    fill(dx, range, [=](int64_t i) { return dx[i] + f(i); });
  else
    fill(dx, range, f);
}

// dx = (or +=) the sum of `count` arrays, `apart` elements from one to the next.
template <class T>
void put_sum(const Operand<T>& x, Range range, const T* first, int64_t count,
             int64_t apart) {
  constexpr int64_t tile = 256;
  double sums[tile];
  if (x.gradient == nullptr) return;
  for (int64_t begin = range.begin; begin < range.end; begin += tile) {
    const int64_t width = std::min(tile, range.end - begin);
    std::fill_n(sums, width, 0.0);
    for (int64_t k = 0; k < count; ++k) {
      const T* from = first + k * apart + begin;
      fill(sums, {0, width}, [&](int64_t j) { return sums[j] + double(from[j]); });
    }
    put(x, {begin, begin + width},
        [&](int64_t i) { return static_cast<T>(sums[i - begin]); });
  }
}

// The same of long sums: `apart` elements lie from one to the next, and `low` behind high.
template <class T>
void put_long_sums(const Operand<T>& x, Range range, const LongSums<T>& first,
                   int64_t count, int64_t apart) {
  put(x, range, [=](int64_t i) {
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) sum += first.total(k * apart + i);
    return static_cast<T>(sum);
  });
}

// Sums of dy over all pixels, the gradient of a bias: parts of some channels each.
constexpr int64_t channel_grain = 16;
inline int64_t channel_parts(int64_t channels) { return parts_of(channels, channel_grain); }
template <class T, int64_t width>
void add_pixels(const LongSums<T>& sums, const T* dy, int64_t pixels, int64_t channels,
                int64_t count) {
  constexpr int64_t together = 8;
  for (int64_t i = 0; i < pixels; i += together) {
    T some[channel_grain] = {};
    const int64_t rows = std::min(together, pixels - i);
    for (int64_t k = 0; k < rows; ++k, dy += channels)
      for (int64_t j = 0; j < (width > 0 ? width : count); ++j) some[j] += dy[j];
    for (int64_t j = 0; j < channel_grain; ++j) sums.add(j, some[j]);
  }
}
template <class T>
void add_pixels(const Operand<T>& bias, const T* dy, int64_t pixels, int64_t channels,
                int64_t part) {
  if (bias.gradient == nullptr) return;
  T high[channel_grain] = {}, low[channel_grain] = {};
  const LongSums<T> sums{high, low};
  const Range some = range_of(channels, channel_grain, part);
  if (some.size() == channel_grain)  // known to the compiler: sums stay in registers
    add_pixels<T, channel_grain>(sums, dy + some.begin, pixels, channels, some.size());
  else
    add_pixels<T, 0>(sums, dy + some.begin, pixels, channels, some.size());
  put(bias, some, [=](int64_t j) { return static_cast<T>(sums.total(j - some.begin)); });
}

// How all elements of a batch are cut.
inline Work elementwise_work(int64_t rows, int64_t size) {
  return {parts_of(rows * size, elementwise_grain)};
}
inline Range elementwise_range(int64_t rows, int64_t size, Task task) {
  return range_of(rows * size, elementwise_grain, task.part);
}

// What kernels have in common that take all elements alike and keep nothing.
struct Elementwise {
  int64_t size;  // of a sample

  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const {
    return elementwise_work(rows, size);
  }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return elementwise_work(rows, size);
  }
};

// How `count` stretches of `width` elements are cut, none of them in two.
struct Stretches {
  int64_t count, width;

  [[nodiscard]] int64_t grain() const {
    return width < elementwise_grain ? elementwise_grain / width : 1;
  }
  [[nodiscard]] Work work() const { return {parts_of(count, grain())}; }
  [[nodiscard]] Range range(Task task) const { return range_of(count, grain(), task.part); }
};

// What kernels have in common that take a sample in stretches and keep nothing.
struct InStretches {
  int64_t outer, width;  // stretches of a sample, elements of each

  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const { return stretches(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const { return stretches(rows).work(); }
  [[nodiscard]] Stretches stretches(int64_t rows) const { return {rows * outer, width}; }
};

}  // namespace nervure
