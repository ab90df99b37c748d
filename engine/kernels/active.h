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
    for (int64_t begin = all.begin; begin < all.end; begin += lanes<T>) {
      const int64_t width = std::min(lanes<T>, all.end - begin);
      uint64_t found = seen(x + begin - all.begin, stride, rows, width);
      while (found != 0) {
        const int from = std::countr_zero(found), length = std::countr_one(found >> from);
        const Range run{begin + from, begin + from + length};
        if (count > 0 && runs[count - 1].end == run.begin)
          runs[count - 1].end = run.end;
        else
          runs[count++] = run;
        active += length;
        found &= ~uint64_t{0} << (from + length);  // never 64: fewer lanes
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
  static constexpr int64_t lanes = 64 / static_cast<int64_t>(sizeof(T));

  // A list has its length first. Two runs do not touch.
  [[nodiscard]] int64_t capacity() const { return 2 + half_of(features_, 1).size() / 2; }

  // A bit for each of `width` columns that is not 0 in some row.
  template <class T>
  [[nodiscard]] static uint64_t seen(const T* x, int64_t stride, int64_t rows,
                                     int64_t width) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    typedef Bits Lanes __attribute__((vector_size(64), aligned(sizeof(T)), may_alias));
    Lanes any{}, place;
    for (int64_t j = 0; j < lanes<T>; ++j) place[j] = Bits{1} << j;
    const auto add = [&](const T* row) { any |= *reinterpret_cast<const Lanes*>(row); };
    if (width == lanes<T>) {
      for (int64_t i = 0; i < rows; ++i) add(x + i * stride);
    } else {
      T padded[lanes<T>] = {};
      for (int64_t i = 0; i < rows; ++i) {
        std::copy_n(x + i * stride, width, padded);
        add(padded);
      }
    }
    const Lanes bits = (any << 1) != 0 ? place : Lanes{};  // the first is the sign
    Bits found = 0;
    for (int64_t j = 0; j < lanes<T>; ++j) found |= bits[j];
    return found;
  }

  int64_t features_;
};

}  // namespace nervure
