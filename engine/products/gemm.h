// SPDX-License-Identifier: BSD-3-Clause
// Matrix products: own kernels where they win, OpenBLAS elsewhere. Every call runs on
// the calling thread, and which of the two is taken depends on the shape alone.
#pragma once

#include <algorithm>
#include <bit>

#include "../ranges.h"
#include "../simd.h"
#include "blas.h"

namespace nervure {

// The rows of B or C that a product takes, by their numbers; null: one after the other.
struct Listed {
  const int64_t* of_b = nullptr;  // k of them, of a B that is not transposed
  const int64_t* of_c = nullptr;  // m of them
};
// Leaves out the first rows of an operand, `distance` apart unless they are listed.
template <class T>
void skip_rows(T*& first, const int64_t*& listed, int64_t rows, int64_t distance) {
  if (listed != nullptr)
    listed += rows;
  else
    first += rows * distance;
}

// C (m, n) = op(A) op(B) + beta C with beta 0 or 1; row-major, leading dimensions.
void own_gemm(const blas::Product& p, const float* a, int64_t lda, const float* b,
              int64_t ldb, float* c, int64_t ldc, Listed rows = {});
void own_gemm(const blas::Product& p, const double* a, int64_t lda, const double* b,
              int64_t ldb, double* c, int64_t ldc, Listed rows = {});

// The same by OpenBLAS.
void large_gemm(const blas::Product& p, const float* a, int64_t lda, const float* b,
                int64_t ldb, float* c, int64_t ldc);
void large_gemm(const blas::Product& p, const double* a, int64_t lda, const double* b,
                int64_t ldb, double* c, int64_t ldc);

// ---- B in panels of columns: the most that a panel holds --------------------------------

constexpr int64_t panel_rows = 1024;  // 128 kB of float with 32 columns
template <class T>
constexpr int64_t panel_columns =
    2 * simd::register_bytes / static_cast<int64_t>(sizeof(T));

// ---- a B that several products share ---------------------------------------------------

// Elements of the panels of B (k, columns).
template <class T>
constexpr int64_t panels_room(int64_t k, int64_t columns) {
  return k * parts_of(columns, panel_columns<T>) * panel_columns<T>;
}
// Writes those of one half of the columns, `which` 0 or 1, of a B that may be stored
// transposed.
void pack_panels(float* panels, const float* b, int64_t ldb, int64_t k, int64_t columns,
                 int64_t which, bool transposed = false);
void pack_panels(double* panels, const double* b, int64_t ldb, int64_t k, int64_t columns,
                 int64_t which, bool transposed = false);
// own_gemm with B in panels, every element of C being a chain of sums in the order of k.
void gemm_by_panels(const blas::Product& p, const float* a, int64_t lda,
                    const float* panels, float* c, int64_t ldc, Listed rows = {});
void gemm_by_panels(const blas::Product& p, const double* a, int64_t lda,
                    const double* panels, double* c, int64_t ldc, Listed rows = {});

// The same with B as it lies, of which few rows would share a copy: the same bits.
void gemm_in_chains(const blas::Product& p, const float* a, int64_t lda, const float* b,
                    int64_t ldb, float* c, int64_t ldc);
void gemm_in_chains(const blas::Product& p, const double* a, int64_t lda, const double* b,
                    int64_t ldb, double* c, int64_t ldc);

// ---- A as a window sees it ------------------------------------------------------------

// C (rows, columns) = start + A B, or C + A B. A is read where it lies in an array that
// is seen through a window: its element (i, r * length + p) is `distance` places further
// for each i and one for each p, or the other way round where it is transposed, from
// where run r begins. B lies in one packed panel of at most panel_columns columns.
template <class T>
struct Sliding {
  int64_t rows, columns;
  const T* a;
  int64_t distance;
  bool transposed;
  const int64_t* offsets;  // where the runs begin in A
  const int64_t* places;   // and in the panel; null: one after the other
  int64_t runs, length;
  const T* panel;
  T* c;
  int64_t ldc;
  const T* start;  // a row as wide as the panel, or null
  bool add;
};
void sliding_gemm(const Sliding<float>& s);
void sliding_gemm(const Sliding<double>& s);

// Columns of the panel in which so many lie, the rest being zeros.
template <class T>
constexpr int64_t panel_width(int64_t columns) {
  constexpr int64_t width = panel_columns<T> / 2;
  return columns > width ? 2 * width : columns > width / 2 ? width : width / 2;
}

// Room of this thread for a panel of panel_rows rows; products use it too.
template <class T>
T* panel_memory();

// Some rows of a panel from `rows` x `columns` of B, or of a B stored transposed.
template <class T>
void pack_panel(T* target, const T* b, int64_t ldb, bool transposed, int64_t rows,
                int64_t columns);

// ---- cuts -----------------------------------------------------------------------------

// How a product (m, n, k) is cut for workers: into stretches of columns of C, which share
// no packed panel, or of rows where columns, in whole panels, would not be shared out
// evenly.
struct Cut {
  bool by_columns;
  int64_t total, unit, parts;

  [[nodiscard]] static Cut of(int64_t m, int64_t n, int64_t k) {
    constexpr int64_t work = 4'000'000, least_work = 200'000, most = 16;
    const int64_t operations = 2 * m * n * k;
    if (operations < least_work) return {false, m, 1, 1};
    const auto wanted = static_cast<int64_t>(std::bit_floor(
        static_cast<uint64_t>(std::clamp(operations / work, int64_t{2}, most))));
    const Cut columns{true, n, 32, wanted}, rows{false, m, 2, wanted};
    if (n >= 32 * wanted && (columns.even() || m < 14 * wanted)) return columns;
    if (m >= 14 * wanted) return rows;
    return {false, m, 1, std::min(m, wanted)};
  }

  [[nodiscard]] int64_t units() const { return (total + unit - 1) / unit; }
  // The longest stretch is hardly longer than the mean.
  [[nodiscard]] bool even() const {
    return 10 * ((units() + parts - 1) / parts * parts * unit) <= 11 * total;
  }
  // Of two parts the first is no smaller, as of half_of.
  [[nodiscard]] int64_t begin(int64_t part) const {
    return std::min(total, (units() * part + parts - 1) / parts * unit);
  }
};

// Large products want a second level of blocks: 2048^3 at 203 GFLOP/s against 181.
inline bool is_large(int64_t m, int64_t k) { return k > 1024 && m > 512; }

template <class T>
void gemm(const blas::Product& p, const T* a, int64_t lda, const T* b, int64_t ldb, T* c,
          int64_t ldc, Listed rows = {}) {
  const bool plain = rows.of_b == nullptr && rows.of_c == nullptr && p.alpha == 1;
  if (plain && is_large(p.m, p.k))
    large_gemm(p, a, lda, b, ldb, c, ldc);
  else
    own_gemm(p, a, lda, b, ldb, c, ldc, rows);
}

}  // namespace nervure
