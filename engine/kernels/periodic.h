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
  // Scratch: cosines and sines of each feature.
  [[nodiscard]] Buffers buffers(int64_t) const {
    return {.scratch = 2 * frequencies * features};
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
          y[l] = bias[l - 1] +
                 simd::dot(own.weight + (l - 1) * frequencies, own.cosine, frequencies);
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

  // The gradient of feature j in parameter p, or null; begun with 0 where it is written.
  template <class T>
  static T* gradient(const Context<T>& c, size_t p, int64_t j, int64_t size) {
    const Operand<T>& parameter = c.parameters[p];
    if (parameter.gradient == nullptr) return nullptr;
    T* own = parameter.gradient + j * size;
    if (!parameter.accumulate) std::fill_n(own, size, T(0));
    return own;
  }

  template <class T>
  void each_feature(const Context<T>& c, int64_t j) const {
    const int64_t k = frequencies;
    const Feature<T> own = feature(c, j);
    T *df = gradient(c, 0, j, k), *dp = gradient(c, 1, j, k);
    T *dw = gradient(c, 2, j, k * (width - 1)), *db = gradient(c, 3, j, width - 1);
    const Operand<T>& input = c.inputs[0];
    for (int64_t i = 0; i < c.rows; ++i) {
      const int64_t at = i * features + j;
      const T x = input.value[at];
      const T* dy = c.output.gradient + at * width;
      if (dw != nullptr) {
        cosines(own, x);
        for (int64_t l = 1; l < width; ++l)
          add(dw + (l - 1) * k, {0, k},
              [&, l](int64_t q) { return dy[l] * own.cosine[q]; });
      }
      if (db != nullptr) add(db, {0, width - 1}, [=](int64_t l) { return dy[l + 1]; });
      angles(own, x, dy);  // da, in place of the cosines
      const T* da = own.cosine;
      if (dp != nullptr) add(dp, {0, k}, [=](int64_t q) { return da[q]; });
      if (df != nullptr) add(df, {0, k}, [=](int64_t q) { return da[q] * x; });
      if (input.gradient == nullptr) continue;
      const T dx = dy[0] + simd::dot(da, own.frequency, k);
      put(input, {at, at + 1}, [=](int64_t) { return dx; });
    }
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
