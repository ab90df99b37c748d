// SPDX-License-Identifier: BSD-3-Clause
// Matrix products, all through this one file. Every call runs on the calling thread.
#pragma once

#include <cstdint>

namespace nervure::blas {

// C (m, n) = alpha op(A) op(B) + beta C, all row-major with leading dimensions.
struct Product {
  bool transpose_a = false, transpose_b = false;
  int64_t m = 0, n = 0, k = 0;
  double beta = 0;
  double alpha = 1;  // of own_gemm with beta 1 alone
};

void gemm(const Product& p, const float* a, int64_t lda, const float* b, int64_t ldb,
          float* c, int64_t ldc);
void gemm(const Product& p, const double* a, int64_t lda, const double* b, int64_t ldb,
          double* c, int64_t ldc);

// The processor family that OpenBLAS chose its kernels for.
const char* core_name();

}  // namespace nervure::blas
