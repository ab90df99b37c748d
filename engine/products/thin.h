// SPDX-License-Identifier: BSD-3-Clause
// Products whose C has few columns: the last ones of a layer's units, or ten classes.
//
// A tile wants a whole vector of columns. Here the vectors lie along another
// axis: along k where A is stored by rows (every element of C is a dot product), along
// the rows of C where A is stored transposed. What an element's sum is does not depend on
// how many rows are computed beside it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "../simd.h"
#include "gemm.h"

namespace nervure::thin {

constexpr int64_t most_columns = 4;  // of one block
constexpr int registers = simd::register_bytes == 64 ? 24 : 12;

template <class T>
constexpr int width = simd::register_bytes / static_cast<int>(sizeof(T));

template <class T, int lanes>
struct Vector {
  typedef T type
      __attribute__((vector_size(lanes * sizeof(T)), aligned(sizeof(T)), may_alias));
};

template <class T>
struct Operands {
  int64_t rows, columns, k;
  const T* a;
  int64_t lda;
  const T* b;  // along k: its packed columns
  int64_t ldb;
  T* c;
  int64_t ldc;
  bool add;
  T alpha = 1;  // of what is added
  Listed listed = {};

  [[nodiscard]] T* row_of_c(int64_t i) const {
    return c + (listed.of_c == nullptr ? i : listed.of_c[i]) * ldc;
  }
  void put(T& element, T value) const { element = add ? element + alpha * value : value; }
};

// The lanes of x added by halves until four are left.
template <class T, int lanes>
NERVURE_INLINE auto four_lanes(typename Vector<T, lanes>::type x) {
  if constexpr (lanes == 16)
    return four_lanes<T, 8>(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
                            __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15));
  else if constexpr (lanes == 8)
    return four_lanes<T, 4>(__builtin_shufflevector(x, x, 0, 1, 2, 3) +
                            __builtin_shufflevector(x, x, 4, 5, 6, 7));
  else
    return x;
}

// The sums of the lanes of `count` vectors; of four of them at once, each by halves.
template <class T, int lanes, int count>
NERVURE_INLINE void add_lanes(const typename Vector<T, lanes>::type* x, T* sums) {
  using Four = typename Vector<T, 4>::type;
  static_assert(count % 4 == 0);
  NERVURE_EACH (n, count / 4) {
    if constexpr (lanes < 4) {
      for (int i = 4 * n; i < 4 * n + 4; ++i) sums[i] = x[i][0] + x[i][1];
    } else {
      const Four a = four_lanes<T, lanes>(x[4 * n]), b = four_lanes<T, lanes>(x[4 * n + 1]);
      const Four c = four_lanes<T, lanes>(x[4 * n + 2]);
      const Four d = four_lanes<T, lanes>(x[4 * n + 3]);
      const Four ab = __builtin_shufflevector(a, b, 0, 1, 4, 5) +
                      __builtin_shufflevector(a, b, 2, 3, 6, 7);
      const Four cd = __builtin_shufflevector(c, d, 0, 1, 4, 5) +
                      __builtin_shufflevector(c, d, 2, 3, 6, 7);
      *reinterpret_cast<Four*>(sums + 4 * n) = __builtin_shufflevector(ab, cd, 0, 2, 4, 6) +
                                               __builtin_shufflevector(ab, cd, 1, 3, 5, 7);
    }
  }
}

// ---- along k --------------------------------------------------------------------------

// Up to `rows` rows of A times all columns; rows that do not exist repeat the last one.
template <class T, int columns, int rows>
[[gnu::noinline]] void dots(const Operands<T>& o, int64_t row) {
  constexpr int lanes = width<T>;
  using V = typename Vector<T, lanes>::type;
  const int64_t valid = std::min<int64_t>(rows, o.rows - row);
  const T* a[rows];
  for (int i = 0; i < rows; ++i)
    a[i] = o.a + (row + std::min<int64_t>(i, valid - 1)) * o.lda;
  V sum[rows][columns] = {};
  const int64_t whole = o.k / lanes * lanes;
  const T* b = o.b;
  int64_t p = 0;
  for (; p < whole; p += lanes) {
    V y[columns];
    NERVURE_EACH (j, columns) y[j] = *reinterpret_cast<const V*>(b + j * o.ldb + p);
    NERVURE_EACH (i, rows) {
      const V x = *reinterpret_cast<const V*>(a[i] + p);
      NERVURE_EACH (j, columns) sum[i][j] += x * y[j];
    }
  }
  if (whole < o.k) {  // the last vector again, without what has been added already
    V place;
    for (int lane = 0; lane < lanes; ++lane) place[lane] = static_cast<T>(lane);
    const auto fresh = place >= static_cast<T>(whole + lanes - o.k);
    V y[columns];
    NERVURE_EACH (j, columns) y[j] = *reinterpret_cast<const V*>(b + j * o.ldb + whole);
    NERVURE_EACH (i, rows) {
      const V last = *reinterpret_cast<const V*>(a[i] + o.k - lanes);
      const V x = fresh ? last : V{};
      NERVURE_EACH (j, columns) sum[i][j] += x * y[j];
    }
  }
  alignas(64) T total[rows][columns];
  add_lanes<T, lanes, rows * columns>(&sum[0][0], &total[0][0]);
  for (int64_t i = 0; i < valid; ++i) {
    T* c = o.row_of_c(row + i);
    for (int j = 0; j < columns; ++j) o.put(c[j], total[i][j]);
  }
}

