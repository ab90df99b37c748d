// SPDX-License-Identifier: BSD-3-Clause
// Losses of classes and distributions, from probabilities and fused with the activation.
//
// Legend: a probabilities, z what the activation takes, t target, s label smoothing,
// K outputs. A target is a class where it holds no values.
#pragma once

#include <cmath>

#include "loss.h"
#include "sums.h"

namespace nervure {

namespace losses {

// -log of a probability that may be 0.
inline double surprise(double probability) {
  return -std::log(probability > tiny ? probability : tiny);
}
// Its slope: 0 where the probability is held at tiny.
inline double surprise_slope(double probability) {
  return probability > tiny ? -1 / probability : 0;
}

// t log t, 0 for t = 0.
inline double negative_entropy(double t) { return t > tiny ? t * std::log(t) : 0; }

// Answers yes or no, as probabilities: of each target its distance to 1/2 shrinks.
template <class T>
auto smoothed(const T* targets, double smoothing) {
  return [targets, smoothing](int64_t j) {
    const double own = static_cast<double>(targets[j]);
    return own + smoothing * (0.5 - own);
  };
}

}  // namespace losses

struct CrossEntropy {  // -sum t log a
  static constexpr std::string_view name = "cross_entropy";
  static constexpr bool takes_classes = true;
  double smoothing;
  static CrossEntropy read(const Attributes& attributes) {
    return {attributes.number("label_smoothing")};
  }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    const double even = smoothing / static_cast<double>(outputs);
    const auto t = [&](int64_t j) {
      const double own = target.values != nullptr ? static_cast<double>(target.values[j])
                                                  : static_cast<double>(j == target.label);
      return (1 - smoothing) * own + even;
    };
    double cost = 0;
    for (int64_t j = 0; j < outputs; ++j) {
      const double p = static_cast<double>(a[j]), share = t(j);
      if (share != 0) cost += share * losses::surprise(p);
      if (gradient != nullptr)
        gradient[j] = static_cast<T>(share * losses::surprise_slope(p));
    }
    return cost;
  }
};

struct SoftmaxCrossEntropy {  // log sum exp z - sum t z; dC/dz = softmax(z) - t
  static constexpr std::string_view name = "softmax_cross_entropy";
  static constexpr bool takes_classes = true;
  double smoothing;
  static SoftmaxCrossEntropy read(const Attributes& attributes) {
    return {attributes.number("label_smoothing")};
  }

  template <class T>
  double row(const T* z, const Target<T>& target, int64_t outputs, T* gradient) const {
    const losses::Normalizer n = losses::normalize(z, outputs, gradient);
    return target.values != nullptr ? of_values(z, target.values, outputs, gradient, n)
                                    : of_class(z, target.label, outputs, gradient, n);
  }

 private:
  template <class T>
  double of_class(const T* z, int64_t label, int64_t outputs, T* gradient,
                  const losses::Normalizer& n) const {
    const double even = smoothing / static_cast<double>(outputs);
    if (gradient != nullptr) {  // holds exp(z - top)
      const T scale = static_cast<T>(1 / n.sum), less = static_cast<T>(even);
      for (int64_t j = 0; j < outputs; ++j) gradient[j] = gradient[j] * scale - less;
      gradient[label] -= static_cast<T>(1 - smoothing);
    }
    const double own = n.cost(static_cast<double>(z[label]));
    if (smoothing == 0) return own;
    const auto cost = [z, &n](int64_t j) { return n.cost(static_cast<double>(z[j])); };
    return (1 - smoothing) * own + even * losses::sum_of(outputs, cost);
  }

  template <class T>
  double of_values(const T* z, const T* values, int64_t outputs, T* gradient,
                   const losses::Normalizer& n) const {
    const double even = smoothing / static_cast<double>(outputs), rest = 1 - smoothing;
    const auto t = [values, even, rest](int64_t j) {
      return rest * static_cast<double>(values[j]) + even;
    };
    if (gradient != nullptr) {
      const double scale = losses::sum_of(outputs, t) / n.sum;
      for (int64_t j = 0; j < outputs; ++j)
        gradient[j] = static_cast<T>(static_cast<double>(gradient[j]) * scale - t(j));
    }
    return losses::sum_of(outputs, [z, &n, &t](int64_t j) {
      return t(j) * n.cost(static_cast<double>(z[j]));
    });
  }
};

struct KullbackLeibler {  // sum t log(t / a)
  static constexpr std::string_view name = "kl";
  static KullbackLeibler read(const Attributes&) { return {}; }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    double cost = 0;
    for (int64_t j = 0; j < outputs; ++j) {
      const double p = static_cast<double>(a[j]), t = static_cast<double>(target.values[j]);
      cost += losses::negative_entropy(t) + t * losses::surprise(p);
      if (gradient != nullptr) gradient[j] = static_cast<T>(t * losses::surprise_slope(p));
    }
    return cost;
  }
};

