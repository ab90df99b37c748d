// SPDX-License-Identifier: BSD-3-Clause
// Gradient of a kernel's weights: dW[t, c, o] = sum over images and windows j of
// x[j * step + e_t, c] dy[j, o].
//
// Few weights: groups of units have a sum each, and a second phase adds these in their
// order. Many weights: each part has some columns and runs to itself and goes over all
// units. db is the sum of dy; it is taken from the panels of dy, by long sums.
#pragma once

#include "correlation.h"
#include "elementwise.h"

namespace nervure {

// Where gradients go, or what they have become so far.
template <class T>
struct WeightGradients {
  T* weight;  // or null
  T* bias;    // or null
  bool add;
};
template <class T>
struct WeightSums {
  T* weight;  // or null
  bool add;
  LongSums<T> bias;
  bool sums_bias;
};

class WeightGradient {
 public:
  explicit WeightGradient(const Gather& gather) : weights_(gather.taps().weights()) {}

  // First phase.
  [[nodiscard]] int64_t parts(const Gather& g, int64_t rows) const {
    return few() ? sums(g, rows) : panels(g) * run_cuts(g);
  }
  // Second phase: adding up, 0 where there is a single sum.
  [[nodiscard]] int64_t adding_parts(const Gather& g, int64_t rows) const {
    return sums(g, rows) > 1 ? parts_of(size(g), elementwise_grain) : 0;
  }
  // Scratch: the box of each part, and its sums; those of biases alone where the gradient
  // itself is the sum of the weights'.
  [[nodiscard]] int64_t scratch(const Gather& g, int64_t rows) const {
    const int64_t own = sums(g, rows), biases = 2 * g.taps().filters();
    const int64_t box = g.units().scratch() * parts(g, rows);
    return box + (own > 1 ? own * (weights_ + biases) : biases);
  }

  // A part's share of dW and, where wanted, db.
  template <class T>
  void run(const Gather& g, int64_t rows, const T* x, const T* dy,
           const WeightGradients<T>& to, T* scratch, int64_t part) const {
    const int64_t box = g.units().scratch(), units = g.units().number(rows);
    T* memory = box > 0 ? scratch + part * box : nullptr;
    WeightSums<T> sum = sums_of(g, rows, to, scratch, part);
    if (few()) {
      const int64_t own = sums(g, rows);
      sum.bias.clear(g.taps().filters());
      each_unit(share_of(units, own, part), g, rows, x, dy, memory, sum, {0, panels(g)},
                {0, g.runs()});
      if (own == 1) put_bias(to, sum.bias, {0, g.taps().filters()});
      return;
    }
    const int64_t cuts = run_cuts(g), cut = part % cuts, i = part / cuts;
    const Range columns = columns_of(g, i);
    sum.sums_bias = sum.sums_bias && cut == 0;
    if (sum.sums_bias) sum.bias.from(columns.begin).clear(columns.size());
    each_unit({0, units}, g, rows, x, dy, memory, sum, {i, i + 1},
              share_of(g.runs(), cuts, cut));
    if (sum.sums_bias) put_bias(to, sum.bias, columns);
  }

  template <class T>
  void add_up(const Gather& g, int64_t rows, const WeightGradients<T>& to, T* scratch,
              int64_t part) const {
    const Range range = range_of(size(g), elementwise_grain, part);
    const Range weight = {range.begin, std::min(range.end, weights_)};
    const Range bias = {std::max<int64_t>(range.begin - weights_, 0),
                        std::max<int64_t>(range.end - weights_, 0)};
    const int64_t own = sums(g, rows), apart = weights_ + 2 * g.taps().filters();
    const WeightSums<T> first = sums_of(g, rows, to, scratch, 0);
    put_sum(operand(to.weight, to), weight, first.weight, own, apart);
    put_long_sums(operand(to.bias, to), bias, first.bias, own, apart);
  }

 private:
  static constexpr int64_t few_weights = 160'000, most_elements = 600'000;

  [[nodiscard]] bool few() const { return weights_ <= few_weights; }
  [[nodiscard]] int64_t size(const Gather& g) const {
    return weights_ + g.taps().filters();
  }
  // Sums of their own that groups of units have; 1: the gradient itself.
  [[nodiscard]] int64_t sums(const Gather& g, int64_t rows) const {
    if (!few()) return 1;
    const int64_t room = std::clamp<int64_t>(most_elements / size(g), 2, 16);
    return std::min(room, g.units().number(rows));
  }
  [[nodiscard]] static int64_t panels(const Gather& g) {
    return g.taps().groups * parts_of(g.taps().outputs, panel_columns<float>);
  }
  [[nodiscard]] static int64_t run_cuts(const Gather& g) {
    return std::min(g.runs(), parts_of(8, panels(g)));
  }

  // The columns of a panel.
  [[nodiscard]] static Range columns_of(const Gather& g, int64_t index) {
    const Panel<float> panel(g.taps().outputs, index);
    const int64_t group = panel.group * g.taps().outputs;
    return {group + panel.columns.begin, group + panel.columns.end};
  }

