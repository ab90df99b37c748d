// SPDX-License-Identifier: BSD-3-Clause
// Sums whose error does not grow with their length, in an order that sizes alone decide.
//
// A few elements are added as they come; what they give is added to a long sum of twice
// the digits, high + low. A float alone loses 6 % of a sum of ten million equal numbers.
//
// Source: Dekker, A floating-point technique for extending the available precision (1971);
// Knuth, The Art of Computer Programming 2 (1997), section 4.2.2, theorem B.
#pragma once

#include <algorithm>
#include <cstdint>

#include "simd.h"

namespace nervure {

// Long sums side by side, one for each column.
template <class T>
struct LongSums {
  T *high, *low;

  void clear(int64_t columns) const {
    std::fill_n(high, columns, T(0));
    std::fill_n(low, columns, T(0));
  }
  // Those from a column on.
  [[nodiscard]] LongSums from(int64_t column) const {
    return {high + column, low + column};
  }
  NERVURE_INLINE void add(int64_t j, T x) const { simd::add_exactly(high[j], low[j], x); }
  // The low part of a sum that is not finite is no number.
  [[nodiscard]] NERVURE_INLINE double total(int64_t j) const {
    const auto rest = static_cast<double>(low[j]);
    return static_cast<double>(high[j]) + (rest == rest ? rest : 0);
  }
};

// Adds row(0)(j) + row(1)(j) + ... of so many rows, for each of the columns. Some rows at a
// time: their elements are read side by side.
template <class T>
NERVURE_INLINE void add_rows(const LongSums<T>& sums, int64_t rows, int64_t columns,
                             auto row) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    const auto a = row(i), b = row(i + 1), c = row(i + 2), d = row(i + 3);
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < columns; ++j) sums.add(j, (a(j) + b(j)) + (c(j) + d(j)));
  }
  for (; i < rows; ++i) {
    const auto a = row(i);
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < columns; ++j) sums.add(j, a(j));
  }
}

// Long sums of columns that are added to here and there, some times each: first into
// `some`, which now and then is passed on.
template <class T>
struct StagedSums {
  static constexpr int64_t most = 32;  // times until then
  static constexpr int64_t room(int64_t columns) { return 3 * columns; }

  T* some;
  LongSums<T> sums;
  int64_t columns;

  StagedSums(T* memory, int64_t count)
      : some(memory), sums{memory + count, memory + 2 * count}, columns(count) {}
  void clear() const {
    std::fill_n(some, columns, T(0));
    sums.clear(columns);
  }
  void pass_on() const {
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < columns; ++j) {
      sums.add(j, some[j]);
      some[j] = 0;
    }
  }
};

}  // namespace nervure
