// SPDX-License-Identifier: BSD-3-Clause
// What elementwise kernels share: loops over a range, and how gradients are put down.
#pragma once

#include "../simd.h"
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

// dx = (or +=) the sum of `count` arrays, `apart` elements from one to the next, in their
// order.
template <class T>
void put_sum(Operand<T> x, Range range, const T* first, int64_t count, int64_t apart) {
  for (int64_t k = 0; k < count; ++k, first += apart, x.accumulate = true)
    put(x, range, [=](int64_t i) { return first[i]; });
}

// Sums of dy over all pixels, the gradient of a bias: parts of some channels each.
constexpr int64_t channel_grain = 16;
inline int64_t channel_parts(int64_t channels) { return parts_of(channels, channel_grain); }
template <class T>
void add_pixels(const Operand<T>& bias, const T* dy, int64_t pixels, int64_t channels,
                int64_t part) {
  if (bias.gradient == nullptr) return;
  T sum[channel_grain] = {};
  const Range some = range_of(channels, channel_grain, part);
  const int64_t count = some.end - some.begin;
  dy += some.begin;
  if (count == channel_grain)  // known to the compiler: the sums stay in registers
    for (int64_t i = 0; i < pixels; ++i, dy += channels)
      for (int64_t j = 0; j < channel_grain; ++j) sum[j] += dy[j];
  else
    for (int64_t i = 0; i < pixels; ++i, dy += channels)
      for (int64_t j = 0; j < count; ++j) sum[j] += dy[j];
  const T* found = sum;
  put(bias, some, [=](int64_t j) { return found[j - some.begin]; });
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
