// SPDX-License-Identifier: BSD-3-Clause
// Changes of pixels in their places: colours and brightness, and squares cut out.
#pragma once

#include <algorithm>
#include <array>

#include "geometry.h"

namespace nervure::augment {

// y = M (m + c (b x - m)) with factors b and c, m the mean brightness of b x, and M a
// turn of hues and a factor of saturation; then cut to the limits.
//
// Source of M and of the weights of brightness: W3C, "Filter Effects Module Level 1",
// feColorMatrix, saturate and hueRotate.
struct Jitter {
  static constexpr std::string_view name = "jitter";
  double brightness, contrast, saturation, hue;
  static Jitter read(const Attributes& attributes) {
    return {attributes.number("brightness"), attributes.number("contrast"),
            attributes.number("saturation"), attributes.number("hue")};
  }

  template <class T>
  void apply(const Picture<T>& picture, const Draws& u, Limits<T> limits) const {
    const auto [height, width, channels] = picture.extent;
    const double b = between(1 - brightness, 1 + brightness, u[1]);
    const double c = between(1 - contrast, 1 + contrast, u[2]);
    const double mean = contrast == 0 ? 0 : b * brightness_of(picture);
    const T factor = static_cast<T>(b * c), offset = static_cast<T>((1 - c) * mean);
    const Matrix m = matrix(between(1 - saturation, 1 + saturation, u[3]),
                            radians(between(-hue, hue, u[4])));
    const bool colours = channels == 3 && (saturation != 0 || hue != 0);
    for (int64_t y = 0; y < height; ++y) {
      T* x = picture.row(y);
      for (int64_t i = 0; i < width * channels; ++i) x[i] = factor * x[i] + offset;
      if (colours) turn(m, x, width);
      for (int64_t i = 0; i < width * channels; ++i)
        x[i] = std::min(std::max(x[i], limits.low), limits.high);
    }
  }

 private:
  using Matrix = std::array<std::array<double, 3>, 3>;
  static constexpr std::array<double, 3> weights{0.213, 0.715, 0.072};

  template <class T>
  static double brightness_of(const Picture<T>& picture) {
    const auto [height, width, channels] = picture.extent;
    double sum = 0;
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < channels; ++c) {
          const double weight =
              channels == 3 ? weights[static_cast<size_t>(c)] : 1.0 / double(channels);
          sum += weight * static_cast<double>(picture.row(y)[x * channels + c]);
        }
    return sum / static_cast<double>(picture.extent.pixels());
  }

  // saturate(s) hueRotate(angle)
  static Matrix matrix(double s, double angle) {
    constexpr Matrix turned{{{-0.213, -0.715, 0.928},  // times the sine
                             {0.143, 0.140, -0.283},
                             {-0.787, 0.715, 0.072}}};
    const double cosine = std::cos(angle), sine = std::sin(angle);
    Matrix rotation, saturate, product{};
    for (size_t i = 0; i < 3; ++i)
      for (size_t j = 0; j < 3; ++j) {
        const double own = (i == j ? 1.0 : 0.0) - weights[j];
        rotation[i][j] = weights[j] + cosine * own + sine * turned[i][j];
        saturate[i][j] = weights[j] + s * own;
      }
    for (size_t i = 0; i < 3; ++i)
      for (size_t j = 0; j < 3; ++j)
        for (size_t k = 0; k < 3; ++k) product[i][j] += saturate[i][k] * rotation[k][j];
    return product;
  }

  template <class T>
  static void turn(const Matrix& m, T* x, int64_t pixels) {
    T t[3][3];
    for (size_t i = 0; i < 3; ++i)
      for (size_t j = 0; j < 3; ++j) t[i][j] = static_cast<T>(m[i][j]);
    for (int64_t p = 0; p < pixels; ++p, x += 3) {
      const T r = x[0], g = x[1], b = x[2];
      for (size_t i = 0; i < 3; ++i) x[i] = t[i][0] * r + t[i][1] * g + t[i][2] * b;
    }
  }
};

// A square about a pixel of the image; what lies outside of the image is not cut.
//
// Source: DeVries, Taylor, "Improved Regularization of Convolutional Neural Networks with
// Cutout" (2017), section 3.2.
struct Cutout {
  static constexpr std::string_view name = "cutout";
  int64_t size;
  double fill;
  static Cutout read(const Attributes& attributes) {
    return {attributes.integer("size"), attributes.number("fill")};
  }

  template <class T>
  void apply(const Picture<T>& picture, const Draws& u, Limits<T>) const {
    const auto [height, width, channels] = picture.extent;
    const int64_t top = choose(height, u[1]) - size / 2;
    const int64_t left = choose(width, u[2]) - size / 2;
    const int64_t begin = std::max<int64_t>(0, left), end = std::min(width, left + size);
    for (int64_t y = std::max<int64_t>(0, top); y < std::min(height, top + size); ++y)
      std::fill_n(picture.row(y) + begin * channels, (end - begin) * channels,
                  static_cast<T>(fill));
  }
};

}  // namespace nervure::augment
