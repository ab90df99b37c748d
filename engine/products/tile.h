// SPDX-License-Identifier: BSD-3-Clause
// A tile of C stays in registers while one row of B after the other is loaded and
// multiplied by single elements of A.
//
// A tile has up to most_rows rows and one or two vectors of columns. Whatever tile an
// element of C is in, its sum is one chain of fused multiply-adds in the order of k.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "../ranges.h"
#include "../simd.h"

namespace nervure::tiles {

using simd::register_bytes;

// A vector of one element, too: of scalars compilers make other chains than of vectors.
template <class T, int width>
struct Lanes {
  typedef T type
      __attribute__((vector_size(width * sizeof(T)), aligned(sizeof(T)), may_alias));
};
template <class T, int width>
using Vector = typename Lanes<T, width>::type;

template <class T>
constexpr int widest = register_bytes / static_cast<int>(sizeof(T));

// Sums of so many rows and two vectors leave registers for what is multiplied. Eight rows
// of double are as fast as fourteen, and compiled in a third of the time.
template <class T>
constexpr int most_rows = register_bytes < 64 ? 6
                          : sizeof(T) == 4    ? 14
                                              : 8;
// Columns that no whole vector is left for are few: lower tiles do, and compile faster.
template <class T, int width, int vectors>
constexpr int height = width == widest<T> || (2 * width == widest<T> && vectors == 1)
                           ? most_rows<T>
                           : (width > 1 ? std::min(most_rows<T>, 7) : 4);

// ---- what is multiplied ---------------------------------------------------------------

// The steps of k: runs of `length` each, the next beginning at offsets[r] in A and at
// places[r] in B.
struct Steps {
  int64_t length;
  int64_t runs = 1;
  const int64_t* offsets = nullptr;  // null: all at 0
  const int64_t* places = nullptr;   // null: end to end
};

// A by rows, which lie `distance` apart; where it is transposed, by steps of k.
template <class T>
struct Left {
  const T* data;
  int64_t distance;
  bool in_blocks = false;  // the rows of each tile lie together, stored transposed
};

// B by steps of k, which lie `distance` apart unless they are listed.
template <class T>
struct Right {
  const T* data;
  int64_t distance;
  const int64_t* listed = nullptr;

