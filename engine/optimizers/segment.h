// SPDX-License-Identifier: BSD-3-Clause
// The parameters as the optimizer sees them: segments of one flat arena, cut into parts.
//
// Cuts depend on the segments alone. Parts are swept in any order by any thread; sums
// over parts are added in the order of the parts.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "../attributes.h"

namespace nervure {

struct Segment {  // one parameter
  int64_t offset = 0, size = 0;
  int64_t columns = 1;    // units: the last extent; each column enters one unit
  bool trainable = true;  // false: no optimizer touches it
  bool decays = true;     // false: weight decay and penalties leave it alone
  double learning_rate_multiplier = 1;
  double l1 = 0, l2 = 0;  // cost l1 sum |w| + l2/2 sum w^2
  double max_norm = 0;    // longest column, 0: no limit
};

struct Part {  // elements [begin, end) of the arena, or columns of the segment
  int64_t segment = 0;
  int64_t begin = 0, end = 0;
};

constexpr int64_t sweep_grain = 2048;  // elements of a part
constexpr int64_t column_grain = 64;   // columns of a part of the max-norm pass

// The trainable elements, for gradient norm, sweep, enter and leave.
inline std::vector<Part> cut(std::span<const Segment> segments,
                             int64_t grain = sweep_grain) {
  std::vector<Part> parts;
  for (size_t s = 0; s < segments.size(); ++s) {
    if (!segments[s].trainable) continue;
    const int64_t end = segments[s].offset + segments[s].size;
    for (int64_t i = segments[s].offset; i < end; i += grain)
      parts.push_back({static_cast<int64_t>(s), i, std::min(i + grain, end)});
  }
  return parts;
}

// The columns under a norm limit; empty where there is none, then the pass is skipped.
inline std::vector<Part> cut_columns(std::span<const Segment> segments) {
  std::vector<Part> parts;
  for (size_t s = 0; s < segments.size(); ++s) {
    const Segment& segment = segments[s];
    if (!segment.trainable || !segment.decays || segment.max_norm <= 0) continue;
    for (int64_t k = 0; k < segment.columns; k += column_grain)
      parts.push_back(
          {static_cast<int64_t>(s), k, std::min(k + column_grain, segment.columns)});
  }
  return parts;
}

}  // namespace nervure
