// SPDX-License-Identifier: BSD-3-Clause
// Connectionist temporal classification: a sequence of labels, whenever they are said.
//
// Legend: T steps, l the labels with a blank before, between and behind them, S = 2 |l| + 1
// of them; log y_t(k) of class k at step t. An alignment goes from l[0] or l[1] to l[S - 1]
// or l[S - 2], at each step staying, going on by one, or over a blank between two labels
// that differ. alpha_t(s) is the log probability of all beginnings that are at s after step
// t, beta_t(s) that of all ends from there, step t left out: Graves, Fernandez, Gomez,
// Schmidhuber (ICML 2006), sec. 4, in logarithms.
//
//   cost = -log P,   P = sum over alignments
//   dcost/dz_t(k) = y_t(k) - share of the alignments that say k at step t
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "loss.h"
#include "sums.h"

namespace nervure {
namespace losses {

constexpr double never = -std::numeric_limits<double>::infinity();

// log(exp a + exp b + exp c); NaN where one is.
inline double log_add(double a, double b, double c = never) {
  const double top = std::max(std::max(a, b), c);
  if (top == never) return a + b + c;
  return top + std::log(std::exp(a - top) + std::exp(b - top) + std::exp(c - top));
}

// The labels of a row with the blanks around them.
class Path {
 public:
  Path(const int32_t* labels, int64_t count, int64_t blank)
      : labels_(labels), blank_(blank), size_(2 * count + 1) {}

  [[nodiscard]] int64_t size() const { return size_; }
  [[nodiscard]] int64_t operator[](int64_t s) const {
    return s % 2 == 0 ? blank_ : labels_[s / 2];
  }
  // May an alignment come to s from s - 2?
  [[nodiscard]] bool leaps(int64_t s) const {
    return s % 2 == 1 && s > 1 && labels_[s / 2] != labels_[s / 2 - 1];
  }

 private:
  const int32_t* labels_;
  int64_t blank_, size_;
};

// The steps of a row as probabilities: log y and dcost/dy.
template <class T>
class Probabilities {
 public:
  static int64_t scratch(int64_t) { return 0; }
  Probabilities(const Aligned<T>& row, double*) : y_(row.output), outputs_(row.outputs) {}
  [[nodiscard]] double log(int64_t t, int64_t k) const {
    return std::log(std::max(at(t, k), tiny));
  }
  [[nodiscard]] double slope(int64_t t, int64_t k, double share) const {
    return at(t, k) > tiny ? -share / at(t, k) : 0;
  }

 private:
  [[nodiscard]] double at(int64_t t, int64_t k) const {
    return static_cast<double>(y_[t * outputs_ + k]);
  }
  const T* y_;
  int64_t outputs_;
};

// The same as z of a softmax: log y and dcost/dz.
template <class T>
class Logits {
 public:
  static int64_t scratch(int64_t steps) { return 2 * steps; }
  Logits(const Aligned<T>& row, double* room)
      : z_(row.output), outputs_(row.outputs), room_(room) {
    for (int64_t t = 0; t < row.steps; ++t) {
      const Normalizer found =
          normalize<T>(z_ + t * outputs_, outputs_, static_cast<T*>(nullptr));
      room_[2 * t] = found.top;
      room_[2 * t + 1] = found.log_sum;
    }
  }
  [[nodiscard]] double log(int64_t t, int64_t k) const {
    const double z = static_cast<double>(z_[t * outputs_ + k]);
    return (z - room_[2 * t]) - room_[2 * t + 1];
  }
  [[nodiscard]] double slope(int64_t t, int64_t k, double share) const {
    return std::exp(log(t, k)) - share;
  }

