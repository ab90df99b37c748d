// SPDX-License-Identifier: BSD-3-Clause
// Softmax and LogSoftmax over the last axis.
//
// Legend: a row is one vector of `classes` scores x; m its largest; p its softmax.
// Softmax      p = exp(x - m) / sum(exp(x - m)),   dx = p (dy - sum(dy p))
// LogSoftmax   y = x - m - log(sum(exp(x - m))),   dx = dy - exp(y) sum(dy)
#pragma once

#include <algorithm>

#include "../math.h"
#include "elementwise.h"

namespace nervure {

namespace detail {

// What both have in common: whole rows are the unit of work.
struct Rows {
  int64_t size, classes;

  static Rows read(const Shapes& shapes) {
    return {size_of(shapes.output), shapes.output.back()};
  }
  [[nodiscard]] Stretches stretches(int64_t rows) const {
    return {rows * (size / classes), classes};
  }

  // y = x - max(x), row by row.
  template <class T>
  void shift(const T* x, T* y, Range rows) const {
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const T* from = x + r * classes;
      const T largest = simd::max(from, classes);
      fill(y + r * classes, {0, classes}, [=](int64_t i) { return from[i] - largest; });
    }
  }
  [[nodiscard]] Range elements(Range rows) const {
    return {rows.begin * classes, rows.end * classes};
  }
};

}  // namespace detail

struct Softmax {
  static constexpr std::string_view name = "softmax";

  detail::Rows row;

  static Softmax read(const Attributes&, const Shapes& shapes) {
    return {detail::Rows::read(shapes)};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return true; }
  [[nodiscard]] bool in_place() const { return true; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const { return row.stretches(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return row.stretches(rows).work();
  }

  // The exponentials of all rows go in one sweep, so that few classes still fill vectors.
  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range rows = row.stretches(c.rows).range(task);
    T* y = c.output.value;
    row.shift(c.inputs[0].value, y, rows);
    fill(y, row.elements(rows), [=](int64_t i) { return math::exp(y[i]); });
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      T* p = y + r * row.classes;
      const T total = static_cast<T>(simd::sum(p, row.classes));
      fill(p, {0, row.classes}, [=](int64_t i) { return p[i] / total; });
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range rows = row.stretches(c.rows).range(task);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const Range range = row.elements({r, r + 1});
      const T *y = c.output.value, *dy = c.output.gradient;
      const T mean =
          static_cast<T>(simd::dot(y + range.begin, dy + range.begin, row.classes));
      put(c.inputs[0], range, [=](int64_t i) { return y[i] * (dy[i] - mean); });
    }
  }
};

struct LogSoftmax {
  static constexpr std::string_view name = "log_softmax";

  detail::Rows row;

  static LogSoftmax read(const Attributes&, const Shapes& shapes) {
    return {detail::Rows::read(shapes)};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return true; }
  [[nodiscard]] bool in_place() const { return true; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const { return row.stretches(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return row.stretches(rows).work();
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range rows = row.stretches(c.rows).range(task);
    row.shift(c.inputs[0].value, c.output.value, rows);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      T* y = c.output.value + r * row.classes;
      const T logarithm = static_cast<T>(std::log(sum_of_exp(y)));
      fill(y, {0, row.classes}, [=](int64_t i) { return y[i] - logarithm; });
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range rows = row.stretches(c.rows).range(task);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
      const Range range = row.elements({r, r + 1});
      const T *y = c.output.value, *dy = c.output.gradient;
      const T total = static_cast<T>(simd::sum(dy + range.begin, row.classes));
      put(c.inputs[0], range, [=](int64_t i) { return dy[i] - math::exp(y[i]) * total; });
    }
  }

 private:
  // Tile by tile, since the row itself is still wanted.
  template <class T>
  double sum_of_exp(const T* y) const {
    constexpr int64_t tile = 256;
    T e[tile];
    double total = 0;
    for (int64_t begin = 0; begin < row.classes; begin += tile) {
      const int64_t width = std::min(tile, row.classes - begin);
      const T* from = y + begin;
      fill(e, {0, width}, [=](int64_t i) { return math::exp(from[i]); });
      total += simd::sum(e, width);
    }
    return total;
  }
};

}  // namespace nervure
