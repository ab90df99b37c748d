// SPDX-License-Identifier: BSD-3-Clause
// The two directions of a convolution, with windows j, taps t and channels c, o:
//
// gather   y[j, o] = b[o] + sum over t, c of x[j * step + e_t, c] W[t, c, o]
// scatter  x[j * step + e_t, c] += sum over o of y[j, o] W[t, c, o], x beginning at b[c]
//
// Nothing is copied into columns: products read x (or a box of it that has a margin)
// where it lies, run by run, and scattered ones add to it where it lies.
#pragma once

#include "../products/gemm.h"
#include "window.h"

namespace nervure {

// A kernel's places on the three axes, and where the first of them lies.
struct Geometry {
  Triple size, stride, dilation, before;
  int64_t groups;
};

// Some runs of a sum over taps and channels, as many as a panel has room for.
struct Chunk {
  size_t first_run;
  int64_t runs, length;             // products
  int64_t first_tap, taps;          // taps of all runs
  int64_t first_channel, channels;  // of each tap
};

template <class T>
struct Arrays {
  int64_t rows;
  const T* from;
  const T* weight;
  const T* bias;  // or null
  T* to;
  bool add;  // to += rather than to =
  T* scratch;
};

// What both directions know: x (images, source, channels) and y (images, windows, filters).
class Taps {
 public:
  Taps(const Geometry& g, const Triple& source, int64_t channels, const Triple& windows,
       int64_t filters)
      : slide{source, channels, windows, g.stride, {}, {}},
        groups(g.groups),
        inputs(channels / g.groups),
        outputs(filters / g.groups),
        row(g.size[2]),
        x_strides(strides_of(source, channels)),
        y_strides(strides_of(windows, filters)),
        x_image(slide.image()),
        y_image(volume(windows) * filters) {
    for (size_t k = 0; k < 3; ++k) {
      slide.low[k] = -g.before[k];
      slide.high[k] = (g.size[k] - 1) * g.dilation[k] - g.before[k];
    }
    for (int64_t d = 0; d < g.size[0]; ++d)
      for (int64_t h = 0; h < g.size[1]; ++h)
        for (int64_t w = 0; w < g.size[2]; ++w) {
          Triple e = times({d, h, w}, g.dilation);
          for (size_t k = 0; k < 3; ++k) e[k] -= g.before[k];
          places.push_back(e);
        }
    adjacent = g.dilation[2] == 1;
  }

  [[nodiscard]] int64_t filters() const { return groups * outputs; }
  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(places.size()); }
  [[nodiscard]] int64_t weights() const { return count() * inputs * filters(); }

  Slide slide;
  int64_t groups, inputs, outputs;  // channels of x and y in a group
  int64_t row;                      // taps along w
  bool adjacent;                    // without gaps between them
  Triple x_strides, y_strides;
  int64_t x_image, y_image;
  std::vector<Triple> places;  // e of each tap
};

// How many cuts of a unit's panels make parts enough; few units have many weights.
inline int64_t cuts_of(int64_t panels, int64_t units) {
  constexpr int64_t wanted = 8;
  return std::min(panels, parts_of(wanted, units));
}

// Columns of one group that fill a panel.
template <class T>
struct Panel {
  int64_t group;
  Range columns;

  Panel(int64_t per_group, int64_t index)
      : group(index / parts_of(per_group, panel_columns<T>)),
        columns(range_of(per_group, panel_columns<T>,
                         index % parts_of(per_group, panel_columns<T>))) {}
  [[nodiscard]] int64_t count() const { return columns.end - columns.begin; }
};

class Gather {
 public:
  explicit Gather(const Taps& taps) : taps_(taps), units_(taps.slide, taps.groups) {
    const bool one_line = taps.slide.windows[2] >= 8;
    const int64_t channels = std::min(taps.inputs, units_.slice());
    const bool joins = one_line && taps.adjacent && taps.groups == 1 &&
                       taps.row * channels <= panel_rows && whole_pixels();
    joined_ = joins ? taps.row : 1;
    arrange(channels);
  }

