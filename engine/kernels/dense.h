// SPDX-License-Identifier: BSD-3-Clause
// Dense: z = x W + b.
//
// Legend: m rows (samples), k features, n units; x (m, k), weight (k, n), bias (n).
// Each of the three products z = x W, dW = x^T dz, dx = dz W^T is cut along the columns
// or rows of what it gives. Where features are many and units few, z = x W is also cut
// along the features, and two halves are added: a worker then meets the same rows of W in
// the forward pass, in dW and in the update, and they stay in its cache. Where the batch
// is long and W small, dW is the sum over two halves of the batch: a worker then reads
// the x and dz that it has made itself.
#pragma once

#include <algorithm>

#include "../gemm.h"
#include "elementwise.h"

namespace nervure {

struct Dense {
  static constexpr std::string_view name = "dense";

  int64_t features, units;
  bool has_bias;

  static Dense read(const Attributes& attributes, const Shapes& shapes) {
    return {size_of(shapes.inputs[0]), size_of(shapes.output), attributes.flag("bias")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    return {.scratch = std::max(halved(rows) ? rows * units : 0,
                                ever_split(rows) ? (features + 1) * units : 0)};
  }

  [[nodiscard]] Work forward_work(int64_t rows) const {
    if (!halved(rows)) return {forward_cut(rows).parts};
    return {2 * half_cut(rows).parts, parts_of(rows * units, elementwise_grain)};
  }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    if (split(rows)) return {2, parts_of(features * units, elementwise_grain)};
    return {together(rows) ? 1 : weight_cut(rows).parts + input_cut(rows).parts};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    if (halved(c.rows)) return task.phase == 0 ? half(c, task.part) : add(c, task.part);
    const Block block = block_of(forward_cut(c.rows), c.rows, units, task.part);
    product(c, block, {0, features}, c.output.value, has_bias);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (split(c.rows))
      return task.phase == 0 ? batch_half(c, task.part) : add_half(c, task.part);
    const int64_t weights = weight_cut(c.rows).parts;
    if (task.part < weights) weights_backward(c, task.part);
    if (together(c.rows)) return input_backward(c, 0);
    if (task.part >= weights) input_backward(c, task.part - weights);
  }

 private:
  struct Block {
    int64_t row, rows, column, columns;
  };
  static Block block_of(const Cut& cut, int64_t rows, int64_t columns, int64_t part) {
    const int64_t begin = cut.begin(part), size = cut.begin(part + 1) - begin;
    if (cut.by_columns) return {0, rows, begin, size};
    return {begin, size, 0, columns};
  }

  // A smaller batch of the same plan is never halved where the largest is not.
  [[nodiscard]] bool halved(int64_t rows) const {
    return features >= 4 * units && units <= 128 && rows * units * features >= 100'000;
  }
  [[nodiscard]] Cut forward_cut(int64_t rows) const {
    return Cut::of(rows, units, features);
  }
  // Of the rows of one half.
  [[nodiscard]] Cut half_cut(int64_t rows) const {
    return {false, rows, 2, rows * units * features >= 10'000'000 ? 2 : 1};
  }

  // Some rows and columns of z, from some of the features.
  template <class T>
  void product(const Context<T>& c, const Block& b, Range of, T* target,
               bool with_bias) const {
    T* z = target + b.row * units + b.column;
    if (with_bias)
      for (int64_t i = 0; i < b.rows; ++i)
        std::copy_n(c.parameters[1].value + b.column, b.columns, z + i * units);
    gemm({.m = b.rows,
          .n = b.columns,
          .k = of.end - of.begin,
          .beta = with_bias ? 1.0 : 0.0},
         c.inputs[0].value + b.row * features + of.begin, features,
         c.parameters[0].value + of.begin * units + b.column, units, z, units);
  }

  // Some rows of one half, into z or beside it.
  template <class T>
  void half(const Context<T>& c, int64_t part) const {
    const Cut cut = half_cut(c.rows);
    const bool first = part < cut.parts;
    const Range of = range_of(features, (features + 1) / 2, first ? 0 : 1);
    product(c, block_of(cut, c.rows, units, part % cut.parts), of,
            first ? c.output.value : c.scratch, first && has_bias);
  }
  template <class T>
  void add(const Context<T>& c, int64_t part) const {
    const Range r = range_of(c.rows * units, elementwise_grain, part);
    for (int64_t i = r.begin; i < r.end; ++i) c.output.value[i] += c.scratch[i];
  }

