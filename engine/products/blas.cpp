// SPDX-License-Identifier: BSD-3-Clause
// OpenBLAS in the build of the NumPy and SciPy team; symbols carry the prefix scipy_.
#include "blas.h"

extern "C" {
void scipy_cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k,
                       float alpha, const float* a, int lda, const float* b, int ldb,
                       float beta, float* c, int ldc);
void scipy_cblas_dgemm(int order, int transpose_a, int transpose_b, int m, int n, int k,
                       double alpha, const double* a, int lda, const double* b, int ldb,
                       double beta, double* c, int ldc);
void scipy_openblas_set_num_threads(int threads);
char* scipy_openblas_get_corename(void);
}

namespace nervure::blas {
namespace {

constexpr int row_major = 101;
constexpr int plain = 111;
constexpr int transposed = 112;

// The engine's own workers call in parallel, each for its part.
const bool single_threaded = (scipy_openblas_set_num_threads(1), true);

int narrow(int64_t extent) { return static_cast<int>(extent); }

template <class T, class Call>
void call(Call cblas, const Product& p, const T* a, int64_t lda, const T* b, int64_t ldb,
          T* c, int64_t ldc) {
  if (p.m == 0 || p.n == 0) return;
  cblas(row_major, p.transpose_a ? transposed : plain, p.transpose_b ? transposed : plain,
        narrow(p.m), narrow(p.n), narrow(p.k), T(1), a, narrow(lda), b, narrow(ldb),
        static_cast<T>(p.beta), c, narrow(ldc));
}

}  // namespace

void gemm(const Product& p, const float* a, int64_t lda, const float* b, int64_t ldb,
          float* c, int64_t ldc) {
  call(scipy_cblas_sgemm, p, a, lda, b, ldb, c, ldc);
}

void gemm(const Product& p, const double* a, int64_t lda, const double* b, int64_t ldb,
          double* c, int64_t ldc) {
  call(scipy_cblas_dgemm, p, a, lda, b, ldb, c, ldc);
}

const char* core_name() { return scipy_openblas_get_corename(); }

}  // namespace nervure::blas