  [[nodiscard]] const Taps& taps() const { return taps_; }
  [[nodiscard]] const Units& units() const { return units_; }
  [[nodiscard]] const std::vector<Chunk>& chunks() const { return chunks_; }
  [[nodiscard]] const std::vector<int64_t>& offsets() const { return offsets_; }
  [[nodiscard]] int64_t runs() const { return static_cast<int64_t>(offsets_.size()); }
  // Taps that one run goes over.
  [[nodiscard]] int64_t joined() const { return joined_; }

  [[nodiscard]] int64_t parts(int64_t rows) const {
    const int64_t units = units_.number(rows);
    return units * cuts_of(panels<float>(), units);
  }
  [[nodiscard]] int64_t scratch(int64_t rows) const {
    if (units_.scratch() == 0) return 0;
    int64_t most = 0;  // a smaller batch may be cut into more parts
    for (int64_t r = 1; r <= rows; ++r) most = std::max(most, parts(r));
    return most * units_.scratch();
  }

  template <class T>
  void run(const Arrays<T>& a, int64_t part) const {
    const int64_t cuts = parts(a.rows) / units_.number(a.rows), cut = part % cuts;
    const Unit unit = units_.unit(part / cuts, a.rows);
    T* scratch = units_.scratch() > 0 ? a.scratch + part * units_.scratch() : nullptr;
    const Range some = share_of(panels<T>(), cuts, cut);
    for (int64_t slice = 0; slice < units_.slices(); ++slice) {
      const View<T> view = units_.view(a.from, unit, slice, scratch);
      for (int64_t i = some.begin; i < some.end; ++i)
        panel(a, Lines(unit), view, slice, Panel<T>(taps_.outputs, i));
    }
  }

 private:
  template <class T>
  [[nodiscard]] int64_t panels() const {
    return taps_.groups * parts_of(taps_.outputs, panel_columns<T>);
  }
  // Do the channels of neighbouring pixels lie end to end in what the units see?
  [[nodiscard]] bool whole_pixels() const {
    return units_.strides()[2] == std::min(taps_.inputs, units_.slice());
  }

  void arrange(int64_t channels) {
    const Triple strides = units_.strides();
    const int64_t pieces = parts_of(channels, panel_rows);
    const int64_t room = std::max<int64_t>(1, panel_rows / (joined_ * channels));
    const int64_t together = pieces > 1 ? 1 : room;
    for (int64_t t = 0; t < taps_.count(); t += joined_ * together) {
      const int64_t runs = std::min(together, (taps_.count() - t) / joined_);
      for (int64_t piece = 0; piece < pieces; ++piece) {
        const Range r = range_of(channels, panel_rows, piece);
        const int64_t wide = r.end - r.begin;
        chunks_.push_back(
            {offsets_.size(), runs, joined_ * wide, t, runs * joined_, r.begin, wide});
        for (int64_t i = 0; i < runs; ++i) {
          const Triple& e = taps_.places[static_cast<size_t>(t + i * joined_)];
          int64_t offset = r.begin;
          for (size_t k = 0; k < 3; ++k) offset += (e[k] - taps_.slide.low[k]) * strides[k];
          offsets_.push_back(offset);
        }
      }
    }
  }

