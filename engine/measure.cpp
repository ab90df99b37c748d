// SPDX-License-Identifier: BSD-3-Clause
#include "measure.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <vector>

#include "execution/threads.h"
#include "products/gemm.h"

namespace nervure {
namespace {

// The shortest of some repetitions, in seconds.
template <class Call>
double shortest(int repetitions, Call&& call) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repetitions; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    call();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    best = std::min(best, seconds.count());
  }
  return best;
}

}  // namespace

double gemm_gflops(int64_t n, int workers) {
  const auto size = static_cast<size_t>(n * n);
  std::vector<float> a(size, 0.5F), b(size, 0.25F), c(size);
  constexpr int64_t grain = 256;
  const double seconds = shortest(6, [&] {
    Crew crew(workers);
    run_workers(workers, [&](int worker) {
      crew.phase(worker, 0, parts_of(n, grain), [&](int64_t part) {
        const Range range = range_of(n, grain, part);
        gemm({.m = n, .n = range.end - range.begin, .k = n}, a.data(), n,
             b.data() + range.begin, n, c.data() + range.begin, n);
      });
    });
  });
  return 2e-9 * static_cast<double>(n * n * n) / seconds;
}

double gemm_seconds(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b,
                    bool own) {
  std::vector<float> a(static_cast<size_t>(m * k), 0.5F);
  std::vector<float> b(static_cast<size_t>(k * n), 0.25F);
  std::vector<float> c(static_cast<size_t>(m * n));
  const blas::Product p{transpose_a, transpose_b, m, n, k};
  const int64_t lda = transpose_a ? m : k, ldb = transpose_b ? k : n;
  const int64_t count = std::max<int64_t>(1, 100'000'000 / (m * n * k));
  const double seconds = shortest(7, [&] {
    for (int64_t i = 0; i < count; ++i)
      own ? own_gemm(p, a.data(), lda, b.data(), ldb, c.data(), n)
          : blas::gemm(p, a.data(), lda, b.data(), ldb, c.data(), n);
  });
  return seconds / static_cast<double>(count);
}

}  // namespace nervure
