// SPDX-License-Identifier: BSD-3-Clause
// Kernels that take each element by itself, or put it somewhere else.
#include "dropout.h"
#include "group.h"
#include "merge.h"
#include "noise.h"
#include "normalize.h"
#include "reshape.h"
#include "source.h"

namespace nervure {

KernelGroup pointwise_kernels() {
  return group_of<Constant, Dropout, SharedDropout, Flatten, Reshape, Slice, Concatenate,
                  Add, Multiply, Normalize, GaussianNoise, GaussianSample>();
}

}  // namespace nervure
