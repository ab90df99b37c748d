// SPDX-License-Identifier: BSD-3-Clause
// Constant: a node without inputs. (Input has no kernel: the executor feeds it.)
#pragma once

#include "elementwise.h"

namespace nervure {

struct Constant {
  static constexpr std::string_view name = "constant";

  double value;
  int64_t size;

  static Constant read(const Attributes& attributes, const Shapes& shapes) {
    return {attributes.number("value"), size_of(shapes.output)};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const {
    return elementwise_work(rows, size);
  }
  [[nodiscard]] Work backward_work(int64_t) const { return {}; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T constant = static_cast<T>(value);
    fill(c.output.value, elementwise_range(c.rows, size, task),
         [=](int64_t) { return constant; });
  }
  template <class T>
  void backward(const Context<T>&, Task) const {}
};

}  // namespace nervure
