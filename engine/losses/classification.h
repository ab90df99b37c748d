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

// Logarithms of the sums that a softmax and its complements are made of, in double. The
// largest z is apart, since its complement is what the others have: 1 - p would be 0.
template <class T>
struct Leader {
  const T* z;
  int64_t top = 0;
  double others, all;  // log sum exp z of all but the largest, and of all

  Leader(const T* z, int64_t outputs) : z(z) {
    for (int64_t j = 1; j < outputs; ++j)
      if (z[j] > z[top]) top = j;
    int64_t second = top == 0 ? 1 : 0;
    for (int64_t j = second; j < outputs; ++j)
      if (j != top && z[j] > z[second]) second = j;
    const double level = static_cast<double>(z[second]);
    others = level + std::log(sum_of(outputs, [this, level](int64_t j) {
               return j == top ? 0 : std::exp(static_cast<double>(this->z[j]) - level);
             }));
    const double first = static_cast<double>(z[top]);
    all = first + std::log1p(std::exp(others - first));
  }
  [[nodiscard]] double log_yes(int64_t j) const { return static_cast<double>(z[j]) - all; }
  [[nodiscard]] double log_no(int64_t j) const {
    return j == top ? others - all : std::log1p(-std::exp(log_yes(j)));
  }
  [[nodiscard]] double share_of_others(int64_t j) const {
    return j == top ? 0 : std::exp(static_cast<double>(z[j]) - others);
  }
};

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

// mean -(t log p + (1 - t) log(1 - p)), p = softmax(z). With D, the sum over all but the
// largest of (t_j - p_j) / (1 - p_j), K dC/dz_k is p_k (1 + D) - t_k of the largest; of
// others plus p_k (1 - t_k) / (1 - p_k) - (1 - t_top) p_k / (1 - p_top).
struct SoftmaxBinaryCrossEntropy {
  static constexpr std::string_view name = "softmax_binary_cross_entropy";
  double smoothing;
  static SoftmaxBinaryCrossEntropy read(const Attributes& attributes) {
    return {attributes.number("label_smoothing")};
  }

  template <class T>
  double row(const T* z, const Target<T>& target, int64_t outputs, T* gradient) const {
    const auto t = losses::smoothed(target.values, smoothing);
    const losses::Leader<T> p(z, outputs);
    const auto yes = [&p](int64_t j) { return std::exp(p.log_yes(j)); };
    const double lead = gradient == nullptr ? 0 : losses::sum_of(outputs, [&](int64_t j) {
      const double share = yes(j);
      return j == p.top ? 1 : (t(j) - share) / (1 - share);
    });
    return losses::mean_of(
        outputs, gradient,
        [&](int64_t j) { return -(t(j) * p.log_yes(j) + (1 - t(j)) * p.log_no(j)); },
        [&](int64_t j) {
          const double share = yes(j), own = share * lead - t(j);
          if (j == p.top) return own;
          const double rest = share * (1 - t(j)) / (1 - share);
          return own + rest - (1 - t(p.top)) * p.share_of_others(j);
        });
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
