// SPDX-License-Identifier: BSD-3-Clause
// Activation: a = phi(z), element by element, and dz = da phi'(z).
//
// Each function says what its derivative is written in: the output a where that does,
// since then a may lie over z and memory is read once less; else the input z.
#pragma once

#include <numbers>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <variant>

#include "../math.h"
#include "elementwise.h"
#include "functions.h"

namespace nervure {

namespace activations {

// `value` is phi(z); `slope` is phi' in terms of what `needs` names.
struct Linear {
  static constexpr std::string_view name = "linear";
  static constexpr Slope needs = Slope::of_nothing;
  double alpha;
  template <class T>
  T value(T z) const {
    return z;
  }
  template <class T>
  T slope(T) const {
    return T(1);
  }
};

struct Heaviside {
  static constexpr std::string_view name = "heaviside";
  static constexpr Slope needs = Slope::of_nothing;
  double alpha;
  template <class T>
  T value(T z) const {
    return z > T(0) ? T(1) : T(0);
  }
  template <class T>
  T slope(T) const {
    return T(0);
  }
};

struct Logistic {
  static constexpr std::string_view name = "logistic";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return math::logistic(z);
  }
  template <class T>
  T slope(T a) const {
    return a * (T(1) - a);
  }
};

struct GaussianCdf {
  static constexpr std::string_view name = "gaussian_cdf";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return math::gaussian_cdf(z);
  }
  template <class T>
  T slope(T z) const {
    return density(math::gaussian(z).bell);
  }
  // exp(-z^2 / 2) / sqrt(2 pi)
  template <class T>
  static T density(T bell) {
    return bell * T(0.3989422804014327);
  }
};

struct Tanh {
  static constexpr std::string_view name = "tanh";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return math::tanh(z);
  }
  template <class T>
  T slope(T a) const {
    return T(1) - a * a;
  }
};

struct ScaledTanh {
  static constexpr std::string_view name = "scaled_tanh";
  static constexpr Slope needs = Slope::of_output;
  static constexpr double height = 1.7159, steepness = 2.0 / 3;
  double alpha;
  template <class T>
  T value(T z) const {
    return T(height) * math::tanh(z * T(steepness));
  }
  template <class T>
  T slope(T a) const {
    return T(steepness / height) * (T(height) - a) * (T(height) + a);
  }
};

struct Relu {
  static constexpr std::string_view name = "relu";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return z <= T(0) ? T(0) : z;
  }
  template <class T>
  T slope(T a) const {
    return a > T(0) ? T(1) : T(0);
  }
};

struct LeakyRelu {
  static constexpr std::string_view name = "leaky_relu";
  static constexpr Slope needs = Slope::of_output;
  double alpha;  // at least 0, so that a has the sign of z
  template <class T>
  T value(T z) const {
    return z > T(0) ? z : T(alpha) * z;
  }
  template <class T>
  T slope(T a) const {
    return a > T(0) ? T(1) : T(alpha);
  }
};

struct Elu {
  static constexpr std::string_view name = "elu";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    const T below = T(alpha) * math::expm1(z > T(0) ? T(0) : z);
    return z > T(0) ? z : below;
  }
  template <class T>
  T slope(T a) const {
    return a > T(0) ? T(1) : a + T(alpha);
  }
};

struct Selu {
  static constexpr std::string_view name = "selu";
  static constexpr Slope needs = Slope::of_output;
  static constexpr double depth = 1.6732632423543772, scale = 1.0507009873554805;
  double alpha;
  template <class T>
  T value(T z) const {
    return T(scale) * Elu{depth}.value(z);
  }
  template <class T>
  T slope(T a) const {
    return a > T(0) ? T(scale) : a + T(scale * depth);
  }
};

struct Gelu {
  static constexpr std::string_view name = "gelu";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return z * math::gaussian_cdf(z);
  }
  template <class T>
  T slope(T z) const {
    const auto [cdf, bell] = math::gaussian(z);
    return cdf + z * GaussianCdf::density(bell);
  }
};

struct GeluTanh {
  static constexpr std::string_view name = "gelu_tanh";
  static constexpr Slope needs = Slope::of_input;
  static constexpr double width = 0.7978845608028654, bend = 0.044715;  // sqrt(2 / pi)
  double alpha;
  // Beyond 20 the tanh is 1 in any precision, and the square in the slope cannot overflow.
  template <class T>
  static T bounded(T z) {
    const T above = z < T(-20) ? T(-20) : z;
    return above > T(20) ? T(20) : above;
  }
  template <class T>
  static T squashed(T z) {
    return math::tanh(T(width) * (z + T(bend) * z * z * z));
  }
  template <class T>
  T value(T z) const {
    return T(0.5) * z * (T(1) + squashed(bounded(z)));
  }
  template <class T>
  T slope(T z) const {
    const T b = bounded(z), t = squashed(b);
    const T inner = T(width) * (T(1) + T(3 * bend) * b * b);
    return T(0.5) * ((T(1) + t) + b * (T(1) - t * t) * inner);
  }
};

struct Silu {
  static constexpr std::string_view name = "silu";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return z * math::logistic(z);
  }
  template <class T>
  T slope(T z) const {
    const T s = math::logistic(z);
    return s * (T(1) + z * (T(1) - s));
  }
};

struct Softplus {
  static constexpr std::string_view name = "softplus";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return (z <= T(0) ? T(0) : z) + math::log1p(math::exp(-std::fabs(z)));
  }
  template <class T>
  T slope(T a) const {
    return -math::expm1(-a);
  }
};