struct SoftmaxKullbackLeibler {  // cross-entropy less the entropy of the target
  static constexpr std::string_view name = "softmax_kl";
  static SoftmaxKullbackLeibler read(const Attributes&) { return {}; }

  template <class T>
  double row(const T* z, const Target<T>& target, int64_t outputs, T* gradient) const {
    const T* t = target.values;
    const double entropy = -losses::sum_of(outputs, [t](int64_t j) {
      return losses::negative_entropy(static_cast<double>(t[j]));
    });
    return SoftmaxCrossEntropy{0}.row(z, target, outputs, gradient) - entropy;
  }
};

struct BinaryCrossEntropy {  // mean -(t log a + (1 - t) log(1 - a))
  static constexpr std::string_view name = "binary_cross_entropy";
  double smoothing;
  static BinaryCrossEntropy read(const Attributes& attributes) {
    return {attributes.number("label_smoothing")};
  }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    const auto t = losses::smoothed(target.values, smoothing);
    return losses::mean_of(
        outputs, gradient,
        [&](int64_t j) {
          const double yes = static_cast<double>(a[j]);
          return t(j) * losses::surprise(yes) + (1 - t(j)) * losses::surprise(1 - yes);
        },
        [&](int64_t j) {
          const double yes = static_cast<double>(a[j]);
          return t(j) * losses::surprise_slope(yes) -
                 (1 - t(j)) * losses::surprise_slope(1 - yes);
        });
  }
};

struct LogisticBinaryCrossEntropy {  // mean max(z, 0) - t z + log(1 + exp(-|z|))
  static constexpr std::string_view name = "logistic_binary_cross_entropy";
  double smoothing;
  static LogisticBinaryCrossEntropy read(const Attributes& attributes) {
    return {attributes.number("label_smoothing")};
  }

  template <class T>
  double row(const T* z, const Target<T>& target, int64_t outputs, T* gradient) const {
    const auto t = losses::smoothed(target.values, smoothing);
    return losses::mean_of(
        outputs, gradient,
        [z, &t](int64_t j) {
          const double x = static_cast<double>(z[j]);
          return (x > 0 ? x : 0) - t(j) * x + math::log1p(math::exp(-std::abs(x)));
        },
        [z, &t](int64_t j) { return static_cast<double>(math::logistic(z[j])) - t(j); });
  }
};

struct GaussianBinaryCrossEntropy {  // mean -(t log Phi(z) + (1 - t) log Phi(-z))
  static constexpr std::string_view name = "gaussian_cdf_binary_cross_entropy";
  double smoothing;
  static GaussianBinaryCrossEntropy read(const Attributes& attributes) {
    return {attributes.number("label_smoothing")};
  }

  template <class T>
  double row(const T* z, const Target<T>& target, int64_t outputs, T* gradient) const {
    const auto t = losses::smoothed(target.values, smoothing);
    const auto yes = [z](int64_t j) {
      return math::log_gaussian_cdf(static_cast<double>(z[j]));
    };
    const auto no = [z](int64_t j) {
      return math::log_gaussian_cdf(-static_cast<double>(z[j]));
    };
    return losses::mean_of(
        outputs, gradient,
        [&](int64_t j) { return -(t(j) * yes(j).value + (1 - t(j)) * no(j).value); },
        [&](int64_t j) { return (1 - t(j)) * no(j).slope - t(j) * yes(j).slope; });
  }
};

struct Hinge {  // mean max(0, 1 - s a); of classes: max(0, 1 + best rival - own)
  static constexpr std::string_view name = "hinge";
  static constexpr bool takes_classes = true;
  static Hinge read(const Attributes&) { return {}; }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    if (target.values == nullptr) return of_class(a, target.label, outputs, gradient);
    const T* t = target.values;
    const auto side = [t](int64_t j) { return t[j] > 0 ? T(1) : T(-1); };
    return losses::mean_of(
        outputs, gradient,
        [&](int64_t j) {
          const double slack = 1 - static_cast<double>(side(j) * a[j]);
          return slack < 0 ? 0 : slack;  // NaN passes
        },
        [&](int64_t j) { return side(j) * a[j] < 1 ? -side(j) : T(0); });
  }

 private:
  template <class T>
  static double of_class(const T* a, int64_t label, int64_t outputs, T* gradient) {
    int64_t rival = label == 0 ? 1 : 0;
    for (int64_t j = rival; j < outputs; ++j)
      if (j != label && a[j] > a[rival]) rival = j;
    const double slack = 1 + static_cast<double>(a[rival]) - static_cast<double>(a[label]);
    if (gradient != nullptr) {
      std::fill_n(gradient, outputs, T(0));
      if (slack > 0) gradient[rival] = 1, gradient[label] = -1;
    }
    return slack < 0 ? 0 : slack;
  }
};

}  // namespace nervure
