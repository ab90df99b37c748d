// SPDX-License-Identifier: BSD-3-Clause
// Ranges, and how they are cut.
#pragma once

#include <cstdint>

namespace nervure {

struct Range {
  int64_t begin, end;
  [[nodiscard]] int64_t size() const { return end - begin; }
  // What is in both; empty, with end <= begin, where nothing is.
  [[nodiscard]] Range within(Range other) const {
    return {begin < other.begin ? other.begin : begin, end < other.end ? end : other.end};
  }
};

// A range of `total` items, cut into parts of `grain`.
inline int64_t parts_of(int64_t total, int64_t grain) {
  return total > 0 ? (total + grain - 1) / grain : 1;
}
inline Range range_of(int64_t total, int64_t grain, int64_t part) {
  const int64_t begin = part * grain;
  return {begin, begin + grain < total ? begin + grain : total};
}
// The same, cut into so many parts of nearly equal size.
inline Range share_of(int64_t total, int64_t parts, int64_t part) {
  return {total * part / parts, total * (part + 1) / parts};
}

// Columns of floats that fill a cache line.
constexpr int64_t line_columns = 16;
// One half of some columns, the first being no smaller. The cut lies between two cache
// lines where rows begin with one: what two cores write in turn travels between them.
inline Range half_of(int64_t columns, int64_t which) {
  const int64_t lines = (columns + line_columns - 1) / line_columns;
  const int64_t end = (lines + 1) / 2 * line_columns;
  const int64_t middle = end < columns ? end : columns;
  return which == 0 ? Range{0, middle} : Range{middle, columns};
}

}  // namespace nervure
