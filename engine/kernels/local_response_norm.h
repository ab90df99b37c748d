// SPDX-License-Identifier: BSD-3-Clause
// LocalResponseNorm: y_c = x_c d_c^-beta with d_c = k + alpha / size * (sum of x^2 over
// `size` neighbouring channels of the same pixel, as far as there are any).
//
// Legend: the window of channel c is c - before .. c + after. With t_c = dy_c x_c
// d_c^(-beta - 1), dx_c = dy_c d_c^-beta - 2 beta alpha / size x_c (sum of t over the
// channels whose windows hold c: c - after .. c + before). d is made again in the backward
// pass: it costs less than keeping it.
#pragma once

#include <algorithm>

#include "../math.h"
#include "elementwise.h"

namespace nervure {

struct LocalResponseNorm {
  static constexpr std::string_view name = "local_response_norm";

  int64_t pixels, channels;  // of a row
  int64_t before, after;
  double share, beta, k;  // share = alpha / size

  static LocalResponseNorm read(const Attributes& attributes, const Shapes& shapes) {
    const int64_t channels = shapes.output.back(), size = attributes.integer("size");
    return {size_of(shapes.output) / channels,
            channels,
            std::min(size / 2, channels - 1),
            std::min((size - 1) / 2, channels - 1),
            attributes.number("alpha") / static_cast<double>(size),
            attributes.number("beta"),
            attributes.number("k")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Scratch: d, what its sums have lost, d^-beta and t of one pixel, for each part.
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    return {.scratch = buffers_of_pixel * channels * stretches(rows).work()[0]};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const { return stretches(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const { return stretches(rows).work(); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = stretches(c.rows).range(task);
    T* d = c.scratch + buffers_of_pixel * channels * task.part;
    for (int64_t s = range.begin; s < range.end; ++s) {
      const T* x = c.inputs[0].value + s * channels;
      denominators(x, d);
      fill(c.output.value + s * channels, {0, channels},
           [=, this](int64_t j) { return x[j] * power(d[j]); });
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (c.inputs[0].gradient == nullptr) return;
    const Range range = stretches(c.rows).range(task);
    T* d = c.scratch + buffers_of_pixel * channels * task.part;
    T *p = d + 2 * channels, *t = p + channels;
    const LongSums<T> sums{d, d + channels};
    const T factor = static_cast<T>(2 * beta * share);
    for (int64_t s = range.begin; s < range.end; ++s) {
      const int64_t at = s * channels;
      const T *x = c.inputs[0].value + at, *dy = c.output.gradient + at;
      denominators(x, d);
      fill(p, {0, channels}, [=, this](int64_t j) { return power(d[j]); });
      fill(t, {0, channels}, [=](int64_t j) { return dy[j] * x[j] * p[j] / d[j]; });
      sum_shifts(sums, after, before, [=](int64_t j) { return t[j]; });
      put(c.inputs[0], {at, at + channels}, [=](int64_t i) {
        const int64_t j = i - at;
        return dy[j] * p[j] - factor * x[j] * d[j];
      });
    }
  }

 private:
  static constexpr int64_t buffers_of_pixel = 4;

  [[nodiscard]] Stretches stretches(int64_t rows) const {
    return {rows * pixels, channels};
  }

  template <class T>
  NERVURE_INLINE T power(T d) const {
    return math::exp(static_cast<T>(-beta) * math::log(d));
  }

  template <class T>
  void denominators(const T* x, T* d) const {
    const T weight = static_cast<T>(share), least = static_cast<T>(k);
    const LongSums<T> sums{d, d + channels};
    sum_shifts(sums, before, after, [=](int64_t j) { return x[j] * x[j]; });
    fill(d, {0, channels}, [=](int64_t j) { return least + weight * d[j]; });
  }

  // sums.high[j] = the sum of term(j + shift) over the shifts of a window, as far as there
  // is such a channel.
  template <class T>
  void sum_shifts(const LongSums<T>& sums, int64_t down, int64_t up, auto term) const {
    sums.clear(channels);
    for (int64_t shift = -down; shift <= up; ++shift) {
      const int64_t begin = std::max<int64_t>(0, -shift);
      add_rows(sums.from(begin), 1, std::min(channels, channels - shift) - begin,
               [=](int64_t) { return [=](int64_t j) { return term(begin + j + shift); }; });
    }
    fill(sums.high, {0, channels},
         [=](int64_t j) { return static_cast<T>(sums.total(j)); });
  }
};

}  // namespace nervure
