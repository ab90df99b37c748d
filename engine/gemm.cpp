// SPDX-License-Identifier: BSD-3-Clause
// Own matrix products for the shapes of training: few hundred rows, operands that lie in
// the second-level cache.
//
// A tile of `rows` x (`vectors` * width) of C stays in registers while one row of B
// after the other is loaded and multiplied by single elements of A. B is used as it lies
// where few rows would share a copy; else some columns of it are packed, one panel at a
// time. Within a panel every element of C is one chain of fused multiply-adds in the
// order of k, whatever the tile it is in.
#include "gemm.h"

#include <algorithm>
#include <array>
#include <utility>

#include "thin_gemm.h"

namespace nervure {
namespace {

using simd::register_bytes;
constexpr int most_rows = register_bytes == 64 ? 14 : 6;

template <class T, int width>
struct Vector {
  typedef T type
      __attribute__((vector_size(width * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <class T>
constexpr int widest = register_bytes / static_cast<int>(sizeof(T));
static_assert(panel_columns<float> == 2 * widest<float>);

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
  int64_t runs = 1;                  // k steps each; run r of A begins at offsets[r]
  const int64_t* offsets = nullptr;  // null: at 0
  const int64_t* places = nullptr;   // of the runs in B; null: end to end
  const T* start = nullptr;          // a row that every row of C begins with
};

// The valid columns of a tile of `wide`. One copy for all tiles: it is compiled once.
template <class T>
[[gnu::noinline]] void store_part(const Operands<T>& o, const T* values, int rows,
                                  int wide) {
  T* c = o.c;
  for (int i = 0; i < rows; ++i, c += o.ldc, values += wide)
    for (int64_t j = 0; j < o.valid; ++j) c[j] = o.add ? c[j] + values[j] : values[j];
}

// Sum over k of A[., k] B[k, .]. A is transposed where its rows are the steps of k.
template <class T, int width, int vectors, bool transposed, int rows>
void tile(const Operands<T>& o) {
  using V = typename Vector<T, width>::type;
  const int64_t row = transposed ? 1 : o.lda, step = transposed ? o.lda : 1;
  V sum[rows][vectors];
  NERVURE_EACH (v, vectors) {
    const V first =
        o.start == nullptr ? V{} : *reinterpret_cast<const V*>(o.start + v * width);
    NERVURE_EACH (i, rows) sum[i][v] = first;
  }
  const T* b = o.b;
  for (int64_t r = 0; r < o.runs; ++r) {
    const T* a = o.offsets == nullptr ? o.a : o.a + o.offsets[r];
    if (o.places != nullptr) b = o.b + o.places[r];
    for (int64_t p = 0; p < o.k; ++p, a += step, b += o.ldb) {
      V x[vectors];
      NERVURE_EACH (v, vectors) x[v] = *reinterpret_cast<const V*>(b + v * o.second);
      NERVURE_EACH (i, rows) {
        const T scalar = a[i * row];
        NERVURE_EACH (v, vectors) sum[i][v] += scalar * x[v];
      }
    }
  }
  if (o.valid < o.second + width) {
    alignas(64) T values[rows * vectors * width];
    NERVURE_EACH (i, rows)
      NERVURE_EACH (v, vectors)
        *reinterpret_cast<V*>(values + (i * vectors + v) * width) = sum[i][v];
    return store_part(o, values, rows, vectors * width);
  }
  if (o.add)  // both vectors of a row before either is stored: they may overlap
    NERVURE_EACH (i, rows)
      NERVURE_EACH (v, vectors)
        sum[i][v] += *reinterpret_cast<const V*>(o.c + i * o.ldc + v * o.second);
  NERVURE_EACH (i, rows)
    NERVURE_EACH (v, vectors)
      *reinterpret_cast<V*>(o.c + i * o.ldc + v * o.second) = sum[i][v];
}

template <class T>
using Tile = void (*)(const Operands<T>&);

template <class T, int width, int vectors, bool transposed, int... rows>
constexpr std::array<Tile<T>, sizeof...(rows)> tiles(std::integer_sequence<int, rows...>) {
  return {tile<T, width, vectors, transposed, rows + 1>...};
}

// All rows of the columns of one tile, in blocks of nearly equal height: 200 rows are 15
// blocks of 13 or 14, not 14 of 14 and one of 4.
template <class T, int width, int vectors, bool transposed>
void columns(int64_t rows, const Operands<T>& o) {
  static constexpr auto by_rows =
      tiles<T, width, vectors, transposed>(std::make_integer_sequence<int, most_rows>{});
  const int64_t blocks = (rows + most_rows - 1) / most_rows;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t begin = rows * block / blocks, end = rows * (block + 1) / blocks;
    Operands<T> part = o;
    part.a += begin * (transposed ? 1 : o.lda);
    part.c += begin * o.ldc;
    by_rows[static_cast<size_t>(end - begin - 1)](part);
  }
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

// Rows begin..begin+k of `count` columns of B, padded with zeros to `wide` columns, which
// are whole halves of vectors. Without the type, the copies are made one by one.
template <class T>
void pack(T* target, const T* b, int64_t ldb, int64_t k, int64_t count, int64_t wide) {
  constexpr int lanes = widest<T> / 2;
  using V = typename Vector<T, lanes>::type;
  for (int64_t i = 0; i < k; ++i, b += ldb, target += wide) {
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

// `count` columns from `column` on, padded to `vectors` vectors.
template <class T, int width, int vectors, bool transposed>
void packed_columns(const blas::Product& p, const Operands<T>& o, int64_t column,
                    int64_t count) {
  constexpr int64_t wide = width * vectors;
  for (int64_t begin = 0; begin < p.k; begin += panel_rows) {
    const int64_t k = std::min(panel_rows, p.k - begin);
    if (p.transpose_b)
      pack_transposed(panel<T>(), o.b + column * o.ldb + begin, o.ldb, k, count, wide);
    else
      pack(panel<T>(), o.b + begin * o.ldb + column, o.ldb, k, count, wide);
    Operands<T> part = o;
    part.k = k;
    part.a += begin * (transposed ? o.lda : 1);
    part.b = panel<T>();
    part.ldb = wide;
    part.c += column;
    part.second = wide - width;
    part.valid = count;
    part.add = o.add || begin > 0;
    columns<T, width, vectors, transposed>(p.m, part);
  }
}

template <class T, bool transposed>
void all_packed(const blas::Product& p, const Operands<T>& o) {
  constexpr int width = widest<T>;
  int64_t column = 0;
  for (; p.n - column > width; column += 2 * width)
    packed_columns<T, width, 2, transposed>(p, o, column,
                                            std::min<int64_t>(2 * width, p.n - column));
  const int64_t rest = p.n - column;
  if (rest > width / 2)
    packed_columns<T, width, 1, transposed>(p, o, column, rest);
  else if (rest > 0)
    packed_columns<T, width / 2, 1, transposed>(p, o, column, rest);
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
template <class T, bool transposed>
void multiply(const blas::Product& p, const Operands<T>& o) {
  // A copy of B pays where many rows use it, and B does not lie in the nearest cache.
  const bool near = p.m <= 2 * most_rows || p.k * p.n <= 4096;
  if (!p.transpose_b && near && p.k <= panel_rows)
    all_columns<T, widest<T>, transposed>(p, o, 0);
  else
    all_packed<T, transposed>(p, o);
}

template <class T>
void own(const blas::Product& p, const T* a, int64_t lda, const T* b, int64_t ldb, T* c,
         int64_t ldc) {
  const Operands<T> o{p.k, a, lda, b, ldb, c, ldc, 0, 0, p.beta != 0};
  const int64_t rest = thin_columns<T>(p);
  blas::Product wide = p;
  wide.n -= rest;
  if (wide.n > 0) p.transpose_a ? multiply<T, true>(wide, o) : multiply<T, false>(wide, o);
  if (rest > 0)
    thin::multiply<T>({p.m, rest, p.k, a, lda, b + wide.n * (p.transpose_b ? ldb : 1), ldb,
                       c + wide.n, ldc, o.add},
                      p.transpose_a, p.transpose_b, panel<T>(), panel_rows);
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
             : pack(target, b, ldb, rows, columns, wide);
}
template void pack_panel(float*, const float*, int64_t, bool, int64_t, int64_t);
template void pack_panel(double*, const double*, int64_t, bool, int64_t, int64_t);

void own_gemm(const blas::Product& p, const float* a, int64_t lda, const float* b,
              int64_t ldb, float* c, int64_t ldc) {
  own(p, a, lda, b, ldb, c, ldc);
}
void own_gemm(const blas::Product& p, const double* a, int64_t lda, const double* b,
              int64_t ldb, double* c, int64_t ldc) {
  own(p, a, lda, b, ldb, c, ldc);
}

}  // namespace nervure
