// SPDX-License-Identifier: BSD-3-Clause
// Embedding: y[i] = weight[offset_j + x[i]], one vector for each code.
//
// Legend: a sample has `codes` codes; code i belongs to column j = i mod columns, whose
// table has `sizes[j]` rows of `dim` numbers and begins at row `offsets[j]` of weight.
// A code out of range stands for no row: zeros, and no gradient.
// dweight is cut by rows of the tables: every part goes over all codes in their order and
// adds those that are its own.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "elementwise.h"

namespace nervure {

struct Embedding {
  static constexpr std::string_view name = "embedding";

  int64_t codes, dim, rows_of_all;
  std::vector<int64_t> sizes, offsets;

  static Embedding read(const Attributes& attributes, const Shapes& shapes) {
    std::vector<int64_t> offsets;
    int64_t rows = 0;
    for (const int64_t size : attributes.integers("categories")) {
      offsets.push_back(rows);
      rows += size;
    }
    return {size_of(shapes.inputs[0]), attributes.integer("dim"), rows,
            attributes.integers("categories"), offsets};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const { return vectors(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {weight_parts() + elementwise_work(rows, codes)[0]};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T* weight = c.parameters[0].value;
    const Range range = vectors(c.rows).range(task);
    for (int64_t i = range.begin; i < range.end; ++i) {
      const int64_t row = row_of(c, i);
      T* y = c.output.value + i * dim;
      if (row < 0)
        std::fill_n(y, dim, T(0));
      else
        std::copy_n(weight + row * dim, dim, y);
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (task.part < weight_parts()) return weight_gradient(c, task.part);
    // A code has no derivative.
    put(c.inputs[0], elementwise_range(c.rows, codes, {0, task.part - weight_parts()}),
        [](int64_t) { return T(0); });
  }

 private:
  [[nodiscard]] Stretches vectors(int64_t rows) const { return {rows * codes, dim}; }
  [[nodiscard]] int64_t weight_parts() const {
    return std::min(
        {parts_of(rows_of_all * dim, elementwise_grain), rows_of_all, int64_t{8}});
  }

  // The row of weight for a code, or -1.
  template <class T>
  [[nodiscard]] int64_t row_of(const Context<T>& c, int64_t i) const {
    const auto j = static_cast<size_t>(i) % sizes.size();
    const T code = std::rint(c.inputs[0].value[i]);
    const bool known = code >= 0 && code < static_cast<T>(sizes[j]);
    return known ? offsets[j] + static_cast<int64_t>(code) : -1;
  }

  template <class T>
  void weight_gradient(const Context<T>& c, int64_t part) const {
    const Operand<T>& weight = c.parameters[0];
    if (weight.gradient == nullptr) return;
    const auto [begin, end] = share_of(rows_of_all, weight_parts(), part);
    if (!weight.accumulate)
      std::fill(weight.gradient + begin * dim, weight.gradient + end * dim, T(0));
    for (int64_t i = 0; i < c.rows * codes; ++i) {
      const int64_t row = row_of(c, i);
      if (row < begin || row >= end) continue;
      const T* dy = c.output.gradient + i * dim;
      T* dw = weight.gradient + row * dim;
      fill(dw, {0, dim}, [=](int64_t k) { return dw[k] + dy[k]; });
    }
  }
};

}  // namespace nervure
