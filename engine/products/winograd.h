// SPDX-License-Identifier: BSD-3-Clause
// Convolution with 3x3 windows, stride 1, by Winograd's minimal filtering F(4x4, 3x3): a
// tile of 4x4 outputs takes 36 products for each pair of channels in the place of 144.
//
//   y = At [(G g Gt) * (Bt d B)] A,   dg = Gt [sum of (Bt d B) * (A dy At)] G
//
// with d the 6x6 pixels that a tile sees and g a kernel; the sum over channels (over tiles
// for dg) is one matrix product for each of the 36 places. Points 0, +-3/4, +-3/2 and
// infinity: the error in float is about five times that of the direct sum, where 0, +-1,
// +-2 have fifteen.
//
// Source: Lavin and Gray, Fast algorithms for convolutional neural networks (2016), section
// 4; points: Barabasz et al., Error analysis and improving the accuracy of Winograd
// convolution for deep neural networks (2020).
//
// Legend: places f of 36; N tiles of all images, in their order; panels of 32 filters
// (of float; 16 of double), the last of which may have 16.
//   V [f][tile][channel] = Bt d B     U [panel][f][channel][filter] = G g Gt
//   D [panel][f][tile][filter] = A dy At
// whose places are `apart`.
#pragma once

#include <cstdint>

#include "gemm.h"

namespace nervure::winograd {

constexpr int64_t places = 36, outputs = 4, inputs = 6;
constexpr int64_t channel_unit = 16, most_channels = 1024;
constexpr int64_t panel = panel_columns<float>;  // filters that a part has at least

// Images (height, width, channels) and the windows (rows, columns) on them, the first of
// which begins `top` rows and `left` columns before the image.
struct Plane {
  int64_t height, width, channels;
  int64_t rows, columns, filters;
  int64_t top, left;

  [[nodiscard]] int64_t down() const { return (rows + outputs - 1) / outputs; }
  [[nodiscard]] int64_t across() const { return (columns + outputs - 1) / outputs; }
  [[nodiscard]] int64_t tiles(int64_t images) const { return images * down() * across(); }
  [[nodiscard]] int64_t panels() const { return (filters + panel - 1) / panel; }
};

// From place to place: a multiple of 4 kB would lay all 36 into one set of the cache.
constexpr int64_t apart(int64_t elements) { return elements + 16; }

// Elements of V, D and U.
inline int64_t seen_size(const Plane& p, int64_t tiles) {
  return places * apart(tiles * p.channels);
}
template <class T>
int64_t panel_offset(int64_t rows, int64_t first) {
  return places * (rows * first + first / panel_columns<T> * apart(0));
}
inline int64_t gradient_size(const Plane& p, int64_t tiles) {
  return panel_offset<double>(tiles, p.filters + panel);
}
inline int64_t weight_size(const Plane& p) {
  return panel_offset<double>(p.channels, p.filters + panel);
}

// U for the filters of one panel of floats and some channels. `weight` is (3, 3, channels,
// filters), or where it is turned (3, 3, filters, channels) with its taps from the last to
// the first: then the convolution is the input gradient of another.
template <class T>
void transform_weights(const Plane& p, const T* weight, bool turned, int64_t which,
                       int64_t first_channel, int64_t end_channel, T* u);

// V for some tiles of x; places are apart(tiles * channels).
template <class T>
void transform_seen(const Plane& p, const T* x, int64_t begin, int64_t end, int64_t tiles,
                    T* v);

// D for some tiles of dy.
template <class T>
void transform_gradient(const Plane& p, const T* dy, int64_t begin, int64_t end,
                        int64_t tiles, T* d);

// y = bias + convolution, or y += convolution.
template <class T>
struct Forward {
  const T* x;
  const T* bias;  // or null
  T* y;
  bool add;
};

// For some tiles, at most forward_tiles, and some panels of floats, with U.
int64_t forward_tiles(const Plane& p, int64_t tiles);
template <class T>
void forward(const Plane& p, const Forward<T>& a, const T* u, int64_t begin, int64_t end,
             int64_t first_panel, int64_t end_panel);

// For all tiles and one panel of floats, with V.
template <class T>
void forward_panel(const Plane& p, const Forward<T>& a, const T* v, int64_t tiles,
                   const T* weight, bool turned, int64_t which);

// dW = sum, or dW += sum, for some channels (at most gradient_channels) and one panel.
constexpr int64_t gradient_channels = 64;
template <class T>
void weight_gradient(const Plane& p, const T* v, const T* d, int64_t tiles,
                     int64_t first_channel, int64_t end_channel, int64_t which, T* dweight,
                     bool add);

}  // namespace nervure::winograd