struct Softsign {
  static constexpr std::string_view name = "softsign";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return z / (T(1) + std::fabs(z));
  }
  template <class T>
  T slope(T a) const {
    const T rest = T(1) - std::fabs(a);  // 1 / (1 + |z|)
    return rest * rest;
  }
};

// x clipped to [0, high].
template <class T>
T clipped(T x, T high) {
  const T below = x >= high ? high : x;
  return x <= T(0) ? T(0) : below;
}

struct HardSigmoid {
  static constexpr std::string_view name = "hard_sigmoid";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return clipped(z * T(1.0 / 6) + T(0.5), T(1));
  }
  template <class T>
  T slope(T a) const {
    const T inside = a > T(0) ? T(1.0 / 6) : T(0);
    return a < T(1) ? inside : T(0);
  }
};

struct Relu6 {
  static constexpr std::string_view name = "relu6";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return clipped(z, T(6));
  }
  template <class T>
  T slope(T a) const {
    const T inside = a > T(0) ? T(1) : T(0);
    return a < T(6) ? inside : T(0);
  }
};

// z clipped(z + 3, 6) / 6
struct HardSilu {
  static constexpr std::string_view name = "hard_silu";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return z * clipped(z * T(1.0 / 6) + T(0.5), T(1));
  }
  template <class T>
  T slope(T z) const {
    const T inside = z < T(3) ? (T(2) * z + T(3)) * T(1.0 / 6) : T(1);
    return z > T(-3) ? inside : T(0);
  }
};

// z tanh(softplus(z)); with e = exp(z) that is z n / (n + 2), n = e (e + 2)
struct Mish {
  static constexpr std::string_view name = "mish";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return z * math::tanh(Softplus{0}.value(z));
  }
  template <class T>
  T slope(T z) const {
    const T t = math::tanh(Softplus{0}.value(z));
    return t + z * (T(1) - t * t) * math::logistic(z);
  }
};

struct Celu {
  static constexpr std::string_view name = "celu";
  static constexpr Slope needs = Slope::of_output;
  double alpha;  // above 0
  template <class T>
  T value(T z) const {
    const T below = T(alpha) * math::expm1((z > T(0) ? T(0) : z) / T(alpha));
    return z > T(0) ? z : below;
  }
  template <class T>
  T slope(T a) const {
    return a > T(0) ? T(1) : (a + T(alpha)) / T(alpha);
  }
};

struct ThresholdedRelu {
  static constexpr std::string_view name = "thresholded_relu";
  static constexpr Slope needs = Slope::of_output;
  double alpha;  // at least 0
  template <class T>
  T value(T z) const {
    return z <= T(alpha) ? T(0) : z;
  }
  template <class T>
  T slope(T a) const {
    return a > T(0) ? T(1) : T(0);
  }
};

using Function =
    std::variant<Linear, Heaviside, Logistic, GaussianCdf, Tanh, ScaledTanh, Relu,
                 LeakyRelu, Elu, Selu, Gelu, GeluTanh, Silu, Softplus, Softsign,
                 HardSigmoid, Relu6, HardSilu, Mish, Celu, ThresholdedRelu, Sign, Floor,
                 Ceil, Round, Negative, Absolute, Square, Sqrt, Reciprocal, Exp, Log, Erf,
                 Sin, Cos, Tan, Arcsin, Arccos, Arctan, Sinh, Cosh, Arcsinh, Arccosh,
                 Arctanh>;

template <class F>
F made(double alpha) {
  F function;
  function.alpha = alpha;
  return function;
}

template <class... F>
Function find(std::type_identity<std::variant<F...>>, std::string_view name, double alpha) {
  Function function;
  const bool known = ((name == F::name && (function = made<F>(alpha), true)) || ...);
  if (!known)
    throw std::invalid_argument("[engine] activation '" + std::string(name) +
                                "' has no native kernel; use executor=\"jax\"");
  return function;
}

}  // namespace activations

struct Activation {
  static constexpr std::string_view name = "activation";

  activations::Function function;
  int64_t size;

  static Activation read(const Attributes& attributes, const Shapes& shapes) {
    const auto function =
        activations::find(std::type_identity<activations::Function>{},
                          attributes.word("function"), attributes.number("alpha"));
    return {function, size_of(shapes.output)};
  }

  [[nodiscard]] bool reads_input() const { return needs() == activations::Slope::of_input; }
  [[nodiscard]] bool reads_output() const {
    return needs() == activations::Slope::of_output;
  }
  [[nodiscard]] bool in_place() const { return !reads_input(); }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const {
    return elementwise_work(rows, size);
  }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return elementwise_work(rows, size);
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = elementwise_range(c.rows, size, task);
    const T* z = c.inputs[0].value;
    std::visit(
        [&](auto f) {
          fill(c.output.value, range, [=](int64_t i) { return f.value(z[i]); });
        },
        function);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range range = elementwise_range(c.rows, size, task);
    const T* da = c.output.gradient;
    std::visit(
        [&](auto f) {
          using enum activations::Slope;
          if constexpr (f.needs == of_nothing) {
            put(c.inputs[0], range, [=](int64_t i) { return f.slope(T(0)) * da[i]; });
          } else {
            const T* known = f.needs == of_input ? c.inputs[0].value : c.output.value;
            put(c.inputs[0], range, [=](int64_t i) { return f.slope(known[i]) * da[i]; });
          }
        },
        function);
  }

 private:
  [[nodiscard]] activations::Slope needs() const {
    return std::visit([](const auto& f) { return std::decay_t<decltype(f)>::needs; },
                      function);
  }
};

}  // namespace nervure