 private:
  const T* z_;
  int64_t outputs_;
  double* room_;
};

// Writes alpha (steps, S); returns log P.
template <class Steps>
double forward(const Steps& y, const Path& path, int64_t steps, double* alpha) {
  const int64_t size = path.size();
  std::fill_n(alpha, size, never);
  for (int64_t s = 0; s < std::min<int64_t>(2, size); ++s) alpha[s] = y.log(0, path[s]);
  for (int64_t t = 1; t < steps; ++t) {
    const double* before = alpha + (t - 1) * size;
    double* now = alpha + t * size;
    const double blank = y.log(t, path[0]);
    for (int64_t s = 0; s < size; ++s) {
      const double from = log_add(before[s], s > 0 ? before[s - 1] : never,
                                  path.leaps(s) ? before[s - 2] : never);
      now[s] = from + (s % 2 == 0 ? blank : y.log(t, path[s]));
    }
  }
  const double* last = alpha + (steps - 1) * size;
  return log_add(last[size - 1], size > 1 ? last[size - 2] : never);
}

// beta of the step before t, in place.
template <class Steps>
void step_back(const Steps& y, const Path& path, int64_t t, double* beta) {
  const int64_t size = path.size();
  for (int64_t s = 0; s < size; ++s) beta[s] += y.log(t, path[s]);
  for (int64_t s = 0; s < size; ++s)
    beta[s] = log_add(beta[s], s + 1 < size ? beta[s + 1] : never,
                      s + 2 < size && path.leaps(s + 2) ? beta[s + 2] : never);
}

// The gradients of all steps, from the last to the first.
template <class T, class Steps>
void backward(const Aligned<T>& row, const Steps& y, const Path& path, double total,
              const double* alpha, double* beta, double* shares) {
  const int64_t size = path.size();
  std::fill_n(beta, size, never);
  for (int64_t s = std::max<int64_t>(0, size - 2); s < size; ++s) beta[s] = 0;
  for (int64_t t = row.steps; t-- > 0;) {
    std::fill_n(shares, row.outputs, 0.0);
    for (int64_t s = 0; s < size; ++s)
      shares[path[s]] += std::exp(alpha[t * size + s] + beta[s] - total);
    for (int64_t k = 0; k < row.outputs; ++k)
      row.gradient[t * row.outputs + k] = static_cast<T>(y.slope(t, k, shares[k]));
    step_back(y, path, t, beta);
  }
}

// Where no alignment is possible the cost is infinite and the gradient 0.
template <class Steps, class T>
double align(const Aligned<T>& row, int64_t blank) {
  const Path path(row.labels, row.count, blank);
  double* alpha = row.scratch;
  double* beta = alpha + row.steps * path.size();
  double* shares = beta + path.size();
  const Steps y(row, shares + row.outputs);
  const double total = forward(y, path, row.steps, alpha);
  if (row.gradient != nullptr) {
    if (total == never)
      std::fill_n(row.gradient, row.steps * row.outputs, T(0));
    else
      backward(row, y, path, total, alpha, beta, shares);
  }
  return -total;
}

}  // namespace losses

// What both forms have in common; `Steps` is how they read the outputs.
template <template <class> class Steps>
struct Alignment {
  int64_t blank;

  [[nodiscard]] bool fits(int64_t outputs) const { return blank >= 0 && blank < outputs; }
  [[nodiscard]] static int64_t scratch(int64_t steps, int64_t outputs, int64_t count) {
    const int64_t size = 2 * count + 1;
    return steps * size + size + outputs + Steps<double>::scratch(steps);
  }
  template <class T>
  double sequence(const Aligned<T>& row) const {
    return losses::align<Steps<T>>(row, blank);
  }
};

struct Ctc : Alignment<losses::Probabilities> {
  static constexpr std::string_view name = "ctc";
  static Ctc read(const Attributes& attributes) { return {{attributes.integer("blank")}}; }
};

struct SoftmaxCtc : Alignment<losses::Logits> {
  static constexpr std::string_view name = "softmax_ctc";
  static SoftmaxCtc read(const Attributes& attributes) {
    return {{attributes.integer("blank")}};
  }
};

}  // namespace nervure
