# SPDX-License-Identifier: BSD-3-Clause
"""How PyTorch names and lays out the parameters of a layer.

Torch has the axes of a convolution's weight as (out, in, height, width), ours are
(height, width, in, out); of a dense one as (out, in), ours (in, out). A dense layer
behind a flattened map reads channel by channel there, pixel by pixel here.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from nervure.graph.graph import Graph
from nervure.graph.node import Node
from nervure.layers import Activation, Dense, Dropout, Flatten, Shape

Array = npt.NDArray[Any]

TORCH_WORDS = {
    "weight": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "running_mean": "running_mean",
    "running_variance": "running_var",
}
"""Torch's words for parameters of ours."""


def torch_shape(shape: Shape) -> Shape:
    """The shape of a weight as torch has it.

    >>> torch_shape((3, 3, 16, 32)), torch_shape((100, 10)), torch_shape((10,))
    ((32, 16, 3, 3), (10, 100), (10,))
    """
    return (*shape[:-3:-1], *shape[:-2])


def flattened(graph: Graph, node: Node) -> Shape | None:
    """The map that a dense layer reads flattened, if it does."""
    if not isinstance(node.layer, Dense):
        return None
    before = graph.nodes[node.inputs[0]]
    while isinstance(before.layer, Dropout | Activation):
        before = graph.nodes[before.inputs[0]]
    flat = isinstance(before.layer, Flatten) and len(before.input_shapes[0]) > 1
    return before.input_shapes[0] if flat else None


def turned(tensor: Array, laid_flat: Shape | None) -> Array:
    """The tensor with its axes in our order."""
    if laid_flat is not None and tensor.ndim == 2:
        *extents, channels = laid_flat
        tensor = tensor.reshape(-1, channels, *extents)
    if tensor.ndim > 2:
        return tensor.transpose(*range(2, tensor.ndim), 1, 0)
    return tensor.T
