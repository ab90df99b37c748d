// SPDX-License-Identifier: BSD-3-Clause
// Activation functions.
#include "activation.h"
#include "group.h"
#include "prelu.h"
#include "softmax.h"

namespace nervure {

KernelGroup activation_kernels() {
  return group_of<Activation, PReLU, Softmax, LogSoftmax>();
}

}  // namespace nervure
