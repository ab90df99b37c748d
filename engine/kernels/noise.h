// SPDX-License-Identifier: BSD-3-Clause
// Normal noise n, of which each element of a batch has its own number: while training
//   GaussianNoise   y = x + d n,              dx = dy
//   GaussianSample  y = m + exp(v / 2) n,     dm = dy,  dv = dy exp(v / 2) n / 2
// else y = x and y = m. The backward pass draws the same numbers again.
#pragma once

#include <cmath>

#include "../random.h"
#include "elementwise.h"

namespace nervure {

namespace detail {

struct Noise : Elementwise {
  // call(i, n) for the elements of a part.
  template <class T>
  NERVURE_INLINE void each(const Context<T>& c, Task task, auto call) const {
    const Range range = elementwise_range(c.rows, size, task);
    const auto some = [&](int64_t begin, int64_t end, const uint32_t* word) {
      for (int64_t i = begin; i < end; ++i)
        call(i, static_cast<T>(random::normal(word[i - begin])));
    };
    random::each_word({c.seed, c.step, c.node}, c.first_row * size, range.begin, range.end,
                      some);
  }

  // dx = dy: of the operand that is passed on.
  template <class T>
  void pass(const Context<T>& c, Task task) const {
    const T* dy = c.output.gradient;
    put(c.inputs[0], elementwise_range(c.rows, size, task),
        [=](int64_t i) { return dy[i]; });
  }

  // y = x, where nothing is drawn.
  template <class T>
  void copy(const Context<T>& c, Task task) const {
    const T* x = c.inputs[0].value;
    fill(c.output.value, elementwise_range(c.rows, size, task),
         [=](int64_t i) { return x[i]; });
  }
};

}  // namespace detail

struct GaussianNoise : detail::Noise {
  static constexpr std::string_view name = "gaussian_noise";

  double deviation;

  static GaussianNoise read(const Attributes& attributes, const Shapes& shapes) {
    return {{{size_of(shapes.output)}}, attributes.number("deviation")};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return true; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    if (!c.training) return copy(c, task);
    const T *x = c.inputs[0].value, d = static_cast<T>(deviation);
    T* y = c.output.value;
    each(c, task, [=](int64_t i, T n) { y[i] = x[i] + d * n; });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    pass(c, task);
  }
};

struct GaussianSample : detail::Noise {
  static constexpr std::string_view name = "gaussian_sample";

  static GaussianSample read(const Attributes&, const Shapes& shapes) {
    return {{{size_of(shapes.output)}}};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    if (!c.training) return copy(c, task);
    const T *m = c.inputs[0].value, *v = c.inputs[1].value;
    T* y = c.output.value;
    each(c, task, [=](int64_t i, T n) { y[i] = m[i] + std::exp(v[i] / 2) * n; });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    pass(c, task);
    const Operand<T>& of = c.inputs[1];
    if (of.gradient == nullptr) return;
    const T *v = of.value, *dy = c.output.gradient;
    T* dv = of.gradient;
    const bool adds = of.accumulate;
    if (!c.training)
      return put(of, elementwise_range(c.rows, size, task), [](int64_t) { return T(0); });
    each(c, task, [=](int64_t i, T n) {
      const T slope = dy[i] * std::exp(v[i] / 2) * n / 2;
      dv[i] = adds ? dv[i] + slope : slope;
    });
  }
};

}  // namespace nervure
