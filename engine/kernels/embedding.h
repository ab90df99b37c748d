// SPDX-License-Identifier: BSD-3-Clause
// Embedding: y[i] = weight[offset_j + x[i]], one vector for each code.
// EmbeddingBag: y[b] = sum of weight[x[i]] over the codes i of bag b that are not 0,
// divided by n, by the root of n, or by 1, n being how many these are. While training
// some of them are silenced, and the others divided by (1 - rate).
//
// Legend: a sample has `codes` codes; code i belongs to column j = i mod columns, whose
// table has `sizes[j]` rows of `dim` numbers and begins at row `offsets[j]` of weight.
// A code out of range, or below `first`, stands for no row: zeros, and no gradient.
// For dweight the row of each code is found first. Then it is cut by rows of the tables:
// every part goes over all of these in their order and adds those that are its own. Rows
// that many codes stand for are long sums; there are few of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "dropout.h"
#include "elementwise.h"

namespace nervure {

namespace detail {

// Which rows of weight codes stand for, and the gradient of these.
struct CodeTables {
  int64_t codes, dim, rows_of_all, first;
  std::vector<int64_t> sizes, offsets;

  static CodeTables read(const Attributes& attributes, const Shapes& shapes,
                         int64_t first) {
    std::vector<int64_t> offsets;
    int64_t rows = 0;
    for (const int64_t size : attributes.integers("categories")) {
      offsets.push_back(rows);
      rows += size;
    }
    return {size_of(shapes.inputs[0]),
            attributes.integer("dim"),
            rows,
            first,
            attributes.integers("categories"),
            offsets};
  }

  // The row of each code, how often each row occurs, and what the long sums of each part
  // have lost.
  [[nodiscard]] int64_t scratch(int64_t rows) const {
    return rows * codes + rows_of_all + parts() * long_rows(rows) * dim;
  }
  [[nodiscard]] int64_t parts() const {
    return std::min(
        {parts_of(rows_of_all * dim, elementwise_grain), rows_of_all, int64_t{8}});
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
    const bool known = code >= static_cast<T>(first) && code < static_cast<T>(sizes[j]);
    return known ? static_cast<Number<T>>(offsets[j] + static_cast<int64_t>(code)) : -1;
  }

  // Of the rows of codes that were found: dweight[row] is the sum of vector(i)(k), k < dim,
  // over the codes i that stand for the row.
  template <class T>
  void weight_gradient(const Context<T>& c, int64_t part, auto vector) const {
    const Operand<T>& weight = c.parameters[0];
    if (weight.gradient == nullptr) return;
    const Range own = share_of(rows_of_all, parts(), part);
    if (!weight.accumulate)
      std::fill(weight.gradient + own.begin * dim, weight.gradient + own.end * dim, T(0));
    Number<T>* places = find_long_rows(c, own);
    T* low = c.scratch + c.rows * codes + rows_of_all + part * long_rows(c.rows) * dim;
    std::fill_n(low, long_rows(c.rows) * dim, T(0));
    each_own(c, own, [&](int64_t i, int64_t row) {
      const auto dy = vector(i);
      T* dw = weight.gradient + row * dim;
      if (places[row] < 0)
        return fill(dw, {0, dim}, [=](int64_t k) { return dw[k] + dy(k); });
      add_rows(LongSums<T>{dw, low + places[row] * dim}, 1, dim,
               [=](int64_t) { return dy; });
    });
    for (int64_t row = own.begin; row < own.end; ++row) {
      if (places[row] < 0) continue;
      const LongSums<T> sums{weight.gradient + row * dim, low + places[row] * dim};
      fill(sums.high, {0, dim}, [=](int64_t k) { return static_cast<T>(sums.total(k)); });
    }
  }

 private:
  // Rows that occur more often are summed as long sums.
  static constexpr int64_t few = 32;
  [[nodiscard]] int64_t long_rows(int64_t rows) const {
    return std::min(rows_of_all, rows * codes / few);
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

}  // namespace detail

struct Embedding {
  static constexpr std::string_view name = "embedding";

  detail::CodeTables tables;

