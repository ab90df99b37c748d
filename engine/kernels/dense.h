// SPDX-License-Identifier: BSD-3-Clause
// Dense: z = x W + b.
//
// Legend: m rows (samples), k features, n units; x (m, k), weight (k, n), bias (n).
// Each of the three products z = x W, dW = x^T dz, dx = dz W^T is cut along the columns
// or rows of what it gives. A small z of many features is instead cut along the features,
// and two halves are added: a worker then meets the same rows of W in the forward pass,
// in dW and in the update, and they stay in its cache.
#pragma once

#include <algorithm>

#include "../gemm.h"
#include "kernel.h"

namespace nervure {

struct Dense {
  static constexpr std::string_view name = "dense";

  static constexpr int64_t few_rows = 32;

  int64_t features, units;
  bool has_bias;

  static Dense read(const Attributes& attributes, const Shapes& shapes) {
    return {size_of(shapes.inputs[0]), size_of(shapes.output), attributes.flag("bias")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    const int64_t few = std::min(rows, few_rows);  // the last batch may be smaller
    return {.scratch = halved(few) ? few * units : 0};
  }

  [[nodiscard]] Work forward_work(int64_t rows) const {
    if (halved(rows)) return {2, 1};
    return {Cut::of(rows, units, features).parts};
  }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {weight_cut(rows).parts + input_cut(rows).parts};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    if (halved(c.rows)) return task.phase == 0 ? half(c, task.part) : add_halves(c);
    const Block block =
        block_of(Cut::of(c.rows, units, features), c.rows, units, task.part);
    const auto [row, rows, column, columns] = block;
    const T* x = c.inputs[0].value + row * features;
    T* z = c.output.value + row * units + column;
    if (has_bias) begin_with_bias(c, z, rows, column, columns);
    gemm({.m = rows, .n = columns, .k = features, .beta = has_bias ? 1.0 : 0.0}, x,
         features, c.parameters[0].value + column, units, z, units);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Cut weights = weight_cut(c.rows);
    if (task.part < weights.parts) {
      const Block block = block_of(weights, features, units, task.part);
      weight_gradient(c, block);
      if (block.row == 0) bias_gradient(c, block.column, block.columns);
    } else if (c.inputs[0].gradient != nullptr) {
      const int64_t part = task.part - weights.parts;
      input_gradient(c, block_of(input_cut(c.rows), c.rows, features, part));
    }
  }

 private:
  struct Block {
    int64_t row, rows, column, columns;
  };
  static Block block_of(const Cut& cut, int64_t rows, int64_t columns, int64_t part) {
    const Range r = range_of(cut.by_columns ? columns : rows, cut.grain, part);
    if (cut.by_columns) return {0, rows, r.begin, r.end - r.begin};
    return {r.begin, r.end - r.begin, 0, columns};
  }

  [[nodiscard]] bool halved(int64_t rows) const {
    return rows <= few_rows && units <= 64 && rows * units * features >= 100'000;
  }

  template <class T>
  void begin_with_bias(const Context<T>& c, T* z, int64_t rows, int64_t column,
                       int64_t columns) const {
    const T* bias = c.parameters[1].value + column;
    for (int64_t i = 0; i < rows; ++i) std::copy_n(bias, columns, z + i * units);
  }

  // One half of the features, into z or beside it.
  template <class T>
  void half(const Context<T>& c, int64_t part) const {
    const Range r = range_of(features, (features + 1) / 2, part);
    T* z = part == 0 ? c.output.value : c.scratch;
    const bool add = part == 0 && has_bias;
    if (add) begin_with_bias(c, z, c.rows, 0, units);
    gemm({.m = c.rows, .n = units, .k = r.end - r.begin, .beta = add ? 1.0 : 0.0},
         c.inputs[0].value + r.begin, features, c.parameters[0].value + r.begin * units,
         units, z, units);
  }
  template <class T>
  void add_halves(const Context<T>& c) const {
    for (int64_t i = 0; i < c.rows * units; ++i) c.output.value[i] += c.scratch[i];
  }

  [[nodiscard]] Cut weight_cut(int64_t rows) const {
    return Cut::of(features, units, rows);
  }
  [[nodiscard]] Cut input_cut(int64_t rows) const { return Cut::of(rows, features, units); }

  template <class T>
  void weight_gradient(const Context<T>& c, const Block& b) const {
    const Operand<T>& weight = c.parameters[0];
    if (weight.gradient == nullptr) return;
    gemm({.transpose_a = true,
          .m = b.rows,
          .n = b.columns,
          .k = c.rows,
          .beta = weight.accumulate ? 1.0 : 0.0},
         c.inputs[0].value + b.row, features, c.output.gradient + b.column, units,
         weight.gradient + b.row * units + b.column, units);
  }

  // db = sum of dz over the rows.
  template <class T>
  void bias_gradient(const Context<T>& c, int64_t column, int64_t columns) const {
    if (!has_bias || c.parameters[1].gradient == nullptr) return;
    const T* dz = c.output.gradient + column;
    T* db = c.parameters[1].gradient + column;
    if (!c.parameters[1].accumulate) std::fill_n(db, columns, T(0));
    for (int64_t i = 0; i < c.rows; ++i)
      for (int64_t j = 0; j < columns; ++j) db[j] += dz[i * units + j];
  }

  template <class T>
  void input_gradient(const Context<T>& c, const Block& b) const {
    const Operand<T>& x = c.inputs[0];
    gemm({.transpose_b = true,
          .m = b.rows,
          .n = b.columns,
          .k = units,
          .beta = x.accumulate ? 1.0 : 0.0},
         c.output.gradient + b.row * units, units, c.parameters[0].value + b.column * units,
         units, x.gradient + b.row * features + b.column, features);
  }
};

}  // namespace nervure
