// SPDX-License-Identifier: BSD-3-Clause
// Elastic distortion: every pixel is moved by noise that a Gaussian has smoothed.
//
// Noise is uniform in [-1, 1) for each pixel and direction, 0 outside of the image,
// convolved with a Gaussian of deviation sigma (cut at 3 sigma, weights summing to 1),
// times alpha.
//
// Source: Simard, Steinkraus, Platt, "Best Practices for Convolutional Neural Networks
// Applied to Visual Document Analysis" (ICDAR 2003), section 2.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "../attributes.h"
#include "../simd.h"
#include "picture.h"

namespace nervure::augment {

template <class T>
class Elastic {
 public:
  static constexpr std::string_view name = "elastic";

  explicit Elastic(const Attributes& attributes) {
    const double alpha = attributes.number("alpha"), sigma = attributes.number("sigma");
    reach_ = static_cast<int64_t>(std::ceil(3 * sigma));
    double sum = 0;
    std::vector<double> weights;
    for (int64_t i = -reach_; i <= reach_; ++i) {
      const double z = static_cast<double>(i) / sigma;
      weights.push_back(std::exp(-0.5 * z * z));
      sum += weights.back();
    }
    for (double weight : weights) {
      down_.push_back(static_cast<T>(weight / sum));
      across_.push_back(static_cast<T>(alpha * weight / sum));
    }
  }

  // Elements of T that `displace` writes: two fields, and one between.
  static int64_t scratch(Extent extent) { return 3 * extent.pixels(); }

  // Displacements of all pixels, first those along y, then those along x.
  void displace(const Moment& at, uint32_t key, Extent extent, T* fields) const {
    const int64_t pixels = extent.pixels(), drawn = (pixels + 3) / 4 * 4;
    T* between = fields + 2 * pixels;
    for (int64_t axis = 0; axis < 2; ++axis) {
      T* field = fields + axis * pixels;
      noise({at.seed, at.step, key}, (2 * at.row + axis) * drawn, pixels, field);
      smooth_down(extent, field, between);
      smooth_across(extent, between, field);
    }
  }

 private:
  static void noise(const random::Stream& stream, int64_t first, int64_t count, T* out) {
    constexpr int64_t tile = 512;
    uint32_t words[tile];
    for (int64_t begin = 0; begin < count; begin += tile) {
      const int64_t size = std::min(tile, count - begin);
      random::words(stream, first + begin, size, words);
      for (int64_t i = 0; i < size; ++i)
        out[begin + i] = static_cast<T>(2 * random::uniform(words[i]) - 1);
    }
  }

  void smooth_down(Extent extent, const T* in, T* out) const {
    const auto [height, width, channels] = extent;
    std::fill_n(out, height * width, T(0));
    for (int64_t offset = -reach_; offset <= reach_; ++offset) {
      const int64_t begin = std::max<int64_t>(0, -offset);
      const int64_t lines = std::min(height, height - offset) - begin;
      if (lines > 0)
        add(down_[static_cast<size_t>(offset + reach_)], in + (begin + offset) * width,
            lines * width, out + begin * width);
    }
  }

  void smooth_across(Extent extent, const T* in, T* out) const {
    const auto [height, width, channels] = extent;
    for (int64_t y = 0; y < height; ++y) {
      T* to = out + y * width;
      std::fill_n(to, width, T(0));
      for (int64_t offset = -reach_; offset <= reach_; ++offset) {
        const int64_t begin = std::max<int64_t>(0, -offset);
        const int64_t count = std::min(width, width - offset) - begin;
        if (count > 0)
          add(across_[static_cast<size_t>(offset + reach_)],
              in + y * width + begin + offset, count, to + begin);
      }
    }
  }

  static void add(T weight, const T* in, int64_t count, T* out) {
    NERVURE_VECTORIZE
    for (int64_t i = 0; i < count; ++i) out[i] += weight * in[i];
  }

  int64_t reach_ = 0;
  std::vector<T> down_, across_;
};

}  // namespace nervure::augment
