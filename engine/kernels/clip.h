// SPDX-License-Identifier: BSD-3-Clause
// Clip: y = x held between two numbers; dx = dy strictly between them, else 0.
#pragma once

#include "elementwise.h"

namespace nervure {

struct Clip : Elementwise {
  static constexpr std::string_view name = "clip";

  double low, high;

  static Clip read(const Attributes& attributes, const Shapes& shapes) {
    return {{size_of(shapes.output)}, attributes.number("low"), attributes.number("high")};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return true; }
  [[nodiscard]] bool in_place() const { return true; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T *x = c.inputs[0].value, below = static_cast<T>(low),
            above = static_cast<T>(high);
    fill(c.output.value, elementwise_range(c.rows, size, task), [=](int64_t i) {
      const T least = x[i] <= below ? below : x[i];
      return least >= above ? above : least;
    });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const T *y = c.output.value, *dy = c.output.gradient;
    const T below = static_cast<T>(low), above = static_cast<T>(high);
    put(c.inputs[0], elementwise_range(c.rows, size, task), [=](int64_t i) {
      const T inside = y[i] > below ? dy[i] : T(0);
      return y[i] < above ? inside : T(0);
    });
  }
};

}  // namespace nervure
