// SPDX-License-Identifier: BSD-3-Clause
// Normalize: y = (x - mean) / scale over the last axis, dx = dy / scale.
//
// mean and scale are stored numbers: where a gradient of theirs is asked for, it is 0.
#pragma once

#include <algorithm>

#include "elementwise.h"

namespace nervure {

struct Normalize : InStretches {
  static constexpr std::string_view name = "normalize";

  static Normalize read(const Attributes&, const Shapes& shapes) {
    const int64_t features = shapes.output.back();
    return {{size_of(shapes.output) / features, features}};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return true; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = stretches(c.rows).range(task);
    const T *mean = c.parameters[0].value, *scale = c.parameters[1].value;
    for (int64_t s = range.begin; s < range.end; ++s) {
      const T* x = c.inputs[0].value + s * width;
      fill(c.output.value + s * width, {0, width},
           [=](int64_t j) { return (x[j] - mean[j]) / scale[j]; });
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (task.part == 0) forget(c);
    const Range range = stretches(c.rows).range(task);
    const T* scale = c.parameters[1].value;
    for (int64_t s = range.begin; s < range.end; ++s) {
      const int64_t begin = s * width;
      const T* dy = c.output.gradient;
      put(c.inputs[0], {begin, begin + width},
          [=](int64_t i) { return dy[i] / scale[i - begin]; });
    }
  }

 private:
  template <class T>
  void forget(const Context<T>& c) const {
    for (const Operand<T>& parameter : c.parameters)
      if (parameter.gradient != nullptr && !parameter.accumulate)
        std::fill_n(parameter.gradient, width, T(0));
  }
};

}  // namespace nervure
