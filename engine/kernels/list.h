// SPDX-License-Identifier: BSD-3-Clause
// Every kernel of the engine, one line each.
#pragma once

#include "activation.h"
#include "arrange.h"
#include "batch_norm.h"
#include "clip.h"
#include "convolution.h"
#include "dense.h"
#include "depthwise.h"
#include "dropout.h"
#include "embedding.h"
#include "ensemble.h"
#include "frame.h"
#include "group_norm.h"
#include "learned.h"
#include "local_response_norm.h"
#include "matmul.h"
#include "merge.h"
#include "normalize.h"
#include "pairs.h"
#include "periodic.h"
#include "pooling.h"
#include "prelu.h"
#include "reduce.h"
#include "reshape.h"
#include "softmax.h"
#include "source.h"
#include "step.h"
#include "up_sampling.h"

namespace nervure {

using Kernels = KernelList<  //
    Constant,                //
    Dense,                   //
    Activation,              //
    Softmax,                 //
    LogSoftmax,              //
    Dropout,                 //
    EnsembleDense,           //
    EnsembleMean,            //
    PeriodicEmbedding,       //
    SharedDropout,           //
    Embedding,               //
    Flatten,                 //
    Reshape,                 //
    Slice,                   //
    Concatenate,             //
    Add,                     //
    Multiply,                //
    Pair,                    //
    Extreme,                 //
    Where,                   //
    Clip,                    //
    PRelu,                   //
    Arrange,                 //
    Reduce,                  //
    MatMul,                  //
    Learned,                 //
    Normalize,               //
    Convolution,             //
    MaxPool,                 //
    AveragePool,             //
    L2Pool,                  //
    BatchNorm,               //
    GroupNorm,               //
    DepthwiseConvolution,    //
    TransposedConvolution,   //
    Frame,                   //
    UpSampling,              //
    LocalResponseNorm        //
    >;

}  // namespace nervure
