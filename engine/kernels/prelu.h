// SPDX-License-Identifier: BSD-3-Clause
// PReLU: a = z for z > 0, else alpha z; dalpha = sum of da z over all z <= 0.
#pragma once

#include "elementwise.h"

namespace nervure {

struct PReLU : Elementwise {
  static constexpr std::string_view name = "prelu";

  int64_t slopes;  // one for each feature, or one for all

  static PReLU read(const Attributes& attributes, const Shapes& shapes) {
    return {{size_of(shapes.output)}, attributes.integer("slopes")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {elementwise_work(rows, size)[0] + channel_parts(slopes)};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T *z = c.inputs[0].value, *alpha = c.parameters[0].value;
    each_stretch(elementwise_range(c.rows, size, task), [&](Range part, int64_t first) {
      const T one = *alpha;
      if (slopes == 1)
        fill(c.output.value, part, [=](int64_t i) { return z[i] > 0 ? z[i] : one * z[i]; });
      else
        fill(c.output.value, part,
             [=](int64_t i) { return z[i] > 0 ? z[i] : alpha[i - first] * z[i]; });
    });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const int64_t inputs = elementwise_work(c.rows, size)[0];
    if (task.part >= inputs) return slope_gradient(c, task.part - inputs);
    const T *z = c.inputs[0].value, *da = c.output.gradient, *alpha = c.parameters[0].value;
    each_stretch(elementwise_range(c.rows, size, task), [&](Range part, int64_t first) {
      const T one = *alpha;
      if (slopes == 1)
        put(c.inputs[0], part, [=](int64_t i) { return z[i] > 0 ? da[i] : one * da[i]; });
      else
        put(c.inputs[0], part,
            [=](int64_t i) { return z[i] > 0 ? da[i] : alpha[i - first] * da[i]; });
    });
  }

 private:
  // Stretches within one row of features, whose first element is `first`.
  void each_stretch(Range range, auto&& call) const {
    const int64_t width = slopes == 1 ? range.end : slopes;
    for (int64_t begin = range.begin; begin < range.end;) {
      const int64_t first = begin / width * width;
      const Range part{begin, std::min(first + width, range.end)};
      call(part, first);
      begin = part.end;
    }
  }

  template <class T>
  void slope_gradient(const Context<T>& c, int64_t part) const {
    double sum[channel_grain] = {};
    const Range some = range_of(slopes, channel_grain, part);
    const T *z = c.inputs[0].value + some.begin, *da = c.output.gradient + some.begin;
    for (int64_t i = 0; i < c.rows * size / slopes; ++i, z += slopes, da += slopes)
      for (int64_t j = 0; j < some.size(); ++j)
        sum[j] += z[j] > 0 ? 0.0 : static_cast<double>(da[j]) * static_cast<double>(z[j]);
    const double* found = sum;
    put(c.parameters[0], some, [=](int64_t j) { return T(found[j - some.begin]); });
  }
};

}  // namespace nervure
