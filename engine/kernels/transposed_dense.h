// SPDX-License-Identifier: BSD-3-Clause
// TransposedDense: z = x W^T + b, the matrix of another layer passed back.
//
// Legend: m rows, k features, n units; x (m, k), weight (n, k), bias (n).
// dW = dz^T x, dx = dz W, db = sum of dz over the rows.
#pragma once

#include "../products/gemm.h"
#include "elementwise.h"

namespace nervure {

// What a part of a product gives: some rows and columns.
struct Tile {
  int64_t row, rows, column, columns;

  [[nodiscard]] static Tile of(const Cut& cut, int64_t rows, int64_t columns,
                               int64_t part) {
    const int64_t begin = cut.begin(part), size = cut.begin(part + 1) - begin;
    if (cut.by_columns) return {0, rows, begin, size};
    return {begin, size, 0, columns};
  }
};

struct TransposedDense {
  static constexpr std::string_view name = "transposed_dense";

  int64_t features, units;
  bool has_bias;

  static TransposedDense read(const Attributes& attributes, const Shapes& shapes) {
    return {size_of(shapes.inputs[0]), size_of(shapes.output), attributes.flag("bias")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const { return {output_cut(rows).parts}; }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {weight_cut(rows).parts + input_cut(rows).parts +
            (has_bias ? channel_parts(units) : 0)};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Tile t = Tile::of(output_cut(c.rows), c.rows, units, task.part);
    T* z = c.output.value + t.row * units + t.column;
    if (has_bias)
      for (int64_t i = 0; i < t.rows; ++i)
        std::copy_n(c.parameters[1].value + t.column, t.columns, z + i * units);
    own_gemm({.transpose_b = true,
              .m = t.rows,
              .n = t.columns,
              .k = features,
              .beta = has_bias ? 1.0 : 0.0},
             c.inputs[0].value + t.row * features, features,
             c.parameters[0].value + t.column * features, features, z, units);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    int64_t part = task.part;
    if (part < weight_cut(c.rows).parts) return weight_gradient(c, part);
    part -= weight_cut(c.rows).parts;
    if (part < input_cut(c.rows).parts) return input_gradient(c, part);
    add_pixels(c.parameters[1], c.output.gradient, c.rows, units,
               part - input_cut(c.rows).parts);
  }

 private:
  [[nodiscard]] Cut output_cut(int64_t rows) const {
    return Cut::of(rows, units, features);
  }
  [[nodiscard]] Cut weight_cut(int64_t rows) const {
    return Cut::of(units, features, rows);
  }
  [[nodiscard]] Cut input_cut(int64_t rows) const { return Cut::of(rows, features, units); }

  template <class T>
  void weight_gradient(const Context<T>& c, int64_t part) const {
    const Operand<T>& weight = c.parameters[0];
    if (weight.gradient == nullptr) return;
    const Tile t = Tile::of(weight_cut(c.rows), units, features, part);
    gemm<T>({.transpose_a = true,
             .m = t.rows,
             .n = t.columns,
             .k = c.rows,
             .beta = weight.accumulate ? 1.0 : 0.0},
            c.output.gradient + t.row, units, c.inputs[0].value + t.column, features,
            weight.gradient + t.row * features + t.column, features);
  }

  template <class T>
  void input_gradient(const Context<T>& c, int64_t part) const {
    const Operand<T>& x = c.inputs[0];
    if (x.gradient == nullptr) return;
    const Tile t = Tile::of(input_cut(c.rows), c.rows, features, part);
    gemm<T>({.m = t.rows, .n = t.columns, .k = units, .beta = x.accumulate ? 1.0 : 0.0},
            c.output.gradient + t.row * units, units, c.parameters[0].value + t.column,
            features, x.gradient + t.row * features + t.column, features);
  }
};

}  // namespace nervure
