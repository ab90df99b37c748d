# SPDX-License-Identifier: BSD-3-Clause
"""Which numbers of a network's inputs are codes of categories, and their check."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.ragged import Ragged
from nervure.graph.node import Node
from nervure.layers import INFERENCE, Embedding, Shape

Array = npt.NDArray[Any]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Codes:
    """Columns of an input, its samples laid out flat, that an embedding reads.

    ``sizes[j]`` is the number of codes that column ``columns[j]`` may hold.
    """

    layer: str
    input: int
    columns: Places
    sizes: Places


def codes_of(nodes: Sequence[Node], inputs: Sequence[int]) -> tuple[Codes, ...]:
    """The codes among the inputs, where they reach an embedding as they are."""
    places: dict[int, Places | None] = {}
    found: list[Codes] = []
    shapes = [nodes[i].shape for i in inputs]
    first = 0
    for i, node in enumerate(nodes):
        if i in inputs:
            size = math.prod(node.shape)
            places[i] = np.arange(first, first + size).reshape(1, *node.shape)
            first += size
        else:
            places[i] = _moved(node, [places[feed] for feed in node.inputs])
        if isinstance(node.layer, Embedding):
            found += _found(shapes, node.name, node.layer, places[node.inputs[0]])
    return tuple(found)


def _moved(node: Node, feeds: Sequence[Places | None]) -> Places | None:
    """Places in the inputs of what a node gives, if it gives them as they are."""
    known = [feed for feed in feeds if feed is not None]
    if not node.layer.moves or len(known) < len(feeds):
        return None
    return node.layer.formula(np, {}, *known, info=INFERENCE)


def _found(
    shapes: Sequence[Shape], name: str, layer: Embedding, places: Places | None
) -> Iterable[Codes]:
    if places is None:
        return
    flat = places.reshape(-1)
    sizes = np.resize(np.array(layer.sizes), flat.size)
    first = 0
    for i, shape in enumerate(shapes):
        last = first + math.prod(shape)
        own = (flat >= first) & (flat < last)
        if own.any():
            yield Codes(name, i, flat[own] - first, sizes[own])
        first = last


def check_codes(
    found: Sequence[Codes], arrays: Sequence[Array | Ragged], places: Sequence[str]
) -> None:
    """Raise for the first number that an embedding cannot take for a code.

    ``places`` names the arrays in errors.

    Raises:
        ValueError: a number that is not whole, negative, or too large.
    """
    for codes in found:
        rows = arrays[codes.input]
        steps = rows.values if isinstance(rows, Ragged) else rows
        values = steps.reshape(len(steps), -1)[:, codes.columns]
        good = (values >= 0) & (values < codes.sizes)
        if values.dtype.kind == "f":
            good &= values == np.floor(values)
        if good.all():
            continue
        row, j = np.argwhere(~good)[0]
        where = f"row {row} (counted from 0)"
        if isinstance(rows, Ragged):
            where = _step(rows, int(row))
        raise ValueError(
            f"[{places[codes.input]}] {values[row, j]:g} in {where}, column "
            f"{codes.columns[j]}, of which {codes.layer!r} takes a code; expected a "
            f"whole number from 0 to {codes.sizes[j] - 1}; encode the column "
            "(nervure.data.load does), or enlarge categories"
        )


def _step(rows: Ragged, place: int) -> str:
    """The first row and step that lie at a place of the values."""
    inside = (rows.starts <= place) & (place < rows.starts + rows.lengths)
    row = int(np.argmax(inside))
    return f"row {row}, step {place - rows.starts[row]} (counted from 0)"
