// SPDX-License-Identifier: BSD-3-Clause
// Rates of each weight's own: RMSprop, Adagrad, Adadelta.
//
// Legend: v running mean (Adagrad: sum) of g^2, n running mean of g, m momentum.
#pragma once

#include <cmath>

#include "rule.h"

namespace nervure {

// v <- rho v + (1 - rho) g^2,   s = rate g / (sqrt(v) + epsilon)
// w <- w - s, or with momentum: m <- beta m - s, w <- w + m.
// Centered: n <- rho n + (1 - rho) g and v - n^2 in place of v.
struct RmsProp {
  static constexpr std::string_view name = "rmsprop";

  double rho, momentum, epsilon;
  bool centered = false;

  static RmsProp read(const Attributes& attributes) {
    return {attributes.number("rho"), attributes.number("momentum"),
            attributes.number("epsilon"), attributes.flag("centered")};
  }

  // Order: variance, mean where centered, momentum where there is one.
  [[nodiscard]] int slots() const { return 1 + centered + (momentum != 0); }

  template <class T>
  void update(T* weight, const T* gradient, T* const* slots, int64_t size,
              const UpdateStep& now) const {
    T* const v = slots[0];
    T* const n = centered ? slots[1] : nullptr;
    T* const m = momentum != 0 ? slots[centered ? 2 : 1] : nullptr;
    if (n && m) return sweep<true, true>(weight, gradient, v, n, m, size, now);
    if (n) return sweep<true, false>(weight, gradient, v, n, m, size, now);
    if (m) return sweep<false, true>(weight, gradient, v, n, m, size, now);
    sweep<false, false>(weight, gradient, v, n, m, size, now);
  }

 private:
  template <bool has_mean, bool has_momentum, class T>
  void sweep(T* __restrict__ w, const T* __restrict__ g, T* __restrict__ v,
             [[maybe_unused]] T* __restrict__ n, [[maybe_unused]] T* __restrict__ m,
             int64_t size, const UpdateStep& now) const {
    const T keep = static_cast<T>(rho), take = static_cast<T>(1 - rho);
    const T rate = static_cast<T>(now.learning_rate), decay = static_cast<T>(now.decay);
    const T small = static_cast<T>(epsilon), beta = static_cast<T>(momentum);
    for (int64_t i = 0; i < size; ++i) {
      v[i] = keep * v[i] + take * (g[i] * g[i]);
      T spread = v[i];
      if constexpr (has_mean) {
        n[i] = keep * n[i] + take * g[i];
        spread -= n[i] * n[i];
        spread = spread < 0 ? T{0} : spread;  // rounding may take it below
      }
      T change = -rate * g[i] / (std::sqrt(spread) + small);
      if constexpr (has_momentum) m[i] = change = beta * m[i] + change;
      w[i] += change - decay * w[i];
    }
  }
};

// v <- v + g^2,   w <- w - rate g / (sqrt(v) + epsilon)
struct Adagrad {
  static constexpr std::string_view name = "adagrad";

  double epsilon;

  static Adagrad read(const Attributes& attributes) {
    return {attributes.number("epsilon")};
  }

  [[nodiscard]] int slots() const { return 1; }

  template <class T>
  void update(T* weight, const T* gradient, T* const* slots, int64_t size,
              const UpdateStep& now) const {
    T* __restrict__ w = weight;
    T* __restrict__ v = slots[0];
    const T* __restrict__ g = gradient;
    const T rate = static_cast<T>(now.learning_rate), decay = static_cast<T>(now.decay);
    const T small = static_cast<T>(epsilon);
    for (int64_t i = 0; i < size; ++i) {
      v[i] += g[i] * g[i];
      w[i] -= decay * w[i] + rate * g[i] / (std::sqrt(v[i]) + small);
    }
  }
};

// v <- rho v + (1 - rho) g^2,   s = g sqrt(u + epsilon) / sqrt(v + epsilon)
// u <- rho u + (1 - rho) s^2,   w <- w - rate s
struct Adadelta {
  static constexpr std::string_view name = "adadelta";

  double rho, epsilon;

  static Adadelta read(const Attributes& attributes) {
    return {attributes.number("rho"), attributes.number("epsilon")};
  }

  [[nodiscard]] int slots() const { return 2; }

  template <class T>
  void update(T* weight, const T* gradient, T* const* slots, int64_t size,
              const UpdateStep& now) const {
    T* __restrict__ w = weight;
    T* __restrict__ v = slots[0];
    T* __restrict__ u = slots[1];
    const T* __restrict__ g = gradient;
    const T keep = static_cast<T>(rho), take = static_cast<T>(1 - rho);
    const T rate = static_cast<T>(now.learning_rate), decay = static_cast<T>(now.decay);
    const T small = static_cast<T>(epsilon);
    for (int64_t i = 0; i < size; ++i) {
      v[i] = keep * v[i] + take * (g[i] * g[i]);
      const T change = g[i] * std::sqrt((u[i] + small) / (v[i] + small));
      u[i] = keep * u[i] + take * (change * change);
      w[i] -= decay * w[i] + rate * change;
    }
  }
};

}  // namespace nervure
