# SPDX-License-Identifier: BSD-3-Clause
"""The layers: one file per family, listed here once."""

from __future__ import annotations

from nervure.base.described import family
from nervure.base.words import unknown
from nervure.layers._layer import (
    INFERENCE,
    Array,
    Attribute,
    Example,
    Layer,
    LayerError,
    Parameter,
    Pass,
    Shape,
    Symbol,
)
from nervure.layers.activation import Activation, activation_layer, activation_names
from nervure.layers.adaptive_pooling import (
    AdaptiveAveragePool1D,
    AdaptiveAveragePool2D,
    AdaptiveAveragePool3D,
    AdaptiveL2Pool1D,
    AdaptiveL2Pool2D,
    AdaptiveL2Pool3D,
    AdaptiveMaxPool1D,
    AdaptiveMaxPool2D,
    AdaptiveMaxPool3D,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalAveragePool3D,
    GlobalL2Pool1D,
    GlobalL2Pool2D,
    GlobalL2Pool3D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPool3D,
)
from nervure.layers.arrange import Broadcast, Permute, Take
from nervure.layers.attention import (
    DotProductAttention,
    MultiHeadAttention,
    TransformerBlock,
)
from nervure.layers.batch_norm import BatchNorm
from nervure.layers.clip import Clip
from nervure.layers.convolution import Conv1D, Conv2D, Conv3D
from nervure.layers.dense import Dense, TransposedDense
from nervure.layers.depthwise_convolution import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from nervure.layers.dropout import Dropout, SpatialDropout, StochasticDepth
from nervure.layers.embedding import EmbedColumns, Embedding
from nervure.layers.ensemble import EnsembleDense, EnsembleMean
from nervure.layers.formula import Formula
from nervure.layers.frame import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from nervure.layers.group_norm import GroupNorm, LayerNorm, RMSNorm
from nervure.layers.learned import Learned
from nervure.layers.local_response_norm import LocalResponseNorm
from nervure.layers.matmul import MatMul
from nervure.layers.merge import Add, Concatenate, Multiply
from nervure.layers.noise import GaussianNoise, GaussianSample
from nervure.layers.normalize import Normalize
from nervure.layers.pairs import (
    Compare,
    Divide,
    Maximum,
    Minimum,
    Power,
    Subtract,
    Where,
)
from nervure.layers.periodic import PeriodicEmbedding
from nervure.layers.pooling import (
    AveragePool1D,
    AveragePool2D,
    AveragePool3D,
    L2Pool1D,
    L2Pool2D,
    L2Pool3D,
    MaxPool1D,
    MaxPool2D,
    MaxPool3D,
)
from nervure.layers.positions import PositionEmbedding, RotaryPositions
from nervure.layers.prelu import PReLU
from nervure.layers.recurrent import GRU, LSTM, Bidirectional, SimpleRNN
from nervure.layers.reduce import Reduce
from nervure.layers.reshape import Flatten, Reshape, Slice
from nervure.layers.softmax import LogSoftmax, Softmax
from nervure.layers.source import Constant, Input
from nervure.layers.text import EmbeddingBag, EmbedText
from nervure.layers.tied import Tied
from nervure.layers.transposed_convolution import (
    Conv1DTranspose,
    Conv2DTranspose,
    Conv3DTranspose,
)
from nervure.layers.up_sampling import UpSampling1D, UpSampling2D, UpSampling3D

