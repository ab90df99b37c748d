// SPDX-License-Identifier: BSD-3-Clause
// Pooling: the largest, the mean or the root mean square of what each window holds,
// channel by channel.
//
// Legend: windows are boxes of pixels, given by where they begin and end on each axis:
// they slide, or (where their size is 0) part it evenly, and are cut off at its edges.
// `field` is the number of pixels of a window, `pixel` one place of x or y with all its
// channels. Windows may overlap and leave pixels out, so a gradient is put down image by
// image: zeros first, then window after window.
#pragma once

#include <cmath>
#include <type_traits>

#include "elementwise.h"
#include "window.h"

namespace nervure {

namespace detail {

struct PoolWindows {
  std::array<std::vector<Range>, 3> axes;
  Triple source;
  int64_t channels;

  static PoolWindows read(const Attributes& attributes, const Shapes& shapes) {
    const auto each = [&](std::string_view key) {
      return triple(attributes.integers(key), 0);
    };
    const Triple counts = each("counts"), sizes = each("sizes"), strides = each("strides");
    const Triple before = each("before");
    PoolWindows w{{}, extents_of(shapes.inputs[0]), shapes.output.back()};
    for (size_t k = 0; k < 3; ++k) {
      const int64_t n = w.source[k], m = std::max<int64_t>(1, counts[k]);
      for (int64_t i = 0; i < m; ++i) {
        const int64_t begin = i * strides[k] - before[k];
        const Range slid = {std::max<int64_t>(0, begin), std::min(n, begin + sizes[k])};
        w.axes[k].push_back(sizes[k] > 0 ? slid
                                         : Range{i * n / m, parts_of((i + 1) * n, m)});
      }
    }
    return w;
  }

  [[nodiscard]] int64_t count() const {
    return static_cast<int64_t>(axes[0].size() * axes[1].size() * axes[2].size());
  }
  [[nodiscard]] int64_t image() const { return volume(source) * channels; }

  // The pixels of window `index` on each axis, and their number.
  [[nodiscard]] std::array<Range, 3> box(int64_t index) const {
    const auto at = static_cast<size_t>(index);
    const size_t rest = at / axes[2].size();
    return {axes[0][rest / axes[1].size()], axes[1][rest % axes[1].size()],
            axes[2][at % axes[2].size()]};
  }
  [[nodiscard]] int64_t field(int64_t index) const {
    const auto [d, h, w] = box(index);
    return d.size() * h.size() * w.size();
  }

  // Calls with the first element of each pixel of window `index`.
  template <class Call>
  NERVURE_INLINE void each_pixel(int64_t index, Call call) const {
    each_line(index, [&](int64_t offset, int64_t pixels) {
      for (int64_t k = 0; k < pixels; ++k) call(offset + k * channels);
    });
  }
  // Calls with where each line of pixels begins, and how many it has; lines that lie end to
  // end are one.
  template <class Call>
  NERVURE_INLINE void each_line(int64_t index, Call call) const {
    const auto [d, h, w] = box(index);
    const bool whole = w.size() == source[2];
    const int64_t lines = whole ? 1 : h.size(),
                  pixels = whole ? h.size() * w.size() : w.size();
    for (int64_t i = d.begin; i < d.end; ++i)
      for (int64_t j = h.begin; j < h.begin + lines; ++j)
        call(((i * source[1] + j) * source[2] + w.begin) * channels, pixels);
  }
};

// y_c = finish(the sum of term(x_c) over the pixels of a window), of many of them.
template <class T>
void sum_window(const PoolWindows& w, int64_t index, const T* x, T* y, auto term,
                auto finish) {
  constexpr int64_t tile = 64;
  for (int64_t begin = 0; begin < w.channels; begin += tile) {
    const int64_t width = std::min(tile, w.channels - begin);
    T high[tile] = {}, low[tile] = {};
    const LongSums<T> sums{high, low};
    w.each_line(index, [&](int64_t offset, int64_t pixels) {
      const T* first = x + offset + begin;
      add_rows(sums, pixels, width, [=, &w](int64_t i) {
        return [=, from = first + i * w.channels](int64_t j) { return term(from[j]); };
      });
    });
    for (int64_t j = 0; j < width; ++j)
      y[begin + j] = static_cast<T>(finish(sums.total(j)));
  }
}

// What the three have in common; Mode says what becomes of a window.
template <class Mode>
struct Pool {
  static constexpr std::string_view name = Mode::name;

  PoolWindows windows;

  static Pool read(const Attributes& attributes, const Shapes& shapes) {
    return {PoolWindows::read(attributes, shapes)};
  }

