// SPDX-License-Identifier: BSD-3-Clause
// Every kernel of the engine, one line each.
#pragma once

#include "activation.h"
#include "dense.h"
#include "dropout.h"
#include "merge.h"
#include "normalize.h"
#include "reshape.h"
#include "softmax.h"
#include "source.h"
#include "step.h"

namespace nervure {

using Kernels = KernelList<  //
    Constant,                //
    Dense,                   //
    Activation,              //
    Softmax,                 //
    LogSoftmax,              //
    Dropout,                 //
    Flatten,                 //
    Reshape,                 //
    Slice,                   //
    Concatenate,             //
    Add,                     //
    Multiply,                //
    Normalize                //
    >;

}  // namespace nervure
