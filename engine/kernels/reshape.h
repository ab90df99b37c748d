// SPDX-License-Identifier: BSD-3-Clause
// Flatten, Reshape and Slice.
#pragma once

#include <algorithm>

#include "elementwise.h"

namespace nervure {

namespace detail {

// The same elements in the same order: a copy, or nothing where y lies over x.
struct Copy : Elementwise {
  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return true; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T* x = c.inputs[0].value;
    if (x == c.output.value) return;
    fill(c.output.value, elementwise_range(c.rows, size, task),
         [=](int64_t i) { return x[i]; });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const T* dy = c.output.gradient;
    if (dy == c.inputs[0].gradient) return;
    put(c.inputs[0], elementwise_range(c.rows, size, task),
        [=](int64_t i) { return dy[i]; });
  }
};

}  // namespace detail

struct Flatten : detail::Copy {
  static constexpr std::string_view name = "flatten";
  static Flatten read(const Attributes&, const Shapes& shapes) {
    return {{{size_of(shapes.output)}}};
  }
};

struct Reshape : detail::Copy {
  static constexpr std::string_view name = "reshape";
  static Reshape read(const Attributes&, const Shapes& shapes) {
    return {{{size_of(shapes.output)}}};
  }
};

// Legend: an axis splits a batch into `outer` stretches of (extent, inner) elements, of
// which (count, inner) are taken from index `begin` on, `step` apart.
struct Slice : InStretches {
  static constexpr std::string_view name = "slice";

  int64_t extent, inner;
  int64_t begin, step, count;

  static Slice read(const Attributes& attributes, const Shapes& shapes) {
    const auto axis = static_cast<size_t>(attributes.integer("axis"));
    const Shape& x = shapes.inputs[0];
    const auto at = x.begin() + static_cast<int64_t>(axis);
    const int64_t inner = size_of({at + 1, x.end()});
    return {{size_of({x.begin(), at}), x[axis] * inner},
            x[axis],
            inner,
            attributes.integer("begin"),
            attributes.integer("step"),
            shapes.output[axis]};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = stretches(c.rows).range(task);
    for (int64_t s = range.begin; s < range.end; ++s)
      for (int64_t k = 0; k < count; ++k)
        std::copy_n(c.inputs[0].value + source(s, k), inner,
                    c.output.value + (s * count + k) * inner);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Operand<T>& x = c.inputs[0];
    if (x.gradient == nullptr) return;
    const Range range = stretches(c.rows).range(task);
    if (!x.accumulate)
      std::fill(x.gradient + range.begin * width, x.gradient + range.end * width, T(0));
    for (int64_t s = range.begin; s < range.end; ++s)
      for (int64_t k = 0; k < count; ++k) {
        T* dx = x.gradient + source(s, k);
        const T* dy = c.output.gradient + (s * count + k) * inner;
        fill(dx, {0, inner}, [=](int64_t i) { return dx[i] + dy[i]; });
      }
  }

 private:
  [[nodiscard]] int64_t source(int64_t stretch, int64_t k) const {
    return (stretch * extent + begin + k * step) * inner;
  }
};

}  // namespace nervure
