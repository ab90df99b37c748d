// SPDX-License-Identifier: BSD-3-Clause
// Kernels of arithmetic between arrays, of their parts and their products.
#include "arrange.h"
#include "clip.h"
#include "group.h"
#include "learned.h"
#include "matmul.h"
#include "pairs.h"
#include "reduce.h"

namespace nervure {

KernelGroup array_kernels() {
  return group_of<Pair, Extreme, Where, Clip, Arrange, Reduce, MatMul, Learned>();
}

}  // namespace nervure
