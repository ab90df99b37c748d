# SPDX-License-Identifier: BSD-3-Clause
"""What a network sees: first filters, feature maps, saliency and occlusion.

All functions return arrays; `nervure.pictures` makes sheets of them. Rows are as
``net.predict`` takes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count, number
from nervure.data.ragged import one_each
from nervure.executors import Data
from nervure.graph.graph import Graph
from nervure.graph.objective import Objective, gives_probabilities
from nervure.layers import Layer, Shape
from nervure.losses.custom import CustomLoss
from nervure.network.network import Network
from nervure.network.predicting import encoded

Array = npt.NDArray[Any]

ROWS = 16
"""Rows looked at together: a pass backward keeps every value of all of them."""

BATCH = 256
"""Changed images that are predicted together."""


def filters(net: Network) -> Array:
    """Weights of the first layer that has some, as images.

    Returns:
        ``(filters, height, width, channels)``: of a convolution its kernels, of a
        dense layer on an image what each node weighs the pixels by.

    Raises:
        ValueError: the first layer with weights is none of the two.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((8, 8, 3)), nv.Conv2D(4, 5)])
    >>> nv.sight.filters(net).shape
    (4, 5, 5, 3)
    """
    graph = net.graph
    index = next((i for i, n in enumerate(graph.nodes) if _weighs(n.layer)), None)
    node = None if index is None else graph.nodes[index]
    image = graph.input_shapes[0]
    if node is not None:
        weight = net.parameters[f"{node.name}.weight"]
        if node.layer.kind == "conv2d":
            return np.moveaxis(weight, -1, 0).copy()
        pixels = len(image) in (2, 3) and len(weight) == math.prod(image)
        if node.layer.kind == "dense" and pixels:
            return weight.T.reshape(-1, *(*image, 1)[:3]).copy()
    found = "no layer has weights" if node is None else f"{node.name!r} comes first"
    raise ValueError(
        f"[filters] {found}, on inputs of shape {image}; expected nv.Conv2D, or "
        "nv.Dense on images (height, width, channels); use a network of images"
    )


def _weighs(layer: Layer) -> bool:
    return layer.kind == "dense" or "conv" in layer.kind


def feature_maps(net: Network, X: Any) -> dict[str, Array]:
    """What every layer of maps gives for images, in inference; dropout left out.

    Returns:
        ``(rows, height, width, maps)`` by layer, in order; activations included.

    Raises:
        ValueError: no layer has maps.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((8, 8, 1)), nv.Conv2D(4, 5), nv.MaxPool2D(2)])
    >>> maps = nv.sight.feature_maps(net, np.zeros((1, 8, 8, 1)))
    >>> {name: found.shape for name, found in maps.items()}
    {'conv2d': (1, 4, 4, 4), 'max_pool2d': (1, 2, 2, 4)}
    """
    graph = net.graph
    wanted = {
        name: nodes[-1]
        for name, nodes in graph.groups.items()
        if len(graph.nodes[nodes[-1]].shape) == 3
        and nodes[-1] not in graph.inputs
        and not graph.nodes[nodes[-1]].layer.random
    }
    if not wanted:
        raise ValueError(
            "[features] no layer gives maps (height, width, maps); expected a "
            "network of convolutions; use one"
        )
    parts: list[list[Array]] = [[] for _ in wanted]
    data = _data(net, X)
    for first in range(0, data.rows, ROWS):
        values = net.executor().trace(_rows(data, first, ROWS), None).values
        for part, node in zip(parts, wanted.values(), strict=True):
            part.append(values[node])
    return dict(zip(wanted, map(np.concatenate, parts), strict=True))


def input_gradients(net: Network, X: Any, target: Any = None) -> Array:
    """Gradient of a class's score by the input, ``dS_c / dx``.

    The score is what goes into the last softmax or logistic, not the probability,
    which also grows where the scores of other classes fall.

    Args:
        target: class of each row by number, or one for all; by default the predicted.

    Returns:
        ``(rows, *input_shape)``, by inputs as the network takes them.

    Raises:
        ValueError: several inputs or outputs, or a class that does not exist.

    Source: Simonyan, Vedaldi, Zisserman, *Deep inside convolutional networks* (2014),
    eq. 4.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(2, activation="softmax")])
    >>> net.parameters["dense.weight"] = [[1.0, 2.0], [3.0, 4.0]]
    >>> nv.sight.input_gradients(net, [[0.5, 0.5]], target=0).tolist()
    [[1.0, 3.0]]
    """
    _single(net)
    scores, data = _scores(net), _data(net, X)
    classes = _targets(net, data, target).astype(np.int32)
    objective = Objective.of(scores.graph, CustomLoss(_sum_of_scores))
    found: list[Array] = []
    for first in range(0, data.rows, ROWS):
        batch = _rows(data, first, ROWS, classes)
        traced = scores.executor().trace(batch, objective)
        gradient = traced.gradients[scores.graph.inputs[0]]
        assert gradient is not None
        found.append(gradient)
    return np.concatenate(found)


def saliency(net: Network, X: Any, target: Any = None) -> Array:
    """How much each pixel moves the score of a class: ``max_channels |dS_c / dx|``.

    Args:
        target: see `input_gradients`.

    Returns:
        ``(rows, height, width)``.

    Source: Simonyan, Vedaldi, Zisserman (2014), section 3.1.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((4, 4, 3)), nv.Flatten(), nv.Dense(2)])
    >>> nv.sight.saliency(net, np.zeros((5, 4, 4, 3))).shape
    (5, 4, 4)
    """
    _image_shape(net, "saliency")
    gradients = np.abs(input_gradients(net, X, target))
    return gradients.max(axis=-1) if gradients.ndim == 4 else gradients


def occlusion(
    net: Network,
    X: Any,
    target: Any = None,
    *,
    size: int | None = None,
    stride: int | None = None,
    fill: float | None = None,
) -> Array:
    """How much the output of a class falls when a square hides part of the image.

    Args:
        target: see `input_gradients`.
        size: side of the square in pixels, by default a quarter of the shorter side.
        stride: pixels between squares, by default a quarter of the size.
        fill: value of the square as the network takes it; by default the mean of each
            image and channel.

    Returns:
        ``(rows, height, width)``: at each pixel the mean fall over the squares that
        hide it, for probabilities in [-1, 1].

    Raises:
        ValueError: no images, a square larger than they are, or see `input_gradients`.

    Source: Zeiler, Fergus, *Visualizing and understanding convolutional networks*
    (ECCV 2014), section 4.2.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((8, 8)), nv.Flatten(), nv.Dense(1)])
    >>> nv.sight.occlusion(net, np.zeros((1, 8, 8)), size=2).shape
    (1, 8, 8)
    """
    _single(net)
    height, width, _ = _image_shape(net, "occlusion")
    side = max(1, min(height, width) // 4) if size is None else size
    count("occlusion", "size", side, least=1, most=min(height, width))
    step = max(1, side // 4) if stride is None else stride
    count("occlusion", "stride", step, least=1, most=side)
    if fill is not None:
        number("occlusion", "fill", fill)
    data = _data(net, X)
    classes = _targets(net, data, target)
    down, across = _starts(height, side, step), _starts(width, side, step)
    places = [(i, j) for i in down for j in across]
    falls = (
        _fall(net, data, row, int(one), places, side, fill)
        for row, one in enumerate(classes)
    )
    return np.stack(list(falls))


def _starts(extent: int, side: int, step: int) -> list[int]:
    """Where squares begin; the last one ends at the border."""
    return sorted({*range(0, extent - side + 1, step), extent - side})


def _fall(
    net: Network,
    data: Data,
    row: int,
    target: int,
    places: Sequence[tuple[int, int]],
    side: int,
    fill: float | None,
) -> Array:
    """The map of one image."""
    (x,), scale = data.inputs, data.scale_of(0)
    image = x[row].astype(net.dtype) * scale
    hidden = image.mean(axis=(0, 1)) if fill is None else fill
    whole = _outputs(net, image[None])[0, target]
    total, times = np.zeros(image.shape[:2]), np.zeros(image.shape[:2])
    for begin in range(0, len(places), BATCH):
        some = places[begin : begin + BATCH]
        changed = np.repeat(image[None], len(some), axis=0)
        for one, (i, j) in zip(changed, some, strict=True):
            one[i : i + side, j : j + side] = hidden
        falls = whole - _outputs(net, changed)[:, target]
        for fall, (i, j) in zip(falls, some, strict=True):
            total[i : i + side, j : j + side] += fall
            times[i : i + side, j : j + side] += 1
    return total / np.maximum(times, 1)


# -- shared ---------------------------------------------------------------------------


def _data(net: Network, X: Any) -> Data:
    """Rows as the network takes them; those that are so already stay."""
    return X if isinstance(X, Data) else encoded(net, X)


def _rows(data: Data, first: int, size: int, classes: Array | None = None) -> Data:
    """Some rows, perhaps with their classes as targets."""
    part = slice(first, first + size)
    targets = () if classes is None else (classes[part],)
    inputs = tuple(x[part] for x in data.inputs)
    return Data(inputs, targets, None, data.scales)


def _outputs(net: Network, rows: Array) -> Array:
    (found,) = net.executor().outputs(Data((rows,)))
    return one_each(found, "sight").reshape(len(found), -1)


def _single(net: Network) -> None:
    for what, some in (("inputs", net.graph.inputs), ("outputs", net.graph.outputs)):
        if len(some) != 1:
            raise ValueError(
                f"[sight] a network of {len(some)} {what}; expected one; make a "
                "network of the one that matters"
            )


def _image_shape(net: Network, where: str) -> Shape:
    shape = net.graph.input_shapes[0]
    if len(shape) not in (2, 3):
        raise ValueError(
            f"[{where}] inputs of shape {shape}; expected images (height, width, "
            "channels); use a network of images"
        )
    return (*shape, 1)[:3]


def _targets(net: Network, data: Data, target: Any) -> Array:
    """The class of each row: as given, or as predicted."""
    size = math.prod(net.graph.output_shapes[0])
    if target is None:
        (found,) = net.executor().outputs(data)
        return one_each(found, "sight").reshape(data.rows, -1).argmax(axis=1)
    classes = np.asarray(target)
    fits = classes.ndim == 0 or classes.shape == (data.rows,)
    whole = classes.dtype.kind in "iu"
    if not (fits and whole) or ((classes < 0) | (classes >= size)).any():
        raise ValueError(
            f"[sight] target = {target!r:.60}; expected a whole number from 0 to "
            f"{size - 1}, one for all or one for each of {data.rows} rows; change "
            "target"
        )
    return np.broadcast_to(classes, data.rows)


def _scores(net: Network) -> Network:
    """The network without the softmax or logistic it ends in."""
    graph = net.graph
    (end,) = graph.outputs
    last = graph.nodes[end]
    if not gives_probabilities(last.layer):
        return net
    entries = [graph.entry(i) for i in range(len(graph.nodes)) if i != end]
    return net.rebuilt(Graph.of(entries, (graph.nodes[last.inputs[0]].name,)))


def _sum_of_scores(output: Array, target: Array) -> tuple[float, Array]:
    """The score of each row's class; rows do not touch each other's gradient."""
    flat = output.reshape(len(output), -1)
    gradient = np.zeros_like(flat)
    rows = np.arange(len(flat))
    gradient[rows, target] = 1
    return float(flat[rows, target].sum()), gradient.reshape(output.shape)
