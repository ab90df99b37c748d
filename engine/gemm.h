// SPDX-License-Identifier: BSD-3-Clause
// Which matrix product for which shape.
#pragma once

#include "blas.h"

namespace nervure {

template <class T>
void gemm(const blas::Product& p, const T* a, int64_t lda, const T* b, int64_t ldb, T* c,
          int64_t ldc) {
  blas::gemm(p, a, lda, b, ldb, c, ldc);
}

}  // namespace nervure
