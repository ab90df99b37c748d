// SPDX-License-Identifier: BSD-3-Clause
// Gradient descent, with momentum and Nesterov's accelerated gradient.
//
//   plain     w <- w - rate g
//   momentum  m <- beta m - rate g,   w <- w + m                      (Polyak 1964)
//   Nesterov  m <- beta m - rate g(w + beta m),   w <- w + m  (Sutskever et al. 2013)
//
// Nesterov's gradient is taken at w + beta m. Between enter() and leave() the weights
// hold that point and the second slot holds w. The point is always computed from the
// slots by the same expression, so that leaving and entering is exact.
#pragma once

#include "rule.h"

namespace nervure {

struct Sgd {
  static constexpr std::string_view name = "sgd";

  double momentum = 0;
  bool nesterov = false;

  static Sgd read(const Attributes& attributes) {
    return {attributes.number("momentum"), attributes.flag("nesterov")};
  }

  [[nodiscard]] int slots() const { return momentum == 0 ? 0 : nesterov ? 2 : 1; }
  [[nodiscard]] bool descends() const { return momentum == 0; }
  [[nodiscard]] bool ahead() const { return nesterov && momentum != 0; }

  template <class T>
  void update(T* weight, const T* gradient, T* const* slots, int64_t size,
              const UpdateStep& now) const {
    if (momentum == 0) return plain(weight, gradient, size, now);
    if (!nesterov) return heavy_ball(weight, gradient, slots[0], size, now);
    accelerated(weight, gradient, slots[0], slots[1], size, now);
  }

  template <class T>
  void enter(T* weight, T* const* slots, int64_t size) const {
    if (!ahead()) return;
    const T* __restrict__ m = slots[0];
    T* __restrict__ position = slots[1];
    T* __restrict__ w = weight;
    const T beta = static_cast<T>(momentum);
    for (int64_t i = 0; i < size; ++i) {
      position[i] = w[i];
      w[i] = position[i] + beta * m[i];
    }
  }

  template <class T>
  void leave(T* weight, T* const* slots, int64_t size) const {
    if (!ahead()) return;
    for (int64_t i = 0; i < size; ++i) weight[i] = slots[1][i];
  }

 private:
  template <class T>
  static void plain(T* __restrict__ w, const T* __restrict__ g, int64_t size,
                    const UpdateStep& now) {
    const T rate = static_cast<T>(now.learning_rate), decay = static_cast<T>(now.decay);
    for (int64_t i = 0; i < size; ++i) w[i] -= decay * w[i] + rate * g[i];
  }

  template <class T>
  void heavy_ball(T* __restrict__ w, const T* __restrict__ g, T* __restrict__ m,
                  int64_t size, const UpdateStep& now) const {
    const T beta = static_cast<T>(momentum), rate = static_cast<T>(now.learning_rate);
    const T decay = static_cast<T>(now.decay);
    for (int64_t i = 0; i < size; ++i) {
      m[i] = beta * m[i] - rate * g[i];
      w[i] += m[i] - decay * w[i];
    }
  }

  template <class T>
  void accelerated(T* __restrict__ w, const T* __restrict__ g, T* __restrict__ m,
                   T* __restrict__ position, int64_t size, const UpdateStep& now) const {
    const T beta = static_cast<T>(momentum), rate = static_cast<T>(now.learning_rate);
    const T decay = static_cast<T>(now.decay);
    for (int64_t i = 0; i < size; ++i) {
      m[i] = beta * m[i] - rate * g[i];
      position[i] += m[i] - decay * position[i];
      w[i] = position[i] + beta * m[i];
    }
  }
};

}  // namespace nervure
