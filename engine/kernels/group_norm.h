// SPDX-License-Identifier: BSD-3-Clause
// GroupNorm: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance
// of one group of channels over the pixels of one sample; LayerNorm is one group in a
// sample of one pixel, RMSNorm the same without mean and beta.
//
// Legend: a sample has `pixels` of `channels`, a group `width` channels; x^ is the
// normalized x, n = pixels * width. With g = gamma dy,
//   dx = (g - mean(g) - x^ mean(g x^)) / deviation    (without mean(g) where not centred).
// Rows are taken in blocks; gamma's gradient has long sums for each, added up in their
// order.
#pragma once

#include <cmath>
#include <utility>

#include "elementwise.h"

namespace nervure {

struct GroupNorm {
  static constexpr std::string_view name = "group_norm";

  int64_t samples, pixels, channels, width;  // samples of one row of the batch
  bool centred;
  double epsilon;

  static GroupNorm read(const Attributes& attributes, const Shapes& shapes) {
    const int64_t channels = shapes.output.back();
    const int64_t all = size_of(shapes.output) / channels;
    const bool each = attributes.flag("each_pixel");
    return {each ? all : 1,
            each ? 1 : all,
            channels,
            channels / attributes.integer("groups"),
            attributes.flag("centred"),
            attributes.number("epsilon")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Saved: mean and 1 / deviation of each group. Scratch: dgamma and dbeta of each block.
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    return {.saved = 2 * rows * samples * groups(), .scratch = sums() * blocks(rows)};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const { return {blocks(rows)}; }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {blocks(rows), parts_of(channels, 64)};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const T* scale = c.parameters[0].value;
    const T* shift = centred ? c.parameters[1].value : nullptr;
    each_group(c, task.part, [&](int64_t at, int64_t first, T* moments) {
      const T *x = c.inputs[0].value + at, *gamma = scale + first;
      T* y = c.output.value + at;
      find_moments(x, moments);
      const T mean = moments[0], inverse = moments[1];
      each_pixel([&](int64_t i) {
        const T* from = x + i;
        T* to = y + i;
        if (shift == nullptr)
          fill(to, {0, width}, [=](int64_t j) { return from[j] * inverse * gamma[j]; });
        else
          fill(to, {0, width}, [=](int64_t j) {
            return (from[j] - mean) * inverse * gamma[j] + shift[first + j];
          });
      });
    });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (task.phase == 1) return add_up(c, range_of(channels, 64, task.part));
    const auto [dscale, dshift] = sums_of(c, task.part);
    dscale.clear(channels);
    dshift.clear(channels);
    const Range block = share_of(c.rows * samples, blocks(c.rows), task.part);
    for (int64_t first = 0; first < channels; first += width)
      parameter_gradients(c, block, first, dscale, dshift);
    if (c.inputs[0].gradient == nullptr) return;
    each_group(c, task.part, [&](int64_t at, int64_t first, T* moments) {
      input_gradient(c, at, first, moments[0], moments[1]);
    });
  }

 private:
  [[nodiscard]] int64_t groups() const { return channels / width; }
  [[nodiscard]] int64_t size() const { return pixels * channels; }
  // At most 64 blocks of samples.
  [[nodiscard]] int64_t blocks(int64_t rows) const {
    return std::min<int64_t>(64, Stretches{rows * samples, size()}.work()[0]);
  }

  // Calls with where a group begins, its first channel and its place for moments.
  template <class T>
  void each_group(const Context<T>& c, int64_t block, auto call) const {
    const Range range = share_of(c.rows * samples, blocks(c.rows), block);
    for (int64_t s = range.begin; s < range.end; ++s)
      for (int64_t g = 0; g < groups(); ++g)
        call(s * size() + g * width, g * width, c.saved + 2 * (s * groups() + g));
  }
  void each_pixel(auto call) const {
    for (int64_t i = 0; i < pixels; ++i) call(i * channels);
  }

  // Long sums of dgamma and dbeta of a block.
  [[nodiscard]] int64_t sums() const { return 4 * channels; }
  template <class T>
  [[nodiscard]] std::pair<LongSums<T>, LongSums<T>> sums_of(const Context<T>& c,
                                                            int64_t block) const {
    T* first = c.scratch + sums() * block;
    return {{first, first + channels}, {first + 2 * channels, first + 3 * channels}};
  }

  // Over all pixels of a block of samples, of the channels of a group.
  template <class T>
  void parameter_gradients(const Context<T>& c, Range block, int64_t first,
                           const LongSums<T>& dscale, const LongSums<T>& dshift) const {
    const int64_t begin = block.begin * size() + first;
    const T *x = c.inputs[0].value + begin, *dy = c.output.gradient + begin;
    const T* moments = c.saved + 2 * (block.begin * groups() + first / width);
    add_rows(dscale.from(first), block.size() * pixels, width, [&](int64_t i) {
      const T* of_sample = moments + 2 * (i / pixels) * groups();
      return [from = x + i * channels, d = dy + i * channels, mean = of_sample[0],
              inverse = of_sample[1]](int64_t j) {
        return d[j] * ((from[j] - mean) * inverse);
      };
    });
    add_rows(dshift.from(first), block.size() * pixels, width, [&](int64_t i) {
      return [d = dy + i * channels](int64_t j) { return d[j]; };
    });
  }

  // The mean over a group, where sum(i) is the sum of a stretch of `width` at i.
  template <class T>
  [[nodiscard]] T mean_of(auto sum) const {
    double total = 0;
    each_pixel([&](int64_t i) { total += sum(i); });
    return static_cast<T>(total / static_cast<double>(pixels * width));
  }

  template <class T>
  void find_moments(const T* x, T* moments) const {
    const T mean =
        centred ? mean_of<T>([&](int64_t i) { return simd::sum(x + i, width); }) : T(0);
    const T variance = mean_of<T>([&](int64_t i) {
      const auto square = [=](auto a) { return (a - mean) * (a - mean); };
      return simd::total_of<T>(width, square, x + i);
    });
    moments[0] = mean;
    moments[1] = T(1) / std::sqrt(variance + static_cast<T>(epsilon));
  }

  template <class T>
  void input_gradient(const Context<T>& c, int64_t at, int64_t first, T mean,
                      T inverse) const {
    const T *x = c.inputs[0].value + at, *dy = c.output.gradient + at;
    const T* gamma = c.parameters[0].value + first;
    const T plain =
        centred ? mean_of<T>([&](int64_t i) { return simd::dot(dy + i, gamma, width); })
                : T(0);
    const T along = mean_of<T>([&](int64_t i) {
      const auto share = [=](auto d, auto g, auto a) {
        return d * g * ((a - mean) * inverse);
      };
      return simd::total_of<T>(width, share, dy + i, gamma, x + i);
    });
    each_pixel([&](int64_t i) {
      put(c.inputs[0], {at + i, at + i + width}, [=](int64_t k) {
        const int64_t j = k - at;
        const T normal = (x[j] - mean) * inverse;
        return (dy[j] * gamma[j - i] - plain - normal * along) * inverse;
      });
    });
  }

  template <class T>
  void add_up(const Context<T>& c, Range some) const {
    const auto [dscale, dshift] = sums_of(c, 0);
    put_long_sums(c.parameters[0], some, dscale, blocks(c.rows), sums());
    if (centred) put_long_sums(c.parameters[1], some, dshift, blocks(c.rows), sums());
  }
};

}  // namespace nervure
