// SPDX-License-Identifier: BSD-3-Clause
// PeriodicEmbedding: a number x becomes (x, W cos(f x + p) + b), for each feature.
//
// Legend: k frequencies f, phases p; `width` numbers y for each feature, the first x
// itself; weight W (features, width - 1, k). c = cos and s = sin of a = f x + p.
//   dc = W^T dy, da = -s dc, df = sum x da, dp = sum da, dx = dy_0 + sum f da.
// Work is cut by features, so that each part has its parameters to itself.
#pragma once

#include <algorithm>
#include <numbers>

#include "../math.h"
#include "elementwise.h"

namespace nervure {

struct PeriodicEmbedding {
  static constexpr std::string_view name = "periodic_embedding";

  int64_t features, width, frequencies;

  static PeriodicEmbedding read(const Attributes& attributes, const Shapes& shapes) {
    return {shapes.output[0], shapes.output[1], attributes.integer("frequencies")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Scratch: cosines and sines of each feature, and the sums of its gradients.
  [[nodiscard]] Buffers buffers(int64_t) const {
    return {.scratch = features * (2 * frequencies + StagedSums<float>::room(sums()))};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const { return cut(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const { return cut(rows).work(); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = cut(c.rows).range(task);
    for (int64_t j = range.begin; j < range.end; ++j) {
      const Feature<T> own = feature(c, j);
      const T* bias = c.parameters[3].value + j * (width - 1);
      for (int64_t i = 0; i < c.rows; ++i) {
        const T x = c.inputs[0].value[i * features + j];
        T* y = c.output.value + (i * features + j) * width;
        cosines(own, x);
        y[0] = x;
        for (int64_t l = 1; l < width; ++l)
          y[l] = bias[l - 1] + static_cast<T>(simd::dot(own.weight + (l - 1) * frequencies,
                                                        own.cosine, frequencies));
      }
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range range = cut(c.rows).range(task);
    for (int64_t j = range.begin; j < range.end; ++j) each_feature(c, j);
  }

 private:
  template <class T>
  struct Feature {
    const T *frequency, *phase, *weight;
    T *cosine, *sine;
    // The angle of wave q.
    [[nodiscard]] NERVURE_INLINE T turns(int64_t q, T x) const {
      constexpr T turn = static_cast<T>(0.5 * std::numbers::inv_pi);
      return (frequency[q] * x + phase[q]) * turn;
    }
  };

  // A feature's numbers of all rows are the unit of work.
  [[nodiscard]] Stretches cut(int64_t rows) const { return {features, rows * frequencies}; }

  template <class T>
  Feature<T> feature(const Context<T>& c, int64_t j) const {
    T* waves = c.scratch + 2 * frequencies * j;
    return {
        c.parameters[0].value + j * frequencies, c.parameters[1].value + j * frequencies,
        c.parameters[2].value + j * frequencies * (width - 1), waves, waves + frequencies};
  }

  template <class T>
  void cosines(const Feature<T>& own, T x) const {
    fill(own.cosine, {0, frequencies},
         [=](int64_t q) { return math::cos_turns(own.turns(q, x)); });
  }

  // Of a feature: df, dp, dW, db.
  [[nodiscard]] int64_t sums() const { return frequencies * (width + 1) + width - 1; }

  template <class T>
  void each_feature(const Context<T>& c, int64_t j) const {
    const Feature<T> own = feature(c, j);
    const StagedSums<T> sums = sums_of(c, j);
    sums.clear();
    for (int64_t i = 0; i < c.rows; ++i) {
      if (i > 0 && i % StagedSums<T>::most == 0) sums.pass_on();
      each_row(c, own, i * features + j, sums.some);
    }
    sums.pass_on();
    const int64_t k = frequencies, sizes[] = {k, k, k * (width - 1), width - 1};
    LongSums<T> from = sums.sums;
    for (size_t p = 0; p < 4; from = from.from(sizes[p]), ++p)
      put(c.parameters[p], {j * sizes[p], (j + 1) * sizes[p]},
          [=](int64_t i) { return static_cast<T>(from.total(i - j * sizes[p])); });
  }
  template <class T>
  [[nodiscard]] StagedSums<T> sums_of(const Context<T>& c, int64_t j) const {
    return {c.scratch + 2 * frequencies * features + j * StagedSums<T>::room(sums()),
            sums()};
  }

  // What one number x adds to the sums, and its dx.
  template <class T>
  void each_row(const Context<T>& c, const Feature<T>& own, int64_t at, T* df) const {
    const int64_t k = frequencies;
    T *dp = df + k, *dw = dp + k, *db = dw + k * (width - 1);
    const Operand<T>& input = c.inputs[0];
    const T x = input.value[at];
    const T* dy = c.output.gradient + at * width;
    if (c.parameters[2].gradient != nullptr) {
      cosines(own, x);
      for (int64_t l = 1; l < width; ++l)
        add(dw + (l - 1) * k, {0, k}, [&, l](int64_t q) { return dy[l] * own.cosine[q]; });
    }
    add(db, {0, width - 1}, [=](int64_t l) { return dy[l + 1]; });
    angles(own, x, dy);  // da, in place of the cosines
    const T* da = own.cosine;
    add(dp, {0, k}, [=](int64_t q) { return da[q]; });
    add(df, {0, k}, [=](int64_t q) { return da[q] * x; });
    if (input.gradient == nullptr) return;
    const T dx = dy[0] + static_cast<T>(simd::dot(da, own.frequency, k));
    put(input, {at, at + 1}, [=](int64_t) { return dx; });
  }

  // da = -s W^T dy
  template <class T>
  void angles(const Feature<T>& own, T x, const T* dy) const {
    fill(own.sine, {0, frequencies},
         [=](int64_t q) { return math::sin_turns(own.turns(q, x)); });
    std::fill_n(own.cosine, frequencies, T(0));
    for (int64_t l = 1; l < width; ++l) {
      const T* weight = own.weight + (l - 1) * frequencies;
      add(own.cosine, {0, frequencies}, [=](int64_t q) { return weight[q] * dy[l]; });
    }
    fill(own.cosine, {0, frequencies},
         [=](int64_t q) { return -own.sine[q] * own.cosine[q]; });
  }

  template <class T>
  static void add(T* to, Range range, auto f) {
    fill(to, range, [=](int64_t i) { return to[i] + f(i); });
  }
};

}  // namespace nervure