LAYERS: tuple[type[Layer], ...] = family(
    Layer,
    (
        Input,
        Constant,
        Dense,
        TransposedDense,
        Tied,
        Activation,
        PReLU,
        Softmax,
        LogSoftmax,
        EnsembleDense,
        EnsembleMean,
        PeriodicEmbedding,
        Dropout,
        SpatialDropout,
        StochasticDepth,
        GaussianNoise,
        GaussianSample,
        Embedding,
        EmbedColumns,
        EmbeddingBag,
        EmbedText,
        Flatten,
        Reshape,
        Slice,
        Concatenate,
        Add,
        Multiply,
        Subtract,
        Divide,
        Power,
        Maximum,
        Minimum,
        Compare,
        Where,
        MatMul,
        Clip,
        Permute,
        Take,
        Broadcast,
        Reduce,
        Learned,
        Normalize,
        Conv1D,
        Conv2D,
        Conv3D,
        DepthwiseConv1D,
        DepthwiseConv2D,
        SeparableConv1D,
        SeparableConv2D,
        MaxPool1D,
        MaxPool2D,
        MaxPool3D,
        AveragePool1D,
        AveragePool2D,
        AveragePool3D,
        L2Pool1D,
        L2Pool2D,
        L2Pool3D,
        AdaptiveMaxPool1D,
        AdaptiveMaxPool2D,
        AdaptiveMaxPool3D,
        AdaptiveAveragePool1D,
        AdaptiveAveragePool2D,
        AdaptiveAveragePool3D,
        AdaptiveL2Pool1D,
        AdaptiveL2Pool2D,
        AdaptiveL2Pool3D,
        GlobalMaxPool1D,
        GlobalMaxPool2D,
        GlobalMaxPool3D,
        GlobalAveragePool1D,
        GlobalAveragePool2D,
        GlobalAveragePool3D,
        GlobalL2Pool1D,
        GlobalL2Pool2D,
        GlobalL2Pool3D,
        BatchNorm,
        LayerNorm,
        RMSNorm,
        GroupNorm,
        LocalResponseNorm,
        Conv1DTranspose,
        Conv2DTranspose,
        Conv3DTranspose,
        ZeroPadding1D,
        ZeroPadding2D,
        ZeroPadding3D,
        Cropping1D,
        Cropping2D,
        Cropping3D,
        UpSampling1D,
        UpSampling2D,
        UpSampling3D,
        SimpleRNN,
        LSTM,
        GRU,
        Bidirectional,
        DotProductAttention,
        MultiHeadAttention,
        TransformerBlock,
        PositionEmbedding,
        RotaryPositions,
    ),
)


def layer(kind: str, where: str = "layer") -> type[Layer]:
    """The class of layers that a spec calls ``kind``.

    Raises:
        LayerError: there is none; the message lists the kinds there are.

    >>> layer("log_softmax").__name__
    'LogSoftmax'
    """
    kinds = {each.kind: each for each in LAYERS}
    if kind not in kinds:
        raise LayerError(unknown(where, "type of layer", kind, kinds))
    return kinds[kind]


__all__ = [
    "GRU",
    "INFERENCE",
    "LAYERS",
    "LSTM",
    "Activation",
    "AdaptiveAveragePool1D",
    "AdaptiveAveragePool2D",
    "AdaptiveAveragePool3D",
    "AdaptiveL2Pool1D",
    "AdaptiveL2Pool2D",
    "AdaptiveL2Pool3D",
    "AdaptiveMaxPool1D",
    "AdaptiveMaxPool2D",
    "AdaptiveMaxPool3D",
    "Add",
    "Array",
    "Attribute",
    "AveragePool1D",
    "AveragePool2D",
    "AveragePool3D",
    "BatchNorm",
    "Bidirectional",
    "Broadcast",
    "Clip",
    "Compare",
    "Concatenate",
    "Constant",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Divide",
    "DotProductAttention",
    "Dropout",
    "EmbedColumns",
    "EmbedText",
    "Embedding",
    "EmbeddingBag",
    "EnsembleDense",
    "EnsembleMean",
    "Example",
    "Flatten",
    "Formula",
    "GaussianNoise",
    "GaussianSample",
    "GlobalAveragePool1D",
    "GlobalAveragePool2D",
    "GlobalAveragePool3D",
    "GlobalL2Pool1D",
    "GlobalL2Pool2D",
    "GlobalL2Pool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GroupNorm",
    "Input",
    "L2Pool1D",
    "L2Pool2D",
    "L2Pool3D",
    "Layer",
    "LayerError",
    "LayerNorm",
    "Learned",
    "LocalResponseNorm",
    "LogSoftmax",
    "MatMul",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "Maximum",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalize",
    "PReLU",
    "Parameter",
    "Pass",
    "PeriodicEmbedding",
    "Permute",
    "PositionEmbedding",
    "Power",
    "RMSNorm",
    "Reduce",
    "Reshape",
    "RotaryPositions",
    "SeparableConv1D",
    "SeparableConv2D",
    "Shape",
    "SimpleRNN",
    "Slice",
    "Softmax",
    "SpatialDropout",
    "StochasticDepth",
    "Subtract",
    "Symbol",
    "Take",
    "Tied",
    "TransformerBlock",
    "TransposedDense",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Where",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "activation_layer",
    "activation_names",
    "layer",
]
