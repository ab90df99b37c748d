// SPDX-License-Identifier: BSD-3-Clause
// Focal loss, -alpha (1 - p)^gamma log p, p the probability of the right answer.
//
// Legend: a probabilities, z what the activation takes, wrong = 1 - p, log_p = log p.
// A target that is a class belongs to a softmax, values 0 and 1 to logistics.
#pragma once

#include <cmath>
#include <vector>

#include "loss.h"
#include "sums.h"

namespace nervure {

namespace losses {

struct FocalTerm {
  double gamma;
  std::vector<double> alpha;  // by answer (no, yes) or by class; empty: 1

  static FocalTerm read(const Attributes& attributes) {
    return {attributes.number("gamma"),
            attributes.has("alpha") ? attributes.numbers("alpha") : std::vector<double>()};
  }
  [[nodiscard]] double weight(int64_t answer) const {
    return alpha.empty() ? 1 : alpha[static_cast<size_t>(answer)];
  }
  [[nodiscard]] double factor(double wrong) const {
    if (gamma == 2) return wrong * wrong;
    return gamma == 0 ? 1 : std::pow(wrong > tiny ? wrong : tiny, gamma);
  }
  [[nodiscard]] double cost(double wrong, double log_p) const {
    return -factor(wrong) * log_p;
  }
  // p dcost/dp = (1 - p)^gamma (gamma p log p / (1 - p) - 1); the quotient goes to -1.
  [[nodiscard]] double slope_times_p(double p, double wrong, double log_p) const {
    const double quotient = wrong > tiny ? log_p / wrong : -1;
    return factor(wrong) * (gamma * p * quotient - 1);
  }
};

}  // namespace losses

struct Focal {
  static constexpr std::string_view name = "focal";
  static constexpr bool takes_classes = true;
  losses::FocalTerm term;
  static Focal read(const Attributes& attributes) {
    return {losses::FocalTerm::read(attributes)};
  }

  template <class T>
  double row(const T* a, const Target<T>& target, int64_t outputs, T* gradient) const {
    if (target.values == nullptr) {
      if (gradient != nullptr) std::fill_n(gradient, outputs, T(0));
      return one(static_cast<double>(a[target.label]), term.weight(target.label),
                 gradient == nullptr ? nullptr : gradient + target.label);
    }
    const double share = 1.0 / static_cast<double>(outputs);
    double cost = 0;
    for (int64_t j = 0; j < outputs; ++j) {
      const bool yes = target.values[j] > T(0.5);
      const double p = static_cast<double>(a[j]), weight = share * term.weight(yes);
      T* slope = gradient == nullptr ? nullptr : gradient + j;
      cost += one(yes ? p : 1 - p, weight, slope);
      if (slope != nullptr && !yes) *slope = -*slope;
    }
    return cost;
  }

 private:
  template <class T>
  double one(double p, double weight, T* slope) const {
    const bool held = !(p > losses::tiny);
    const double log_p = std::log(held ? losses::tiny : p);
    if (slope != nullptr)
      *slope =
          held ? T(0) : static_cast<T>(weight * term.slope_times_p(p, 1 - p, log_p) / p);
    return weight * term.cost(1 - p, log_p);
  }
};

struct SoftmaxFocal {  // dC/dz_j = p dC/dp (1{j = c} - softmax_j)
  static constexpr std::string_view name = "softmax_focal";
  static constexpr bool takes_classes = true;
  losses::FocalTerm term;
  static SoftmaxFocal read(const Attributes& attributes) {
    return {losses::FocalTerm::read(attributes)};
  }

  template <class T>
  double row(const T* z, const Target<T>& target, int64_t outputs, T* gradient) const {
    const losses::Normalizer n = losses::normalize(z, outputs, gradient);
    const double log_p = -n.cost(static_cast<double>(z[target.label]));
    const double p = std::exp(log_p), wrong = -std::expm1(log_p);
    const double weight = term.weight(target.label);
    if (gradient != nullptr) {  // holds exp(z - top)
      const double slope = weight * term.slope_times_p(p, wrong, log_p);
      const T scale = static_cast<T>(-slope / n.sum);
      for (int64_t j = 0; j < outputs; ++j) gradient[j] *= scale;
      gradient[target.label] = static_cast<T>(slope * wrong);
    }
    return weight * term.cost(wrong, log_p);
  }
};

struct LogisticFocal {  // with x = z for a yes, -z for a no: dC/dx = p dC/dp (1 - p)
  static constexpr std::string_view name = "logistic_focal";
  losses::FocalTerm term;
  static LogisticFocal read(const Attributes& attributes) {
    return {losses::FocalTerm::read(attributes)};
  }

  template <class T>
  double row(const T* z, const Target<T>& target, int64_t outputs, T* gradient) const {
    const double share = 1.0 / static_cast<double>(outputs);
    double cost = 0;
    for (int64_t j = 0; j < outputs; ++j) {
      const bool yes = target.values[j] > T(0.5);
      const double side = yes ? 1 : -1, x = side * static_cast<double>(z[j]);
      const double e = std::exp(-std::abs(x));
      const double log_p = (x < 0 ? x : 0) - std::log1p(e);
      const double p = (x >= 0 ? 1 : e) / (1 + e), wrong = (x >= 0 ? e : 1) / (1 + e);
      const double weight = share * term.weight(yes);
      cost += weight * term.cost(wrong, log_p);
      if (gradient != nullptr)
        gradient[j] =
            static_cast<T>(side * weight * wrong * term.slope_times_p(p, wrong, log_p));
    }
    return cost;
  }
};

}  // namespace nervure
