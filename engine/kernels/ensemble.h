// SPDX-License-Identifier: BSD-3-Clause
// Ensembles of members that share their weights, and their mean.
//
// EnsembleDense: z_m = ((x_m * r_m) W) * s_m + b_m for each member m.
//
// Legend: `rows` samples of m members, k features, n units; x (m, k), or (k) where the
// members begin; weight W (k, n); r (m, k); s and b (m, n). v = x * r and u = v W are kept
// for the backward pass. The members of all samples are the rows of one product.
//   du = dz * s, dW = v^T du, dv = du W^T, dx = dv * r; dr, ds, db are sums over samples,
// one for each block of them, which the second phase adds up in their order.
#pragma once

#include <algorithm>

#include "../products/gemm.h"
#include "elementwise.h"

namespace nervure {

struct EnsembleDense {
  static constexpr std::string_view name = "ensemble_dense";

  int64_t members, features, units;
  bool begins;  // the input has no axis of members

  static EnsembleDense read(const Attributes& attributes, const Shapes& shapes) {
    return {shapes.output[0], shapes.inputs[0].back(), shapes.output[1],
            attributes.flag("begins")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Saved: v and u. Scratch: du, dv, and the sums of each block.
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    const int64_t each = rows * members * (features + units);
    return {.saved = each, .scratch = each + blocks(rows) * sums()};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const { return {blocks(rows)}; }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {blocks(rows), weight_cut(rows).parts + 1};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range block = block_of(c.rows, task.part);
    const Arrays<T> a = arrays(c);
    const T *r = c.parameters[1].value, *s = c.parameters[2].value;
    const T* b = c.parameters[3].value;
    for (int64_t i = block.begin; i < block.end; ++i)
      each_member(
          i,
          [&](int64_t m, int64_t row, const T* x) {
            const T* scale = r + m * features;
            fill(a.v + row * features, {0, features},
                 [=](int64_t j) { return x[j] * scale[j]; });
          },
          c.inputs[0].value);
    const int64_t first = block.begin * members;
    gemm({.m = (block.end - block.begin) * members, .n = units, .k = features},
         a.v + first * features, features, c.parameters[0].value, units,
         a.u + first * units, units);
    for (int64_t i = block.begin; i < block.end; ++i) {
      const T* u = a.u + i * members * units;
      fill(c.output.value + i * members * units, {0, members * units},
           [=](int64_t j) { return u[j] * s[j] + b[j]; });
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (task.phase == 0) return through(c, task.part);
    if (task.part == weight_cut(c.rows).parts) return add_up(c);
    const Operand<T>& weight = c.parameters[0];
    if (weight.gradient == nullptr) return;
    const Cut cut = weight_cut(c.rows);
    const Arrays<T> a = arrays(c);
    const Range range = {cut.begin(task.part), cut.begin(task.part + 1)};
    const Range some = cut.by_columns ? Range{0, features} : range;
    const Range columns = cut.by_columns ? range : Range{0, units};
    gemm({.transpose_a = true,
          .m = some.end - some.begin,
          .n = columns.end - columns.begin,
          .k = c.rows * members,
          .beta = weight.accumulate ? 1.0 : 0.0},
         a.v + some.begin, features, a.du + columns.begin, units,
         weight.gradient + some.begin * units + columns.begin, units);
  }

 private:
  static constexpr int64_t most_blocks = 16, work = 4'000'000;

  template <class T>
  struct Arrays {
    T *v, *u;           // saved
    T *du, *dv, *sums;  // scratch
  };
  template <class T>
  Arrays<T> arrays(const Context<T>& c) const {
    const int64_t rows = c.rows * members;
    T* du = c.scratch;
    return {c.saved, c.saved + rows * features, du, du + rows * units,
            du + rows * (units + features)};
  }

  // Long sums of a block: dr (m, k), ds (m, n), db (m, n); their high parts, then their
  // low.
  [[nodiscard]] int64_t columns() const { return members * (features + 2 * units); }
  [[nodiscard]] int64_t sums() const { return 2 * columns(); }
  template <class T>
  [[nodiscard]] LongSums<T> sums_of(const Context<T>& c, int64_t block) const {
    T* high = arrays(c).sums + block * sums();
    return {high, high + columns()};
  }

  [[nodiscard]] int64_t blocks(int64_t rows) const {
    const int64_t wanted = 2 * rows * members * features * units / work;
    return std::min(rows, std::clamp<int64_t>(wanted, 1, most_blocks));
  }
  [[nodiscard]] Range block_of(int64_t rows, int64_t part) const {
    return share_of(rows, blocks(rows), part);
  }
  [[nodiscard]] Cut weight_cut(int64_t rows) const {
    return Cut::of(features, units, rows * members);
  }

  // f(member, row of the products, its input) for each member of sample i.
  template <class T>
  void each_member(int64_t i, auto f, const T* x) const {
    for (int64_t m = 0; m < members; ++m) {
      const int64_t row = i * members + m;
      f(m, row, x + (begins ? i : row) * features);
    }
  }

  // One block of samples: du, its sums, and what goes on to the input.
  template <class T>
  void through(const Context<T>& c, int64_t part) const {
    const Range block = block_of(c.rows, part);
    const Arrays<T> a = arrays(c);
    const LongSums<T> sums = sums_of(c, part);
    sums.clear(columns());
    const int64_t width = members * units, first_row = block.begin * width;
    const T *s = c.parameters[2].value, *dz = c.output.gradient + first_row;
    const T* u = a.u + first_row;
    for (int64_t i = block.begin; i < block.end; ++i) {
      const T* from = c.output.gradient + i * width;
      fill(a.du + i * width, {0, width}, [=](int64_t j) { return from[j] * s[j]; });
    }
    const LongSums<T> ds = sums.from(members * features), db = ds.from(width);
    add_rows(ds, block.size(), width, [=](int64_t i) {
      return [d = dz + i * width, v = u + i * width](int64_t j) { return d[j] * v[j]; };
    });
    add_rows(db, block.size(), width,
             [=](int64_t i) { return [d = dz + i * width](int64_t j) { return d[j]; }; });
    const bool wanted = c.inputs[0].gradient != nullptr;
    if (!wanted && c.parameters[1].gradient == nullptr) return;
    const int64_t first = block.begin * members;
    gemm({.transpose_b = true,
          .m = (block.end - block.begin) * members,
          .n = features,
          .k = units},
         a.du + first * units, units, c.parameters[0].value, units, a.dv + first * features,
         features);
    for (int64_t m = 0; m < members; ++m)
      add_rows(sums.from(m * features), block.size(), features, [&](int64_t i) {
        const int64_t sample = block.begin + i, row = sample * members + m;
        const T* x = c.inputs[0].value + (begins ? sample : row) * features;
        return [x, dv = a.dv + row * features](int64_t j) { return dv[j] * x[j]; };
      });
    if (!wanted) return;
    for (int64_t i = block.begin; i < block.end; ++i) to_input(c, i, a.dv);
  }

  // dx = dv * r of sample i; the sum of its members where they begin.
  template <class T>
  void to_input(const Context<T>& c, int64_t i, T* dv) const {
    const int64_t width = members * features, begin = i * (begins ? features : width);
    const T* r = c.parameters[1].value;
    T* dx = dv + i * width;
    fill(dx, {0, width}, [=](int64_t j) { return dx[j] * r[j]; });
    for (int64_t m = 1; begins && m < members; ++m) {
      const T* own = dx + m * features;
      fill(dx, {0, features}, [=](int64_t j) { return dx[j] + own[j]; });
    }
    const Range range = {begin, begin + (begins ? features : width)};
    put(c.inputs[0], range, [=](int64_t j) { return dx[j - begin]; });
  }

  template <class T>
  void add_up(const Context<T>& c) const {
    LongSums<T> from = sums_of(c, 0);
    const int64_t sizes[] = {members * features, members * units, members * units};
    for (size_t p = 0; p < 3; from = from.from(sizes[p]), ++p)
      put_long_sums(c.parameters[p + 1], {0, sizes[p]}, from, blocks(c.rows), sums());
  }
};

// EnsembleMean: y = mean of the members x_m, dx_m = dy / members.
struct EnsembleMean : InStretches {
  static constexpr std::string_view name = "ensemble_mean";

  int64_t members, size;  // size: elements of one member

  static EnsembleMean read(const Attributes&, const Shapes& shapes) {
    return {{1, size_of(shapes.inputs[0])}, shapes.inputs[0][0], size_of(shapes.output)};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = stretches(c.rows).range(task);
    const T share = T(1) / static_cast<T>(members);
    for (int64_t i = range.begin; i < range.end; ++i) {
      const T* x = c.inputs[0].value + i * members * size;
      T* y = c.output.value + i * size;
      std::copy_n(x, size, y);
      for (int64_t m = 1; m < members; ++m) {
        x += size;
        fill(y, {0, size}, [=](int64_t j) { return y[j] + x[j]; });
      }
      fill(y, {0, size}, [=](int64_t j) { return y[j] * share; });
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range range = stretches(c.rows).range(task);
    const T share = T(1) / static_cast<T>(members);
    for (int64_t row = range.begin * members; row < range.end * members; ++row) {
      const T* dy = c.output.gradient + row / members * size;
      const int64_t begin = row * size;
      put(c.inputs[0], {begin, begin + size},
          [=](int64_t i) { return dy[i - begin] * share; });
    }
  }
};

}  // namespace nervure
