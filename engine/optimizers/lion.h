// SPDX-License-Identifier: BSD-3-Clause
// Lion: every weight moves by the rate, in the direction of the sign.
//
//   w <- w - rate sign(b1 m + (1 - b1) g),   m <- b2 m + (1 - b2) g
#pragma once

#include "rule.h"

namespace nervure {

struct Lion {
  static constexpr std::string_view name = "lion";

  double beta1, beta2;

  static Lion read(const Attributes& attributes) {
    return {attributes.number("beta1"), attributes.number("beta2")};
  }

  [[nodiscard]] int slots() const { return 1; }

  template <class T>
  void update(T* weight, const T* gradient, T* const* slots, int64_t size,
              const UpdateStep& now) const {
    T* __restrict__ w = weight;
    T* __restrict__ m = slots[0];
    const T* __restrict__ g = gradient;
    const T b1 = static_cast<T>(beta1), c1 = static_cast<T>(1 - beta1);
    const T b2 = static_cast<T>(beta2), c2 = static_cast<T>(1 - beta2);
    const T rate = static_cast<T>(now.learning_rate), decay = static_cast<T>(now.decay);
    for (int64_t i = 0; i < size; ++i) {
      const T direction = b1 * m[i] + c1 * g[i];
      const T sign = direction > 0 ? T{1} : direction < 0 ? T{-1} : direction;
      w[i] -= decay * w[i] + rate * sign;
      m[i] = b2 * m[i] + c2 * g[i];
    }
  }
};

}  // namespace nervure
