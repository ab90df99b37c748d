// SPDX-License-Identifier: BSD-3-Clause
// Every kernel of the engine, one line each.
#pragma once

#include "activation.h"
#include "batch_norm.h"
#include "convolution.h"
#include "dense.h"
#include "dropout.h"
#include "embedding.h"
#include "frame.h"
#include "group_norm.h"
#include "merge.h"
#include "normalize.h"
#include "pooling.h"
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
    Embedding,               //
    Flatten,                 //
    Reshape,                 //
    Slice,                   //
    Concatenate,             //
    Add,                     //
    Multiply,                //
    Normalize,               //
    Convolution,             //
    MaxPool,                 //
    AveragePool,             //
    L2Pool,                  //
    BatchNorm,               //
    GroupNorm,               //
    TransposedConvolution,   //
    Frame                    //
    >;

}  // namespace nervure
