// SPDX-License-Identifier: BSD-3-Clause
// Own matrix products for the shapes of training: few hundred rows, operands that lie in
// the second-level cache.
//
// A tile of `rows` x (`vectors` * width) of C stays in registers while one row of B
// after the other is loaded and multiplied by single elements of A. B is used as it lies
// where few rows would share a copy; else some columns of it are packed, one panel at a
// time, or all of them beforehand for several products. Blocks of a transposed A are
// copied too where many panels use them. What is read only once per copy comes from
// memory: while one panel is multiplied, the rows of the next are fetched. Over some
// hundred steps of k every element of C is one chain of fused multiply-adds in the order
// of k, whatever the tile it is in.
#include "gemm.h"

#include <algorithm>
#include <array>
#include <utility>

#include "memory.h"
#include "thin_gemm.h"

namespace nervure {
namespace {

using simd::register_bytes;
constexpr int most_rows = register_bytes == 64 ? 14 : 6;
// Steps of k at a time: A's rows of so many lie in the second-level cache, and a panel of
// narrow registers in the first.
constexpr int64_t most_steps = register_bytes == 64 ? panel_rows : 400;
constexpr int64_t blocks_bytes = 1 << 17;

template <class T, int width>
struct Vector {
  typedef T type
      __attribute__((vector_size(width * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <class T>
constexpr int widest = register_bytes / static_cast<int>(sizeof(T));
static_assert(panel_columns<float> == 2 * widest<float>);

// The rows of B that the next panel is packed from, which lie far apart: each is fetched
// while tiles of the present panel are multiplied, some with every tile.
template <class T>
struct Next {
  Next(const T* first, int64_t distance, const int64_t* listed, int64_t count,
       int64_t tiles)
      : b(first), ldb(distance), rows(listed), steps(count) {
    const bool far = ldb * static_cast<int64_t>(sizeof(T)) >= 1024;
    each = far ? parts_of(steps, tiles) : 0;
  }

  const T* b;
  int64_t ldb;
  const int64_t* rows;  // null: one after the other
  int64_t steps, each;  // of them with every tile
  int64_t step = 0;

  void fetch() {
    for (const int64_t end = std::min(steps, step + each); step < end; ++step)
      __builtin_prefetch(b + (rows == nullptr ? step : rows[step]) * ldb, 0, 2);
  }
};

template <class T>
struct Operands {
  int64_t k;
  const T* a;
  int64_t lda;
  const T* b;
  int64_t ldb;
  T* c;
  int64_t ldc;
  int64_t second;  // column of the second vector of a tile
  int64_t valid;   // columns to be stored; fewer than the tile has at an edge
  bool add;
  bool packed = false;               // A lies block by block, each stored transposed
  bool in_panels = false;            // B lies panel by panel
  T alpha = 1;                       // of what is added
  int64_t runs = 1;                  // k steps each; run r of A begins at offsets[r]
  const int64_t* offsets = nullptr;  // null: at 0
  const int64_t* places = nullptr;   // of the runs in B; null: end to end
  const T* start = nullptr;          // a row that every row of C begins with
  Listed listed = {};                // rows of B and C
  Next<T>* next = nullptr;
};

// The valid columns of a tile of `wide`. One copy for all tiles: it is compiled once.
template <class T>
[[gnu::noinline]] void store_part(const Operands<T>& o, T* c, const int64_t* rows_of_c,
                                  const T* values, int rows, int wide) {
  for (int i = 0; i < rows; ++i, values += wide) {
    T* row = c + rows_of_c[i] * o.ldc;
    for (int64_t j = 0; j < o.valid; ++j)
      row[j] = o.add ? row[j] + o.alpha * values[j] : values[j];
  }
}

// Sum over k of A[., k] B[k, .], of A's rows from `from` on and these of C. A is transposed
// where its rows are the steps of k; `lda` is the distance of two rows as they are stored.
template <class T, int width, int vectors, bool transposed, int rows>
void tile(const Operands<T>& o, const T* from, int64_t lda, T* c,
          const int64_t* rows_of_c) {
  using V = typename Vector<T, width>::type;
  const int64_t row = transposed ? 1 : lda, step = transposed ? lda : 1;
  V sum[rows][vectors];
  NERVURE_EACH (v, vectors) {
    const V first =
        o.start == nullptr ? V{} : *reinterpret_cast<const V*>(o.start + v * width);
    NERVURE_EACH (i, rows) sum[i][v] = first;
  }
  const auto add = [&](const T* a, const T* b) {
    V x[vectors];
    NERVURE_EACH (v, vectors) x[v] = *reinterpret_cast<const V*>(b + v * o.second);
    NERVURE_EACH (i, rows) {
      const T scalar = a[i * row];
      NERVURE_EACH (v, vectors) sum[i][v] += scalar * x[v];
    }
  };
  const int64_t *offsets = o.offsets, *places = o.places;
  const T* b = o.b;
  if (o.listed.of_b != nullptr) {
    for (int64_t p = 0; p < o.k; ++p, from += step) add(from, b + o.listed.of_b[p] * o.ldb);
  } else {
    for (int64_t r = 0; r < o.runs; ++r) {
      const T* a = offsets == nullptr ? from : from + offsets[r];
      if (places != nullptr) b = o.b + places[r];
      for (int64_t p = 0; p < o.k; ++p, a += step, b += o.ldb) add(a, b);
    }
  }
  if (o.valid < o.second + width) {
    alignas(64) T values[rows * vectors * width];
    NERVURE_EACH (i, rows)
      NERVURE_EACH (v, vectors)
        *reinterpret_cast<V*>(values + (i * vectors + v) * width) = sum[i][v];
    return store_part(o, c, rows_of_c, values, rows, vectors * width);
  }
  T* row_of_c[rows];
  NERVURE_EACH (i, rows) row_of_c[i] = c + rows_of_c[i] * o.ldc;
  if (o.add)  // both vectors of a row before either is stored: they may overlap
    NERVURE_EACH (i, rows)
      NERVURE_EACH (v, vectors)
        sum[i][v] =
            *reinterpret_cast<const V*>(row_of_c[i] + v * o.second) + o.alpha * sum[i][v];
  NERVURE_EACH (i, rows)
    NERVURE_EACH (v, vectors) *reinterpret_cast<V*>(row_of_c[i] + v * o.second) = sum[i][v];
}

template <class T>
using Tile = void (*)(const Operands<T>&, const T* a, int64_t lda, T* c,
                      const int64_t* rows_of_c);

template <class T, int width, int vectors, bool transposed, int... rows>
constexpr std::array<Tile<T>, sizeof...(rows)> tiles(std::integer_sequence<int, rows...>) {
  return {tile<T, width, vectors, transposed, rows + 1>...};
}

// Calls block(rows) for all rows in blocks of nearly equal height: 200 rows are 15 blocks
// of 13 or 14, not 14 of 14 and one of 4.
NERVURE_INLINE void each_block(int64_t rows, auto&& block) {
  if (rows <= 0) return;
  const int64_t blocks = (rows + most_rows - 1) / most_rows;
  const int64_t height = rows / blocks, higher = rows % blocks;
  for (int64_t i = 0, row = 0; i < blocks; ++i) {
    const int64_t end = row + height + (i < higher ? 1 : 0);
    block(Range{row, end});
    row = end;
  }
}

// All rows of the columns of one tile.
template <class T, int width, int vectors, bool transposed>
void columns(int64_t rows, const Operands<T>& o) {
  static constexpr auto by_rows =
      tiles<T, width, vectors, transposed>(std::make_integer_sequence<int, most_rows>{});
  static constexpr auto in_order = []<int64_t... n>(std::integer_sequence<int64_t, n...>) {
    return std::array{n...};
  }(std::make_integer_sequence<int64_t, most_rows>{});
  const int64_t* listed = o.listed.of_c;
  each_block(rows, [&](Range some) {
    if (o.next != nullptr) o.next->fetch();
    const int64_t height = some.size(), lda = o.packed ? height : o.lda;
    const T* a = o.a + some.begin * (o.packed ? o.k : transposed ? 1 : o.lda);
    const auto block = by_rows[static_cast<size_t>(height - 1)];
    if (listed == nullptr)
      block(o, a, lda, o.c + some.begin * o.ldc, in_order.data());
    else
      block(o, a, lda, o.c, listed + some.begin);
  });
}

// ---- B as it lies -------------------------------------------------------------------

// Columns from `column` to n: tiles of two vectors, the last two overlapping; what is
// less than a vector is left to narrower ones.
template <class T, int width, bool transposed>
void all_columns(const blas::Product& p, const Operands<T>& o, int64_t column) {
  const auto at = [&](int64_t second) {
    Operands<T> part = o;
    part.b += column;
    part.c += column;
    part.second = second;
    part.valid = second + width;
    return part;
  };
  for (; column + 2 * width <= p.n; column += 2 * width)
    columns<T, width, 2, transposed>(p.m, at(width));
  const int64_t rest = p.n - column;
  if (rest > width)
    columns<T, width, 2, transposed>(p.m, at(rest - width));
  else if (rest == width)
    columns<T, width, 1, transposed>(p.m, at(0));
  else if constexpr (width > 1)
    if (rest > 0) all_columns<T, width / 2, transposed>(p, o, column);
}

// ---- B in packed panels ---------------------------------------------------------------

template <class T>
T* panel() {
  alignas(64) static thread_local T memory[panel_rows * panel_columns<T>];
  return memory;
}

// k rows of `count` columns of B, padded with zeros to `wide` columns, which are whole
// halves of vectors. Without the type, the copies are made one by one.
template <class T>
void pack(T* target, const T* first, int64_t ldb, const int64_t* rows, int64_t k,
          int64_t count, int64_t wide) {
  constexpr int lanes = widest<T> / 2;
  using V = typename Vector<T, lanes>::type;
  for (int64_t i = 0; i < k; ++i, target += wide) {
    const T* b = first + (rows == nullptr ? i : rows[i]) * ldb;
    if (count == wide) {
      for (int64_t j = 0; j < wide; j += lanes)
        *reinterpret_cast<V*>(target + j) = *reinterpret_cast<const V*>(b + j);
      continue;
    }
    for (int64_t j = 0; j < count; ++j) target[j] = b[j];
    for (int64_t j = count; j < wide; ++j) target[j] = 0;
  }
}

// The same of a B that is stored transposed: its rows become columns of the panel. Four
// by four, so that both sides are touched in runs.
template <class T>
void pack_transposed(T* target, const T* b, int64_t ldb, int64_t k, int64_t count,
                     int64_t wide) {
  using V = typename Vector<T, 4>::type;
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

// One product with a packed panel: `count` columns from `column` on.
template <class T, int width, int vectors, bool transposed>
void panel_product(int64_t rows, Operands<T> o, const T* packed, int64_t column,
                   int64_t count) {
  o.b = packed;
  o.ldb = width * vectors;
  o.c += column;
  o.second = width * (vectors - 1);
  o.valid = count;
  columns<T, width, vectors, transposed>(rows, o);
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

// Room for blocks of an A that is stored transposed.
template <class T>
T* blocks_of_a() {
  static thread_local Memory memory(blocks_bytes);
  return static_cast<T*>(memory.data());
}
template <class T, int rows>
void pack_block(T* target, const T* a, int64_t lda, int64_t k) {
  for (int64_t p = 0; p < k; ++p)
    std::memcpy(target + p * rows, a + p * lda, rows * sizeof(T));
}
// Copies the blocks of A: steps of k that lie far apart come from memory one by one.
template <class T>
void pack_blocks(T* target, const Operands<T>& o, int64_t rows) {
  static constexpr auto by_rows = []<int... n>(std::integer_sequence<int, n...>) {
    return std::array{pack_block<T, n + 1>...};
  }(std::make_integer_sequence<int, most_rows>{});
  each_block(rows, [&](Range some) {
    by_rows[static_cast<size_t>(some.size() - 1)](target + some.begin * o.k,
                                                  o.a + some.begin, o.lda, o.k);
  });
}

// All panels of some steps of k.
template <class T, bool transposed>
void packed_stretch(const blas::Product& p, const Operands<T>& o) {
  each_panel<T>(p.n, [&]<int width, int vectors>(int64_t column, int64_t count) {
    constexpr int64_t wide = width * vectors;
    const auto multiply = [&](const Operands<T>& part, const T* packed) {
      panel_product<T, width, vectors, transposed>(p.m, part, packed, column, count);
    };
    if (o.in_panels) return multiply(o, o.b + column * o.k);
    if (p.transpose_b) {
      pack_transposed(panel<T>(), o.b + column * o.ldb, o.ldb, o.k, count, wide);
      return multiply(o, panel<T>());
    }
    const int64_t* listed = o.listed.of_b;
    pack(panel<T>(), o.b + column, o.ldb, listed, o.k, count, wide);
    Next<T> next(o.b + column + wide, o.ldb, listed, o.k, parts_of(p.m, most_rows));
    Operands<T> part = o;
    part.listed.of_b = nullptr;
    part.next = &next;
    multiply(part, panel<T>());
  });
}

// Blocks of A are copied where some panels use them, as many rows at a time as there is
// room for.
template <class T>
void packed_blocks(const blas::Product& p, const Operands<T>& o) {
  if (p.n <= 8 * panel_columns<T>) return packed_stretch<T, true>(p, o);
  const int64_t room =
      blocks_bytes / static_cast<int64_t>(sizeof(T)) / std::max<int64_t>(1, o.k);
  const int64_t stretches = parts_of(p.m, room);
  for (int64_t stretch = 0; stretch < stretches; ++stretch) {
    const Range rows = share_of(p.m, stretches, stretch);
    blas::Product part = p;
    part.m = rows.size();
    Operands<T> some = o;
    some.a += rows.begin;
    skip_rows(some.c, some.listed.of_c, rows.begin, o.ldc);
    pack_blocks(blocks_of_a<T>(), some, part.m);
    some.a = blocks_of_a<T>();
    some.packed = true;
    packed_stretch<T, true>(part, some);
  }
}

template <class T, bool transposed>
void packed_product(const blas::Product& p, const Operands<T>& o) {
  if constexpr (transposed)
    packed_blocks(p, o);
  else
    packed_stretch<T, false>(p, o);
}

// Calls stretch(steps) for all steps of k, in stretches of nearly equal length.
void each_stretch(int64_t k, auto&& stretch) {
  const int64_t stretches = parts_of(k, most_steps);
  for (int64_t i = 0; i < stretches; ++i) stretch(share_of(k, stretches, i));
}
// Some steps of k of both operands; those before them have been multiplied.
template <class T>
Operands<T> stretch_of(const blas::Product& p, Operands<T> o, Range steps) {
  o.k = steps.size();
  o.a += steps.begin * (p.transpose_a ? o.lda : 1);
  if (o.in_panels)
    o.b += panels_room<T>(steps.begin, p.n);
  else
    skip_rows(o.b, o.listed.of_b, steps.begin, p.transpose_b ? 1 : o.ldb);
  o.add = o.add || steps.begin > 0;
  return o;
}

// The panels of one half of the columns.
template <class T>
void pack_half(T* panels, const T* b, int64_t ldb, int64_t k, int64_t columns,
               int64_t which) {
  const Range half = half_of(columns, which);
  each_stretch(k, [&](Range steps) {
    T* to = panels + panels_room<T>(steps.begin, columns);
    each_panel<T>(columns, [&]<int width, int vectors>(int64_t column, int64_t count) {
      if (half.begin <= column && column < half.end)
        pack(to + column * steps.size(), b + steps.begin * ldb + column, ldb, nullptr,
             steps.size(), count, width * vectors);
    });
  });
}

// ---- the choice -------------------------------------------------------------------------

// How many columns at the end would fill less than half a vector, where the axis along
// which thin products go is long enough for them.
template <class T>
int64_t thin_columns(const blas::Product& p) {
  constexpr int64_t width = widest<T>;
  const int64_t rest = p.n % (2 * width), along = p.transpose_a ? p.m : p.k;
  if (along < 4 * width || (p.transpose_a && p.transpose_b)) return 0;
  return rest <= (p.n < width ? 3 * thin::most_columns : width / 2) ? rest : 0;
}
// A copy of B pays where many rows use it, and B does not lie in the nearest cache.
bool as_it_lies(const blas::Product& p) {
  return !p.transpose_b && (p.m <= 2 * most_rows || p.k * p.n <= 4096);
}
template <class T, bool transposed>
void multiply_stretch(const blas::Product& p, const Operands<T>& o) {
  if (as_it_lies(p))
    all_columns<T, widest<T>, transposed>(p, o, 0);
  else
    packed_product<T, transposed>(p, o);
}
template <class T, bool transposed>
void multiply(const blas::Product& p, const Operands<T>& o) {
  if (p.k <= most_steps) return multiply_stretch<T, transposed>(p, o);
  each_stretch(p.k, [&](Range steps) {
    multiply_stretch<T, transposed>(p, stretch_of(p, o, steps));
  });
}

template <class T>
void own(const blas::Product& p, const T* a, int64_t lda, const T* b, int64_t ldb, T* c,
         int64_t ldc, Listed rows) {
  if (p.m == 0) return;
  Operands<T> o{p.k, a, lda, b, ldb, c, ldc, 0, 0, p.beta != 0};
  o.alpha = static_cast<T>(p.alpha);
  o.listed = rows;
  const int64_t rest = thin_columns<T>(p);
  blas::Product wide = p;
  wide.n -= rest;
  if (wide.n > 0) p.transpose_a ? multiply<T, true>(wide, o) : multiply<T, false>(wide, o);
  if (rest > 0)
    thin::multiply<T>({p.m, rest, p.k, a, lda, b + wide.n * (p.transpose_b ? ldb : 1), ldb,
                       c + wide.n, ldc, o.add, o.alpha, rows},
                      p.transpose_a, p.transpose_b, panel<T>(), panel_rows);
}

template <class T>
void by_panels(const blas::Product& p, const T* a, int64_t lda, const T* panels, T* c,
               int64_t ldc, Listed rows) {
  if (p.m == 0) return;
  Operands<T> o{p.k, a, lda, panels, 0, c, ldc, 0, 0, p.beta != 0};
  o.alpha = static_cast<T>(p.alpha);
  o.listed = rows;
  o.in_panels = true;
  each_stretch(p.k, [&](Range steps) { packed_blocks(p, stretch_of(p, o, steps)); });
}

template <class T, int width, int vectors>
void slide_columns(const Sliding<T>& s) {
  Operands<T> o{.k = s.length,
                .a = s.a,
                .lda = s.distance,
                .b = s.panel,
                .ldb = width * vectors,
                .c = s.c,
                .ldc = s.ldc,
                .second = width * (vectors - 1),
                .valid = s.columns,
                .add = s.add && s.start == nullptr,
                .runs = s.runs,
                .offsets = s.offsets,
                .places = s.places,
                .start = s.start};
  s.transposed ? columns<T, width, vectors, true>(s.rows, o)
               : columns<T, width, vectors, false>(s.rows, o);
}

template <class T>
void slide(const Sliding<T>& s) {
  constexpr int width = widest<T>;
  if (s.columns > width) return slide_columns<T, width, 2>(s);
  if (s.columns > width / 2) return slide_columns<T, width, 1>(s);
  slide_columns<T, width / 2, 1>(s);
}

}  // namespace

void sliding_gemm(const Sliding<float>& s) { slide(s); }
void sliding_gemm(const Sliding<double>& s) { slide(s); }

template <class T>
T* panel_memory() {
  return panel<T>();
}
template float* panel_memory<float>();
template double* panel_memory<double>();

template <class T>
void pack_panel(T* target, const T* b, int64_t ldb, bool transposed, int64_t rows,
                int64_t columns) {
  const int64_t wide = panel_width<T>(columns);
  transposed ? pack_transposed(target, b, ldb, rows, columns, wide)
             : pack(target, b, ldb, nullptr, rows, columns, wide);
}
template void pack_panel(float*, const float*, int64_t, bool, int64_t, int64_t);
template void pack_panel(double*, const double*, int64_t, bool, int64_t, int64_t);

void own_gemm(const blas::Product& p, const float* a, int64_t lda, const float* b,
              int64_t ldb, float* c, int64_t ldc, Listed rows) {
  own(p, a, lda, b, ldb, c, ldc, rows);
}
void own_gemm(const blas::Product& p, const double* a, int64_t lda, const double* b,
              int64_t ldb, double* c, int64_t ldc, Listed rows) {
  own(p, a, lda, b, ldb, c, ldc, rows);
}

void pack_panels(float* panels, const float* b, int64_t ldb, int64_t k, int64_t columns,
                 int64_t which) {
  pack_half(panels, b, ldb, k, columns, which);
}
void pack_panels(double* panels, const double* b, int64_t ldb, int64_t k, int64_t columns,
                 int64_t which) {
  pack_half(panels, b, ldb, k, columns, which);
}
void gemm_by_panels(const blas::Product& p, const float* a, int64_t lda,
                    const float* panels, float* c, int64_t ldc, Listed rows) {
  by_panels(p, a, lda, panels, c, ldc, rows);
}
void gemm_by_panels(const blas::Product& p, const double* a, int64_t lda,
                    const double* panels, double* c, int64_t ldc, Listed rows) {
  by_panels(p, a, lda, panels, c, ldc, rows);
}

}  // namespace nervure
