// SPDX-License-Identifier: BSD-3-Clause
// Windows that slide over an array (images, d, h, w, channels), and the pieces in which
// they are worked off.
//
// Legend: a window has a position on each of three axes (extent 1 where a layer has fewer);
// the window of position j sees the elements j * step + e with low <= e <= high, some of
// which may lie outside, where all is zero. A unit is a block of positions of one or some
// images; where windows reach outside, what the unit sees is copied, slice by slice of the
// channels, into a box with a margin of zeros that stays in the cache.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "../memory.h"
#include "kernel.h"

namespace nervure {

using Triple = std::array<int64_t, 3>;

inline int64_t volume(const Triple& t) { return t[0] * t[1] * t[2]; }
inline int64_t dot(const Triple& a, const Triple& b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
inline Triple times(const Triple& a, const Triple& b) {
  return {a[0] * b[0], a[1] * b[1], a[2] * b[2]};
}

// A list of a layer's rank in the last places of a triple.
inline Triple triple(const std::vector<int64_t>& list, int64_t missing) {
  Triple t = {missing, missing, missing};
  std::copy(list.begin(), list.end(), t.end() - static_cast<int64_t>(list.size()));
  return t;
}
inline Triple extents_of(const Shape& shape) {
  return triple({shape.begin(), shape.end() - 1}, 1);
}

struct Slide {
  Triple source;  // extents of the array of one image
  int64_t channels;
  Triple windows;  // how many positions
  Triple step, low, high;

  [[nodiscard]] bool inside() const {
    for (size_t k = 0; k < 3; ++k)
      if (low[k] < 0 || (windows[k] - 1) * step[k] + high[k] >= source[k]) return false;
    return true;
  }
  [[nodiscard]] int64_t image() const { return volume(source) * channels; }
  // Extents of what `count` windows see.
  [[nodiscard]] Triple seen(const Triple& count) const {
    Triple t;
    for (size_t k = 0; k < 3; ++k) t[k] = (count[k] - 1) * step[k] + high[k] - low[k] + 1;
    return t;
  }
  // The positions whose windows have their element e inside.
  [[nodiscard]] Range valid(size_t k, int64_t e) const {
    const int64_t first = e < 0 ? (-e + step[k] - 1) / step[k] : 0;
    const int64_t last = source[k] - 1 - e;
    return {first, last < 0 ? 0 : std::min(windows[k], last / step[k] + 1)};
  }
};

inline Triple strides_of(const Triple& extents, int64_t channels) {
  return {extents[1] * extents[2] * channels, extents[2] * channels, channels};
}

struct Unit {
  Range images;
  Triple begin, count;  // of its windows

  [[nodiscard]] int64_t size() const { return images.end - images.begin; }
  // Few windows per row, many images: those of one position make the longer lines.
  [[nodiscard]] bool across() const { return count[2] < 8 && size() > count[2]; }
};

// What a unit sees. Window j (from the unit's begin on) of image i sees, from `data` on,
// its element e = low at i * image + sum of j * step * strides.
template <class T>
struct View {
  const T* data;
  int64_t image;
  Triple strides;
};

class Units {
 public:
  static constexpr int64_t box_elements = 96 * 1024;  // 384 kB of float
  static constexpr int64_t few_windows = 256, many_windows = 1024;

  // Channels that belong together (a group's) are not parted where there are several.
  Units(const Slide& slide, int64_t groups)
      : slide_(slide),
        count_(slide.windows),
        slice_(slide.channels),
        in_place_(slide.inside()) {
    shorten();
    if (count_ == slide.windows)
      images_ = std::max<int64_t>(1, few_windows / volume(count_));
    const auto full = [&] { return images_ * image_elements() > box_elements; };
    while (!in_place_ && full() && groups == 1 && slice_ % 2 == 0 && slice_ >= 64)
      slice_ /= 2;
    while (full() && images_ > 1) images_ = (images_ + 1) / 2;
  }

  [[nodiscard]] const Slide& slide() const { return slide_; }
  [[nodiscard]] int64_t slice() const { return slice_; }
  [[nodiscard]] int64_t slices() const { return slide_.channels / slice_; }
  [[nodiscard]] Triple strides() const {
    return in_place_ ? strides_of(slide_.source, slide_.channels)
                     : strides_of(slide_.seen(count_), slice_);
  }

  [[nodiscard]] int64_t groups_of_images(int64_t rows) const {
    return parts_of(rows, images_);
  }
  [[nodiscard]] int64_t blocks() const { return volume(cut()); }
  [[nodiscard]] int64_t number(int64_t rows) const {
    return groups_of_images(rows) * blocks();
  }
  [[nodiscard]] Unit unit(int64_t index, int64_t rows) const {
    const Triple b = cut();
    const int64_t within = index % volume(b);
    const Triple at = {within / (b[1] * b[2]), within / b[2] % b[1], within % b[2]};
    Unit unit{
        .images = range_of(rows, images_, index / volume(b)), .begin = {}, .count = {}};
    for (size_t k = 0; k < 3; ++k) {
      const Range r = range_of(slide_.windows[k], count_[k], at[k]);
      unit.begin[k] = r.begin;
      unit.count[k] = r.end - r.begin;
    }
    return unit;
  }

  // Elements of scratch that a part needs for a box that is too large for the thread's
  // own room.
  [[nodiscard]] int64_t scratch() const {
    const int64_t box = images_ * image_elements();
    return in_place_ || box <= box_elements ? 0 : box;
  }

  template <class T>
  View<T> view(const T* x, const Unit& unit, int64_t slice, T* scratch) const {
    x += slice * slice_;
    if (!in_place_) return copy(x, unit, scratch != nullptr ? scratch : room<T>());
    const Triple strides = this->strides();
    const T* data = x + unit.images.begin * slide_.image();
    for (size_t k = 0; k < 3; ++k)
      data += (unit.begin[k] * slide_.step[k] + slide_.low[k]) * strides[k];
    return {data, slide_.image(), strides};
  }

 private:
  [[nodiscard]] Triple cut() const {
    Triple b;
    for (size_t k = 0; k < 3; ++k) b[k] = parts_of(slide_.windows[k], count_[k]);
    return b;
  }
  [[nodiscard]] int64_t image_elements() const {
    return volume(slide_.seen(count_)) * slice_;
  }

  // Halves the unit, axis by axis, until it is small enough.
  void shorten() {
    for (size_t k = 0; k < 3; ++k)
      while (count_[k] > 1 &&
             (volume(count_) > many_windows || image_elements() > box_elements))
        count_[k] = (count_[k] + 1) / 2;
  }

  template <class T>
  static T* room() {
    static thread_local const Memory memory(box_elements * sizeof(T));
    return static_cast<T*>(memory.data());
  }

  template <class T>
  View<T> copy(const T* x, const Unit& unit, T* box) const {
    const Triple strides = this->strides(), extents = slide_.seen(unit.count);
    const Triple from = strides_of(slide_.source, slide_.channels);
    Triple first;
    for (size_t k = 0; k < 3; ++k)
      first[k] = unit.begin[k] * slide_.step[k] + slide_.low[k];
    const auto outside = [&](size_t k, int64_t i) {
      return first[k] + i < 0 || first[k] + i >= slide_.source[k];
    };
    const int64_t image = image_elements();
    for (int64_t i = unit.images.begin; i < unit.images.end; ++i)
      for (int64_t d = 0; d < extents[0]; ++d)
        for (int64_t h = 0; h < extents[1]; ++h) {
          T* row = box + (i - unit.images.begin) * image + d * strides[0] + h * strides[1];
          const T* begin =
              x + i * slide_.image() + (first[0] + d) * from[0] + (first[1] + h) * from[1];
          if (outside(0, d) || outside(1, h))
            std::fill_n(row, extents[2] * slice_, T(0));
          else
            copy_row(begin, row, first[2], extents[2]);
        }
    return {box, image, strides};
  }

  // Pixels first .. first + count of a row, zeros where there are none.
  template <class T>
  void copy_row(const T* x, T* row, int64_t first, int64_t count) const {
    const int64_t left = std::clamp<int64_t>(-first, 0, count);
    const int64_t right = std::clamp<int64_t>(slide_.source[2] - first, left, count);
    std::fill_n(row, left * slice_, T(0));
    const T* from = x + (first + left) * slide_.channels;
    if (slice_ == slide_.channels)
      std::copy_n(from, (right - left) * slice_, row + left * slice_);
    else
      for (int64_t i = left; i < right; ++i, from += slide_.channels)
        std::copy_n(from, slice_, row + i * slice_);
    std::fill_n(row + right * slice_, (count - right) * slice_, T(0));
  }

  Slide slide_;
  Triple count_;
  int64_t slice_, images_ = 1;
  bool in_place_;
};

// The windows of a unit, line by line: at equal distances along w, or across images.
struct Lines {
  Unit unit;
  bool across;

  explicit Lines(const Unit& u) : unit(u), across(u.across()) {}

  [[nodiscard]] int64_t length() const { return across ? unit.size() : unit.count[2]; }
  [[nodiscard]] int64_t number() const {
    const Triple& count = unit.count;
    return across ? volume(count) : unit.size() * count[0] * count[1];
  }

  // The first window of line `index`, from the unit's begin on.
  [[nodiscard]] Triple window(int64_t index) const {
    const Triple& count = unit.count;
    if (across)
      return {index / (count[1] * count[2]), index / count[2] % count[1], index % count[2]};
    return {index / count[1] % count[0], index % count[1], 0};
  }
  // Where line `index` begins in an array with these strides of a window and an image.
  [[nodiscard]] int64_t begin(int64_t index, const Triple& strides, int64_t image) const {
    const int64_t which = across ? 0 : index / (unit.count[0] * unit.count[1]);
    return which * image + dot(window(index), strides);
  }
  [[nodiscard]] int64_t distance(const Triple& strides, int64_t image) const {
    return across ? image : strides[2];
  }
};

}  // namespace nervure
