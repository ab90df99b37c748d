// SPDX-License-Identifier: BSD-3-Clause
// Dense: z = x W + b.
//
// Legend: m rows (samples), k features, n units; x (m, k), weight (k, n), bias (n).
// Each of the three products z = x W, dW = x^T dz, dx = dz W^T is cut along the columns
// or rows of what it gives. Where features are many and units few, or the layer is large,
// z = x W is also cut along the features, and two halves are added: a worker then meets
// the same rows of W in all products and in the update, and they stay in its cache or at
// least on its side. A large layer has a phase for dx and one for dW and the updates,
// which read dz in panels that are packed once. Where the batch is long and W small, dW is
// the sum over two halves of the batch: a worker then reads the x and dz that it has made
// itself.
//
// In training, features that are 0 in the whole batch are left out of z and dW (active.h).
// In inference they are not, since a row's z must not depend on the rows beside it.
#pragma once

#include <algorithm>

#include "../products/gemm.h"
#include "active.h"
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
    return {.saved = Active(features, lists_ever()).saved(rows),
            .scratch = std::max({halved(rows) ? rows * units : 0,
                                 large(rows) ? panels_room<float>(rows, units) : 0,
                                 ever_split(rows) ? (features + 1) * units : 0})};
  }

  [[nodiscard]] Work forward_work(int64_t rows) const {
    Work work{};
    size_t phase = 0;
    if (finds_first(rows)) work[phase++] = 2;
    work[phase++] = halved(rows) ? 2 * half_cut(rows).parts : forward_cut(rows).parts;
    if (halved(rows)) work[phase++] = parts_of(rows * units, elementwise_grain);
    return work;
  }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    if (split(rows)) return {2, parts_of(features * units, elementwise_grain)};
    if (large(rows)) return {2 + input_cut(rows).parts, weight_cut(rows).parts};
    return {together(rows) ? 1 : weight_cut(rows).parts + input_cut(rows).parts};
  }

  [[nodiscard]] bool by_halves(int64_t rows) const {
    return halved(rows) && (finds_first(rows) || half_cut(rows).parts == 1);
  }
  template <class T>
  [[nodiscard]] Early early(const Context<T>& c) const {
    if (split(c.rows)) return {};
    const bool read =
        c.inputs[0].gradient != nullptr && !together(c.rows) && !large(c.rows);
    return {!read && !weight_cut(c.rows).by_columns, has_bias};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    if (finds_first(c.rows) && task.phase-- == 0) return active(c).find(c, task.part);
    if (halved(c.rows)) return task.phase == 0 ? half(c, task.part) : add(c, task.part);
    const Block block = block_of(forward_cut(c.rows), c.rows, units, task.part);
    product(c, block, {0, features}, c.output.value, has_bias);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (split(c.rows))
      return task.phase == 0 ? batch_half(c, task.part) : add_half(c, task.part);
    const auto weights = [&](int64_t part) { weights_backward(c, part); };
    if (large(c.rows) && task.phase == 1) return weights(task.part);
    if (large(c.rows))
      return beside_inputs(c, task.part, 2, [&](int64_t half) { pack_half(c, half); });
    if (together(c.rows)) {
      input_backward(c, 0);
      return weights(0);
    }
    beside_inputs(c, task.part, weight_cut(c.rows).parts, weights);
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

  // A smaller batch of the same plan is never large, or halved, where the largest is not.
  [[nodiscard]] bool large(int64_t rows) const {
    return units > 128 && features >= 256 && rows * units * features >= 10'000'000;
  }
  [[nodiscard]] bool halved(int64_t rows) const {
    return large(rows) || (features >= std::max<int64_t>(64, 4 * units) && units <= 128 &&
                           rows * units * features >= 100'000);
  }
  [[nodiscard]] Cut forward_cut(int64_t rows) const {
    return Cut::of(rows, units, features);
  }
  // Of the rows of one half.
  [[nodiscard]] Cut half_cut(int64_t rows) const {
    return large(rows) ? Cut::of(rows, units, features / 2) : Cut{false, rows, 1, 1};
  }

  // Are the features that are not 0 listed, in training? Looking at each element of x is
  // little beside multiplying it by the row of W.
  [[nodiscard]] bool lists(int64_t rows) const {
    return lists_ever() && 2 * rows * features * units >= 100'000 &&
           !is_large(rows, features) && !is_large(features, rows);
  }
  [[nodiscard]] bool lists_ever() const { return features >= 64 && units >= 16; }
  // In a phase of its own; else each half of the features is looked at where it is used.
  [[nodiscard]] bool finds_first(int64_t rows) const {
    return lists(rows) && !(halved(rows) && half_cut(rows).parts == 1);
  }
  template <class T>
  [[nodiscard]] Active active(const Context<T>& c) const {
    return {features, c.training && lists(c.rows)};
  }

  // Some rows and columns of z, from all features or one half of them.
  template <class T>
  void product(const Context<T>& c, const Block& b, Range of, T* target,
               bool with_bias) const {
    T* z = target + b.row * units + b.column;
    if (with_bias)
      for (int64_t i = 0; i < b.rows; ++i)
        std::copy_n(c.parameters[1].value + b.column, b.columns, z + i * units);
    blas::Product p{.m = b.rows, .n = b.columns, .beta = with_bias ? 1.0 : 0.0};
    active(c).each_view(c, of, [&](const Features<T>& v, Range) {
      p.k = v.size;
      const T* weight = c.parameters[0].value + v.first * units + b.column;
      const T* x = v.x + b.row * v.stride;
      const Listed rows{.of_b = v.numbers};
      // In inference a row's bits must not depend on how many are beside it.
      c.training ? gemm<T>(p, x, v.stride, weight, units, z, units, rows)
                 : own_gemm(p, x, v.stride, weight, units, z, units, rows);
      p.beta = 1;
    });
  }

  // Some rows of one half, into z or beside it.
  template <class T>
  void half(const Context<T>& c, int64_t part) const {
    const Cut cut = half_cut(c.rows);
    const bool first = part < cut.parts;
    const Range of = half_of(features, first ? 0 : 1);
    if (!finds_first(c.rows)) active(c).find(c, first ? 0 : 1);
    product(c, block_of(cut, c.rows, units, part % cut.parts), of,
            first ? c.output.value : c.scratch, first && has_bias);
  }
  template <class T>
  void add(const Context<T>& c, int64_t part) const {
    const Range r = range_of(c.rows * units, elementwise_grain, part);
    for (int64_t i = r.begin; i < r.end; ++i) c.output.value[i] += c.scratch[i];
  }

  // Of dW: where z is the sum of two halves, at the same feature; and into parts that fit
  // the nearest cache, where dz need not be packed for each.
  [[nodiscard]] Cut weight_cut(int64_t rows) const {
    constexpr int64_t near = 4096;
    const Cut cut = Cut::of(features, units, rows);
    if (!halved(rows)) return cut;
    int64_t parts = std::clamp<int64_t>(cut.parts, 2, 8);
    if (rows * units <= near) parts = std::max(parts, features * units / near);
    return {false, features, line_columns,
            static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(parts)))};
  }
  // Of dx: where z is the sum of two halves, at the same feature, as well.
  [[nodiscard]] Cut input_cut(int64_t rows) const {
    const Cut cut = Cut::of(rows, features, units);
    return large(rows) ? Cut{true, features, line_columns, std::min<int64_t>(8, cut.parts)}
                       : cut;
  }
  // One part of a phase of dx and others: half of the others and of dx, then the other
  // halves. So two workers keep to their halves of W even where no dx is wanted, and its
  // parts do nothing.
  template <class T>
  void beside_inputs(const Context<T>& c, int64_t part, int64_t others,
                     auto&& other) const {
    const int64_t inputs = input_cut(c.rows).parts, middle = others / 2 + inputs / 2;
    const bool second = part >= middle;
    const int64_t begin = second ? others / 2 : 0, end = second ? others : others / 2;
    const int64_t place = second ? part - middle : part;
    if (place < end - begin) return other(begin + place);
    input_backward(c, (second ? inputs / 2 : 0) + place - (end - begin));
  }
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
    const Block all{0, features, 0, units};
    const Operand<T>& weight = c.parameters[0];
    if (part == 0)
      weight_gradient(c, all, of, weight.gradient, weight.accumulate);
    else if (weight.gradient != nullptr)
      weight_gradient(c, all, of, c.scratch, false);
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

  // Where a block of W begins in an array like it, or null.
  template <class T>
  T* at(T* array, const Block& b) const {
    return array == nullptr ? array : array + b.row * units + b.column;
  }

  // Half of the panels of dz, for all parts of dW.
  template <class T>
  void pack_half(const Context<T>& c, int64_t which) const {
    if (c.parameters[0].gradient != nullptr)
      pack_panels(c.scratch, c.output.gradient, units, c.rows, units, which);
  }

  template <class T>
  void weights_backward(const Context<T>& c, int64_t part) const {
    const Block block = block_of(weight_cut(c.rows), features, units, part);
    const Range all{0, c.rows};
    const Early complete = c.learner == nullptr ? Early{} : early(c);
    const auto taken = [&](size_t parameter) {
      return complete[parameter] && c.learner->takes(parameter);
    };
    const Operand<T>& weight = c.parameters[0];
    if (taken(0))
      learn(c, block);
    else
      weight_gradient(c, block, all, at(weight.gradient, block), weight.accumulate);
    if (block.row > 0 || !has_bias) return;
    const Operand<T>& bias = c.parameters[1];
    bias_gradient(c, block.column, block.columns, all, bias);
    if (taken(1))
      c.learner->take(1, {block.column, block.column + block.columns},
                      bias.gradient + block.column);
  }
  // Gradients of some rows of W and their updates, a few rows at a time and all in the
  // place of the first: so they do not leave the cache.
  template <class T>
  void learn(const Context<T>& c, const Block& block) const {
    if (const auto rate = c.learner->descent(0)) return descend(c, block, *rate);
    T* place = at(c.parameters[0].gradient, block);
    const int64_t rows = std::max(line_columns, learned_at_once / units);
    for (int64_t done = 0; done < block.rows; done += rows) {
      const Block some{block.row + done, std::min(rows, block.rows - done), 0, units};
      weight_gradient(c, some, {0, c.rows}, place, false);
      c.learner->take(0, {some.row * units, (some.row + some.rows) * units}, place);
    }
  }
  static constexpr int64_t learned_at_once = 24'000;  // elements of W

  // W <- W - rate dW, of which nothing is kept.
  template <class T>
  void descend(const Context<T>& c, const Block& b, double rate) const {
    weight_product(c, b, {0, c.rows}, {.beta = 1, .alpha = -rate},
                   at(c.parameters[0].value, b));
  }
  template <class T>
  void input_backward(const Context<T>& c, int64_t part) const {
    if (c.inputs[0].gradient == nullptr) return;
    input_gradient(c, block_of(input_cut(c.rows), c.rows, features, part));
  }

  // Of some rows of the batch; the block's first element lies at `dweight`, or nowhere.
  template <class T>
  void weight_gradient(const Context<T>& c, const Block& b, Range of, T* dweight,
                       bool accumulate) const {
    if (dweight != nullptr)
      weight_product(c, b, of, {.beta = accumulate ? 1.0 : 0.0}, dweight);
  }
  // target <- alpha x^T dz + beta target, without the features that are left out.
  template <class T>
  void weight_product(const Context<T>& c, const Block& b, Range of, blas::Product p,
                      T* target) const {
    p.transpose_a = true;
    p.n = b.columns;
    p.k = of.size();
    const T* dz = c.output.gradient + of.begin * units + b.column;
    active(c).each_view(c, {b.row, b.row + b.rows}, [&](const Features<T>& v, Range some) {
      p.m = v.size;
      const T* x = v.x + of.begin * v.stride;
      T* to = target + (v.first - b.row) * units;
      const Listed rows{.of_c = v.numbers};
      if (v.numbers != nullptr && p.beta == 0) zero_gaps(v, some, b.columns, to);
      if (large(c.rows))
        gemm_by_panels(p, x, v.stride, c.scratch, to, units, rows);
      else
        gemm<T>(p, x, v.stride, dz, units, to, units, rows);
    });
  }
  // The rows of dW of features that are 0, which the view leaves out.
  template <class T>
  void zero_gaps(const Features<T>& v, Range of, int64_t columns, T* dweight) const {
    int64_t next = of.begin;
    const auto zero = [&](int64_t end) {
      for (; next < end; ++next) std::fill_n(dweight + next * units, columns, T(0));
    };
    for (int64_t i = 0; i < v.size; ++i, ++next) zero(v.numbers[i]);
    zero(of.end);
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
