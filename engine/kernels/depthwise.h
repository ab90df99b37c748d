// SPDX-License-Identifier: BSD-3-Clause
// DepthwiseConvolution: every channel has maps of its own, y_f = sum over taps of x_(f/m)
// w_f.
//
// Legend: x (rows, d, h, w, channels), weight (taps, filters), y (rows, d, h, w, filters)
// with filters = channels * m; an axis that a layer does not have has extent 1. Window j
// of an axis sees with tap k the pixel j * stride + k * dilation - before, if there is
// one. There are no products of matrices here: lines of x and y meet tap by tap, and what
// is summed stays in the cache (a convolution with a group for each channel took 13
// times as long).
#pragma once

#include <algorithm>

#include "elementwise.h"
#include "window.h"

namespace nervure {

struct DepthwiseConvolution {
  static constexpr std::string_view name = "depthwise_convolution";

  Triple x, y, kernel, stride, dilation, before;
  int64_t channels, multiplier;
  bool has_bias;

  static DepthwiseConvolution read(const Attributes& attributes, const Shapes& shapes) {
    const int64_t channels = shapes.inputs[0].back();
    return {extents_of(shapes.inputs[0]),
            extents_of(shapes.output),
            triple(attributes.integers("kernel"), 1),
            triple(attributes.integers("stride"), 1),
            triple(attributes.integers("dilation"), 1),
            triple(attributes.integers("before"), 0),
            channels,
            shapes.output.back() / channels,
            attributes.flag("bias")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Scratch: dweight and dbias of each of the parts that sum them up.
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    return {.scratch = StagedSums<float>::room(sums()) * sum_parts(rows)};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const { return lines(rows, y).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {sum_parts(rows) + lines(rows, x).work()[0], parts_of(sums(), sum_grain)};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = lines(c.rows, y).range(task);
    const T* bias = has_bias ? c.parameters[1].value : nullptr;
    for (int64_t line = range.begin; line < range.end; ++line) {
      T* to = c.output.value + line * y[2] * filters();
      for (int64_t j = 0; j < y[2]; ++j)
        if (bias != nullptr)
          std::copy_n(bias, filters(), to + j * filters());
        else
          std::fill_n(to + j * filters(), filters(), T(0));
      each_line_seen(line, [&](int64_t source, int64_t tap) {
        const T* from = c.inputs[0].value + source * x[2] * channels;
        each_meeting(tap, [&](int64_t i, int64_t j, int64_t k) {
          const T *pixel = from + i * channels, *w = c.parameters[0].value + k * filters();
          T* sum = to + j * filters();
          each_filter([=](int64_t f, int64_t channel) { sum[f] += pixel[channel] * w[f]; });
        });
      });
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const int64_t parts = sum_parts(c.rows);
    if (task.phase == 1)
      add_up(c, range_of(sums(), sum_grain, task.part));
    else if (task.part < parts)
      sum(c, task.part);
    else if (c.inputs[0].gradient != nullptr)
      input_gradient(c, lines(c.rows, x).range({0, task.part - parts}));
  }

 private:
  static constexpr int64_t most_sum_parts = 32, sum_grain = 256;

  [[nodiscard]] int64_t filters() const { return channels * multiplier; }
  [[nodiscard]] int64_t sums() const { return (volume(kernel) + 1) * filters(); }
  // The rows of pixels of an array of these extents; a line of y costs as much as all of
  // its taps.
  [[nodiscard]] Stretches lines(int64_t rows, const Triple& extents) const {
    return {rows * extents[0] * extents[1], extents[2] * filters()};
  }
  [[nodiscard]] int64_t sum_parts(int64_t rows) const {
    return std::min(most_sum_parts, lines(rows, y).work()[0]);
  }

  [[nodiscard]] int64_t seen(size_t axis, int64_t window, int64_t tap) const {
    return window * stride[axis] + tap * dilation[axis] - before[axis];
  }

  // Calls with each line of x that line `index` of y sees, and the first of the taps by
  // which it does.
  void each_line_seen(int64_t index, auto call) const {
    const int64_t image = index / (y[0] * y[1]);
    const int64_t d = index / y[1] % y[0], h = index % y[1];
    for (int64_t a = 0; a < kernel[0]; ++a)
      for (int64_t b = 0; b < kernel[1]; ++b) {
        const int64_t i = seen(0, d, a), j = seen(1, h, b);
        if (i < 0 || i >= x[0] || j < 0 || j >= x[1]) continue;
        call((image * x[0] + i) * x[1] + j, (a * kernel[1] + b) * kernel[2]);
      }
  }

  // The same the other way round: each line of y that sees line `index` of x.
  void each_line_seeing(int64_t index, auto call) const {
    const int64_t image = index / (x[0] * x[1]);
    const Triple at = {index / x[1] % x[0], index % x[1], 0};
    const auto window = [&](size_t axis, int64_t tap) {
      const int64_t distance = at[axis] - seen(axis, 0, tap);
      const int64_t j = distance / stride[axis];
      return distance >= 0 && distance % stride[axis] == 0 && j < y[axis] ? j : -1;
    };
    for (int64_t a = 0; a < kernel[0]; ++a)
      for (int64_t b = 0; b < kernel[1]; ++b) {
        const int64_t i = window(0, a), j = window(1, b);
        if (i < 0 || j < 0) continue;
        call((image * y[0] + i) * y[1] + j, (a * kernel[1] + b) * kernel[2]);
      }
  }

  // Calls with each pixel of a line of x, the window of a line of y that sees it, and the
  // tap, from `first` on.
  NERVURE_INLINE void each_meeting(int64_t first, auto call) const {
    for (int64_t k = 0; k < kernel[2]; ++k) {
      const int64_t at = seen(2, 0, k), step = stride[2];
      const int64_t begin = at < 0 ? (-at + step - 1) / step : 0;
      const int64_t end = at < x[2] ? std::min(y[2], (x[2] - 1 - at) / step + 1) : 0;
      for (int64_t j = begin; j < end; ++j) call(at + j * step, j, first + k);
    }
  }

  NERVURE_INLINE void each_filter(auto call) const {
    if (multiplier == 1) {
      NERVURE_VECTORIZE
      for (int64_t f = 0; f < channels; ++f) call(f, f);
      return;
    }
    for (int64_t channel = 0; channel < channels; ++channel)
      for (int64_t f = channel * multiplier; f < (channel + 1) * multiplier; ++f)
        call(f, channel);
  }

  template <class T>
  void input_gradient(const Context<T>& c, Range range) const {
    const Operand<T>& input = c.inputs[0];
    for (int64_t line = range.begin; line < range.end; ++line) {
      T* to = input.gradient + line * x[2] * channels;
      if (!input.accumulate) std::fill_n(to, x[2] * channels, T(0));
      each_line_seeing(line, [&](int64_t source, int64_t tap) {
        const T* from = c.output.gradient + source * y[2] * filters();
        each_meeting(tap, [&](int64_t i, int64_t j, int64_t k) {
          const T *dy = from + j * filters(), *w = c.parameters[0].value + k * filters();
          T* dx = to + i * channels;
          each_filter([=](int64_t f, int64_t channel) { dx[channel] += dy[f] * w[f]; });
        });
      });
    }
  }

  // dweight and dbias of some lines of y.
  template <class T>
  void sum(const Context<T>& c, int64_t part) const {
    if (c.parameters[0].gradient == nullptr && !(has_bias && c.parameters[1].gradient))
      return;
    const StagedSums<T> staged = sums_of(c, part);
    staged.clear();
    T *dweight = staged.some, *dbias = dweight + volume(kernel) * filters();
    const Range range = share_of(lines(c.rows, y).count, sum_parts(c.rows), part);
    const int64_t together = parts_of(StagedSums<T>::most, y[2]);
    for (int64_t line = range.begin; line < range.end; ++line) {
      if ((line - range.begin) % together == 0) staged.pass_on();
      const T* from = c.output.gradient + line * y[2] * filters();
      for (int64_t j = 0; j < y[2]; ++j)
        fill(dbias, {0, filters()},
             [=, dy = from + j * filters()](int64_t f) { return dbias[f] + dy[f]; });
      each_line_seen(line, [&](int64_t source, int64_t tap) {
        const T* pixels = c.inputs[0].value + source * x[2] * channels;
        each_meeting(tap, [&](int64_t i, int64_t j, int64_t k) {
          const T *dy = from + j * filters(), *pixel = pixels + i * channels;
          T* dw = dweight + k * filters();
          each_filter([=](int64_t f, int64_t channel) { dw[f] += dy[f] * pixel[channel]; });
        });
      });
    }
    staged.pass_on();
  }
  template <class T>
  [[nodiscard]] StagedSums<T> sums_of(const Context<T>& c, int64_t part) const {
    return {c.scratch + part * StagedSums<T>::room(sums()), sums()};
  }

  // Sums of the parts, in their order, of some elements of dweight and dbias.
  template <class T>
  void add_up(const Context<T>& c, Range range) const {
    const int64_t weights = volume(kernel) * filters();
    const int64_t apart = StagedSums<T>::room(sums()), parts = sum_parts(c.rows);
    const LongSums<T> first = sums_of(c, 0).sums;
    put_long_sums(c.parameters[0], {range.begin, std::min(range.end, weights)}, first,
                  parts, apart);
    if (has_bias)
      put_long_sums(c.parameters[1],
                    {std::max<int64_t>(0, range.begin - weights), range.end - weights},
                    first.from(weights), parts, apart);
  }
};

}  // namespace nervure
