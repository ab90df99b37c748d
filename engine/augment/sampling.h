// SPDX-License-Identifier: BSD-3-Clause
// An image read at other places than its pixels, by bilinear interpolation.
#pragma once

#include <algorithm>

#include "../simd.h"
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
        dy_ != nullptr ? find<true>(y, x, count) : find<false>(y, x, count);
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

  // Of some pixels: the corner above and left, and the shares of the others. In numbers
  // of 32 bits and without a branch, so that it is vectorized.
  template <bool displaced>
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
      const double py = within(m.yy * v + m.yx * h + m.y0, bottom);
      const double px = within(m.xy * v + m.xx * h + m.x0, right);
      // + 1 makes them positive, so that cutting rounds down.
      const int32_t top = below(static_cast<int32_t>(py + 1) - 1, bottom);
      const int32_t left = below(static_cast<int32_t>(px + 1) - 1, right);
      top_[i] = top, left_[i] = left;
      down_[i] = static_cast<T>(py - static_cast<double>(top));
      across_[i] = static_cast<T>(px - static_cast<double>(left));
    }
  }
  static double within(double place, double end) {
    place = place > -1 ? place : -1;
    return place < end ? place : end;
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
