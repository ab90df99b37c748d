// SPDX-License-Identifier: BSD-3-Clause
// Arrange: elements of x in other places: axes in another order, some indices of an axis,
// an axis repeated.
//
// Legend: element (j_1, ..., j_r) of a sample of y is element j_1 s_1 + ... + j_r s_r of x,
// but that on the axis `taken` indices[j] stands for j. y is written line by line along its
// last axis, whose places in x are `inner` behind where the line begins.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "elementwise.h"

namespace nervure {

struct Arrange {
  static constexpr std::string_view name = "arrange";

  int64_t from;   // elements of a sample of x
  bool repeated;  // does one of them go to several places?
  std::vector<int64_t> lines, inner;

  static Arrange read(const Attributes& attributes, const Shapes& shapes) {
    const Shape& y = shapes.output;
    const std::vector<int64_t> strides = attributes.integers("strides");
    const auto taken = static_cast<size_t>(attributes.integer("taken"));
    const auto offsets = [&](size_t axis) {
      std::vector<int64_t> places(y[axis]);
      if (axis == taken)
        places = attributes.integers("indices");
      else
        std::iota(places.begin(), places.end(), int64_t{0});
      for (int64_t& place : places) place *= strides[axis];
      return places;
    };
    Arrange kernel = {size_of(shapes.inputs[0]), false, {0}, offsets(y.size() - 1)};
    for (size_t axis = 0; axis + 1 < y.size(); ++axis)
      kernel.lines = spread(kernel.lines, offsets(axis));
    kernel.repeated = kernel.repeats();
    return kernel;
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Scratch: sums that are added to a gradient.
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    return {.scratch = repeated ? rows * from : 0};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const { return cut(rows).work(); }
  [[nodiscard]] Work backward_work(int64_t rows) const { return samples(rows).work(); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const Range range = cut(c.rows).range(task);
    const int64_t* places = inner.data();
    for (int64_t l = range.begin; l < range.end; ++l) {
      const T* x = c.inputs[0].value + l / count() * from + lines[l % count()];
      fill(c.output.value + l * width(), {0, width()},
           [=](int64_t j) { return x[places[j]]; });
    }
  }

  // An element of x may have gone to several places, or to none.
  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Operand<T>& x = c.inputs[0];
    if (x.gradient == nullptr) return;
    const Range range = samples(c.rows).range(task);
    const bool apart = x.accumulate && repeated;
    T* sums = apart ? c.scratch : x.gradient;
    if (!x.accumulate || apart)
      std::fill(sums + range.begin * from, sums + range.end * from, T(0));
    for (int64_t s = range.begin; s < range.end; ++s) {
      const T* dy = c.output.gradient + s * count() * width();
      for (int64_t l = 0; l < count(); ++l, dy += width()) {
        T* dx = sums + s * from + lines[l];
        for (int64_t j = 0; j < width(); ++j) dx[inner[j]] += dy[j];
      }
    }
    if (apart)
      put(x, {range.begin * from, range.end * from}, [=](int64_t i) { return sums[i]; });
  }

 private:
  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(lines.size()); }
  [[nodiscard]] int64_t width() const { return static_cast<int64_t>(inner.size()); }
  [[nodiscard]] Stretches cut(int64_t rows) const { return {rows * count(), width()}; }
  [[nodiscard]] Stretches samples(int64_t rows) const {
    return {rows, std::max(from, count() * width())};
  }

  [[nodiscard]] bool repeats() const {
    std::vector<bool> seen(from);
    for (int64_t line : lines)
      for (int64_t place : inner) {
        if (seen[line + place]) return true;
        seen[line + place] = true;
      }
    return false;
  }

  // Every sum of an element of `a` and one of `b`, those of `b` following each other.
  static std::vector<int64_t> spread(const std::vector<int64_t>& a,
                                     const std::vector<int64_t>& b) {
    std::vector<int64_t> sums;
    sums.reserve(a.size() * b.size());
    for (int64_t i : a)
      for (int64_t j : b) sums.push_back(i + j);
    return sums;
  }
};

}  // namespace nervure
