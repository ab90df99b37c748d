// SPDX-License-Identifier: BSD-3-Clause
// Copies of some columns of B, in panels as wide as a tile, and of rows of A, in blocks as
// high as one.
#pragma once

#include <cstring>

#include "../memory.h"
#include "gemm.h"
#include "tile.h"

namespace nervure::tiles {

static_assert(panel_columns<float> == 2 * widest<float>);

// Room for a panel of panel_rows rows.
template <class T>
T* panel() {
  alignas(64) static thread_local T memory[panel_rows * panel_columns<T>];
  return memory;
}

// `steps` rows of `count` columns of B, padded with zeros to `wide` columns, which are
// whole halves of vectors. Without the type, the copies are made one by one.
template <class T>
void pack(T* target, const Right<T>& b, int64_t steps, int64_t count, int64_t wide) {
  constexpr int lanes = widest<T> / 2;
  using V = Vector<T, lanes>;
  for (int64_t i = 0; i < steps; ++i, target += wide) {
    const T* row = b.step(i);
    if (count == wide) {
      for (int64_t j = 0; j < wide; j += lanes)
        *reinterpret_cast<V*>(target + j) = *reinterpret_cast<const V*>(row + j);
      continue;
    }
    for (int64_t j = 0; j < count; ++j) target[j] = row[j];
    for (int64_t j = count; j < wide; ++j) target[j] = 0;
  }
}

// The same of a B that is stored transposed: its rows become columns of the panel. Four
// by four, so that both sides are touched in runs.
template <class T>
void pack_transposed(T* target, const T* b, int64_t ldb, int64_t k, int64_t count,
                     int64_t wide) {
  using V = Vector<T, 4>;
  int64_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const T* rows = b + j * ldb;
    int64_t i = 0;
    for (; i + 4 <= k; i += 4) {
      const V r0 = *reinterpret_cast<const V*>(rows + i);
      const V r1 = *reinterpret_cast<const V*>(rows + ldb + i);
      const V r2 = *reinterpret_cast<const V*>(rows + 2 * ldb + i);
      const V r3 = *reinterpret_cast<const V*>(rows + 3 * ldb + i);
      const V a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
      const V c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
      const V e = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
      const V g = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
      T* to = target + i * wide + j;
      *reinterpret_cast<V*>(to) = __builtin_shufflevector(a, e, 0, 1, 4, 5);
      *reinterpret_cast<V*>(to + wide) = __builtin_shufflevector(a, e, 2, 3, 6, 7);
      *reinterpret_cast<V*>(to + 2 * wide) = __builtin_shufflevector(c, g, 0, 1, 4, 5);
      *reinterpret_cast<V*>(to + 3 * wide) = __builtin_shufflevector(c, g, 2, 3, 6, 7);
    }
    for (; i < k; ++i)
      for (int64_t s = 0; s < 4; ++s) target[i * wide + j + s] = rows[s * ldb + i];
  }
  for (; j < wide; ++j)
    for (int64_t i = 0; i < k; ++i)
      target[i * wide + j] = j < count ? b[j * ldb + i] : T(0);
}

// Calls panel.operator()<width, vectors>(column, count) for all columns, two vectors at a
// time and at the end as few as there are.
template <class T>
void each_panel(int64_t columns, auto&& panel) {
  constexpr int width = widest<T>;
  int64_t column = 0;
  for (; columns - column > width; column += 2 * width)
    panel.template operator()<width, 2>(column,
                                        std::min<int64_t>(2 * width, columns - column));
  const int64_t rest = columns - column;
  if (rest > width / 2)
    panel.template operator()<width, 1>(column, rest);
  else if (rest > 0)
    panel.template operator()<width / 2, 1>(column, rest);
}

// ---- blocks of an A that is stored transposed -------------------------------------------

constexpr int64_t blocks_bytes = 1 << 17;
template <class T>
T* blocks() {
  static thread_local Memory memory(blocks_bytes);
  return static_cast<T*>(memory.data());
}

template <class T, int rows>
void pack_block(T* target, const T* a, int64_t lda, int64_t steps) {
  for (int64_t p = 0; p < steps; ++p)
    std::memcpy(target + p * rows, a + p * lda, rows * sizeof(T));
}
template <class T, int... rows>
constexpr auto block_packers(std::integer_sequence<int, rows...>) {
  return std::array{pack_block<T, rows + 1>...};
}

// Copies so many rows: steps of k that lie far apart come from memory one by one.
template <class T>
Left<T> in_blocks(const Left<T>& a, int64_t steps, int64_t rows) {
  static constexpr auto packers =
      block_packers<T>(std::make_integer_sequence<int, most_rows<T>>{});
  T* target = blocks<T>();
  each_block(rows, most_rows<T>, [&](Range some) {
    packers[static_cast<size_t>(some.size() - 1)](target + some.begin * steps,
                                                  a.data + some.begin, a.distance, steps);
  });
  return {target, 0, true};
}

}  // namespace nervure::tiles