  // What a part sums up: in scratch, behind the boxes of all parts.
  template <class T>
  [[nodiscard]] WeightSums<T> sums_of(const Gather& g, int64_t rows,
                                      const WeightGradients<T>& to, T* scratch,
                                      int64_t part) const {
    const int64_t filters = g.taps().filters();
    T* memory = scratch + g.units().scratch() * parts(g, rows);
    if (sums(g, rows) == 1)
      return {to.weight, to.add, {memory, memory + filters}, to.bias != nullptr};
    memory += part * (weights_ + 2 * filters);
    T* bias = memory + weights_;
    return {to.weight == nullptr ? nullptr : memory,
            false,
            {bias, bias + filters},
            to.bias != nullptr};
  }

  template <class T>
  static Operand<T> operand(T* gradient, const WeightGradients<T>& to) {
    return {.gradient = gradient, .accumulate = to.add};
  }
  template <class T>
  static void put_bias(const WeightGradients<T>& to, const LongSums<T>& sums,
                       Range columns) {
    put_long_sums(operand(to.bias, to), columns, sums, 1, 0);
  }

  template <class T>
  static void each_unit(Range units, const Gather& g, int64_t rows, const T* x, const T* dy,
                        T* memory, WeightSums<T> sum, Range panels, Range runs) {
    for (int64_t u = units.begin; u < units.end; ++u) {
      const Unit unit = g.units().unit(u, rows);
      for (int64_t slice = 0; slice < g.units().slices(); ++slice) {
        const View<T> view = g.units().view(x, unit, slice, memory);
        WeightSums<T> part = sum;
        if (part.weight != nullptr)
          part.weight += slice * g.units().slice() * g.taps().filters();
        part.sums_bias = part.sums_bias && slice == 0;
        for (int64_t i = panels.begin; i < panels.end; ++i)
          each_panel(g, Lines(unit), view, dy, part, i, runs);
      }
      sum.add = true;
    }
  }

  // The columns of a panel of floats: one or two of this type.
  template <class T>
  static void each_panel(const Gather& g, const Lines& lines, const View<T>& view,
                         const T* dy, const WeightSums<T>& sum, int64_t index, Range runs) {
    const Range all = columns_of(g, index);
    View<T> own = view;
    own.data += all.begin / g.taps().outputs * g.taps().inputs;
    for (int64_t c = all.begin; c < all.end; c += panel_columns<T>)
      columns(g, lines, own, dy, sum, {c, std::min(c + panel_columns<T>, all.end)}, runs);
  }

  template <class T>
  static void columns(const Gather& g, const Lines& lines, const View<T>& view, const T* dy,
                      const WeightSums<T>& sum, Range columns, Range runs) {
    const Taps& taps = g.taps();
    const Triple window = times(taps.slide.step, view.strides);
    const int64_t count = columns.end - columns.begin, length = lines.length();
    const int64_t together = std::max<int64_t>(1, panel_rows / length);
    const int64_t width = panel_width<T>(count);
    int64_t offsets[panel_rows];
    Sliding<T> s{.rows = 0,
                 .columns = count,
                 .a = view.data,
                 .distance = lines.distance(window, view.image),
                 .transposed = true,
                 .offsets = offsets,
                 .places = nullptr,
                 .runs = 0,
                 .length = length,
                 .panel = panel_memory<T>(),
                 .c = nullptr,
                 .ldc = taps.filters(),
                 .start = nullptr,
                 .add = sum.add};
    dy += lines.unit.images.begin * taps.y_image + dot(lines.unit.begin, taps.y_strides) +
          columns.begin;
    for (int64_t line = 0; line < lines.number(); line += s.runs) {
      s.runs = std::min(together, lines.number() - line);
      for (int64_t i = 0; i < s.runs; ++i) {
        offsets[i] = lines.begin(line + i, window, view.image);
        pack_panel(panel_memory<T>() + i * length * width,
                   dy + lines.begin(line + i, taps.y_strides, taps.y_image),
                   lines.distance(taps.y_strides, taps.y_image), false, length, count);
      }
      if (sum.sums_bias)
        add_rows(sum.bias.from(columns.begin), s.runs * length, count, [&](int64_t i) {
          return [row = s.panel + i * width](int64_t j) { return row[j]; };
        });
      if (sum.weight != nullptr) each_run(g, runs, sum.weight + columns.begin, s);
      s.add = true;
    }
  }

  template <class T>
  static void each_run(const Gather& g, Range runs, T* weight, Sliding<T> s) {
    const T* x = s.a;
    for (const Chunk& chunk : g.chunks())
      for (int64_t i = 0; i < chunk.runs; ++i) {
        const auto run = static_cast<int64_t>(chunk.first_run) + i;
        if (run < runs.begin || run >= runs.end) continue;
        s.a = x + g.offsets()[static_cast<size_t>(run)];
        for (int64_t t = 0; t < g.joined(); ++t, s.a += chunk.channels) {
          const int64_t tap = chunk.first_tap + i * g.joined() + t;
          s.rows = chunk.channels;
          s.c = weight + (tap * g.taps().inputs + chunk.first_channel) * s.ldc;
          // Where all channels of the taps follow each other, in W too, they are one.
          if (chunk.channels == g.taps().inputs) {
            s.rows *= g.joined();
            t = g.joined();
          }
          sliding_gemm(s);
        }
      }
  }

  int64_t weights_;
};

}  // namespace nervure
