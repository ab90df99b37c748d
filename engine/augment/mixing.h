// SPDX-License-Identifier: BSD-3-Clause
// Pairs of images of a batch mixed with each other, and with them their targets.
//
// Rows 0 and 1 of a batch are a pair, 2 and 3, and so on: the order of rows is random
// already. Both of a pair keep the same share of themselves.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include "../attributes.h"
#include "picture.h"

namespace nervure::augment {

// A number of the distribution Beta(a, a), from uniform numbers u[0 .. 64).
//
// Source: Marsaglia, Tsang, "A Simple Method for Generating Gamma Variables" (ACM TOMS 26,
// 2000), section 6, and section 8 for a < 1; x / (x + y) of two gammas, by logarithms.
class Beta {
 public:
  static constexpr int64_t numbers = 64;
  explicit Beta(const double* u) : u_(u) {}

  double operator()(double a) {
    const double x = log_gamma_variable(a);
    next_ = numbers / 2;
    return 1 / (1 + std::exp(log_gamma_variable(a) - x));
  }

 private:
  double log_gamma_variable(double a) {
    const double boost = a < 1 ? std::log(uniform()) / a : 0;
    const double d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (const int64_t end = next_ + 30; next_ < end;) {
      const double x = normal(), v = std::pow(1 + c * x, 3), u = uniform();
      if (v > 0 && std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v))
        return boost + std::log(d * v);
    }
    return boost + std::log(d);  // once in 10^12 times
  }
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  double uniform() { return 1 - u_[next_++]; }  // in (0, 1]

  const double* u_;
  int64_t next_ = 0;
};

struct Mixup {  // x_i = s x_i + (1 - s) x_j with s of Beta(alpha, alpha)
  // Source: Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization"
  // (ICLR 2018), equation 1.
  static constexpr std::string_view name = "mixup";
  double alpha;
  static Mixup read(const Attributes& attributes) { return {attributes.number("alpha")}; }

  // Returns the share that both keep of themselves.
  template <class T>
  double mix(const Picture<T>& one, const Picture<T>& other, double share,
             const Draws&) const {
    const T own = static_cast<T>(share), rest = 1 - own;
    const int64_t columns = one.extent.width * one.extent.channels;
    for (int64_t y = 0; y < one.extent.height; ++y) {
      T *a = one.row(y), *b = other.row(y);
      for (int64_t i = 0; i < columns; ++i) {
        const T x = a[i];
        a[i] = own * x + rest * b[i];
        b[i] = own * b[i] + rest * x;
      }
    }
    return share;
  }
};

struct CutMix {  // a rectangle is exchanged; shares are those of the areas
  // Source: Yun, Han, Oh, Chun, Choe, Yoo, "CutMix: Regularization Strategy to Train
  // Strong Classifiers with Localizable Features" (ICCV 2019), equations 1 and 2.
  static constexpr std::string_view name = "cutmix";
  double alpha;
  static CutMix read(const Attributes& attributes) { return {attributes.number("alpha")}; }

  template <class T>
  double mix(const Picture<T>& one, const Picture<T>& other, double share,
             const Draws& u) const {
    const Extent& extent = one.extent;
    const auto [top, bottom] = cut(extent.height, share, u[1]);
    const auto [left, right] = cut(extent.width, share, u[2]);
    for (int64_t y = top; y < bottom; ++y)
      std::swap_ranges(one.row(y) + left * extent.channels,
                       one.row(y) + right * extent.channels,
                       other.row(y) + left * extent.channels);
    const double area = static_cast<double>((bottom - top) * (right - left));
    return 1 - area / static_cast<double>(extent.pixels());
  }

 private:
  struct Cut {
    int64_t begin, end;
  };
  // sqrt(1 - share) of the side about a pixel of it, within the image.
  static Cut cut(int64_t side, double share, double u) {
    const double part = std::sqrt(1 - share) * static_cast<double>(side);
    const int64_t half = static_cast<int64_t>(part) / 2, middle = choose(side, u);
    return {std::max<int64_t>(0, middle - half), std::min(side, middle + half)};
  }
};

}  // namespace nervure::augment
