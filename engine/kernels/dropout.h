// SPDX-License-Identifier: BSD-3-Clause
// Dropout: y = x m / (1 - rate) while training, y = x else; dx = dy m / (1 - rate).
//
// The mask m is a function of (seed, step, node, element of the mask), so the backward
// pass makes it again instead of reading it from memory.
#pragma once

#include <algorithm>

#include "../random.h"
#include "elementwise.h"

namespace nervure {

namespace detail {

struct Silencing {
  uint32_t threshold;  // words whose 24 high bits are below it silence their element
  double scale;        // 1 / (1 - rate)

  static Silencing read(const Attributes& attributes) {
    return {static_cast<uint32_t>(attributes.integer("threshold")),
            1 / (1 - attributes.number("rate"))};
  }

  // call(range, keeps), some of the mask's elements at a time, from `first` on; keeps(i)
  // says whether element i of the range is one that stays.
  template <class T>
  NERVURE_INLINE void each_tile(const Context<T>& c, int64_t first, Range range,
                                auto call) const {
    const uint32_t least = threshold;
    const auto some = [&](int64_t begin, int64_t end, const uint32_t* word) {
      call(Range{begin, end}, [=](int64_t i) { return (word[i - begin] >> 8) >= least; });
    };
    random::each_word({c.seed, c.step, c.node}, first, range.begin, range.end, some);
  }
};

}  // namespace detail

struct Dropout : Elementwise {
  static constexpr std::string_view name = "dropout";

  detail::Silencing silencing;

  static Dropout read(const Attributes& attributes, const Shapes& shapes) {
    return {{size_of(shapes.output)}, detail::Silencing::read(attributes)};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return true; }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    Operand<T> y = {.gradient = c.output.value};
    apply(c, c.inputs[0].value, y, elementwise_range(c.rows, size, task));
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (c.inputs[0].gradient == nullptr) return;
    apply(c, c.output.gradient, c.inputs[0], elementwise_range(c.rows, size, task));
  }

 private:
  // to.gradient = (or +=) from m / (1 - rate)
  template <class T>
  void apply(const Context<T>& c, const T* from, const Operand<T>& to, Range range) const {
    if (!c.training) return put(to, range, [=](int64_t i) { return from[i]; });
    const T factor = static_cast<T>(silencing.scale);
    silencing.each_tile(c, c.first_row * size, range, [&](Range part, auto keeps) {
      put(to, part, [=](int64_t i) { return keeps(i) ? from[i] * factor : T(0); });
    });
  }
};

// One element of the mask for all pixels of a channel (SpatialDropout) or for all of a
// row (StochasticDepth: one channel). The mask is made first, then applied.
struct SharedDropout {
  static constexpr std::string_view name = "shared_dropout";

  detail::Silencing silencing;
  int64_t pixels, channels;  // of a row

  static SharedDropout read(const Attributes& attributes, const Shapes& shapes) {
    const int64_t channels = attributes.integer("channels");
    return {detail::Silencing::read(attributes), size_of(shapes.output) / channels,
            channels};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return true; }
  // Scratch: the factor of each channel of each row, 0 where it is silenced.
  [[nodiscard]] Buffers buffers(int64_t rows) const { return {.scratch = rows * channels}; }
  [[nodiscard]] Work forward_work(int64_t rows) const {
    return {parts_of(rows * channels, elementwise_grain),
            parts_of(rows * pixels * channels, elementwise_grain)};
  }
  [[nodiscard]] Work backward_work(int64_t rows) const { return forward_work(rows); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    Operand<T> y = {.gradient = c.output.value};
    run(c, c.inputs[0].value, y, task);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (c.inputs[0].gradient != nullptr) run(c, c.output.gradient, c.inputs[0], task);
  }

 private:
  template <class T>
  void run(const Context<T>& c, const T* from, const Operand<T>& to, Task task) const {
    if (task.phase == 0 && c.training)
      draw(c, range_of(c.rows * channels, elementwise_grain, task.part));
    else if (task.phase == 1)
      apply(c, from, to,
            range_of(c.rows * pixels * channels, elementwise_grain, task.part));
  }

  template <class T>
  void draw(const Context<T>& c, Range range) const {
    T* factors = c.scratch;
    const T factor = static_cast<T>(silencing.scale);
    silencing.each_tile(c, c.first_row * channels, range, [&](Range part, auto keeps) {
      fill(factors, part, [=](int64_t i) { return keeps(i) ? factor : T(0); });
    });
  }

  // Stretches with one factor (a row with one channel) or one factor each (a pixel).
  template <class T>
  void apply(const Context<T>& c, const T* from, const Operand<T>& to, Range range) const {
    if (!c.training) return put(to, range, [=](int64_t i) { return from[i]; });
    const int64_t width = channels > 1 ? channels : pixels;
    for (int64_t begin = range.begin; begin < range.end;) {
      const int64_t stretch = begin / width, first = stretch * width;
      const Range part = {begin, std::min(first + width, range.end)};
      const T* factors = c.scratch + begin / (pixels * channels) * channels;
      if (channels > 1)
        put(to, part, [=](int64_t i) { return kept(from[i], factors[i - first]); });
      else
        put(to, part, [=, factor = *factors](int64_t i) { return kept(from[i], factor); });
      begin = part.end;
    }
  }

  // What is silenced is 0 even where it was infinite.
  template <class T>
  NERVURE_INLINE static T kept(T x, T factor) {
    return factor > T(0) ? x * factor : T(0);
  }
};

}  // namespace nervure
