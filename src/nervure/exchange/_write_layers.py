# SPDX-License-Identifier: BSD-3-Clause
"""How each layer is written as ONNX operators, listed here once."""

from __future__ import annotations

from typing import Any

from nervure.exchange import _write_functions as functions
from nervure.exchange import _write_maps as maps
from nervure.exchange import _write_sequences as sequences
from nervure.exchange import _write_simple as simple
from nervure.layers import (
    Activation,
    Add,
    BatchNorm,
    Broadcast,
    Clip,
    Compare,
    Concatenate,
    Constant,
    Dense,
    Divide,
    DotProductAttention,
    Dropout,
    Embedding,
    EmbeddingBag,
    EnsembleDense,
    EnsembleMean,
    Flatten,
    GaussianNoise,
    GaussianSample,
    GroupNorm,
    Layer,
    LayerNorm,
    Learned,
    LocalResponseNorm,
    LogSoftmax,
    MatMul,
    Maximum,
    Minimum,
    Multiply,
    Normalize,
    PeriodicEmbedding,
    Permute,
    PositionEmbedding,
    Power,
    PReLU,
    Reduce,
    Reshape,
    RMSNorm,
    RotaryPositions,
    Slice,
    Softmax,
    SpatialDropout,
    StochasticDepth,
    Subtract,
    Take,
    TransposedDense,
    Where,
)
from nervure.layers._recurrent import Recurrent
from nervure.layers.adaptive_pooling import (
    AdaptiveAveragePool,
    AdaptiveL2Pool,
    AdaptiveMaxPool,
    GlobalAveragePool,
    GlobalL2Pool,
    GlobalMaxPool,
)
from nervure.layers.convolution import Convolution
from nervure.layers.depthwise_convolution import DepthwiseConvolution
from nervure.layers.frame import Cropping, ZeroPadding
from nervure.layers.pooling import AveragePool, L2Pool, MaxPool
from nervure.layers.transposed_convolution import TransposedConvolution
from nervure.layers.up_sampling import UpSampling

Write = Any
"""``(site, *values) -> Value``, or a list of them: the output and further ones"""

LAYERS: dict[type[Layer], Write] = {
    Constant: simple.constant,
    Dense: simple.dense,
    TransposedDense: simple.transposed_dense,
    Activation: functions.activation,
    PReLU: simple.prelu,
    Softmax: simple.softmax,
    LogSoftmax: simple.log_softmax,
    EnsembleDense: simple.ensemble_dense,
    EnsembleMean: simple.ensemble_mean,
    PeriodicEmbedding: simple.periodic_embedding,
    Dropout: simple.unchanged,
    GaussianNoise: simple.unchanged,
    GaussianSample: simple.unchanged,
    SpatialDropout: simple.unchanged,
    StochasticDepth: simple.unchanged,
    Embedding: simple.embedding,
    EmbeddingBag: simple.embedding_bag,
    Flatten: simple.flatten,
    Reshape: simple.reshape,
    Slice: simple.cut,
    Concatenate: simple.concatenate,
    Add: simple.add,
    Multiply: simple.multiply,
    Subtract: simple.subtract,
    Divide: simple.divide,
    Power: simple.power,
    Maximum: simple.maximum,
    Minimum: simple.minimum,
    Compare: simple.compare,
    Where: simple.where,
    MatMul: simple.matmul,
    Clip: simple.clip,
    Reduce: simple.reduce,
    Permute: simple.permute,
    Take: simple.take,
    Broadcast: simple.broadcast,
    Learned: simple.learned,
    Normalize: simple.normalize,
    Convolution: maps.convolution,
    DepthwiseConvolution: maps.convolution,
    TransposedConvolution: maps.transposed_convolution,
    MaxPool: maps.max_pool,
    AveragePool: maps.average_pool,
    L2Pool: maps.l2_pool,
    AdaptiveMaxPool: maps.adaptive_max_pool,
    AdaptiveAveragePool: maps.adaptive_average_pool,
    AdaptiveL2Pool: maps.adaptive_l2_pool,
    GlobalMaxPool: maps.global_max_pool,
    GlobalAveragePool: maps.global_average_pool,
    GlobalL2Pool: maps.global_l2_pool,
    BatchNorm: maps.batch_norm,
    LayerNorm: maps.layer_norm,
    RMSNorm: maps.rms_norm,
    GroupNorm: maps.group_norm,
    LocalResponseNorm: maps.local_response_norm,
    ZeroPadding: maps.zero_padding,
    Cropping: maps.cropping,
    UpSampling: maps.up_sampling,
    Recurrent: sequences.recurrent,
    DotProductAttention: sequences.attention,
    PositionEmbedding: sequences.position_embedding,
    RotaryPositions: sequences.rotary_positions,
}


def writer_of(layer: Layer) -> Write | None:
    """The function that writes a layer: that of its class or of the nearest above."""
    if not sequences.is_known(layer):
        return None
    found = (LAYERS[kind] for kind in type(layer).__mro__ if kind in LAYERS)
    return next(found, None)