  [[nodiscard]] const T* step(int64_t p) const {
    return data + (listed == nullptr ? p : listed[p]) * distance;
  }
};

// C, whose rows lie `distance` apart and may be listed, and how sums are put down there.
template <class T>
struct Target {
  T* data;
  int64_t distance;
  const int64_t* listed = nullptr;
  bool add = false;          // to C rather than in its place
  T alpha = 1;               // of what is added
  const T* start = nullptr;  // a row that every sum begins with, in the place of 0
};

// Of a tile: where its second vector begins, and how many of its columns are stored.
struct Columns {
  int64_t second, valid;
};

template <class T>
struct Operands {
  Steps steps;
  Left<T> a;
  Right<T> b;
  Target<T> c;
  Columns columns = {0, 0};
};

// ---- a tile ---------------------------------------------------------------------------

// The valid columns of a tile of `wide`. One copy for all tiles: it is compiled once.
template <class T>
[[gnu::noinline]] void store_part(const Operands<T>& o, T* c, const int64_t* rows_of_c,
                                  const T* values, int rows, int wide) {
  for (int i = 0; i < rows; ++i, values += wide) {
    T* row = c + rows_of_c[i] * o.c.distance;
    for (int64_t j = 0; j < o.columns.valid; ++j)
      row[j] = o.c.add ? row[j] + o.c.alpha * values[j] : values[j];
  }
}

// Sum over k of A[., k] B[k, .], of A's rows from `from` on and these of C. A is transposed
// where its rows are the steps of k; `lda` is the distance of two rows as they are stored.
template <class T, int width, int vectors, bool transposed, int rows>
void tile(const Operands<T>& o, const T* from, int64_t lda, T* c,
          const int64_t* rows_of_c) {
  using V = Vector<T, width>;
  const int64_t row = transposed ? 1 : lda, step = transposed ? lda : 1;
  V sum[rows][vectors];
  NERVURE_EACH (v, vectors) {
    const V first =
        o.c.start == nullptr ? V{} : *reinterpret_cast<const V*>(o.c.start + v * width);
    NERVURE_EACH (i, rows) sum[i][v] = first;
  }
  const auto add = [&](const T* a, const T* b) {
    V x[vectors];
    NERVURE_EACH (v, vectors) x[v] = *reinterpret_cast<const V*>(b + v * o.columns.second);
    NERVURE_EACH (i, rows) {
      const T scalar = a[i * row];
      NERVURE_EACH (v, vectors) sum[i][v] += scalar * x[v];
    }
  };
  const int64_t *offsets = o.steps.offsets, *places = o.steps.places;
  const T* b = o.b.data;
  if (o.b.listed != nullptr) {
    for (int64_t p = 0; p < o.steps.length; ++p, from += step)
      add(from, b + o.b.listed[p] * o.b.distance);
  } else {
    for (int64_t r = 0; r < o.steps.runs; ++r) {
      const T* a = offsets == nullptr ? from : from + offsets[r];
      if (places != nullptr) b = o.b.data + places[r];
      for (int64_t p = 0; p < o.steps.length; ++p, a += step, b += o.b.distance) add(a, b);
    }
  }
  if (o.columns.valid < o.columns.second + width) {
    alignas(64) T values[rows * vectors * width];
    NERVURE_EACH (i, rows)
      NERVURE_EACH (v, vectors)
        *reinterpret_cast<V*>(values + (i * vectors + v) * width) = sum[i][v];
    return store_part(o, c, rows_of_c, values, rows, vectors * width);
  }
  T* row_of_c[rows];
  NERVURE_EACH (i, rows) row_of_c[i] = c + rows_of_c[i] * o.c.distance;
  if (o.c.add)  // both vectors of a row before either is stored: they may overlap
    NERVURE_EACH (i, rows)
      NERVURE_EACH (v, vectors)
        sum[i][v] = *reinterpret_cast<const V*>(row_of_c[i] + v * o.columns.second) +
                    o.c.alpha * sum[i][v];
  NERVURE_EACH (i, rows)
    NERVURE_EACH (v, vectors)
      *reinterpret_cast<V*>(row_of_c[i] + v * o.columns.second) = sum[i][v];
}

// ---- all rows ---------------------------------------------------------------------------

// Calls block(rows) for all rows in blocks of nearly equal height: 200 rows are 15 blocks
// of 13 or 14, not 14 of 14 and one of 4.
NERVURE_INLINE void each_block(int64_t rows, int64_t most, auto&& block) {
  if (rows <= 0) return;
  const int64_t blocks = (rows + most - 1) / most;
  const int64_t low = rows / blocks, higher = rows % blocks;
  for (int64_t i = 0, row = 0; i < blocks; ++i) {
    const int64_t end = row + low + (i < higher ? 1 : 0);
    block(Range{row, end});
    row = end;
  }
}

template <class T>
using Tile = void (*)(const Operands<T>&, const T* a, int64_t lda, T* c,
                      const int64_t* rows_of_c);
template <class T, int width, int vectors, bool transposed, int... rows>
constexpr std::array<Tile<T>, sizeof...(rows)> by_rows(
    std::integer_sequence<int, rows...>) {
  return {tile<T, width, vectors, transposed, rows + 1>...};
}
template <int64_t... n>
constexpr std::array<int64_t, sizeof...(n)> numbers(std::integer_sequence<int64_t, n...>) {
  return {n...};
}

// The rows of B that the next panel is packed from, which lie far apart: each is fetched
// while tiles of the present panel are multiplied, some with every tile.
template <class T>
class Next {
 public:
  Next(const Right<T>& rows, int64_t steps, int64_t tiles) : rows_(rows), steps_(steps) {
    const bool far = rows.distance * static_cast<int64_t>(sizeof(T)) >= 1024;
    each_ = far ? parts_of(steps, tiles) : 0;
  }
  void fetch() {
    for (const int64_t end = std::min(steps_, step_ + each_); step_ < end; ++step_)
      __builtin_prefetch(rows_.step(step_), 0, 2);
  }

 private:
  Right<T> rows_;
  int64_t steps_, each_;  // of them with every tile
  int64_t step_ = 0;
};

// All rows of the columns of one tile.
template <class T, int width, int vectors, bool transposed>
void columns(int64_t rows, const Operands<T>& o, Next<T>* next = nullptr) {
  constexpr int most = height<T, width, vectors>;
  static constexpr auto tiles =
      by_rows<T, width, vectors, transposed>(std::make_integer_sequence<int, most>{});
  static constexpr auto in_order = numbers(std::make_integer_sequence<int64_t, most>{});
  const bool in_blocks = o.a.in_blocks;
  each_block(rows, most, [&](Range some) {
    if (next != nullptr) next->fetch();
    const int64_t count = some.size(), lda = in_blocks ? count : o.a.distance;
    const int64_t apart = in_blocks ? o.steps.length : transposed ? 1 : o.a.distance;
    const T* a = o.a.data + some.begin * apart;
    const auto block = tiles[static_cast<size_t>(count - 1)];
    if (o.c.listed == nullptr)
      block(o, a, lda, o.c.data + some.begin * o.c.distance, in_order.data());
    else
      block(o, a, lda, o.c.data, o.c.listed + some.begin);
  });
}

}  // namespace nervure::tiles
