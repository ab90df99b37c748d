// SPDX-License-Identifier: BSD-3-Clause
// Kernels of images but convolution.
#include "batch_norm.h"
#include "frame.h"
#include "group.h"
#include "group_norm.h"
#include "local_response_norm.h"
#include "pooling.h"
#include "up_sampling.h"

namespace nervure {

KernelGroup map_kernels() {
  return group_of<MaxPool, AveragePool, L2Pool, BatchNorm, GroupNorm, Frame, UpSampling,
                  LocalResponseNorm>();
}

}  // namespace nervure
