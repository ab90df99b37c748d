// SPDX-License-Identifier: BSD-3-Clause
// Losses of values. Legend: a output, t target, d = a - t; targets are rows of values.
#pragma once

#include <cmath>
#include <vector>

#include "loss.h"
#include "sums.h"

namespace nervure {

struct Quadratic {  // 1/2 sum d^2
  static constexpr std::string_view name = "quadratic";
  static Quadratic read(const Attributes&) { return {}; }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    const T* t = target.values;
    const double sum = losses::sum_of(outputs, [a, t](int64_t j) {
      const double d = static_cast<double>(a[j]) - static_cast<double>(t[j]);
      return d * d;
    });
    if (gradient != nullptr)
      for (int64_t j = 0; j < outputs; ++j) gradient[j] = a[j] - t[j];
    return 0.5 * sum;
  }
};

struct MeanSquaredError {  // mean d^2
  static constexpr std::string_view name = "mse";
  static MeanSquaredError read(const Attributes&) { return {}; }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    const T* t = target.values;
    return losses::mean_of(
        outputs, gradient,
        [a, t](int64_t j) {
          const double d = static_cast<double>(a[j]) - static_cast<double>(t[j]);
          return d * d;
        },
        [a, t](int64_t j) { return 2 * (a[j] - t[j]); });
  }
};

struct MeanAbsoluteError {  // mean |d|
  static constexpr std::string_view name = "mae";
  static MeanAbsoluteError read(const Attributes&) { return {}; }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    const T* t = target.values;
    return losses::mean_of(
        outputs, gradient,
        [a, t](int64_t j) {
          return std::abs(static_cast<double>(a[j]) - static_cast<double>(t[j]));
        },
        [a, t](int64_t j) { return T(a[j] > t[j]) - T(a[j] < t[j]); });
  }
};

struct Huber {  // mean of d^2 / 2 near, delta (|d| - delta / 2) beyond delta
  static constexpr std::string_view name = "huber";
  double delta;
  static Huber read(const Attributes& attributes) { return {attributes.number("delta")}; }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    const T* t = target.values;
    const double edge = delta;
    const T bound = static_cast<T>(delta);
    return losses::mean_of(
        outputs, gradient,
        [a, t, edge](int64_t j) {
          const double d = std::abs(static_cast<double>(a[j]) - static_cast<double>(t[j]));
          const double near = d < edge ? d : edge;
          return near * (d - 0.5 * near);
        },
        [a, t, bound](int64_t j) {
          const T d = a[j] - t[j];
          const T low = d < -bound ? -bound : d;
          return low > bound ? bound : low;
        });
  }
};

// mean log cosh d = |d| + log(1 + exp(-2 |d|)) - log 2, near 0 -log(1 - tanh^2 d) / 2
struct LogCosh {
  static constexpr std::string_view name = "log_cosh";
  static LogCosh read(const Attributes&) { return {}; }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    constexpr double log_2 = 0.69314718055994530942;
    const T* t = target.values;
    return losses::mean_of(
        outputs, gradient,
        [a, t](int64_t j) {
          const double d = std::abs(static_cast<double>(a[j]) - static_cast<double>(t[j]));
          const double slope = math::tanh(d < 0.75 ? d : 0.0), square = slope * slope;
          const double near = 0.5 * math::log1p(square / (1 - square));
          return d < 0.75 ? near : d + math::log1p(math::exp(-2 * d)) - log_2;
        },
        [a, t](int64_t j) { return math::tanh(a[j] - t[j]); });
  }
};

struct Poisson {  // mean a - t log(a + epsilon)
  static constexpr std::string_view name = "poisson";
  double epsilon;
  static Poisson read(const Attributes& attributes) {
    return {attributes.number("epsilon")};
  }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    const T* t = target.values;
    const double e = epsilon;
    return losses::mean_of(
        outputs, gradient,
        [a, t, e](int64_t j) {
          const double rate = static_cast<double>(a[j]);
          return rate - static_cast<double>(t[j]) * std::log(rate + e);
        },
        [a, t, e](int64_t j) { return 1 - t[j] / (a[j] + static_cast<T>(e)); });
  }
};

struct Pinball {  // mean of q e for e = t - a >= 0, else (q - 1) e
  static constexpr std::string_view name = "pinball";
  std::vector<double> quantiles;  // one for all outputs, or for each target some
  static Pinball read(const Attributes& attributes) {
    return {attributes.numbers("quantiles")};
  }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    const T* t = target.values;
    const double* q = quantiles.data();
    const auto count = static_cast<int64_t>(quantiles.size());
    return losses::mean_of(
        outputs, gradient,
        [a, t, q, count](int64_t j) {
          const double e = static_cast<double>(t[j]) - static_cast<double>(a[j]);
          return e * (e >= 0 ? q[j % count] : q[j % count] - 1);
        },
        [a, t, q, count](int64_t j) {
          return t[j] >= a[j] ? -q[j % count] : 1 - q[j % count];
        });
  }
};

struct Cosine {  // 1 - cos(a, t); a vector without length: cost 1, gradient 0
  static constexpr std::string_view name = "cosine";
  static constexpr double shortest = 1e-24;  // squared
  static Cosine read(const Attributes&) { return {}; }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    const T* t = target.values;
    const double aa = dot(a, a, outputs), tt = dot(t, t, outputs);
    const bool directed = aa > shortest && tt > shortest;
    const double length = directed ? std::sqrt(aa) * std::sqrt(tt) : 1;
    const double cosine = directed ? dot(a, t, outputs) / length : 0;
    if (gradient != nullptr) {  // dcos/da = t / (|a| |t|) - cos a / |a|^2
      const double along = directed ? cosine / aa : 0;
      const double across = directed ? 1 / length : 0;
      for (int64_t j = 0; j < outputs; ++j)
        gradient[j] = static_cast<T>(along * static_cast<double>(a[j]) -
                                     across * static_cast<double>(t[j]));
    }
    return 1 - cosine;
  }

 private:
  template <class T>
  static double dot(const T* u, const T* v, int64_t outputs) {
    return losses::sum_of(outputs, [u, v](int64_t j) {
      return static_cast<double>(u[j]) * static_cast<double>(v[j]);
    });
  }
};

}  // namespace nervure
