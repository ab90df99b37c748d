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

  [[nodiscard]] static Cut of(int64_t m, int64_t n, int64_t k) {
    constexpr int64_t work = 4'000'000, most = 16, columns = 32, rows = 14;
    const int64_t wanted = std::clamp<int64_t>(2 * m * n * k / work, 1, most);
    const bool by_columns = n >= columns * wanted || n >= m;
    const int64_t total = by_columns ? n : m, unit = by_columns ? columns : rows;
    const int64_t units = (total + unit - 1) / unit;
    const int64_t grain = (units + wanted - 1) / wanted * unit;
    return {by_columns, grain, (total + grain - 1) / grain};
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
