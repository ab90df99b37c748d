// SPDX-License-Identifier: BSD-3-Clause
// Kernels of matrix products and of rows that are looked up.
#include "dense.h"
#include "embedding.h"
#include "ensemble.h"
#include "group.h"
#include "periodic.h"
#include "transposed_dense.h"

namespace nervure {

KernelGroup product_kernels() {
  return group_of<Dense, TransposedDense, EnsembleDense, EnsembleMean, PeriodicEmbedding,
                  Embedding, EmbeddingBag>();
}

}  // namespace nervure