  [[nodiscard]] bool reads_input() const { return Mode::reads_values; }
  [[nodiscard]] bool reads_output() const { return Mode::reads_values; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const { return pixels(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const { return images(rows).work(); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = pixels(c.rows).range(task);
    const int64_t channels = windows.channels, count = windows.count();
    for (int64_t i = range.begin; i < range.end; ++i) {
      const T* x = c.inputs[0].value + i / count * windows.image();
      T* y = c.output.value + i * channels;
      if (windows.field(i % count) > few) {
        Mode::gather_many(windows, i % count, x, y);
        continue;
      }
      bool first = true;
      windows.each_pixel(i % count, [&](int64_t offset) {
        Mode::gather(x + offset, y, channels, first);
        first = false;
      });
      Mode::finish(y, channels, T(1) / static_cast<T>(windows.field(i % count)));
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Operand<T>& input = c.inputs[0];
    if (input.gradient == nullptr) return;
    const Range range = images(c.rows).range(task);
    const int64_t channels = windows.channels, count = windows.count();
    for (int64_t image = range.begin; image < range.end; ++image) {
      const int64_t at = image * windows.image();
      T* dx = input.gradient + at;
      const T* x = Mode::reads_values ? input.value + at : nullptr;
      if (!input.accumulate) std::fill_n(dx, windows.image(), T(0));
      for (int64_t i = 0; i < count; ++i) {
        const int64_t pixel = (image * count + i) * channels;
        Mode::spread(windows, i, x, c.output.value + (Mode::reads_values ? pixel : 0),
                     c.output.gradient + pixel, dx);
      }
    }
  }

 private:
  static constexpr int64_t few = 32;  // pixels that are added as they come
  [[nodiscard]] Stretches pixels(int64_t rows) const {
    return {rows * windows.count(), windows.channels};
  }
  [[nodiscard]] Stretches images(int64_t rows) const { return {rows, windows.image()}; }
};

struct Largest {
  static constexpr std::string_view name = "max_pool";
  static constexpr bool reads_values = true;
  static constexpr int64_t tile = 64;

  // A NaN stays.
  template <class T>
  static void gather(const T* x, T* y, int64_t channels, bool first) {
    if (first) {
      std::copy_n(x, channels, y);
      return;
    }
    fill(y, {0, channels}, [=](int64_t j) {
      const T a = y[j], b = x[j];
      return a >= b || a != a ? a : b;
    });
  }
  template <class T>
  static void finish(T*, int64_t, T) {}
  template <class T>
  static void gather_many(const PoolWindows& w, int64_t index, const T* x, T* y) {
    bool first = true;
    w.each_pixel(index, [&](int64_t offset) {
      gather(x + offset, y, w.channels, first);
      first = false;
    });
  }

  // The first of the largest pixels takes the gradient: what is left of it goes on.
  template <class T>
  static void spread(const PoolWindows& w, int64_t index, const T* x, const T* y,
                     const T* dy, T* dx) {
    for (int64_t begin = 0; begin < w.channels; begin += tile) {
      const int64_t width = std::min(tile, w.channels - begin);
      T left[tile];
      std::copy_n(dy + begin, width, left);
      const T* largest = y + begin;
      w.each_pixel(index, [&](int64_t offset) {
        const T* from = x + offset + begin;
        T* to = dx + offset + begin;
        NERVURE_VECTORIZE
        for (int64_t j = 0; j < width; ++j) {
          const T taken = from[j] == largest[j] ? left[j] : T(0);
          to[j] += taken;
          left[j] -= taken;
        }
      });
    }
  }
};

struct Mean {
  static constexpr std::string_view name = "average_pool";
  static constexpr bool reads_values = false;

  template <class T>
  static void gather(const T* x, T* y, int64_t channels, bool first) {
    if (first)
      std::copy_n(x, channels, y);
    else
      fill(y, {0, channels}, [=](int64_t j) { return y[j] + x[j]; });
  }
  template <class T>
  static void finish(T* y, int64_t channels, T share) {
    fill(y, {0, channels}, [=](int64_t j) { return y[j] * share; });
  }
  template <class T>
  static void gather_many(const PoolWindows& w, int64_t index, const T* x, T* y) {
    const double share = 1 / static_cast<double>(w.field(index));
    sum_window(
        w, index, x, y, [](T a) { return a; }, [=](double sum) { return sum * share; });
  }

  template <class T>
  static void spread(const PoolWindows& w, int64_t index, const T*, const T*, const T* dy,
                     T* dx) {
    const T share = T(1) / static_cast<T>(w.field(index));
    w.each_pixel(index, [&](int64_t offset) {
      T* to = dx + offset;
      fill(to, {0, w.channels}, [=](int64_t j) { return to[j] + dy[j] * share; });
    });
  }
};

// y = sqrt(mean of x^2), dx = dy x / (field y), 0 where y is.
struct RootMeanSquare {
  static constexpr std::string_view name = "l2_pool";
  static constexpr bool reads_values = true;

  template <class T>
  static void gather(const T* x, T* y, int64_t channels, bool first) {
    if (first)
      fill(y, {0, channels}, [=](int64_t j) { return x[j] * x[j]; });
    else
      fill(y, {0, channels}, [=](int64_t j) { return y[j] + x[j] * x[j]; });
  }
  template <class T>
  static void finish(T* y, int64_t channels, T share) {
    fill(y, {0, channels}, [=](int64_t j) { return std::sqrt(y[j] * share); });
  }
  template <class T>
  static void gather_many(const PoolWindows& w, int64_t index, const T* x, T* y) {
    const double share = 1 / static_cast<double>(w.field(index));
    sum_window(
        w, index, x, y, [](T a) { return a * a; },
        [=](double sum) { return std::sqrt(sum * share); });
  }

  template <class T>
  static void spread(const PoolWindows& w, int64_t index, const T* x, const T* y,
                     const T* dy, T* dx) {
    const T share = T(1) / static_cast<T>(w.field(index));
    w.each_pixel(index, [&](int64_t offset) {
      T* to = dx + offset;
      const T* from = x + offset;
      fill(to, {0, w.channels}, [=](int64_t j) {
        return to[j] + (y[j] == 0 ? T(0) : dy[j] * share * from[j] / y[j]);
      });
    });
  }
};

}  // namespace detail

using MaxPool = detail::Pool<detail::Largest>;
using AveragePool = detail::Pool<detail::Mean>;
using L2Pool = detail::Pool<detail::RootMeanSquare>;

}  // namespace nervure
