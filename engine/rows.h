// SPDX-License-Identifier: BSD-3-Clause
// Rows of a data set as it lies in memory, read as the numbers that a network takes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ranges.h"

namespace nervure {

enum class Element { float32, float64, uint8, int32, int64 };

// The steps of the rows of a data set, where rows are sequences: row r has `lengths[r]`
// of them, from `starts[r]` on; side by side with those of the other rows they would begin
// at `offsets[r]`. Null where a row is one.
struct Sequences {
  const int64_t* starts = nullptr;
  const int64_t* lengths = nullptr;
  const int64_t* offsets = nullptr;
  [[nodiscard]] explicit operator bool() const { return starts != nullptr; }
};

// One array of the data set: rows, or their steps, of `columns` elements, read as
// element * scale.
//
// Of sparse rows only the elements that are there lie in `data`: those of row i are the
// elements from starts[i] on, up to starts[i + 1], in the columns that `at` says, which
// ascend. The others are 0.
struct Source {
  const void* data = nullptr;
  Element element = Element::float32;
  int64_t columns = 0;
  double scale = 1;
  const int64_t* starts = nullptr;
  const int32_t* at = nullptr;
  Sequences sequences = {};

  [[nodiscard]] bool sparse() const { return starts != nullptr; }
};

// Rows of a data set: `index[begin .. begin + count)`, or that range itself if null.
struct Rows {
  const int64_t* index = nullptr;
  int64_t begin = 0;
  int64_t count = 0;
  [[nodiscard]] int64_t operator[](int64_t i) const {
    return index != nullptr ? index[begin + i] : begin + i;
  }
  [[nodiscard]] Rows part(int64_t first, int64_t size) const {
    return {index, begin + first, size};
  }
};

inline int64_t bytes_of(Element element) {
  switch (element) {
    case Element::uint8:
      return 1;
    case Element::float32:
    case Element::int32:
      return 4;
    case Element::float64:
    case Element::int64:
      return 8;
  }
  return 0;
}

// Calls call(data) with the type that the elements have.
decltype(auto) with_elements(const Source& source, auto&& call) {
  switch (source.element) {
    case Element::float64:
      return call(static_cast<const double*>(source.data));
    case Element::uint8:
      return call(static_cast<const uint8_t*>(source.data));
    case Element::int32:
      return call(static_cast<const int32_t*>(source.data));
    case Element::int64:
      return call(static_cast<const int64_t*>(source.data));
    default:
      return call(static_cast<const float*>(source.data));
  }
}

template <class T>
void read_sparse_row(const Source& source, int64_t row, Range columns, T* target) {
  std::fill_n(target, columns.size(), T(0));
  const int32_t* end = source.at + source.starts[row + 1];
  const int32_t* first =
      std::lower_bound(source.at + source.starts[row], end, columns.begin);
  with_elements(source, [&](const auto* data) {
    const T factor = static_cast<T>(source.scale);
    for (const int32_t* at = first; at != end && *at < columns.end; ++at)
      target[*at - columns.begin] = static_cast<T>(data[at - source.at]) * factor;
  });
}

// Some columns of one row, or of rows that follow it, as numbers of type T.
template <class T>
void read_row(const Source& source, int64_t row, Range columns, T* target) {
  if (source.sparse()) return read_sparse_row(source, row, columns, target);
  with_elements(source, [&](const auto* data) {
    const auto* x = data + row * source.columns + columns.begin;
    const T factor = static_cast<T>(source.scale);
    for (int64_t j = 0; j < columns.size(); ++j) target[j] = static_cast<T>(x[j]) * factor;
  });
}

}  // namespace nervure
