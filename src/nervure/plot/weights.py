# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of what a network has learned: its filters, and where it puts rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure import sight
from nervure.base.checks import count
from nervure.base.words import unknown
from nervure.data.ragged import Ragged
from nervure.executors import Data
from nervure.findings.facts import evenly
from nervure.layers import Embedding, EmbeddingBag
from nervure.network.network import Network
from nervure.plot import axes as places

Array = npt.NDArray[Any]

MOST_ROWS, BATCH = 2000, 256
MOST_CLASSES = 20
"""Values of ``y`` that are told apart by colours of their own."""


def filters(net: Network, ax: Any = None, *, most: int = 64) -> Any:
    """Draw the weights of the first layer that has some, as a sheet of images.

    One channel: blue below 0, red above, white 0; three: as colours. Each filter has
    its own scale.

    Args:
        net: a network of images (see `nervure.sight.filters`).
        most: filters that are drawn, the first ones.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((8, 8, 1)), nv.Conv2D(4, 5)])
    >>> nv.plot.filters(net).images[0].get_array().shape
    (13, 13)
    """
    count("plot.filters", "most", most, least=1)
    images = sight.filters(net)[:most]
    largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True)
    images = images / np.where(largest > 0, largest, 1)
    coloured = images.shape[-1] == 3
    sheet = _sheet((images + 1) / 2 if coloured else images.mean(axis=-1), coloured)
    across, down = sheet.shape[1], sheet.shape[0]
    side = 5.0 / max(across, down)
    ax = places.one("plot.filters", ax, (side * across + 0.3, side * down + 0.3))
    look: dict[str, Any] = {} if coloured else {"cmap": "RdBu_r", "vmin": -1, "vmax": 1}
    ax.imshow(sheet, interpolation="nearest", **look)
    ax.set_axis_off()
    return ax


def _sheet(images: Array, coloured: bool) -> Array:
    """Images in a grid, with a line of no number, or of white, between them."""
    number, height, width = images.shape[:3]
    across = math.ceil(math.sqrt(number))
    down = -(-number // across)
    shape = (down * (height + 1) + 1, across * (width + 1) + 1, *images.shape[3:])
    sheet = np.full(shape, 1.0 if coloured else math.nan)
    for i, image in enumerate(images):
        top, left = (i // across) * (height + 1) + 1, (i % across) * (width + 1) + 1
        sheet[top : top + height, left : left + width] = image
    return sheet


def embeddings(
    net: Network, X: Any = None, y: Any = None, ax: Any = None, *, layer: str = ""
) -> Any:
    """Draw where a layer puts rows, or an embedding its codes, in two dimensions.

    The first two principal components: the plane in which most of the spread lies.

    Args:
        net: the network.
        X: rows as ``net.predict`` takes them, of which at most `MOST_ROWS` are drawn;
            None: the vectors of an `Embedding`.
        y: a number for each row, shown by colour.
        layer: which layer; by default the one that the last layer with weights reads,
            or the first `Embedding`.

    Raises:
        ValueError: there is no such layer, or it gives less than two numbers for a row.
    """
    vectors = _codes(net, layer) if X is None else None
    name, found, shown = vectors or _rows(net, X, layer)
    if found.shape[1] < 2 or len(found) < 2:
        raise ValueError(
            f"[plot.embeddings] {name!r} gives {found.shape[1]} numbers for each of "
            f"{len(found)}; expected two at least; name a wider layer"
        )
    points, share = _principal(found)
    ax = places.one("plot.embeddings", ax, (5.2, 4.4))
    if X is None:
        ax.scatter(*points.T, 14)
        for code, place in enumerate(points[:100]):
            ax.annotate(str(code), place, fontsize="small")
    else:
        _scatter(ax, points, None if y is None else np.asarray(y)[shown])
    ax.set_title(f"{name}, {share:.0%} of the variance", fontsize="small")
    ax.set_xlabel("first principal component")
    ax.set_ylabel("second")
    return ax


def _scatter(ax: Any, points: Array, y: Array | None) -> None:
    classes: Array = np.empty(0) if y is None else np.unique(y)
    if y is None or len(classes) > MOST_CLASSES:
        drawn = ax.scatter(*points.T, 10, c=y, alpha=0.8)
        if y is not None:
            ax.figure.colorbar(drawn, ax=ax)
        return
    ten = len(classes) <= 10
    for i, label in enumerate(classes):
        colour = (i + 0.5) / (10 if ten else 20)
        own = points[y == label]
        look: dict[str, Any] = {"cmap": "tab10" if ten else "tab20", "vmin": 0}
        given = np.full(len(own), colour)
        ax.scatter(*own.T, 10, c=given, vmax=1, label=str(label), alpha=0.8, **look)
    ax.legend(fontsize="small", markerscale=2)


def _codes(net: Network, layer: str) -> tuple[str, Array, Any]:
    """The vectors of an embedding, one for each code."""
    kinds = Embedding | EmbeddingBag
    own = {n.name: n for n in net.graph.nodes if isinstance(n.layer, kinds)}
    if not own or layer not in ("", *own):
        raise ValueError(
            "[plot.embeddings] no rows, and no embedding of that name; expected X, or "
            f"the name of an nv.Embedding; {', '.join(own) or 'there is none'}"
        )
    name = layer or next(iter(own))
    return name, np.asarray(net.parameters[f"{name}.weight"]), None


def _rows(net: Network, X: Any, layer: str) -> tuple[str, Array, Array]:
    """What a layer gives for rows, which of them, and its name."""
    graph = net.graph
    if layer and layer not in graph.groups:
        raise ValueError(unknown("plot.embeddings", "layer", layer, graph.groups))
    node = graph.groups[layer][-1] if layer else _before_last(net)
    whole = Data(net.arrays(X))
    shown = evenly(np.arange(whole.rows), MOST_ROWS)
    parts: list[Array] = []
    for first in range(0, len(shown), BATCH):
        some = whole.take(shown[first : first + BATCH])
        if any(isinstance(x, Ragged) for x in some.inputs):
            raise ValueError(
                "[plot.embeddings] rows are sequences of several lengths; expected "
                "rows of one shape; pass sequences of the same length"
            )
        values = net.executor().trace(some, None).values[node]
        parts.append(values.reshape(some.rows, -1).copy())
    return graph.nodes[node].group, np.concatenate(parts), shown


def _before_last(net: Network) -> int:
    """The node that the last layer with weights reads."""
    nodes = net.graph.nodes
    last = max((i for i, n in enumerate(nodes) if n.parameters), default=len(nodes) - 1)
    return nodes[last].inputs[0] if nodes[last].inputs else last


def _principal(rows: Array) -> tuple[Array, float]:
    """Rows in the plane of their largest spread, and the share of it that is there."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    whole = float((sizes**2).sum())
    share = float((sizes[:2] ** 2).sum()) / whole if whole > 0 else 1.0
    return centred @ directions[:2].T, share