  template <class T>
  void panel(const Arrays<T>& a, const Lines& lines, const View<T>& view, int64_t slice,
             const Panel<T>& panel) const {
    const Triple window = times(taps_.slide.step, view.strides);
    const int64_t first = panel.group * taps_.outputs + panel.columns.begin;
    const T* x = view.data + panel.group * taps_.inputs;
    T* y = a.to + lines.unit.images.begin * taps_.y_image +
           dot(lines.unit.begin, taps_.y_strides) + first;
    alignas(64) T start[panel_columns<T>] = {};
    if (a.bias != nullptr) std::copy_n(a.bias + first, panel.count(), start);
    int64_t offsets[panel_rows], places[panel_rows];
    Sliding<T> s{.rows = lines.length(),
                 .columns = panel.count(),
                 .a = nullptr,
                 .distance = lines.distance(window, view.image),
                 .transposed = false,
                 .offsets = offsets,
                 .places = places,
                 .runs = 0,
                 .length = 0,
                 .panel = panel_memory<T>(),
                 .c = nullptr,
                 .ldc = lines.distance(taps_.y_strides, taps_.y_image),
                 .start = slice == 0 && !a.add ? start : nullptr,
                 .add = slice > 0 || a.add};
    for (const Chunk& chunk : chunks_) {
      pack(a.weight, chunk, slice, panel);
      s.length = chunk.length;
      for (int64_t line = 0; line < lines.number(); ++line) {
        s.runs = inside(chunk, lines, line, panel_width<T>(s.columns), offsets, places);
        s.a = x + lines.begin(line, window, view.image);
        s.c = y + lines.begin(line, taps_.y_strides, taps_.y_image);
        if (s.runs > 0 || s.start != nullptr) sliding_gemm(s);
      }
      s.start = nullptr;
      s.add = true;
    }
  }

  // The runs of a chunk that are not in the margin: how many, where they begin in what is
  // seen and in the panel.
  int64_t inside(const Chunk& chunk, const Lines& lines, int64_t line, int64_t wide,
                 int64_t* offsets, int64_t* places) const {
    const Triple window = lines.window(line);
    const size_t axes = lines.across && joined_ == 1 ? 3 : 2;
    int64_t count = 0;
    for (int64_t i = 0; i < chunk.runs; ++i) {
      const Triple& e = taps_.places[static_cast<size_t>(chunk.first_tap + i * joined_)];
      bool valid = true;
      for (size_t k = 0; k < axes; ++k) {
        const int64_t at = (lines.unit.begin[k] + window[k]) * taps_.slide.step[k] + e[k];
        valid = valid && at >= 0 && at < taps_.slide.source[k];
      }
      if (!valid) continue;
      offsets[count] = offsets_[chunk.first_run + static_cast<size_t>(i)];
      places[count++] = i * chunk.length * wide;
    }
    return count;
  }

  // The weights of a chunk. They are stored (taps, inputs, filters).
  template <class T>
  void pack(const T* weight, const Chunk& chunk, int64_t slice, const Panel<T>& p) const {
    const int64_t filters = taps_.filters(), wide = panel_width<T>(p.count());
    const int64_t channel = slice * units_.slice() + chunk.first_channel;
    T* target = panel_memory<T>();
    weight += p.group * taps_.outputs + p.columns.begin;
    for (int64_t t = 0; t < chunk.taps; ++t, target += chunk.channels * wide)
      pack_panel(target,
                 weight + ((chunk.first_tap + t) * taps_.inputs + channel) * filters,
                 filters, false, chunk.channels, p.count());
  }

  Taps taps_;
  Units units_;
  int64_t joined_ = 1;
  std::vector<int64_t> offsets_;  // of the runs, from where a window begins
  std::vector<Chunk> chunks_;
};

class Scatter {
 public:
  explicit Scatter(const Taps& taps)
      : taps_(taps),
        units_({taps.slide.windows, taps.filters(), taps.slide.windows, {1, 1, 1}, {}, {}},
               taps.groups) {}

  [[nodiscard]] int64_t parts(int64_t rows) const {
    const int64_t images = units_.groups_of_images(rows);
    return images * cuts_of(panels<float>(), images);
  }

