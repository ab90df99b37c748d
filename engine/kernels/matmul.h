// SPDX-License-Identifier: BSD-3-Clause
// MatMul: products of matrices that both depend on the row, C = A B for each pair.
//   dA = dC B^T, dB = A^T dC
#pragma once

#include "../products/gemm.h"
#include "elementwise.h"

namespace nervure {

struct MatMul {
  static constexpr std::string_view name = "matmul";

  int64_t pairs, m, n, k;  // pairs of one sample

  static MatMul read(const Attributes&, const Shapes& shapes) {
    const Shape &a = shapes.inputs[0], &c = shapes.output;
    const int64_t m = c[c.size() - 2], n = c.back();
    return {size_of(c) / (m * n), m, n, a.back()};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const { return cut(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const { return cut(rows).work(); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = cut(c.rows).range(task);
    for (int64_t i = range.begin; i < range.end; ++i)
      gemm({.m = m, .n = n, .k = k}, c.inputs[0].value + i * m * k, k,
           c.inputs[1].value + i * k * n, n, c.output.value + i * m * n, n);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range range = cut(c.rows).range(task);
    const Operand<T>&a = c.inputs[0], &b = c.inputs[1];
    for (int64_t i = range.begin; i < range.end; ++i) {
      const T* dc = c.output.gradient + i * m * n;
      if (a.gradient != nullptr)
        gemm({.transpose_b = true, .m = m, .n = k, .k = n, .beta = double(a.accumulate)},
             dc, n, b.value + i * k * n, n, a.gradient + i * m * k, k);
      if (b.gradient != nullptr)
        gemm({.transpose_a = true, .m = k, .n = n, .k = m, .beta = double(b.accumulate)},
             a.value + i * m * k, k, dc, n, b.gradient + i * k * n, n);
    }
  }

 private:
  // A product is the unit of work.
  [[nodiscard]] Stretches cut(int64_t rows) const { return {rows * pairs, m * n * k}; }
};

}  // namespace nervure