  static Embedding read(const Attributes& attributes, const Shapes& shapes) {
    return {detail::CodeTables::read(attributes, shapes, 0)};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    return {.scratch = tables.scratch(rows)};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const { return vectors(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {elementwise_work(rows, tables.codes)[0], tables.parts()};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T* weight = c.parameters[0].value;
    const int64_t dim = tables.dim;
    const Range range = vectors(c.rows).range(task);
    for (int64_t i = range.begin; i < range.end; ++i) {
      const int64_t row = tables.row_of(c, i);
      T* y = c.output.value + i * dim;
      if (row < 0)
        std::fill_n(y, dim, T(0));
      else
        std::copy_n(weight + row * dim, dim, y);
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (task.phase == 0) return find_rows(c, elementwise_range(c.rows, tables.codes, task));
    tables.weight_gradient(c, task.part, [&c, dim = tables.dim](int64_t i) {
      const T* dy = c.output.gradient + i * dim;
      return [=](int64_t k) { return dy[k]; };
    });
  }

 private:
  template <class T>
  void find_rows(const Context<T>& c, Range some) const {
    if (c.parameters[0].gradient != nullptr)
      for (int64_t i = some.begin; i < some.end; ++i)
        tables.numbers(c)[i] = tables.row_of(c, i);
    put(c.inputs[0], some, [](int64_t) { return T(0); });  // a code has no derivative
  }

  [[nodiscard]] Stretches vectors(int64_t rows) const {
    return {rows * tables.codes, tables.dim};
  }
};

struct EmbeddingBag {
  static constexpr std::string_view name = "embedding_bag";

  enum class Divisor { one, root, count };

  detail::CodeTables tables;
  detail::Silencing silencing;
  Divisor divisor;
  int64_t length;  // codes of a bag

  static EmbeddingBag read(const Attributes& attributes, const Shapes& shapes) {
    const std::string word = attributes.word("pooling");
    return {detail::CodeTables::read(attributes, shapes, 1),
            detail::Silencing::read(attributes),
            word == "mean"  ? Divisor::count
            : word == "sum" ? Divisor::one
                            : Divisor::root,
            shapes.inputs[0].back()};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Scratch: what the tables need, and the factor of each bag.
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    return {.scratch = tables.scratch(rows) + rows * tables.codes / length};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const { return bags(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {bags(rows).work()[0], tables.parts()};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range some = bags(c.rows).range(task);
    find_rows(c, some);
    for (int64_t bag = some.begin; bag < some.end; ++bag) pool(c, bag, factor(c, bag));
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    T* factors = c.scratch + tables.scratch(c.rows);
    if (task.phase == 0) {
      const Range some = bags(c.rows).range(task);
      find_rows(c, some);
      put(c.inputs[0], {some.begin * length, some.end * length},
          [](int64_t) { return T(0); });  // a code has no derivative
      for (int64_t bag = some.begin; bag < some.end; ++bag)
        factors[bag] = static_cast<T>(factor(c, bag));
      return;
    }
    tables.weight_gradient(c, task.part, [=, this, &c](int64_t i) {
      const int64_t bag = i / length;
      const T* dy = c.output.gradient + bag * tables.dim;
      return [=, f = factors[bag]](int64_t k) { return dy[k] * f; };
    });
  }

 private:
  [[nodiscard]] Stretches bags(int64_t rows) const {
    return {rows * tables.codes / length, length * tables.dim};
  }

  // The row of each code of some bags, -1 where it is silenced.
  template <class T>
  void find_rows(const Context<T>& c, Range some) const {
    auto* rows = tables.numbers(c);
    const Range codes = {some.begin * length, some.end * length};
    for (int64_t i = codes.begin; i < codes.end; ++i) rows[i] = tables.row_of(c, i);
    if (!c.training || silencing.threshold == 0) return;
    silencing.each_tile(c, c.first_row * tables.codes, codes, [=](Range part, auto keeps) {
      for (int64_t i = part.begin; i < part.end; ++i)
        if (!keeps(i)) rows[i] = -1;
    });
  }

  // What the sum of a bag is multiplied with.
  template <class T>
  [[nodiscard]] double factor(const Context<T>& c, int64_t bag) const {
    int64_t count = 0;
    for (int64_t i = bag * length; i < (bag + 1) * length; ++i)
      count += tables.row_of(c, i) >= 0;
    const double scale = c.training ? silencing.scale : 1;
    if (count == 0 || divisor == Divisor::one) return scale;
    const auto n = static_cast<double>(count);
    return scale / (divisor == Divisor::root ? std::sqrt(n) : n);
  }

  // y = factor times the sum of the bag's vectors, some numbers of them at a time.
  template <class T>
  void pool(const Context<T>& c, int64_t bag, double factor) const {
    constexpr int64_t tile = 64;
    double sums[tile];
    for (int64_t begin = 0; begin < tables.dim; begin += tile) {
      const int64_t width = std::min(tile, tables.dim - begin);
      std::fill_n(sums, width, 0.0);
      for (int64_t i = bag * length; i < (bag + 1) * length; ++i) {
        const int64_t row = tables.numbers(c)[i];
        if (row < 0) continue;
        const T* vector = c.parameters[0].value + row * tables.dim + begin;
        fill(sums, {0, width}, [&](int64_t k) { return sums[k] + double(vector[k]); });
      }
      fill(c.output.value + bag * tables.dim + begin, {0, width},
           [&](int64_t k) { return static_cast<T>(sums[k] * factor); });
    }
  }
};

}  // namespace nervure
