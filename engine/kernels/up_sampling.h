// SPDX-License-Identifier: BSD-3-Clause
// UpSampling: every pixel of y is a mean of pixels of x, weighted axis by axis: one pixel
// (nearest), or two on each axis (linear).
//
// Legend: the centre of pixel i is at i + 1/2, so that pixel j of an axis stretched by s
// lies at (j + 1/2) / s - 1/2 of x, which is held within the outermost centres. A share is
// what one pixel gets of another; the gradient goes by the same shares, transposed.
#pragma once

#include <algorithm>

#include "elementwise.h"
#include "window.h"

namespace nervure {

namespace detail {

struct Share {
  int64_t pixel;
  double weight;
};

// What each pixel of an axis gets, of pixels in rising order.
using Shares = std::vector<std::vector<Share>>;

inline Shares linear_shares(int64_t extent, int64_t scale) {
  Shares shares;
  const auto last = static_cast<double>(extent - 1);
  for (int64_t j = 0; j < extent * scale; ++j) {
    const double place = (static_cast<double>(j) + 0.5) / static_cast<double>(scale) - 0.5;
    const double at = std::clamp(place, 0.0, last);
    const auto low = static_cast<int64_t>(at);
    const double high_weight = at - static_cast<double>(low);
    shares.push_back({{low, 1 - high_weight}});
    if (high_weight > 0) shares.back().push_back({low + 1, high_weight});
  }
  return shares;
}

inline Shares nearest_shares(int64_t extent, int64_t scale) {
  Shares shares;
  for (int64_t j = 0; j < extent * scale; ++j) shares.push_back({{j / scale, 1.0}});
  return shares;
}

inline Shares transposed(const Shares& shares, int64_t extent) {
  Shares result(static_cast<size_t>(extent));
  for (size_t j = 0; j < shares.size(); ++j)
    for (const Share& share : shares[j])
      result[static_cast<size_t>(share.pixel)].push_back(
          {static_cast<int64_t>(j), share.weight});
  return result;
}

// A map of pixels to pixels, as the product of one for each axis.
class Resampling {
 public:
  Resampling(std::array<Shares, 3> axes, const Triple& source)
      : axes_(std::move(axes)), source_(source) {}

  [[nodiscard]] Resampling transpose() const {
    std::array<Shares, 3> axes;
    for (size_t k = 0; k < 3; ++k) axes[k] = transposed(axes_[k], source_[k]);
    return {std::move(axes), extents()};
  }
  [[nodiscard]] Triple extents() const {
    Triple t;
    for (size_t k = 0; k < 3; ++k) t[k] = static_cast<int64_t>(axes_[k].size());
    return t;
  }
  [[nodiscard]] int64_t pixels() const { return volume(extents()); }

  // How many shares pixel `index` (of all images) gets.
  [[nodiscard]] int64_t shares(int64_t index) const {
    const auto [d, h, w] = place(index);
    return static_cast<int64_t>(axes_[0][d].size() * axes_[1][h].size() *
                                axes_[2][w].size());
  }

  // Calls with where a pixel of the source begins and its weight, for all that pixel
  // `index` (of all images) gets.
  template <class Call>
  NERVURE_INLINE void each_share(int64_t index, int64_t channels, Call call) const {
    const auto& [depth, height, width] = axes_;
    const int64_t image = index / pixels();
    const auto [d, h, w] = place(index);
    for (const Share& a : depth[d])
      for (const Share& b : height[h]) {
        const int64_t line = ((image * source_[0] + a.pixel) * source_[1] + b.pixel);
        for (const Share& c : width[w])
          call((line * source_[2] + c.pixel) * channels, a.weight * b.weight * c.weight);
      }
  }

 private:
  [[nodiscard]] std::array<size_t, 3> place(int64_t index) const {
    const Triple t = extents();
    return {static_cast<size_t>(index / (t[1] * t[2]) % t[0]),
            static_cast<size_t>(index / t[2] % t[1]), static_cast<size_t>(index % t[2])};
  }

  std::array<Shares, 3> axes_;
  Triple source_;
};

}  // namespace detail

struct UpSampling {
  static constexpr std::string_view name = "up_sampling";

  detail::Resampling up, down;
  int64_t channels;

  static UpSampling read(const Attributes& attributes, const Shapes& shapes) {
    const Triple x = extents_of(shapes.inputs[0]);
    const Triple scale = triple(attributes.integers("size"), 1);
    const bool linear = attributes.flag("linear");
    std::array<detail::Shares, 3> axes;
    for (size_t k = 0; k < 3; ++k)
      axes[k] = linear ? detail::linear_shares(x[k], scale[k])
                       : detail::nearest_shares(x[k], scale[k]);
    const detail::Resampling up(std::move(axes), x);
    return {up, up.transpose(), shapes.output.back()};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const { return pixels(up, rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const { return pixels(down, rows).work(); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Operand<T> y = {.gradient = c.output.value};
    apply(up, c.inputs[0].value, y, pixels(up, c.rows).range(task));
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (c.inputs[0].gradient != nullptr)
      apply(down, c.output.gradient, c.inputs[0], pixels(down, c.rows).range(task));
  }

 private:
  [[nodiscard]] Stretches pixels(const detail::Resampling& map, int64_t rows) const {
    return {rows * map.pixels(), channels};
  }

  // Channel by channel in tiles, so that sums stay in registers or nearby.
  template <class T>
  void apply(const detail::Resampling& map, const T* from, const Operand<T>& to,
             Range range) const {
    constexpr int64_t tile = 64, few = 32;
    T high[tile], low[tile];
    const LongSums<T> sums{high, low};
    for (int64_t pixel = range.begin; pixel < range.end; ++pixel) {
      const bool many = map.shares(pixel) > few;
      for (int64_t first = 0; first < channels; first += tile) {
        const int64_t count = std::min(tile, channels - first);
        sums.clear(count);
        map.each_share(pixel, channels, [&](int64_t at, double share) {
          const T *x = from + at + first, weight = static_cast<T>(share);
          if (many)
            add_rows(sums, 1, count,
                     [=](int64_t) { return [=](int64_t j) { return weight * x[j]; }; });
          else
            fill(sums.high, {0, count},
                 [=](int64_t j) { return sums.high[j] + weight * x[j]; });
        });
        const int64_t at = pixel * channels + first;
        put(to, {at, at + count},
            [=](int64_t i) { return sums.high[i - at] + sums.low[i - at]; });
      }
    }
  }
};

}  // namespace nervure
