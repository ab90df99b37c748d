// SPDX-License-Identifier: BSD-3-Clause
// ZeroPadding and Cropping: y[j] = x[j - before], 0 where x has no such pixel; `before` is
// negative where pixels are cut off. dx[i] = dy[i + before], 0 where y has no such pixel.
#pragma once

#include <algorithm>

#include "elementwise.h"
#include "window.h"

namespace nervure {

struct Frame {
  static constexpr std::string_view name = "frame";

  Triple x, y, before;
  int64_t channels;

  static Frame read(const Attributes& attributes, const Shapes& shapes) {
    return {extents_of(shapes.inputs[0]), extents_of(shapes.output),
            triple(attributes.integers("before"), 0), shapes.output.back()};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const { return lines(rows, y).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const { return lines(rows, x).work(); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T* from = c.inputs[0].value;
    T* to = c.output.value;
    each_line(c.rows, task, y, x, {-before[0], -before[1], -before[2]},
              [&](int64_t at, Range inside, int64_t source) {
                std::fill_n(to + at, y[2] * channels, T(0));
                std::copy_n(from + source, inside.end - inside.begin,
                            to + at + inside.begin);
              });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const T* dy = c.output.gradient;
    const Operand<T>& input = c.inputs[0];
    each_line(c.rows, task, x, y, before, [&](int64_t at, Range inside, int64_t source) {
      const Range all = {at, at + x[2] * channels};
      const int64_t begin = at + inside.begin, end = at + inside.end;
      put(input, {all.begin, begin}, [](int64_t) { return T(0); });
      put(input, {begin, end}, [=](int64_t i) { return dy[source + i - begin]; });
      put(input, {end, all.end}, [](int64_t) { return T(0); });
    });
  }

 private:
  // The rows of pixels of an array of these extents.
  [[nodiscard]] Stretches lines(int64_t rows, const Triple& extents) const {
    return {rows * extents[0] * extents[1], extents[2] * channels};
  }

  // Calls with where a line of `to` begins, the elements of it that `from` has, and where
  // those begin; pixel j of `to` is pixel j + shift of `from`.
  void each_line(int64_t rows, Task task, const Triple& to, const Triple& from,
                 const Triple& shift, auto call) const {
    const Range range = lines(rows, to).range(task);
    const int64_t first = std::clamp<int64_t>(-shift[2], 0, to[2]);
    const int64_t last = std::clamp<int64_t>(from[2] - shift[2], first, to[2]);
    for (int64_t line = range.begin; line < range.end; ++line) {
      const int64_t at = line * to[2] * channels, image = line / (to[0] * to[1]);
      const int64_t d = line / to[1] % to[0] + shift[0], h = line % to[1] + shift[1];
      if (d < 0 || d >= from[0] || h < 0 || h >= from[1]) {
        call(at, Range{0, 0}, int64_t{0});
        continue;
      }
      const int64_t row = (image * from[0] + d) * from[1] + h;
      call(at, Range{first * channels, last * channels},
           (row * from[2] + first + shift[2]) * channels);
    }
  }
};

}  // namespace nervure