  [[nodiscard]] Cut weight_cut(int64_t rows) const {
    return Cut::of(features, units, rows);
  }
  [[nodiscard]] Cut input_cut(int64_t rows) const { return Cut::of(rows, features, units); }
  // Both products are too small to be worth another worker.
  [[nodiscard]] bool together(int64_t rows) const {
    return weight_cut(rows).parts == 1 && input_cut(rows).parts == 1;
  }

  // Two workers that cut dW by its rows read half of x and all of dz from each other; by
  // the batch, half of a dW.
  [[nodiscard]] bool split(int64_t rows) const {
    const int64_t operations = 2 * rows * features * units;
    return 200'000 <= operations && operations < most_split && !halved(rows) &&
           rows * (features + 2 * units) > 4 * features * units;
  }
  // This batch or a smaller one of the same plan.
  [[nodiscard]] bool ever_split(int64_t rows) const {
    return split(std::min(rows, (most_split - 1) / (2 * features * units)));
  }
  static constexpr int64_t most_split = 16'000'000;  // more is worth more than two parts

  // The gradients of some rows of the batch; the second half's lie beside, dW before db.
  template <class T>
  void batch_half(const Context<T>& c, int64_t part) const {
    const Cut cut{false, c.rows, 2, 2};
    const Range of{cut.begin(part), cut.begin(part + 1)};
    Operand<T> weight = c.parameters[0];
    if (weight.gradient != nullptr) {
      if (part > 0) weight = {.gradient = c.scratch};
      weight_gradient(c, {0, features, 0, units}, of, weight);
    }
    if (has_bias && c.parameters[1].gradient != nullptr) {
      Operand<T> bias = c.parameters[1];
      if (part > 0) bias = {.gradient = c.scratch + features * units};
      bias_gradient(c, 0, units, of, bias);
    }
    if (c.inputs[0].gradient != nullptr)
      input_gradient(c, {of.begin, of.end - of.begin, 0, features});
  }
  template <class T>
  void add_half(const Context<T>& c, int64_t part) const {
    const auto add = [](Operand<T> to, Range range, const T* half) {
      to.accumulate = true;
      put(to, range, [=](int64_t i) { return half[i]; });
    };
    const int64_t size = features * units;
    add(c.parameters[0], range_of(size, elementwise_grain, part), c.scratch);
    if (part == 0 && has_bias) add(c.parameters[1], {0, units}, c.scratch + size);
  }

  template <class T>
  void weights_backward(const Context<T>& c, int64_t part) const {
    const Block block = block_of(weight_cut(c.rows), features, units, part);
    const Range all{0, c.rows};
    weight_gradient(c, block, all, c.parameters[0]);
    if (block.row == 0 && has_bias)
      bias_gradient(c, block.column, block.columns, all, c.parameters[1]);
  }
  template <class T>
  void input_backward(const Context<T>& c, int64_t part) const {
    if (c.inputs[0].gradient == nullptr) return;
    input_gradient(c, block_of(input_cut(c.rows), c.rows, features, part));
  }

  // Of some rows of the batch.
  template <class T>
  void weight_gradient(const Context<T>& c, const Block& b, Range of,
                       const Operand<T>& weight) const {
    if (weight.gradient == nullptr) return;
    gemm({.transpose_a = true,
          .m = b.rows,
          .n = b.columns,
          .k = of.end - of.begin,
          .beta = weight.accumulate ? 1.0 : 0.0},
         c.inputs[0].value + of.begin * features + b.row, features,
         c.output.gradient + of.begin * units + b.column, units,
         weight.gradient + b.row * units + b.column, units);
  }

  // db = sum of dz over these rows; columns are cut by multiples of the grain.
  template <class T>
  void bias_gradient(const Context<T>& c, int64_t column, int64_t columns, Range of,
                     const Operand<T>& bias) const {
    const T* dz = c.output.gradient + of.begin * units;
    const int64_t end = channel_parts(column + columns);
    for (int64_t part = column / channel_grain; part < end; ++part)
      add_pixels(bias, dz, of.end - of.begin, units, part);
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