template <class T, int columns>
void along_k(const Operands<T>& o) {
  constexpr int rows = std::min(8, registers / columns);
  for (int64_t row = 0; row < o.rows; row += rows) dots<T, columns, rows>(o, row);
}

// ---- along the rows of C --------------------------------------------------------------

template <class T, int columns, int lanes, int vectors>
[[gnu::noinline]] void upright(const Operands<T>& o, int64_t row) {
  using V = typename Vector<T, lanes>::type;
  V sum[columns][vectors] = {};
  const T *a = o.a + row, *b = o.b;
  for (int64_t p = 0; p < o.k; ++p, a += o.lda, b += o.ldb) {
    V x[vectors];
    NERVURE_EACH (v, vectors) x[v] = *reinterpret_cast<const V*>(a + v * lanes);
    NERVURE_EACH (j, columns) {
      const T scalar = b[j];
      NERVURE_EACH (v, vectors) sum[j][v] += scalar * x[v];
    }
  }
  for (int i = 0; i < vectors * lanes; ++i) {
    T* c = o.row_of_c(row + i);
    for (int j = 0; j < columns; ++j) o.put(c[j], reinterpret_cast<const T*>(sum[j])[i]);
  }
}

template <class T, int columns, int lanes>
void along_rows(const Operands<T>& o, int64_t row) {
  constexpr int vectors = std::min(6, registers / columns);
  for (; row + vectors * lanes <= o.rows; row += vectors * lanes)
    upright<T, columns, lanes, vectors>(o, row);
  for (; row + lanes <= o.rows; row += lanes) upright<T, columns, lanes, 1>(o, row);
  if constexpr (lanes > 1)
    if (row < o.rows) along_rows<T, columns, lanes / 2>(o, row);
}

// ---- the choice -----------------------------------------------------------------------

template <class T, int columns>
void block(const Operands<T>& o, bool along_k) {
  along_k ? thin::along_k<T, columns>(o) : along_rows<T, columns, width<T>>(o, 0);
}

template <class T>
void any_block(const Operands<T>& o, bool along_k) {
  constexpr void (*blocks[])(const Operands<T>&, bool) = {block<T, 1>, block<T, 2>,
                                                          block<T, 3>, block<T, 4>};
  static_assert(std::size(blocks) == most_columns);
  blocks[o.columns - 1](o, along_k);
}

// Columns of B, or of these rows of it, one after the other. What is left after whole
// vectors lies at the end of one more, after zeros.
template <class T>
int64_t pack(T* target, const T* b, int64_t ldb, bool transposed, const int64_t* rows,
             int64_t k, int64_t columns) {
  const int64_t whole = k / width<T> * width<T>;
  const int64_t padded = (k + width<T> - 1) / width<T> * width<T>;
  const int64_t zeros = padded - k;
  for (int64_t j = 0; j < columns; ++j, target += padded) {
    const auto element = [&](int64_t p) {
      return transposed ? b[j * ldb + p] : b[(rows == nullptr ? p : rows[p]) * ldb + j];
    };
    for (int64_t p = 0; p < whole; ++p) target[p] = element(p);
    std::fill_n(target + whole, zeros, T(0));
    for (int64_t p = whole; p < k; ++p) target[p + zeros] = element(p);
  }
  return padded;
}

// C (+)= op(A) op(B), some columns at a time, and at most `most_k` steps of k, for whose
// packed columns of B `memory` has room.
template <class T>
void multiply(Operands<T> o, bool transposed_a, bool transposed_b, T* memory,
              int64_t most_k) {
  const int64_t blocks = (o.columns + most_columns - 1) / most_columns;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t first = o.columns * i / blocks, end = o.columns * (i + 1) / blocks;
    Operands<T> part = o;
    part.columns = end - first;
    part.c += first;
    const T* b = o.b + first * (transposed_b ? o.ldb : 1);
    const int64_t stretches = parts_of(o.k, most_k);
    for (int64_t stretch = 0; stretch < stretches; ++stretch) {
      const int64_t p = o.k * stretch / stretches;
      part.k = o.k * (stretch + 1) / stretches - p;
      part.a = o.a + p * (transposed_a ? o.lda : 1);
      part.add = o.add || p > 0;
      if (transposed_a) {
        part.b = b + p * o.ldb;
        any_block(part, false);
        continue;
      }
      part.b = memory;
      const T* rest = b;
      const int64_t* rows = o.listed.of_b;
      skip_rows(rest, rows, p, transposed_b ? 1 : o.ldb);
      part.ldb = pack(memory, rest, o.ldb, transposed_b, rows, part.k, part.columns);
      any_block(part, true);
    }
  }
}

}  // namespace nervure::thin
