// SPDX-License-Identifier: BSD-3-Clause
// Learned: a parameter as a value, the same for every row; its gradient is the sum of those
// of the rows, in their order.
#pragma once

#include "elementwise.h"

namespace nervure {

struct Learned {
  static constexpr std::string_view name = "learned";

  int64_t size;

  static Learned read(const Attributes&, const Shapes& shapes) {
    return {size_of(shapes.output)};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const {
    return elementwise_work(rows, size);
  }
  [[nodiscard]] Work backward_work(int64_t) const { return {channel_parts(size)}; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = elementwise_range(c.rows, size, task);
    const T* value = c.parameters[0].value;
    T* y = c.output.value;
    for (int64_t i = range.begin; i < range.end; ++i) y[i] = value[i % size];
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    add_pixels(c.parameters[0], c.output.gradient, c.rows, size, task.part);
  }
};

}  // namespace nervure
