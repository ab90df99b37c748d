// SPDX-License-Identifier: BSD-3-Clause
// Every loss of the engine, one line each.
#pragma once

#include "classification.h"
#include "focal.h"
#include "regression.h"
#include "step.h"

namespace nervure {

using LossKinds = LossList<      //
    Quadratic,                   //
    MeanSquaredError,            //
    MeanAbsoluteError,           //
    Huber,                       //
    LogCosh,                     //
    CrossEntropy,                //
    SoftmaxCrossEntropy,         //
    BinaryCrossEntropy,          //
    LogisticBinaryCrossEntropy,  //
    Focal,                       //
    SoftmaxFocal,                //
    LogisticFocal,               //
    Hinge,                       //
    Poisson,                     //
    Pinball,                     //
    KullbackLeibler,             //
    SoftmaxKullbackLeibler,      //
    Cosine                       //
    >;

}  // namespace nervure
