// SPDX-License-Identifier: BSD-3-Clause
// Reduce: one number of all the elements of some axes.
//
// Legend: element k of a sample of y is made of the elements bases[k] + window[j] of x;
// each of x belongs to one of y. Sums are taken in double, in the order of j.
//   sum: dx = dy                mean: dx = dy / n
//   max, min: the first of the largest (smallest) takes dy
//   product: dx_j = dy times all others
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "elementwise.h"

namespace nervure {

struct Reduce {
  static constexpr std::string_view name = "reduce";

  enum class Function { sum, mean, max, min, product };

  Function function;
  int64_t from;  // elements of a sample of x
  std::vector<int64_t> bases, window;

  static Reduce read(const Attributes& attributes, const Shapes& shapes) {
    const Shape& x = shapes.inputs[0];
    const std::vector<int64_t> reduced = attributes.integers("reduced");
    Reduce kernel = {named(attributes.word("function")), size_of(x), {0}, {0}};
    int64_t stride = kernel.from;
    for (size_t axis = 0; axis < x.size(); ++axis) {
      stride /= x[axis];
      spread(reduced[axis] != 0 ? kernel.window : kernel.bases, x[axis], stride);
    }
    return kernel;
  }

  [[nodiscard]] bool reads_input() const {
    return function != Function::sum && function != Function::mean;
  }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const { return cut(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const { return cut(rows).work(); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = cut(c.rows).range(task);
    for (int64_t k = range.begin; k < range.end; ++k)
      c.output.value[k] = reduced(c.inputs[0].value + begin(k));
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Operand<T>& x = c.inputs[0];
    if (x.gradient == nullptr) return;
    const Range range = cut(c.rows).range(task);
    for (int64_t k = range.begin; k < range.end; ++k) {
      const T dy = c.output.gradient[k];
      const int64_t at = begin(k);
      switch (function) {
        case Function::sum:
          each(x, at, [=](int64_t) { return dy; });
          break;
        case Function::mean:
          each(x, at, [=, this](int64_t) { return dy / static_cast<T>(count()); });
          break;
        case Function::product:
          others(x, at, dy);
          break;
        default: {
          const int64_t chosen = extreme(x.value + at);
          each(x, at, [=](int64_t j) { return j == chosen ? dy : T(0); });
        }
      }
    }
  }

 private:
  // Each place becomes as many as the axis has, `stride` apart.
  static void spread(std::vector<int64_t>& places, int64_t extent, int64_t stride) {
    std::vector<int64_t> more;
    more.reserve(places.size() * extent);
    for (int64_t place : places)
      for (int64_t i = 0; i < extent; ++i) more.push_back(place + i * stride);
    places = std::move(more);
  }

  static Function named(const std::string& word) {
    if (word == "mean") return Function::mean;
    if (word == "max") return Function::max;
    if (word == "min") return Function::min;
    return word == "product" ? Function::product : Function::sum;
  }

  [[nodiscard]] int64_t kept() const { return static_cast<int64_t>(bases.size()); }
  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(window.size()); }
  [[nodiscard]] Stretches cut(int64_t rows) const { return {rows * kept(), count()}; }
  [[nodiscard]] int64_t begin(int64_t k) const {
    return k / kept() * from + bases[k % kept()];
  }

  template <class T>
  [[nodiscard]] T reduced(const T* x) const {
    if (reads_input() && function != Function::product) return x[window[extreme(x)]];
    if (function == Function::product) {
      double product = 1;
      for (int64_t j : window) product *= x[j];
      return static_cast<T>(product);
    }
    double sum = 0;
    for (int64_t j : window) sum += x[j];
    return static_cast<T>(function == Function::mean ? sum / double(count()) : sum);
  }

  // Which of the window is the first of the largest or smallest; a NaN stays.
  template <class T>
  [[nodiscard]] int64_t extreme(const T* x) const {
    const bool least = function == Function::min;
    int64_t found = 0;
    for (int64_t j = 1; j < count(); ++j) {
      const T best = x[window[found]], other = x[window[j]];
      const bool kept = best != best || (least ? best <= other : best >= other);
      if (!kept) found = j;
    }
    return found;
  }

  // dx at each place of the window.
  template <class T>
  void each(const Operand<T>& x, int64_t at, auto f) const {
    T* dx = x.gradient + at;
    for (int64_t j = 0; j < count(); ++j)
      dx[window[j]] = x.accumulate ? dx[window[j]] + f(j) : f(j);
  }

  // By the product of all that are not 0; one 0 is the only one to have a slope.
  template <class T>
  void others(const Operand<T>& x, int64_t at, T dy) const {
    const T* value = x.value + at;
    double product = dy;
    int64_t zeros = 0;
    for (int64_t j : window) value[j] == T(0) ? void(++zeros) : void(product *= value[j]);
    each(x, at, [=, this](int64_t j) {
      const T own = value[window[j]];
      if (zeros == 0) return static_cast<T>(product / own);
      return zeros == 1 && own == T(0) ? static_cast<T>(product) : T(0);
    });
  }
};

}  // namespace nervure
