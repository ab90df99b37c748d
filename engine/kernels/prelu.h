// SPDX-License-Identifier: BSD-3-Clause
// PReLU: y = x where x > 0, else slope x, with a slope for each feature of the last axis.
//   dx = dy or slope dy, dslope = sum of x dy where x <= 0, over rows and pixels
#pragma once

#include <algorithm>

#include "elementwise.h"

namespace nervure {

struct PRelu : InStretches {
  static constexpr std::string_view name = "prelu";

  static PRelu read(const Attributes&, const Shapes& shapes) {
    const int64_t features = shapes.output.back();
    return {{size_of(shapes.output) / features, features}};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {stretches(rows).work()[0], channel_parts(width)};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = stretches(c.rows).range(task);
    const T* slope = c.parameters[0].value;
    for (int64_t s = range.begin; s < range.end; ++s) {
      const T* x = c.inputs[0].value + s * width;
      fill(c.output.value + s * width, {0, width},
           [=](int64_t j) { return x[j] > T(0) ? x[j] : slope[j] * x[j]; });
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (task.phase == 1) return slopes(c, task.part);
    const Range range = stretches(c.rows).range(task);
    const T *slope = c.parameters[0].value, *x = c.inputs[0].value;
    const T* dy = c.output.gradient;
    for (int64_t s = range.begin; s < range.end; ++s) {
      const int64_t begin = s * width;
      put(c.inputs[0], {begin, begin + width},
          [=](int64_t i) { return x[i] > T(0) ? dy[i] : slope[i - begin] * dy[i]; });
    }
  }

 private:
  template <class T>
  void slopes(const Context<T>& c, int64_t part) const {
    const Operand<T>& slope = c.parameters[0];
    if (slope.gradient == nullptr) return;
    const Range some = range_of(width, channel_grain, part);
    double sum[channel_grain] = {};
    const T *x = c.inputs[0].value, *dy = c.output.gradient;
    for (int64_t i = 0; i < c.rows * outer; ++i, x += width, dy += width)
      for (int64_t j = some.begin; j < some.end; ++j)
        sum[j - some.begin] += x[j] > T(0) ? 0 : double(x[j]) * double(dy[j]);
    const double* found = sum;
    put(slope, some, [=](int64_t j) { return static_cast<T>(found[j - some.begin]); });
  }
};

}  // namespace nervure
