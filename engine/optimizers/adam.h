// SPDX-License-Identifier: BSD-3-Clause
// Adam and AMSGrad (AdamW is the same rule with a decay), and NAdam.
//
// Legend: t step, m mean and v variance of the gradient, b1 b2 their memories.
//   m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
//   Adam     w <- w - rate  m / (1 - b1^t)  /  (sqrt(v / (1 - b2^t)) + epsilon)
//   epsilon^ the same with epsilon beside sqrt(v), before the division by its root
//   AMSGrad  the same with the largest v so far in place of v
//   NAdam    m / (1 - b1^t) replaced by Nesterov's look-ahead, see below
#pragma once

#include <cmath>

#include "rule.h"

namespace nervure {

// 1 - beta^t without cancellation.
inline double unbias(double beta, int64_t step) {
  return beta == 0 ? 1 : -std::expm1(static_cast<double>(step) * std::log(beta));
}

struct Adam {
  static constexpr std::string_view name = "adam";

  double beta1, beta2, epsilon;
  bool amsgrad = false, epsilon_hat = false;

  static Adam read(const Attributes& attributes) {
    return {attributes.number("beta1"), attributes.number("beta2"),
            attributes.number("epsilon"), attributes.flag("amsgrad"),
            attributes.flag("epsilon_hat")};
  }

  [[nodiscard]] int slots() const { return amsgrad ? 3 : 2; }

  template <class T>
  void update(T* weight, const T* gradient, T* const* slots, int64_t size,
              const UpdateStep& now) const {
    if (amsgrad)
      return sweep<true>(weight, gradient, slots[0], slots[1], slots[2], size, now);
    sweep<false>(weight, gradient, slots[0], slots[1], static_cast<T*>(nullptr), size, now);
  }

 private:
  template <bool largest_so_far, class T>
  void sweep(T* __restrict__ w, const T* __restrict__ g, T* __restrict__ m,
             T* __restrict__ v, [[maybe_unused]] T* __restrict__ largest, int64_t size,
             const UpdateStep& now) const {
    const T b1 = static_cast<T>(beta1), c1 = static_cast<T>(1 - beta1);
    const T b2 = static_cast<T>(beta2), c2 = static_cast<T>(1 - beta2);
    const T rate = static_cast<T>(now.learning_rate / unbias(beta1, now.step));
    const double to_root = 1 / std::sqrt(unbias(beta2, now.step));
    const T root = static_cast<T>(to_root), decay = static_cast<T>(now.decay);
    const T small = static_cast<T>(epsilon_hat ? epsilon * to_root : epsilon);
    for (int64_t i = 0; i < size; ++i) {
      m[i] = b1 * m[i] + c1 * g[i];
      v[i] = b2 * v[i] + c2 * (g[i] * g[i]);
      T spread = v[i];
      if constexpr (largest_so_far) {
        spread = largest[i] < spread ? spread : largest[i];
        largest[i] = spread;
      }
      w[i] -= decay * w[i] + rate * m[i] / (root * std::sqrt(spread) + small);
    }
  }
};

// Dozat's momentum grows slowly, u(t) = b1 (1 - 0.96^(t / 250) / 2). With P(t) the
// product of u(1) ... u(t), the mean in Adam's update becomes
//   u(t + 1) m / (1 - P(t + 1))  +  (1 - u(t)) g / (1 - P(t)).
struct NAdam {
  static constexpr std::string_view name = "nadam";

  double beta1, beta2, epsilon;

  static NAdam read(const Attributes& attributes) {
    return {attributes.number("beta1"), attributes.number("beta2"),
            attributes.number("epsilon")};
  }

  [[nodiscard]] int slots() const { return 2; }

  template <class T>
  void update(T* weight, const T* gradient, T* const* slots, int64_t size,
              const UpdateStep& now) const {
    T* __restrict__ w = weight;
    T* __restrict__ m = slots[0];
    T* __restrict__ v = slots[1];
    const T* __restrict__ g = gradient;
    const int64_t t = now.step;
    const double of_mean = momentum(t + 1) / (1 - product(t + 1));
    const double of_gradient = (1 - momentum(t)) / (1 - product(t));
    const T rate_m = static_cast<T>(now.learning_rate * of_mean);
    const T rate_g = static_cast<T>(now.learning_rate * of_gradient);
    const T b1 = static_cast<T>(beta1), c1 = static_cast<T>(1 - beta1);
    const T b2 = static_cast<T>(beta2), c2 = static_cast<T>(1 - beta2);
    const T root = static_cast<T>(1 / std::sqrt(unbias(beta2, now.step)));
    const T small = static_cast<T>(epsilon), decay = static_cast<T>(now.decay);
    for (int64_t i = 0; i < size; ++i) {
      m[i] = b1 * m[i] + c1 * g[i];
      v[i] = b2 * v[i] + c2 * (g[i] * g[i]);
      const T ahead = rate_m * m[i] + rate_g * g[i];
      w[i] -= decay * w[i] + ahead / (root * std::sqrt(v[i]) + small);
    }
  }

 private:
  [[nodiscard]] double momentum(int64_t step) const {
    return beta1 * (1 - 0.5 * std::pow(0.96, static_cast<double>(step) / 250));
  }

  // All factors are near 1/2 at first: after 64 of them the product is lost beside 1.
  [[nodiscard]] double product(int64_t step) const {
    if (step >= 64) return 0;
    double result = 1;
    for (int64_t i = 1; i <= step; ++i) result *= momentum(i);
    return result;
  }
};

}  // namespace nervure
