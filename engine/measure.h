// SPDX-License-Identifier: BSD-3-Clause
// How fast this machine multiplies: for benchmarks/.
#pragma once

#include <cstdint>

namespace nervure {

// Speed of float32 products n x n x n, cut over the workers by columns as in a layer, in
// GFLOP/s.
double gemm_gflops(int64_t n, int workers);

// Seconds of one float32 product op(A) op(B) on the calling thread, by the engine's own
// tiles or by OpenBLAS; operands lie in the caches, as far as they have room.
double gemm_seconds(int64_t m, int64_t n, int64_t k, bool transpose_a, bool transpose_b,
                    bool own);

}  // namespace nervure
