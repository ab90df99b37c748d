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
constexpr int64_t sweep_unit = 16;     // a part's length is a multiple of it
constexpr int64_t column_grain = 64;   // columns of a part of the max-norm pass

// The trainable elements, for gradient norm, sweep, enter and leave: each segment in
// parts of nearly equal length, so that half of the parts are half of its rows.
inline std::vector<Part> cut(std::span<const Segment> segments,
                             int64_t grain = sweep_grain) {
  std::vector<Part> parts;
  for (size_t s = 0; s < segments.size(); ++s) {
    const Segment& segment = segments[s];
    if (!segment.trainable) continue;
    const int64_t units = (segment.size + sweep_unit - 1) / sweep_unit;
    const int64_t count = (segment.size + grain - 1) / grain;
    const auto at = [&](int64_t k) {
      return segment.offset + std::min(segment.size, units * k / count * sweep_unit);
    };
    for (int64_t k = 0; k < count; ++k)
      parts.push_back({static_cast<int64_t>(s), at(k), at(k + 1)});
  }
  return parts;
}

// Parts in their order, in bundles of at most a grain: what a worker takes at a time.
// Small parameters are not worth a turn each.
using Bundle = std::span<const Part>;
inline std::vector<Bundle> bundled(std::span<const Part> parts, int64_t grain) {
  std::vector<Bundle> bundles;
  size_t begin = 0;
  int64_t size = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t more = parts[i].end - parts[i].begin;
    if (i > begin && size + more > grain) {
      bundles.push_back(parts.subspan(begin, i - begin));
      begin = i;
      size = 0;
    }
    size += more;
  }
  if (begin < parts.size()) bundles.push_back(parts.subspan(begin));
  return bundles;
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
