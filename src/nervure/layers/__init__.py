# SPDX-License-Identifier: BSD-3-Clause
"""The layers: one file per family, listed here once."""

from __future__ import annotations

from nervure._names import unknown
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
from nervure.layers.dense import Dense
from nervure.layers.dropout import Dropout
from nervure.layers.merge import Add, Concatenate, Multiply
from nervure.layers.normalize import Normalize
from nervure.layers.reshape import Flatten, Reshape, Slice
from nervure.layers.softmax import LogSoftmax, Softmax
from nervure.layers.source import Constant, Input

LAYERS: tuple[type[Layer], ...] = (
    Input,
    Constant,
    Dense,
    Activation,
    Softmax,
    LogSoftmax,
    Dropout,
    Flatten,
    Reshape,
    Slice,
    Concatenate,
    Add,
    Multiply,
    Normalize,
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
    "INFERENCE",
    "LAYERS",
    "Activation",
    "Add",
    "Array",
    "Attribute",
    "Concatenate",
    "Constant",
    "Dense",
    "Dropout",
    "Example",
    "Flatten",
    "Input",
    "Layer",
    "LayerError",
    "LogSoftmax",
    "Multiply",
    "Normalize",
    "Parameter",
    "Pass",
    "Reshape",
    "Shape",
    "Slice",
    "Softmax",
    "Symbol",
    "activation_layer",
    "activation_names",
    "layer",
]
