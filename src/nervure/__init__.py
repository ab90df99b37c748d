# SPDX-License-Identifier: BSD-3-Clause
"""nervure: neural networks you can see through.

>>> import nervure as nv
>>> net = nv.Network([nv.Input(2), nv.Dense(3, activation="tanh"), nv.Dense(1)], seed=1)
>>> net.forward([[0.5, -0.5]]).shape
(1, 1)
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_MODULES = {
    "nervure.layers": (
        "Activation AdaptiveAveragePool1D AdaptiveAveragePool2D AdaptiveAveragePool3D "
        "AdaptiveL2Pool1D AdaptiveL2Pool2D AdaptiveL2Pool3D AdaptiveMaxPool1D "
        "AdaptiveMaxPool2D AdaptiveMaxPool3D Add AveragePool1D AveragePool2D "
        "AveragePool3D BatchNorm Bidirectional Broadcast Clip Compare Concatenate "
        "Constant Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D "
        "Conv3DTranspose Cropping1D Cropping2D Cropping3D Dense DepthwiseConv1D "
        "DepthwiseConv2D Divide DotProductAttention Dropout EmbedColumns EmbedText "
        "Embedding EmbeddingBag EnsembleDense EnsembleMean Flatten GRU "
        "GaussianNoise GaussianSample GlobalAveragePool1D "
        "GlobalAveragePool2D GlobalAveragePool3D GlobalL2Pool1D GlobalL2Pool2D "
        "GlobalL2Pool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GroupNorm "
        "Input L2Pool1D L2Pool2D L2Pool3D LSTM Layer LayerError LayerNorm Learned "
        "LocalResponseNorm LogSoftmax MatMul MaxPool1D MaxPool2D MaxPool3D Maximum "
        "Minimum MultiHeadAttention Multiply Normalize PReLU PeriodicEmbedding "
        "Permute PositionEmbedding Power RMSNorm Reduce Reshape RotaryPositions "
        "SeparableConv1D SeparableConv2D SimpleRNN Slice Softmax SpatialDropout "
        "StochasticDepth Subtract Take Tied TransformerBlock TransposedDense "
        "UpSampling1D UpSampling2D UpSampling3D Where ZeroPadding1D ZeroPadding2D "
        "ZeroPadding3D"
    ),
    "nervure.graph.graph": "Graph GraphError",
    "nervure.network.network": "Network",
    "nervure.ensemble.ensemble": "Ensemble",
    "nervure.autoencoder.autoencoder": "Autoencoder",
    "nervure.network.trace": "NetworkTrace",
    "nervure.network.decoding": "ctc_decode",
    "nervure.network.finite": "NotFiniteError NotFiniteWarning",
    "nervure.network.generating": "generate",
    "nervure.network.gradients": "GradientCheck check_gradients",
    "nervure.exchange.exporting": "export",
    "nervure.exchange.importing": "import_onnx",
    "nervure.exchange.keras_models": "import_keras",
    "nervure.exchange.estimators": "from_sklearn",
    "nervure.exchange.weights": "WeightReport load_weights",
    "nervure.exchange.errors": "CheckpointError ExchangeError",
    "nervure.runs.loading": "load",
    "nervure.spec.tables": "Spec SpecError",
    "nervure.spec.reading": "load_spec",
    "nervure.network.modelfile": "ModelFileError",
    "nervure.data": "Dataset DataError Ragged",
    "nervure.losses": (
        "CTC BinaryCrossEntropy Cosine CrossEntropy Focal Hinge Huber KL LogCosh MAE "
        "MSE Pinball Poisson Quadratic"
    ),
    "nervure.regularizers": "L1 L2 ElasticNet MaxNorm",
    "nervure.optimizers": (
        "LBFGS SGD Adadelta Adagrad Adam AdamW GradientDescent Lion NAdam RMSprop"
    ),
    "nervure.runs.training": "fit_spec resume",
    "nervure.forecasting.ahead": "forecast",
    "nervure.forecasting.forecaster": "Forecaster",
    "nervure.record": "Record",
    "nervure.findings.finding": "Finding FindingWarning",
    "nervure.diagnosis.diagnosis": "Diagnosis diagnose",
    "nervure.training.learning_rate": "LearningRateSearch find_learning_rate",
    "nervure.tuning": "Tuning tune",
    "nervure.spec.stopping": "EarlyStopping",
    "nervure.training": "Callback DivergenceError History Run fit",
    "nervure.training.writers": "MLflow TensorBoard Trackio",
}
"""Where each public name lives; a module is imported when a name of it is used."""

_SUBMODULES = {
    "augmentation": "nervure.data.augmentation",
    "data": "nervure.data",
    "initializers": "nervure.initializers",
    "layers": "nervure.layers",
    "losses": "nervure.losses",
    "metrics": "nervure.metrics",
    "plot": "nervure.plot",
    "sight": "nervure.sight",
    "schedules": "nervure.optimizers.schedules",
    "tabular": "nervure.tabular",
    "uncertainty": "nervure.uncertainty",
    "zoo": "nervure.zoo",
}

_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted([*_HOMES, *_SUBMODULES])  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(_SUBMODULES[name])
    if name not in _HOMES:
        raise AttributeError(f"module 'nervure' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
