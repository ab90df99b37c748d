// SPDX-License-Identifier: BSD-3-Clause
// Concatenate, Add and Multiply: kernels with several inputs.
//
// An input may come twice; its gradient then accumulates from the second time on, which
// is why the operands are served one after the other.
#pragma once

#include <algorithm>
#include <vector>

#include "elementwise.h"

namespace nervure {

// Legend: before the axis lie `outer` stretches per sample, of which input k fills
// widths[k] elements each and the output `width`, the sum of them.
struct Concatenate : InStretches {
  static constexpr std::string_view name = "concatenate";

  std::vector<int64_t> widths;

  static Concatenate read(const Attributes& attributes, const Shapes& shapes) {
    const int64_t axis = attributes.integer("axis");
    const auto tail = [=](const Shape& s) { return size_of({s.begin() + axis, s.end()}); };
    Concatenate kernel = {
        {size_of(shapes.output) / tail(shapes.output), tail(shapes.output)}, {}};
    for (const Shape& shape : shapes.inputs) kernel.widths.push_back(tail(shape));
    return kernel;
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = stretches(c.rows).range(task);
    T* y = c.output.value;
    for (size_t k = 0; k < widths.size(); y += widths[k++])
      for (int64_t s = range.begin; s < range.end; ++s)
        std::copy_n(c.inputs[k].value + s * widths[k], widths[k], y + s * width);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range range = stretches(c.rows).range(task);
    const T* from = c.output.gradient;
    for (size_t k = 0; k < widths.size(); from += widths[k++])
      for (int64_t s = range.begin; s < range.end; ++s) {
        const T* dy = from + s * width - s * widths[k];
        put(c.inputs[k], {s * widths[k], (s + 1) * widths[k]},
            [=](int64_t i) { return dy[i]; });
      }
  }
};

namespace detail {

// y = x_1 op x_2 op ... over a range.
template <class T>
NERVURE_INLINE void fold(const Context<T>& c, Range range, auto op) {
  T* y = c.output.value;
  const T* first = c.inputs[0].value;
  fill(y, range, [=](int64_t i) { return first[i]; });
  for (const Operand<T>& input : c.inputs.subspan(1)) {
    const T* x = input.value;
    fill(y, range, [=](int64_t i) { return op(y[i], x[i]); });
  }
}

}  // namespace detail

struct Add : Elementwise {
  static constexpr std::string_view name = "add";

  static Add read(const Attributes&, const Shapes& shapes) {
    return {{size_of(shapes.output)}};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    detail::fold(c, elementwise_range(c.rows, size, task), [](T a, T b) { return a + b; });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range range = elementwise_range(c.rows, size, task);
    const T* dy = c.output.gradient;
    for (const Operand<T>& input : c.inputs)
      put(input, range, [=](int64_t i) { return dy[i]; });
  }
};

struct Multiply : Elementwise {
  static constexpr std::string_view name = "multiply";

  static Multiply read(const Attributes&, const Shapes& shapes) {
    return {{size_of(shapes.output)}};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    detail::fold(c, elementwise_range(c.rows, size, task), [](T a, T b) { return a * b; });
  }

  // dx_k = dy times all other inputs: no division, since inputs may be 0.
  template <class T>
  void backward(const Context<T>& c, Task task) const {
    constexpr int64_t tile = 256;
    T product[tile];
    const Range range = elementwise_range(c.rows, size, task);
    for (size_t k = 0; k < c.inputs.size(); ++k) {
      if (c.inputs[k].gradient == nullptr) continue;
      for (int64_t begin = range.begin; begin < range.end; begin += tile) {
        const Range part = {begin, std::min(begin + tile, range.end)};
        others(c, k, part, product);
        const T* p = product;
        put(c.inputs[k], part, [=](int64_t i) { return p[i - begin]; });
      }
    }
  }

 private:
  template <class T>
  void others(const Context<T>& c, size_t k, Range part, T* product) const {
    std::copy(c.output.gradient + part.begin, c.output.gradient + part.end, product);
    for (size_t j = 0; j < c.inputs.size(); ++j) {
      if (j == k) continue;
      const T* x = c.inputs[j].value + part.begin;
      fill(product, {0, part.end - part.begin},
           [=](int64_t i) { return product[i] * x[i]; });
    }
  }
};

}  // namespace nervure
