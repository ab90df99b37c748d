// SPDX-License-Identifier: BSD-3-Clause
// Convolutions that Winograd's filtering is faster for, and how their work is cut.
#pragma once

#include "../products/winograd.h"
#include "correlation.h"
#include "elementwise.h"

namespace nervure::detail {

// Tiles that are transformed together.
inline int64_t transform_parts(int64_t tiles) { return std::min<int64_t>(16, tiles); }
inline Range transform_range(int64_t tiles, int64_t part) {
  return share_of(tiles, transform_parts(tiles), part);
}

// One direction. Phase 0 prepares what there is less of: the kernel, whose parts are then
// blocks of tiles, or all that is seen, whose parts are then panels of filters. Each part
// transforms the other on its own.
struct Filtering : winograd::Plane {
  bool turned = false;

  [[nodiscard]] bool by_tiles(int64_t rows) const { return tiles(rows) > filters; }
  [[nodiscard]] int64_t prepared_size(int64_t rows) const {
    return by_tiles(rows) ? winograd::weight_size(*this)
                          : winograd::seen_size(*this, tiles(rows));
  }
  [[nodiscard]] int64_t preparing_parts(int64_t rows) const {
    return by_tiles(rows) ? panels() * parts_of(channels, winograd::gradient_channels)
                          : transform_parts(tiles(rows));
  }
  [[nodiscard]] int64_t parts(int64_t rows) const {
    return by_tiles(rows) ? blocks(rows) * cuts(rows) : panels();
  }

  template <class T>
  void run(int64_t rows, const winograd::Forward<T>& a, const T* weight, T* prepared,
           Task task) const {
    if (by_tiles(rows))
      task.phase == 0 ? widen(weight, prepared, task.part)
                      : filter(rows, a, prepared, task.part);
    else if (task.phase == 0)
      see(rows, a.x, prepared, task.part);
    else
      winograd::forward_panel<T>(*this, a, prepared, tiles(rows), weight, turned,
                                 task.part);
  }

 private:
  template <class T>
  void widen(const T* weight, T* u, int64_t part) const {
    const Range some = range_of(channels, winograd::gradient_channels, part / panels());
    winograd::transform_weights(*this, weight, turned, part % panels(), some.begin,
                                some.end, u);
  }
  template <class T>
  void see(int64_t rows, const T* x, T* v, int64_t part) const {
    const Range range = transform_range(tiles(rows), part);
    winograd::transform_seen(*this, x, range.begin, range.end, tiles(rows),
                             v + range.begin * channels);
  }

  [[nodiscard]] int64_t blocks(int64_t rows) const {
    return parts_of(tiles(rows), winograd::forward_tiles(*this, tiles(rows)));
  }
  // Few blocks of tiles are cut by filters too; what they see is transformed again then.
  [[nodiscard]] int64_t cuts(int64_t rows) const {
    return std::min(panels(), parts_of(4, blocks(rows)));
  }
  template <class T>
  void filter(int64_t rows, const winograd::Forward<T>& a, const T* u, int64_t part) const {
    const int64_t n = cuts(rows);
    const Range some = share_of(tiles(rows), blocks(rows), part / n);
    const Range panel = share_of(panels(), n, part % n);
    winograd::forward(*this, a, u, some.begin, some.end, panel.begin, panel.end);
  }
};

class Winograd {
 public:
  Winograd(const Taps& taps, bool exact) : possible_(fits(taps) && !exact) {
    const Triple &source = taps.slide.source, &windows = taps.slide.windows;
    const Triple& low = taps.slide.low;
    ahead_ = {{source[1], source[2], taps.slide.channels, windows[1], windows[2],
               taps.filters(), -low[1], -low[2]},
              false};
    back_ = {{windows[1], windows[2], taps.filters(), source[1], source[2],
              taps.slide.channels, 2 + low[1], 2 + low[2]},
             true};
  }

  // The kernel's transform costs as much as some tiles do, and the last tiles reach over
  // the edge: 36 products for a tile run at four fifths of the speed of 9 for a window.
  [[nodiscard]] bool takes(int64_t rows) const {
    const int64_t windows = rows * ahead_.rows * ahead_.columns;
    return possible_ && 9 * windows > 45 * ahead_.tiles(rows) + 900;
  }

  [[nodiscard]] int64_t scratch(int64_t rows) const {
    const int64_t tiles = ahead_.tiles(rows);
    const int64_t both =
        winograd::seen_size(ahead_, tiles) + winograd::gradient_size(ahead_, tiles);
    return std::max(ahead_.prepared_size(rows), back_.prepared_size(rows) + both);
  }
  [[nodiscard]] Work forward_work(int64_t rows) const {
    return {ahead_.preparing_parts(rows), ahead_.parts(rows)};
  }
  // Phases: all transforms; dW, db, dx.
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {back_.preparing_parts(rows) + 2 * transform_parts(ahead_.tiles(rows)),
            gradient_parts() + bias_parts() + back_.parts(rows)};
  }

