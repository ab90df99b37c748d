// SPDX-License-Identifier: BSD-3-Clause
// Matrix products: own kernels where they win, OpenBLAS elsewhere. Every call runs on
// the calling thread, and which of the two is taken depends on the shape alone.
#pragma once

#include "blas.h"

namespace nervure {

// C (m, n) = op(A) op(B) + beta C with beta 0 or 1; row-major, leading dimensions.
void own_gemm(const blas::Product& p, const float* a, int64_t lda, const float* b,
              int64_t ldb, float* c, int64_t ldc);
void own_gemm(const blas::Product& p, const double* a, int64_t lda, const double* b,
              int64_t ldb, double* c, int64_t ldc);

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
