// SPDX-License-Identifier: BSD-3-Clause
// Changes of place that keep lines straight: shift, flip, rotate, scale, shear.
//
// Each says where a pixel of the changed image comes from. Several in a row are one map,
// so that the image is interpolated once. y points down, x to the right; angles count
// against the clock.
#pragma once

#include <cmath>
#include <numbers>
#include <string_view>

#include "../attributes.h"
#include "picture.h"

namespace nervure::augment {

// y' = yy y + yx x + y0,  x' = xy y + xx x + x0
struct Affine {
  double yy = 1, yx = 0, y0 = 0;
  double xy = 0, xx = 1, x0 = 0;

  [[nodiscard]] bool identity() const {
    return yy == 1 && yx == 0 && y0 == 0 && xy == 0 && xx == 1 && x0 == 0;
  }
  // First `inner`, then this.
  [[nodiscard]] Affine after(const Affine& inner) const {
    return {yy * inner.yy + yx * inner.xy,      yy * inner.yx + yx * inner.xx,
            yy * inner.y0 + yx * inner.x0 + y0, xy * inner.yy + xx * inner.xy,
            xy * inner.yx + xx * inner.xx,      xy * inner.y0 + xx * inner.x0 + x0};
  }
  // The same about the middle of the image.
  [[nodiscard]] Affine about_middle(Extent extent) const {
    const double y = 0.5 * static_cast<double>(extent.height - 1);
    const double x = 0.5 * static_cast<double>(extent.width - 1);
    Affine moved = *this;
    moved.y0 = y - yy * y - yx * x;
    moved.x0 = x - xy * y - xx * x;
    return moved;
  }
};

inline double radians(double degrees) { return degrees * std::numbers::pi / 180; }

struct Shift {  // whole pixels, -most .. most
  static constexpr std::string_view name = "shift";
  int64_t down, across;
  static Shift read(const Attributes& attributes) {
    return {attributes.integer("down"), attributes.integer("across")};
  }
  [[nodiscard]] Affine source(const Draws& u, Extent) const {
    Affine map;
    map.y0 = static_cast<double>(down - choose(2 * down + 1, u[1]));
    map.x0 = static_cast<double>(across - choose(2 * across + 1, u[2]));
    return map;
  }
};

struct Flip {  // each with one half
  static constexpr std::string_view name = "flip";
  bool horizontal, vertical;
  static Flip read(const Attributes& attributes) {
    return {attributes.flag("horizontal"), attributes.flag("vertical")};
  }
  [[nodiscard]] Affine source(const Draws& u, Extent extent) const {
    Affine map;
    if (vertical && u[1] < 0.5)
      map.yy = -1, map.y0 = static_cast<double>(extent.height - 1);
    if (horizontal && u[2] < 0.5)
      map.xx = -1, map.x0 = static_cast<double>(extent.width - 1);
    return map;
  }
};

struct Rotate {  // -degrees .. degrees
  static constexpr std::string_view name = "rotate";
  double degrees;
  static Rotate read(const Attributes& attributes) {
    return {attributes.number("degrees")};
  }
  [[nodiscard]] Affine source(const Draws& u, Extent extent) const {
    const double angle = radians(between(-degrees, degrees, u[1]));
    const double c = std::cos(angle), s = std::sin(angle);
    return Affine{.yy = c, .yx = s, .xy = -s, .xx = c}.about_middle(extent);
  }
};

struct Scale {  // smallest .. largest, the same in both directions
  static constexpr std::string_view name = "scale";
  double smallest, largest;
  static Scale read(const Attributes& attributes) {
    return {attributes.number("smallest"), attributes.number("largest")};
  }
  [[nodiscard]] Affine source(const Draws& u, Extent extent) const {
    const double factor = 1 / between(smallest, largest, u[1]);
    return Affine{.yy = factor, .xx = factor}.about_middle(extent);
  }
};

struct Shear {  // rows move sideways by tan(angle) per pixel above the middle
  static constexpr std::string_view name = "shear";
  double degrees;
  static Shear read(const Attributes& attributes) { return {attributes.number("degrees")}; }
  [[nodiscard]] Affine source(const Draws& u, Extent extent) const {
    const double slope = std::tan(radians(between(-degrees, degrees, u[1])));
    return Affine{.xy = slope}.about_middle(extent);
  }
};

}  // namespace nervure::augment
