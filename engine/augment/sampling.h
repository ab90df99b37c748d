// SPDX-License-Identifier: BSD-3-Clause
// An image read at other places than its pixels, by bilinear interpolation.
#pragma once

#include <algorithm>
#include <cmath>

#include "geometry.h"

namespace nervure::augment {

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

// to[y][x] = from[map(y + dy, x + dx)]; `from` has a frame. Displacements may be null.
template <class T>
class Sampler {
 public:
  Sampler(const Picture<T>& from, const Picture<T>& to, const Affine& map, const T* dy,
          const T* dx)
      : from_(from), to_(to), map_(map), dy_(dy), dx_(dx) {}

  void run() {
    const auto [height, width, channels] = to_.extent;
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; x += tile) {
        const int64_t count = std::min(tile, width - x);
        find(y, x, count);
        T* out = to_.row(y) + x * channels;
        if (channels == 1)
          blend<1>(count, channels, out);
        else if (channels == 3)
          blend<3>(count, channels, out);
        else
          blend<0>(count, channels, out);
      }
  }

 private:
  static constexpr int64_t tile = 64;

  // Of some pixels: the corner above and left, and the shares of the others.
  void find(int64_t y, int64_t x, int64_t count) {
    const auto [height, width, channels] = from_.extent;
    const double bottom = static_cast<double>(height), right = static_cast<double>(width);
    const T* dy = dy_ == nullptr ? nullptr : dy_ + y * width + x;
    const T* dx = dx_ == nullptr ? nullptr : dx_ + y * width + x;
    for (int64_t i = 0; i < count; ++i) {
      const double v = dy == nullptr ? 0 : static_cast<double>(dy[i]);
      const double h = dx == nullptr ? 0 : static_cast<double>(dx[i]);
      const Point p = map_(static_cast<double>(y) + v, static_cast<double>(x + i) + h);
      const double py = std::clamp(p.y, -1.0, bottom), px = std::clamp(p.x, -1.0, right);
      const double top = std::min(std::floor(py), bottom - 1);
      const double left = std::min(std::floor(px), right - 1);
      offset_[i] =
          static_cast<int64_t>(top) * from_.stride + static_cast<int64_t>(left) * channels;
      below_[i] = static_cast<T>(py - top);
      beside_[i] = static_cast<T>(px - left);
    }
  }

  // The weights of a place that is a pixel are 1 and 0: whole shifts are exact.
  template <int64_t fixed>
  void blend(int64_t count, int64_t channels, T* out) const {
    const int64_t n = fixed > 0 ? fixed : channels;
    for (int64_t i = 0; i < count; ++i, out += n) {
      const T* p = from_.data + offset_[i];
      const T fy = below_[i], fx = beside_[i], gy = 1 - fy, gx = 1 - fx;
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
  int64_t offset_[tile];
  T below_[tile], beside_[tile];
};

}  // namespace nervure::augment