  template <class T>
  void forward(const Context<T>& c, bool has_bias, Task task) const {
    const T* bias = has_bias ? c.parameters[1].value : nullptr;
    ahead_.run<T>(c.rows, {c.inputs[0].value, bias, c.output.value, false},
                  c.parameters[0].value, c.scratch, task);
  }

  template <class T>
  void backward(const Context<T>& c, bool has_bias, Task task) const {
    task.phase == 0 ? transform(c, task.part) : gradients(c, has_bias, task.part);
  }

 private:
  static bool fits(const Taps& taps) {
    const Slide& s = taps.slide;
    const auto whole = [](int64_t channels) {
      return channels % winograd::channel_unit == 0 && channels <= winograd::most_channels;
    };
    return s.step == Triple{1, 1, 1} && s.source[0] == 1 && s.windows[0] == 1 &&
           s.low[0] == 0 && taps.count() == 9 && s.high[0] == 0 &&
           s.high[1] - s.low[1] == 2 && s.high[2] - s.low[2] == 2 && taps.groups == 1 &&
           whole(s.channels) && whole(taps.filters());
  }

  template <class T>
  struct Memory {
    T *seen, *gradient, *prepared;
  };
  template <class T>
  [[nodiscard]] Memory<T> memory(const Context<T>& c) const {
    const int64_t tiles = ahead_.tiles(c.rows);
    T* gradient = c.scratch + winograd::seen_size(ahead_, tiles);
    return {c.scratch, gradient, gradient + winograd::gradient_size(ahead_, tiles)};
  }

  template <class T>
  void transform(const Context<T>& c, int64_t part) const {
    const int64_t preparing = back_.preparing_parts(c.rows);
    if (part < preparing) return input_gradient(c, {0, part});
    if (c.parameters[0].gradient == nullptr) return;
    part -= preparing;
    const Memory<T> to = memory(c);
    const int64_t tiles = ahead_.tiles(c.rows), n = transform_parts(tiles);
    const Range range = transform_range(tiles, part % n);
    if (part < n)
      winograd::transform_seen<T>(ahead_, c.inputs[0].value, range.begin, range.end, tiles,
                                  to.seen + range.begin * ahead_.channels);
    else
      winograd::transform_gradient<T>(ahead_, c.output.gradient, range.begin, range.end,
                                      tiles, to.gradient);
  }

  template <class T>
  void input_gradient(const Context<T>& c, Task task) const {
    const Operand<T>& x = c.inputs[0];
    if (x.gradient != nullptr)
      back_.run<T>(c.rows, {c.output.gradient, nullptr, x.gradient, x.accumulate},
                   c.parameters[0].value, memory(c).prepared, task);
  }

  // Channels of a part of dW.
  [[nodiscard]] int64_t gradient_grain() const {
    int64_t grain = winograd::gradient_channels;
    while (grain > 16 && ahead_.panels() * parts_of(ahead_.channels, grain) < 8) grain /= 2;
    return grain;
  }
  [[nodiscard]] int64_t gradient_parts() const {
    return ahead_.panels() * parts_of(ahead_.channels, gradient_grain());
  }
  [[nodiscard]] int64_t bias_parts() const { return channel_parts(ahead_.filters); }

  template <class T>
  void gradients(const Context<T>& c, bool has_bias, int64_t part) const {
    if (part < gradient_parts()) return weight_gradient(c, part);
    part -= gradient_parts();
    if (part >= bias_parts()) return input_gradient(c, {1, part - bias_parts()});
    if (has_bias)
      add_pixels(c.parameters[1], c.output.gradient, c.rows * ahead_.rows * ahead_.columns,
                 ahead_.filters, part);
  }

  template <class T>
  void weight_gradient(const Context<T>& c, int64_t part) const {
    const Operand<T>& weight = c.parameters[0];
    if (weight.gradient == nullptr) return;
    const Memory<T> from = memory(c);
    const Range channels =
        range_of(ahead_.channels, gradient_grain(), part / ahead_.panels());
    winograd::weight_gradient<T>(ahead_, from.seen, from.gradient, ahead_.tiles(c.rows),
                                 channels.begin, channels.end, part % ahead_.panels(),
                                 weight.gradient, weight.accumulate);
  }

  bool possible_;
  Filtering ahead_, back_;  // y from x, dx from dy
};

}  // namespace nervure::detail
