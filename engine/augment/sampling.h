// SPDX-License-Identifier: BSD-3-Clause
// An image read at other places than its pixels, by bilinear interpolation.
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../simd.h"
#include "geometry.h"

namespace nervure::augment {

// What lies outside of the image: a value, its nearest pixel, or the image in a mirror that
// stands on the pixels of its border.
enum class Border { constant, edge, reflect };

inline Border border_of(std::string_view name) {
  if (name == "constant") return Border::constant;
  if (name == "edge") return Border::edge;
  if (name == "reflect") return Border::reflect;
  throw std::invalid_argument("[engine] there is no border '" + std::string(name) + "'");
}

// Outside of the image lies a frame of one pixel of the fill value: places beyond it are
// drawn to it, so that every place lies between four pixels.
template <class T>
void frame(const Picture<T>& picture, T fill) {
  const auto [height, width, channels] = picture.extent;
  std::fill_n(picture.row(-1) - channels, (width + 2) * channels, fill);
  std::fill_n(picture.row(height) - channels, (width + 2) * channels, fill);
  for (int64_t y = 0; y < height; ++y) {
    std::fill_n(picture.row(y) - channels, channels, fill);
    std::fill_n(picture.row(y) + width * channels, channels, fill);
  }
}

// to[y][x] = from[map(y + dy, x + dx)]; `from` has a frame, which no place but of a
// constant border weighs. Displacements may be null.
template <class T>
class Sampler {
 public:
  Sampler(const Picture<T>& from, const Picture<T>& to, const Affine& map, const T* dy,
          const T* dx)
      : from_(from), to_(to), map_(map), dy_(dy), dx_(dx) {}

  void run(Border border) {
    switch (border) {
      case Border::edge:
        return run<Border::edge>();
      case Border::reflect:
        return run<Border::reflect>();
      default:
        return run<Border::constant>();
    }
  }

 private:
  static constexpr int64_t tile = 64;

  template <Border border>
  void run() {
    const auto [height, width, channels] = to_.extent;
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; x += tile) {
        const int64_t count = std::min(tile, width - x);
        dy_ != nullptr ? find<true, border>(y, x, count) : find<false, border>(y, x, count);
        T* out = to_.row(y) + x * channels;
        if (channels == 1)
          blend<1>(count, channels, out);
        else if (channels == 3)
          blend<3>(count, channels, out);
        else
          blend<0>(count, channels, out);
      }
  }

  // Of some pixels: the corner above and left, and the shares of the others. In numbers
  // of 32 bits and without a branch, so that it is vectorized.
  template <bool displaced, Border border>
  void find(int64_t y, int64_t x, int64_t count) {
    const double bottom = static_cast<double>(from_.extent.height);
    const double right = static_cast<double>(from_.extent.width);
    const T* dy = displaced ? dy_ + y * from_.extent.width + x : nullptr;
    const T* dx = displaced ? dx_ + y * from_.extent.width + x : nullptr;
    const double row = static_cast<double>(y);
    const Affine m = map_;
    const int32_t first = static_cast<int32_t>(x), size = static_cast<int32_t>(count);
    NERVURE_VECTORIZE
    for (int32_t i = 0; i < size; ++i) {
      double v = row, h = static_cast<double>(first + i);
      if constexpr (displaced)
        v += static_cast<double>(dy[i]), h += static_cast<double>(dx[i]);
      const double py = within<border>(m.yy * v + m.yx * h + m.y0, bottom);
      const double px = within<border>(m.xy * v + m.xx * h + m.x0, right);
      // + 1 makes them positive, so that cutting rounds down.
      const int32_t top = below(static_cast<int32_t>(py + 1) - 1, bottom);
      const int32_t left = below(static_cast<int32_t>(px + 1) - 1, right);
      top_[i] = top, left_[i] = left;
      down_[i] = static_cast<T>(py - static_cast<double>(top));
      across_[i] = static_cast<T>(px - static_cast<double>(left));
    }
  }
  template <Border border>
  static double within(double place, double end) {
    if constexpr (border == Border::reflect) place = mirrored(place, end - 1);
    const double least = border == Border::constant ? -1 : 0;
    const double most = border == Border::constant ? end : end - 1;
    place = place > least ? place : least;
    return place < most ? place : most;
  }
  // 0 .. last, last .. 0 and so on; of an image of one pixel there is nothing to mirror.
  static double mirrored(double place, double last) {
    const double period = 2 * last > 1 ? 2 * last : 1;
    place = place - period * std::floor(place / period);
    return place < period - place ? place : period - place;
  }
  static int32_t below(int32_t corner, double end) {
    const int32_t last = static_cast<int32_t>(end) - 1;
    return corner < last ? corner : last;
  }

  // The weights of a place that is a pixel are 1 and 0: whole shifts are exact.
  template <int64_t fixed>
  void blend(int64_t count, int64_t channels, T* out) const {
    const int64_t n = fixed > 0 ? fixed : channels;
    for (int64_t i = 0; i < count; ++i, out += n) {
      const T* p = from_.data + top_[i] * from_.stride + left_[i] * n;
      const T fy = down_[i], fx = across_[i], gy = 1 - fy, gx = 1 - fx;
      for (int64_t c = 0; c < n; ++c) {
        const T upper = gx * p[c] + fx * p[c + n];
        const T lower = gx * p[c + from_.stride] + fx * p[c + n + from_.stride];
        out[c] = gy * upper + fy * lower;
      }
    }
  }

  Picture<T> from_, to_;
  Affine map_;
  const T *dy_, *dx_;
  int32_t top_[tile], left_[tile];
  T down_[tile], across_[tile];
};

}  // namespace nervure::augment
