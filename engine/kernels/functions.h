// SPDX-License-Identifier: BSD-3-Clause
// Functions of single elements beside the usual activations: those of arithmetic and
// trigonometry, which networks from elsewhere are written with, and steps.
//
// As in activation.h: `value` is phi(z), `slope` phi' in terms of what `needs` names.
// They call the library: one element at a time, within an ulp or so.
#pragma once

#include <cmath>
#include <numbers>
#include <string_view>

#include "../math.h"

namespace nervure::activations {

enum class Slope { of_nothing, of_input, of_output };

// A function whose slope is 0 wherever there is one.
struct Step {
  static constexpr Slope needs = Slope::of_nothing;
  double alpha;
  template <class T>
  T slope(T) const {
    return T(0);
  }
};

struct Sign : Step {
  static constexpr std::string_view name = "sign";
  template <class T>
  T value(T z) const {
    return z != z ? z : T(z > T(0)) - T(z < T(0));
  }
};

struct Floor : Step {
  static constexpr std::string_view name = "floor";
  template <class T>
  T value(T z) const {
    return std::floor(z);
  }
};

struct Ceil : Step {
  static constexpr std::string_view name = "ceil";
  template <class T>
  T value(T z) const {
    return std::ceil(z);
  }
};

struct Round : Step {  // halves to the even neighbour
  static constexpr std::string_view name = "round";
  template <class T>
  T value(T z) const {
    return std::nearbyint(z);
  }
};

struct Negative {
  static constexpr std::string_view name = "negative";
  static constexpr Slope needs = Slope::of_nothing;
  double alpha;
  template <class T>
  T value(T z) const {
    return -z;
  }
  template <class T>
  T slope(T) const {
    return T(-1);
  }
};

struct Absolute {
  static constexpr std::string_view name = "abs";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::fabs(z);
  }
  template <class T>
  T slope(T z) const {
    return Sign{{0}}.value(z);
  }
};

struct Square {
  static constexpr std::string_view name = "square";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return z * z;
  }
  template <class T>
  T slope(T z) const {
    return T(2) * z;
  }
};

struct Sqrt {
  static constexpr std::string_view name = "sqrt";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::sqrt(z);
  }
  template <class T>
  T slope(T a) const {
    return T(0.5) / a;
  }
};

struct Reciprocal {
  static constexpr std::string_view name = "reciprocal";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return T(1) / z;
  }
  template <class T>
  T slope(T a) const {
    return -a * a;
  }
};

struct Exp {
  static constexpr std::string_view name = "exp";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return math::exp(z);
  }
  template <class T>
  T slope(T a) const {
    return a;
  }
};

struct Log {
  static constexpr std::string_view name = "log";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::log(z);
  }
  template <class T>
  T slope(T z) const {
    return T(1) / z;
  }
};

struct Erf {
  static constexpr std::string_view name = "erf";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::erf(z);
  }
  template <class T>
  T slope(T z) const {
    return T(2 * std::numbers::inv_sqrtpi) * math::exp(-z * z);
  }
};

// ---- trigonometry -----------------------------------------------------------------------

struct Sin {
  static constexpr std::string_view name = "sin";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::sin(z);
  }
  template <class T>
  T slope(T z) const {
    return std::cos(z);
  }
};

struct Cos {
  static constexpr std::string_view name = "cos";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::cos(z);
  }
  template <class T>
  T slope(T z) const {
    return -std::sin(z);
  }
};

struct Tan {
  static constexpr std::string_view name = "tan";
  static constexpr Slope needs = Slope::of_output;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::tan(z);
  }
  template <class T>
  T slope(T a) const {
    return T(1) + a * a;
  }
};

struct Arcsin {
  static constexpr std::string_view name = "arcsin";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::asin(z);
  }
  template <class T>
  T slope(T z) const {
    return T(1) / std::sqrt((T(1) - z) * (T(1) + z));
  }
};

struct Arccos {
  static constexpr std::string_view name = "arccos";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::acos(z);
  }
  template <class T>
  T slope(T z) const {
    return -Arcsin{0}.slope(z);
  }
};

struct Arctan {
  static constexpr std::string_view name = "arctan";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::atan(z);
  }
  template <class T>
  T slope(T z) const {
    return T(1) / (T(1) + z * z);
  }
};

struct Sinh {
  static constexpr std::string_view name = "sinh";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::sinh(z);
  }
  template <class T>
  T slope(T z) const {
    return std::cosh(z);
  }
};

struct Cosh {
  static constexpr std::string_view name = "cosh";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::cosh(z);
  }
  template <class T>
  T slope(T z) const {
    return std::sinh(z);
  }
};

struct Arcsinh {
  static constexpr std::string_view name = "arcsinh";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::asinh(z);
  }
  template <class T>
  T slope(T z) const {
    return T(1) / std::hypot(T(1), z);
  }
};

struct Arccosh {
  static constexpr std::string_view name = "arccosh";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::acosh(z);
  }
  template <class T>
  T slope(T z) const {
    return T(1) / (std::sqrt(z - T(1)) * std::sqrt(z + T(1)));
  }
};

struct Arctanh {
  static constexpr std::string_view name = "arctanh";
  static constexpr Slope needs = Slope::of_input;
  double alpha;
  template <class T>
  T value(T z) const {
    return std::atanh(z);
  }
  template <class T>
  T slope(T z) const {
    return T(1) / ((T(1) - z) * (T(1) + z));
  }
};

}  // namespace nervure::activations
