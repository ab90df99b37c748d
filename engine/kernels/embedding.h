// SPDX-License-Identifier: BSD-3-Clause
// Embedding: y[i] = weight[offset_j + x[i]], one vector for each code.
//
// Legend: a sample has `codes` codes; code i belongs to column j = i mod columns, whose
// table has `sizes[j]` rows of `dim` numbers and begins at row `offsets[j]` of weight.
// A code out of range stands for no row: zeros, and no gradient.
// For dweight the row of each code is found first. Then it is cut by rows of the tables:
// every part goes over all of these in their order and adds those that are its own. Rows
// that many codes stand for are long sums; there are few of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
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
  // Scratch: the row of each code, how often each row occurs, and what the long sums of
  // each part have lost.
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    return {.scratch = rows * codes + rows_of_all + weight_parts() * long_rows(rows) * dim};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const { return vectors(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {elementwise_work(rows, codes)[0], weight_parts()};
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
    if (task.phase == 1) return weight_gradient(c, task.part);
    const Range some = elementwise_range(c.rows, codes, task);
    if (c.parameters[0].gradient != nullptr)
      for (int64_t i = some.begin; i < some.end; ++i) numbers(c)[i] = row_of(c, i);
    put(c.inputs[0], some, [](int64_t) { return T(0); });  // a code has no derivative
  }

 private:
  [[nodiscard]] Stretches vectors(int64_t rows) const { return {rows * codes, dim}; }
  [[nodiscard]] int64_t weight_parts() const {
    return std::min(
        {parts_of(rows_of_all * dim, elementwise_grain), rows_of_all, int64_t{8}});
  }

  // Rows that occur so often are summed as they come.
  static constexpr int64_t few = 32;
  [[nodiscard]] int64_t long_rows(int64_t rows) const {
    return std::min(rows_of_all, rows * codes / few);
  }

  // Whole numbers in the place of elements.
  template <class T>
  using Number = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  template <class T>
  [[nodiscard]] Number<T>* numbers(const Context<T>& c) const {
    return reinterpret_cast<Number<T>*>(c.scratch);
  }

  // The row of weight for a code, or -1.
  template <class T>
  [[nodiscard]] Number<T> row_of(const Context<T>& c, int64_t i) const {
    const auto j = static_cast<size_t>(i) % sizes.size();
    const T code = std::rint(c.inputs[0].value[i]);
    const bool known = code >= 0 && code < static_cast<T>(sizes[j]);
    return known ? static_cast<Number<T>>(offsets[j] + static_cast<int64_t>(code)) : -1;
  }

  template <class T>
  void weight_gradient(const Context<T>& c, int64_t part) const {
    const Operand<T>& weight = c.parameters[0];
    if (weight.gradient == nullptr) return;
    const Range own = share_of(rows_of_all, weight_parts(), part);
    if (!weight.accumulate)
      std::fill(weight.gradient + own.begin * dim, weight.gradient + own.end * dim, T(0));
    Number<T>* places = find_long_rows(c, own);
    T* low = c.scratch + c.rows * codes + rows_of_all + part * long_rows(c.rows) * dim;
    std::fill_n(low, long_rows(c.rows) * dim, T(0));
    each_own(c, own, [&](int64_t i, int64_t row) {
      const T* dy = c.output.gradient + i * dim;
      T* dw = weight.gradient + row * dim;
      if (places[row] < 0)
        return fill(dw, {0, dim}, [=](int64_t k) { return dw[k] + dy[k]; });
      add_rows(LongSums<T>{dw, low + places[row] * dim}, 1, dim,
               [=](int64_t) { return [=](int64_t k) { return dy[k]; }; });
    });
    for (int64_t row = own.begin; row < own.end; ++row) {
      if (places[row] < 0) continue;
      const LongSums<T> sums{weight.gradient + row * dim, low + places[row] * dim};
      fill(sums.high, {0, dim}, [=](int64_t k) { return static_cast<T>(sums.total(k)); });
    }
  }

  // Calls with each code that stands for one of these rows, and the row.
  template <class T>
  void each_own(const Context<T>& c, Range own, auto call) const {
    const Number<T>* rows = numbers(c);
    for (int64_t i = 0; i < c.rows * codes; ++i)
      if (rows[i] >= own.begin && rows[i] < own.end) call(i, rows[i]);
  }

  // The place of the long sum of each of these rows, or -1.
  template <class T>
  Number<T>* find_long_rows(const Context<T>& c, Range own) const {
    Number<T>* found = numbers(c) + c.rows * codes;
    std::fill(found + own.begin, found + own.end, Number<T>(0));
    each_own(c, own, [&](int64_t, int64_t row) { ++found[row]; });
    Number<T> next = 0;
    for (int64_t row = own.begin; row < own.end; ++row)
      found[row] = found[row] > few ? next++ : -1;
    return found;
  }
};

}  // namespace nervure
