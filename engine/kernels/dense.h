// SPDX-License-Identifier: BSD-3-Clause
// Dense: z = x W + b.
//
// Legend: m rows (samples), k features, n units; x (m, k), weight (k, n), bias (n).
// The forward pass is cut by units, so that a worker keeps its columns of the weights
// in its own cache; the backward pass by units for dW and db, by features for dx.
#pragma once

#include <algorithm>

#include "../gemm.h"
#include "kernel.h"

namespace nervure {

struct Dense {
  static constexpr std::string_view name = "dense";
  static constexpr int64_t unit_grain = 256;
  static constexpr int64_t feature_grain = 256;

  int64_t features, units;
  bool has_bias;

  static Dense read(const Attributes& attributes, const Shapes& shapes) {
    return {size_of(shapes.inputs[0]), size_of(shapes.output), attributes.flag("bias")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }

  [[nodiscard]] Work forward_work(int64_t) const { return {parts_of(units, unit_grain)}; }
  [[nodiscard]] Work backward_work(int64_t) const {
    return {parts_of(units, unit_grain) + parts_of(features, feature_grain)};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = range_of(units, unit_grain, task.part);
    const int64_t width = range.end - range.begin;
    T* z = c.output.value + range.begin;
    if (has_bias) {
      const T* bias = c.parameters[1].value + range.begin;
      for (int64_t i = 0; i < c.rows; ++i) std::copy_n(bias, width, z + i * units);
    }
    gemm({.m = c.rows, .n = width, .k = features, .beta = has_bias ? 1.0 : 0.0},
            c.inputs[0].value, features, c.parameters[0].value + range.begin, units, z,
            units);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const int64_t unit_parts = parts_of(units, unit_grain);
    if (task.part < unit_parts) {
      parameter_gradients(c, range_of(units, unit_grain, task.part));
    } else if (c.inputs[0].gradient != nullptr) {
      input_gradient(c, range_of(features, feature_grain, task.part - unit_parts));
    }
  }

 private:
  // dW = x^T dz, db = sum of dz over the rows, for some columns.
  template <class T>
  void parameter_gradients(const Context<T>& c, Range range) const {
    const int64_t width = range.end - range.begin;
    const T* dz = c.output.gradient + range.begin;
    const Operand<T>& weight = c.parameters[0];
    if (weight.gradient != nullptr)
      gemm({.transpose_a = true,
               .m = features,
               .n = width,
               .k = c.rows,
               .beta = weight.accumulate ? 1.0 : 0.0},
              c.inputs[0].value, features, dz, units, weight.gradient + range.begin, units);
    if (!has_bias || c.parameters[1].gradient == nullptr) return;
    T* db = c.parameters[1].gradient + range.begin;
    if (!c.parameters[1].accumulate) std::fill_n(db, width, T(0));
    for (int64_t i = 0; i < c.rows; ++i)
      for (int64_t j = 0; j < width; ++j) db[j] += dz[i * units + j];
  }

  // dx = dz W^T, for some features.
  template <class T>
  void input_gradient(const Context<T>& c, Range range) const {
    const Operand<T>& x = c.inputs[0];
    gemm({.transpose_b = true,
             .m = c.rows,
             .n = range.end - range.begin,
             .k = units,
             .beta = x.accumulate ? 1.0 : 0.0},
            c.output.gradient, units, c.parameters[0].value + range.begin * units, units,
            x.gradient + range.begin, features);
  }
};

}  // namespace nervure
