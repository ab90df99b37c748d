// SPDX-License-Identifier: BSD-3-Clause
// What tells a step its place t in its sequence.
// PositionEmbedding  y_t = x_t + W_t,  dx = dy, dW_t = sum over rows of dy_t
// RotaryPositions    (y, y') = (x cos a - x' sin a, x sin a + x' cos a) for neighbours x,
//                    x' of each head, a = t base^(-2 j / d); dx is dy turned back
#pragma once

#include <cmath>

#include "elementwise.h"

namespace nervure {

namespace detail {

// Rows of a sequence as parts: about a grain of elements in each.
inline Stretches rows_along(Extent e, int64_t size) {
  return {e.rows, std::max<int64_t>(1, e.steps / std::max<int64_t>(1, e.rows)) * size};
}
}  // namespace detail

struct PositionEmbedding {
  static constexpr std::string_view name = "position_embedding";

  int64_t length, size;

  static PositionEmbedding read(const Attributes& attributes, const Shapes& shapes) {
    return {attributes.integer("length"), shapes.inputs[0].back()};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(Extent) const { return {}; }
  [[nodiscard]] Work forward_work(Extent e) const {
    return detail::rows_along(e, size).work();
  }
  [[nodiscard]] Work backward_work(Extent e) const {
    return {detail::rows_along(e, size).work()[0], places(e).work()[0]};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T *x = c.inputs[0].value, *w = c.parameters[0].value;
    T* y = c.output.value;
    each_row(c, task, [&](Range steps) {
      const T *from = x + steps.begin * size, *own = w + c.place * size;
      const int64_t known = std::clamp(length - c.place, int64_t{0}, steps.size());
      fill(y + steps.begin * size, {0, known * size},
           [=](int64_t i) { return from[i] + own[i]; });
    });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const T* dy = c.output.gradient;
    if (task.phase == 0)
      return each_row(c, task, [&](Range steps) {
        put(c.inputs[0], {steps.begin * size, steps.end * size},
            [=](int64_t i) { return dy[i]; });
      });
    const Operand<T>& w = c.parameters[0];
    if (w.gradient == nullptr) return;
    const Range range = places(extent_of(c)).range(task);
    for (int64_t t = range.begin; t < range.end; ++t) sum_place(c, w, t);
  }

 private:
  [[nodiscard]] Stretches places(Extent e) const { return {length, e.rows * size}; }

  template <class T, class Call>
  void each_row(const Context<T>& c, Task task, Call&& call) const {
    const Range rows = detail::rows_along(extent_of(c), size).range(task);
    const Lengths& lengths = c.inputs[0].lengths;
    for (int64_t r = rows.begin; r < rows.end; ++r)
      call(Range{lengths.begin(r), lengths.begin(r + 1)});
  }

  // dW_t, in double over the rows that are long enough.
  template <class T>
  void sum_place(const Context<T>& c, const Operand<T>& w, int64_t t) const {
    constexpr int64_t tile = 256;
    double sums[tile];
    const Lengths& lengths = c.inputs[0].lengths;
    for (int64_t begin = 0; begin < size; begin += tile) {
      const int64_t width = std::min(tile, size - begin);
      std::fill_n(sums, width, 0.0);
      for (int64_t r = 0; r < c.rows; ++r) {
        if (lengths.of(r) <= t) continue;
        const T* dy = c.output.gradient + (lengths.begin(r) + t) * size + begin;
        fill(sums, {0, width}, [&](int64_t j) { return sums[j] + double(dy[j]); });
      }
      put(w, {t * size + begin, t * size + begin + width},
          [&](int64_t i) { return static_cast<T>(sums[i - t * size - begin]); });
    }
  }
};

struct RotaryPositions {
  static constexpr std::string_view name = "rotary_positions";

  int64_t heads, size;
  double base;

  static RotaryPositions read(const Attributes& attributes, const Shapes& shapes) {
    return {attributes.integer("heads"), shapes.inputs[0].back(),
            attributes.number("base")};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(Extent) const { return {}; }
  [[nodiscard]] Work forward_work(Extent e) const {
    return detail::rows_along(e, 4 * size).work();
  }
  [[nodiscard]] Work backward_work(Extent e) const { return forward_work(e); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T* x = c.inputs[0].value;
    T* y = c.output.value;
    each_pair(c, task, 1, [=](int64_t at, T cosine, T sine) {
      y[at] = x[at] * cosine - x[at + 1] * sine;
      y[at + 1] = x[at] * sine + x[at + 1] * cosine;
    });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const T* dy = c.output.gradient;
    T* dx = c.inputs[0].gradient;
    const T before = c.inputs[0].accumulate ? T(1) : T(0);
    if (dx == nullptr) return;
    if (before == 0)
      return each_pair(c, task, -1, [=](int64_t at, T cosine, T sine) {
        dx[at] = dy[at] * cosine - dy[at + 1] * sine;
        dx[at + 1] = dy[at] * sine + dy[at + 1] * cosine;
      });
    each_pair(c, task, -1, [=](int64_t at, T cosine, T sine) {
      dx[at] += dy[at] * cosine - dy[at + 1] * sine;
      dx[at + 1] += dy[at] * sine + dy[at + 1] * cosine;
    });
  }

 private:
  // call(where the pair lies, cosine, sine) for all pairs of some rows.
  template <class T, class Call>
  void each_pair(const Context<T>& c, Task task, double sign, Call&& call) const {
    const int64_t width = size / heads;
    const Range rows = detail::rows_along(extent_of(c), 4 * size).range(task);
    const Lengths& lengths = c.inputs[0].lengths;
    for (int64_t r = rows.begin; r < rows.end; ++r)
      for (int64_t j = 0; j < width; j += 2) {
        const double turn =
            std::pow(base, -static_cast<double>(j) / static_cast<double>(width));
        for (int64_t t = c.place, step = lengths.begin(r); step < lengths.begin(r + 1);
             ++t, ++step) {
          const double angle = static_cast<double>(t) * turn;
          const T cosine = static_cast<T>(std::cos(angle)),
                  sine = static_cast<T>(sign * std::sin(angle));
          for (int64_t h = 0; h < heads; ++h)
            call(step * size + h * width + j, cosine, sine);
        }
      }
  }
};

}  // namespace nervure
