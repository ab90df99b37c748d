// SPDX-License-Identifier: BSD-3-Clause
// Matrix products: own kernels where they win, OpenBLAS elsewhere. Every call runs on
// the calling thread, and which of the two is taken depends on the shape alone.
#pragma once

#include <algorithm>

#include "blas.h"

namespace nervure {

// C (m, n) = op(A) op(B) + beta C with beta 0 or 1; row-major, leading dimensions.
void own_gemm(const blas::Product& p, const float* a, int64_t lda, const float* b,
              int64_t ldb, float* c, int64_t ldc);
void own_gemm(const blas::Product& p, const double* a, int64_t lda, const double* b,
              int64_t ldb, double* c, int64_t ldc);

// How a product (m, n, k) is cut for workers: into stretches of columns of C, which share
// no packed panel, or of rows where there are too few columns.
struct Cut {
  bool by_columns;
  int64_t grain, parts;

  Cut(bool columns, int64_t total, int64_t longest)
      : by_columns(columns), grain(longest), parts((total + longest - 1) / longest) {}

  [[nodiscard]] static Cut of(int64_t m, int64_t n, int64_t k) {
    constexpr int64_t work = 4'000'000, least_work = 200'000, most = 16;
    constexpr int64_t columns = 32, rows = 14;
    const int64_t operations = 2 * m * n * k;
    const int64_t least = operations < least_work ? 1 : 2;
    const int64_t wanted = std::clamp<int64_t>(operations / work, least, most);
    if (n >= columns * wanted) return {true, n, stretch(n, columns, wanted)};
    if (m >= rows * wanted) return {false, m, stretch(m, rows, wanted)};
    return {false, m, (m + wanted - 1) / wanted};
  }

 private:
  // The longest of `parts` stretches that are whole units but for the last.
  static int64_t stretch(int64_t total, int64_t unit, int64_t parts) {
    const int64_t units = (total + unit - 1) / unit;
    return (units + parts - 1) / parts * unit;
  }
};

template <class T>
void gemm(const blas::Product& p, const T* a, int64_t lda, const T* b, int64_t ldb, T* c,
          int64_t ldc) {
  // Large products want a second level of blocks: 2048^3 at 203 GFLOP/s against 181.
  if (p.k > 1024 && p.m > 512)
    blas::gemm(p, a, lda, b, ldb, c, ldc);
  else
    own_gemm(p, a, lda, b, ldb, c, ldc);
}

}  // namespace nervure
