// SPDX-License-Identifier: BSD-3-Clause
// Pair: y = f(a, b), element by element, of two inputs of one shape; and Extreme: the
// largest or smallest of several.
#pragma once

#include <cmath>
#include <stdexcept>
#include <string>
#include <variant>

#include "elementwise.h"

namespace nervure {

namespace pairs {

// `value` is f(a, b); `left` and `right` are its derivatives by a and b.
struct Subtract {
  static constexpr std::string_view name = "subtract";
  template <class T>
  T value(T a, T b) const {
    return a - b;
  }
  template <class T>
  T left(T, T) const {
    return T(1);
  }
  template <class T>
  T right(T, T) const {
    return T(-1);
  }
};

struct Divide {
  static constexpr std::string_view name = "divide";
  template <class T>
  T value(T a, T b) const {
    return a / b;
  }
  template <class T>
  T left(T, T b) const {
    return T(1) / b;
  }
  template <class T>
  T right(T a, T b) const {
    return -a / (b * b);
  }
};

struct Power {
  static constexpr std::string_view name = "power";
  template <class T>
  T value(T a, T b) const {
    return std::pow(a, b);
  }
  template <class T>
  T left(T a, T b) const {
    return b == T(0) ? T(0) : b * std::pow(a, b - T(1));
  }
  template <class T>
  T right(T a, T b) const {
    return a > T(0) ? std::pow(a, b) * std::log(a) : T(0);
  }
};

// 1 where the comparison holds, else 0; it has no slope.
template <class Holds>
struct Comparison {
  static constexpr std::string_view name = Holds::name;
  template <class T>
  T value(T a, T b) const {
    return Holds::of(a, b) ? T(1) : T(0);
  }
  template <class T>
  T left(T, T) const {
    return T(0);
  }
  template <class T>
  T right(T, T) const {
    return T(0);
  }
};

struct Less {
  static constexpr std::string_view name = "less";
  static bool of(auto a, auto b) { return a < b; }
};
struct LessEqual {
  static constexpr std::string_view name = "less_equal";
  static bool of(auto a, auto b) { return a <= b; }
};
struct Greater {
  static constexpr std::string_view name = "greater";
  static bool of(auto a, auto b) { return a > b; }
};
struct GreaterEqual {
  static constexpr std::string_view name = "greater_equal";
  static bool of(auto a, auto b) { return a >= b; }
};
struct Equal {
  static constexpr std::string_view name = "equal";
  static bool of(auto a, auto b) { return a == b; }
};
struct NotEqual {
  static constexpr std::string_view name = "not_equal";
  static bool of(auto a, auto b) { return a != b; }
};

using Function =
    std::variant<Subtract, Divide, Power, Comparison<Less>, Comparison<LessEqual>,
                 Comparison<Greater>, Comparison<GreaterEqual>, Comparison<Equal>,
                 Comparison<NotEqual>>;

template <class... F>
Function find(std::type_identity<std::variant<F...>>, std::string_view name) {
  Function function;
  const bool known = ((name == F::name && (function = F{}, true)) || ...);
  if (!known)
    throw std::invalid_argument("[engine] function '" + std::string(name) +
                                "' of two inputs has no native kernel; use "
                                "executor=\"jax\"");
  return function;
}

}  // namespace pairs

struct Pair : Elementwise {
  static constexpr std::string_view name = "pair";

  pairs::Function function;

  static Pair read(const Attributes& attributes, const Shapes& shapes) {
    return {
        {size_of(shapes.output)},
        pairs::find(std::type_identity<pairs::Function>{}, attributes.word("function"))};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = elementwise_range(c.rows, size, task);
    const T *a = c.inputs[0].value, *b = c.inputs[1].value;
    std::visit(
        [&](auto f) {
          fill(c.output.value, range, [=](int64_t i) { return f.value(a[i], b[i]); });
        },
        function);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range range = elementwise_range(c.rows, size, task);
    const T *a = c.inputs[0].value, *b = c.inputs[1].value, *dy = c.output.gradient;
    std::visit(
        [&](auto f) {
          put(c.inputs[0], range, [=](int64_t i) { return dy[i] * f.left(a[i], b[i]); });
          put(c.inputs[1], range, [=](int64_t i) { return dy[i] * f.right(a[i], b[i]); });
        },
        function);
  }
};

// Of equal ones the first takes the gradient; a NaN stays.
struct Extreme : Elementwise {
  static constexpr std::string_view name = "extreme";

  bool least;

  static Extreme read(const Attributes& attributes, const Shapes& shapes) {
    return {{size_of(shapes.output)}, attributes.flag("least")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = elementwise_range(c.rows, size, task);
    T* y = c.output.value;
    for (int64_t i = range.begin; i < range.end; ++i)
      y[i] = c.inputs[chosen(c, i)].value[i];
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range range = elementwise_range(c.rows, size, task);
    const T* dy = c.output.gradient;
    for (size_t k = 0; k < c.inputs.size(); ++k)
      put(c.inputs[k], range,
          [=, this, &c](int64_t i) { return chosen(c, i) == k ? dy[i] : T(0); });
  }

 private:
  template <class T>
  [[nodiscard]] size_t chosen(const Context<T>& c, int64_t i) const {
    size_t found = 0;
    for (size_t k = 1; k < c.inputs.size(); ++k) {
      const T best = c.inputs[found].value[i], other = c.inputs[k].value[i];
      const bool kept = best != best || (least ? best <= other : best >= other);
      if (!kept) found = k;
    }
    return found;
  }
};

// y = a where the condition is above 0, else b; the condition has no slope.
struct Where : Elementwise {
  static constexpr std::string_view name = "where";

  static Where read(const Attributes&, const Shapes& shapes) {
    return {{size_of(shapes.output)}};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T *s = c.inputs[0].value, *a = c.inputs[1].value, *b = c.inputs[2].value;
    fill(c.output.value, elementwise_range(c.rows, size, task),
         [=](int64_t i) { return s[i] > T(0) ? a[i] : b[i]; });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Range range = elementwise_range(c.rows, size, task);
    const T *s = c.inputs[0].value, *dy = c.output.gradient;
    put(c.inputs[0], range, [](int64_t) { return T(0); });
    put(c.inputs[1], range, [=](int64_t i) { return s[i] > T(0) ? dy[i] : T(0); });
    put(c.inputs[2], range, [=](int64_t i) { return s[i] > T(0) ? T(0) : dy[i]; });
  }
};

}  // namespace nervure