  template <class T>
  void run(const Arrays<T>& a, int64_t part) const {
    const int64_t cuts = parts(a.rows) / units_.groups_of_images(a.rows), cut = part % cuts;
    const int64_t blocks = units_.blocks(), first = part / cuts * blocks;
    const Range range = share_of(panels<T>(), cuts, cut);
    if (!a.add)
      for (int64_t i = range.begin; i < range.end; ++i)
        begin(a, units_.unit(first, a.rows).images, Panel<T>(taps_.inputs, i));
    for (int64_t block = first; block < first + blocks; ++block)
      for (int64_t i = range.begin; i < range.end; ++i)
        panel(a, units_.unit(block, a.rows), Panel<T>(taps_.inputs, i));
  }

 private:
  template <class T>
  [[nodiscard]] int64_t panels() const {
    return taps_.groups * parts_of(taps_.inputs, panel_columns<T>);
  }

  // Every pixel of x begins at the bias or 0.
  template <class T>
  void begin(const Arrays<T>& a, Range images, const Panel<T>& panel) const {
    const int64_t first = panel.group * taps_.inputs + panel.columns.begin;
    const int64_t channels = taps_.slide.channels, pixels = volume(taps_.slide.source);
    T* x = a.to + first;
    for (int64_t i = images.begin * pixels; i < images.end * pixels; ++i)
      if (a.bias != nullptr)
        std::copy_n(a.bias + first, panel.count(), x + i * channels);
      else
        std::fill_n(x + i * channels, panel.count(), T(0));
  }

  template <class T>
  void panel(const Arrays<T>& a, const Unit& unit, const Panel<T>& panel) const {
    for (int64_t t = 0; t < taps_.count(); ++t) {
      const Unit part = inside(unit, taps_.places[static_cast<size_t>(t)]);
      if (volume(part.count) > 0) tap(a, Lines(part), t, panel);
    }
  }

  // The windows of a unit that have a tap inside x.
  [[nodiscard]] Unit inside(const Unit& unit, const Triple& e) const {
    Unit part = unit;
    for (size_t k = 0; k < 3; ++k) {
      const Range valid = taps_.slide.valid(k, e[k]);
      part.begin[k] = std::max(unit.begin[k], valid.begin);
      const int64_t end = std::min(unit.begin[k] + unit.count[k], valid.end);
      part.count[k] = std::max<int64_t>(0, end - part.begin[k]);
    }
    return part;
  }

  template <class T>
  void tap(const Arrays<T>& a, const Lines& lines, int64_t t, const Panel<T>& panel) const {
    const Triple pixel = times(taps_.slide.step, taps_.x_strides);
    const T* y = a.from + lines.unit.images.begin * taps_.y_image +
                 dot(lines.unit.begin, taps_.y_strides) + panel.group * taps_.outputs;
    T* x = a.to + lines.unit.images.begin * taps_.x_image + dot(lines.unit.begin, pixel) +
           dot(taps_.places[static_cast<size_t>(t)], taps_.x_strides) +
           panel.group * taps_.inputs + panel.columns.begin;
    const T* weight = a.weight +
                      (t * taps_.inputs + panel.columns.begin) * taps_.filters() +
                      panel.group * taps_.outputs;
    const int64_t none = 0;
    for (int64_t begin = 0; begin < taps_.outputs; begin += panel_rows) {
      const int64_t length = std::min(panel_rows, taps_.outputs - begin);
      pack_panel(panel_memory<T>(), weight + begin, taps_.filters(), true, length,
                 panel.count());
      for (int64_t line = 0; line < lines.number(); ++line)
        sliding_gemm(
            Sliding<T>{.rows = lines.length(),
                       .columns = panel.count(),
                       .a = y + begin + lines.begin(line, taps_.y_strides, taps_.y_image),
                       .distance = lines.distance(taps_.y_strides, taps_.y_image),
                       .transposed = false,
                       .offsets = &none,
                       .places = nullptr,
                       .runs = 1,
                       .length = length,
                       .panel = panel_memory<T>(),
                       .c = x + lines.begin(line, pixel, taps_.x_image),
                       .ldc = lines.distance(pixel, taps_.x_image),
                       .start = nullptr,
                       .add = true});
    }
  }

  Taps taps_;
  Units units_;
};

}  // namespace nervure
