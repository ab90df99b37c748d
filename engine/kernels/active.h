// SPDX-License-Identifier: BSD-3-Clause
// The features of a batch that are not 0 in all of its rows.
//
// Pixels at the edge, rare categories, words and dead units are 0 in many rows: what they
// add to z = x W, and their rows of dW, are 0. Of MNIST's 784 pixels half are 0 in all of
// ten rows, and a third in all of a hundred.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernel.h"

namespace nervure {

// Lists of runs of features, one for each half of them, so that two workers find them.
class Active {
 public:
  explicit Active(int64_t features) : features_(features) {}

  // Elements of T that the lists take.
  template <class T>
  [[nodiscard]] int64_t room() const {
    return 2 * capacity() * static_cast<int64_t>(sizeof(Range) / sizeof(T));
  }

  template <class T>
  [[nodiscard]] Runs runs(const T* lists, int64_t which) const {
    const Range* list = reinterpret_cast<const Range*>(lists) + which * capacity();
    return {list + 1, static_cast<size_t>(list->begin)};
  }

  // Is no feature left out?
  template <class T>
  [[nodiscard]] bool full(const T* lists, int64_t which) const {
    const Runs found = runs(lists, which);
    return found.size() == 1 && found[0].size() == half_of(features_, which).size();
  }

  // Writes the list of one half of the features: of x, with `stride` from row to row.
  template <class T>
  void find(const T* x, int64_t stride, int64_t rows, T* lists, int64_t which) const {
    Range* list = reinterpret_cast<Range*>(lists) + which * capacity();
    const Range all = half_of(features_, which);
    int64_t count = 0, active = 0;
    Range* runs = list + 1;
    const auto add = [&](Range run) {
      if (count > 0 && runs[count - 1].end == run.begin)
        runs[count - 1].end = run.end;
      else
        runs[count++] = run;
      active += run.size();
    };
    Bits<T> bits[stretch];
    for (int64_t begin = all.begin; begin < all.end; begin += stretch) {
      const int64_t width = std::min(stretch, all.end - begin);
      join(x + begin - all.begin, stride, rows, width, bits);
      for (int64_t j = 0; j < width; j += 64) {
        uint64_t found = not_zero<T>(bits + j, std::min<int64_t>(64, width - j));
        while (found != 0) {
          const int from = std::countr_zero(found), length = std::countr_one(found >> from);
          add({begin + j + from, begin + j + from + length});
          found = from + length == 64 ? 0 : found & ~uint64_t{0} << (from + length);
        }
      }
    }
    if (8 * active > 7 * all.size()) {  // little would be saved
      runs[0] = all;
      count = 1;
    }
    list[0] = {count, 0};
  }

 private:
  template <class T>
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  static constexpr int64_t stretch = 512;  // columns whose bits lie in the nearest cache

  // A list has its length first. Two runs do not touch.
  [[nodiscard]] int64_t capacity() const { return 2 + half_of(features_, 1).size() / 2; }

  // The bits that are set in some row of each of `width` columns. Four rows at a time are
  // read as they lie.
  template <class T>
  static void join(const T* x, int64_t stride, int64_t rows, int64_t width,
                   Bits<T>* __restrict__ bits) {
    std::fill_n(bits, width, Bits<T>{0});
    const auto of = [](T element) { return std::bit_cast<Bits<T>>(element); };
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4, x += 4 * stride) {
      const T *a = x, *b = a + stride, *c = b + stride, *d = c + stride;
      for (int64_t j = 0; j < width; ++j)
        bits[j] |= of(a[j]) | of(b[j]) | of(c[j]) | of(d[j]);
    }
    for (; i < rows; ++i, x += stride)
      for (int64_t j = 0; j < width; ++j) bits[j] |= of(x[j]);
  }
  // One bit for each column, whose sign does not count.
  template <class T>
  [[nodiscard]] static uint64_t not_zero(const Bits<T>* bits, int64_t width) {
    uint64_t found = 0;
    for (int64_t j = 0; j < width; ++j)
      found |= static_cast<uint64_t>(bits[j] << 1 != 0) << j;
    return found;
  }

  int64_t features_;
};

}  // namespace nervure
