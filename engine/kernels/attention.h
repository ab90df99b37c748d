// SPDX-License-Identifier: BSD-3-Clause
// DotProductAttention: for each row and head P = softmax(Q K^T / sqrt(d)), Y = P V.
//   dV = P^T dY, dP = dY V^T, dS = P (dP - D) / sqrt(d) with D = sum(dY Y) of a query,
//   dQ = dS K, dK = dS^T Q
//
// Legend: q, k, v sizes of a step; a part is a head of a row. Some queries at a time, a
// block, see all keys: their weights lie in scratch and are computed again on the way
// back, from the logarithm of their sum, which is saved for each query and head.
#pragma once

#include <cmath>
#include <limits>

#include "../math.h"
#include "../products/gemm.h"
#include "elementwise.h"

namespace nervure {

struct DotProductAttention {
  static constexpr std::string_view name = "dot_product_attention";
  static constexpr int64_t block = 64;  // queries

  int64_t heads, width, out;  // width and out: of a head, in Q and K, and in V and Y
  bool causal;

  static DotProductAttention read(const Attributes& attributes, const Shapes& shapes) {
    const int64_t heads = attributes.integer("heads");
    return {heads, shapes.inputs[0].back() / heads, shapes.inputs[2].back() / heads,
            attributes.flag("causal")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return true; }
  [[nodiscard]] bool in_place() const { return false; }
  // Saved: logarithms of sums. Scratch: P and dP of each part's block.
  [[nodiscard]] Buffers buffers(Extent e) const {
    return {.saved = heads * e.steps, .scratch = 2 * heads * block * e.other_steps};
  }
  [[nodiscard]] Work forward_work(Extent e) const { return {e.rows * heads}; }
  [[nodiscard]] Work backward_work(Extent e) const { return {e.rows * heads}; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Part<T> part(*this, c, task.part);
    T* p = part.scratch;
    part.each_block([&](Range queries, int64_t keys) {
      const int64_t count = queries.size();
      T* y = part.y + queries.begin * part.y_step;
      if (keys == 0) return put_zeros(y, count, out, part.y_step);
      gemm({.transpose_b = true, .m = count, .n = keys, .k = width},
           part.q + queries.begin * part.q_step, part.q_step, part.k, part.k_step, p, keys);
      for (int64_t i = queries.begin; i < queries.end; ++i)
        part.logs[i] = weigh(p + (i - queries.begin) * keys, part.seen(i), keys);
      gemm({.m = count, .n = out, .k = keys}, p, keys, part.v, part.v_step, y, part.y_step);
    });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Part<T> part(*this, c, task.part);
    for (size_t i = 0; i < 3; ++i) {  // one after the other: they may be the same
      const Operand<T>& x = c.inputs[i];
      if (x.gradient != nullptr && !x.accumulate)
        put_zeros(part.gradient(i), i == 0 ? part.queries : part.keys, i == 2 ? out : width,
                  x.size);
    }
    part.each_block([&](Range queries, int64_t keys) {
      if (keys > 0) block_back(part, queries, keys);
    });
  }

 private:
  // A head of a row: where its operands begin, and how far their steps lie apart.
  template <class T>
  struct Part {
    const DotProductAttention& layer;
    const Context<T>& c;
    int64_t head, first, other, queries, keys, q_step, k_step, v_step, y_step;
    const T *q, *k, *v;
    T *y, *dy, *logs, *scratch;

    Part(const DotProductAttention& layer, const Context<T>& c, int64_t part)
        : layer(layer), c(c), head(part % layer.heads) {
      const int64_t row = part / layer.heads;
      const Lengths &own = c.inputs[0].lengths, &others = c.inputs[1].lengths;
      first = own.begin(row), other = others.begin(row);
      queries = own.of(row), keys = others.of(row);
      q_step = c.inputs[0].size, k_step = c.inputs[1].size;
      v_step = c.inputs[2].size, y_step = layer.heads * layer.out;
      q = c.inputs[0].value + first * q_step + head * layer.width;
      k = c.inputs[1].value + other * k_step + head * layer.width;
      v = c.inputs[2].value + other * v_step + head * layer.out;
      const int64_t at = first * y_step + head * layer.out;
      y = c.output.value + at;
      dy = c.output.gradient == nullptr ? nullptr : c.output.gradient + at;
      logs = c.saved + first * layer.heads + head * queries;
      scratch = c.scratch + 2 * block * (other * layer.heads + head * keys);
    }
    [[nodiscard]] T* gradient(size_t input) const {
      T* dx = c.inputs[input].gradient;
      if (dx == nullptr) return nullptr;
      return dx + (input == 0 ? first : other) * c.inputs[input].size +
             head * (input == 2 ? layer.out : layer.width);
    }
    // Keys that a query sees; what comes later is hidden, the last sees the last.
    [[nodiscard]] int64_t seen(int64_t query) const {
      if (!layer.causal) return keys;
      return std::clamp(query + 1 + keys - queries, int64_t{0}, keys);
    }
    // call(queries, keys that one of them sees)
    template <class Call>
    void each_block(Call&& call) const {
      for (int64_t begin = 0; begin < queries; begin += block) {
        const int64_t end = std::min(begin + block, queries);
        call(Range{begin, end}, seen(end - 1));
      }
    }
  };

  template <class T>
  static void put_zeros(T* x, int64_t rows, int64_t columns, int64_t step) {
    for (int64_t i = 0; i < rows; ++i) std::fill_n(x + i * step, columns, T(0));
  }

  // Scores become weights, those of keys that are not seen 0; the logarithm of the sum.
  template <class T>
  T weigh(T* s, int64_t seen, int64_t keys) const {
    std::fill(s + seen, s + keys, T(0));
    if (seen == 0) return 0;
    const T scale = factor<T>(), top = scale * simd::max(s, seen);
    fill(s, {0, seen}, [=](int64_t j) { return math::exp(scale * s[j] - top); });
    const T sum = static_cast<T>(simd::sum(s, seen)), share = T(1) / sum;
    fill(s, {0, seen}, [=](int64_t j) { return s[j] * share; });
    return top + static_cast<T>(std::log(sum));
  }
  template <class T>
  [[nodiscard]] T factor() const {
    return static_cast<T>(1 / std::sqrt(static_cast<double>(width)));
  }

  template <class T>
  void block_back(const Part<T>& part, Range queries, int64_t keys) const {
    const int64_t count = queries.size();
    const T* q = part.q + queries.begin * part.q_step;
    const T* dy = part.dy + queries.begin * part.y_step;
    const T scale = factor<T>();
    T *p = part.scratch, *ds = p + block * part.keys;
    gemm({.transpose_b = true, .m = count, .n = keys, .k = width}, q, part.q_step, part.k,
         part.k_step, p, keys);
    gemm({.transpose_b = true, .m = count, .n = keys, .k = out}, dy, part.y_step, part.v,
         part.v_step, ds, keys);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t query = queries.begin + i, seen = part.seen(query);
      T *own = p + i * keys, *slope = ds + i * keys;
      const T log = part.logs[query];
      const T dot = inner(dy + i * part.y_step, part.y + query * part.y_step);
      fill(own, {0, seen}, [=](int64_t j) { return math::exp(scale * own[j] - log); });
      fill(slope, {0, seen}, [=](int64_t j) { return own[j] * (slope[j] - dot) * scale; });
      std::fill(own + seen, own + keys, T(0));
      std::fill(slope + seen, slope + keys, T(0));
    }
    if (T* dv = part.gradient(2))
      gemm({.transpose_a = true, .m = keys, .n = out, .k = count, .beta = 1}, p, keys, dy,
           part.y_step, dv, part.v_step);
    if (T* dq = part.gradient(0))
      gemm({.m = count, .n = width, .k = keys, .beta = 1}, ds, keys, part.k, part.k_step,
           dq + queries.begin * part.q_step, part.q_step);
    if (T* dk = part.gradient(1))
      gemm({.transpose_a = true, .m = keys, .n = width, .k = count, .beta = 1}, ds, keys, q,
           part.q_step, dk, part.k_step);
  }
  // sum(dY Y) of a query, in double.
  template <class T>
  [[nodiscard]] T inner(const T* dy, const T* y) const {
    double sum = 0;
    for (int64_t j = 0; j < out; ++j) sum += double(dy[j]) * double(y[j]);
    return static_cast<T>(sum);
  }
};

}  // namespace nervure
