// SPDX-License-Identifier: BSD-3-Clause
// Kernels that slide over images.
#include "convolution.h"
#include "depthwise.h"
#include "group.h"

namespace nervure {

KernelGroup convolution_kernels() {
  return group_of<Convolution, TransposedConvolution, DepthwiseConvolution>();
}

}  // namespace nervure
