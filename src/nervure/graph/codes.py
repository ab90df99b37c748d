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
from nervure.layers import INFERENCE, Embedding, EmbeddingBag

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
    begins, uses = _begins(nodes, inputs), _uses(nodes)
    first: dict[int, int] = dict(zip(inputs, begins.tolist(), strict=False))
    places: dict[int, Places | None] = {}
    found: list[Codes] = []
    for i, node in enumerate(nodes):
        feeds = [places[feed] for feed in _read(node, uses[i])]
        for feed in _read(node, uses[i]):
            uses[feed] -= 1
            if not uses[feed]:
                del places[feed]  # nobody looks at it any more
        if isinstance(node.layer, Embedding | EmbeddingBag):
            found += _found(node.name, node.layer, feeds[0], begins)
        if not uses[i]:
            continue
        places[i] = _moved(node, feeds)
        if i in first:
            end = first[i] + math.prod(node.shape)
            places[i] = np.arange(first[i], end, dtype=np.int64).reshape(1, *node.shape)
    return tuple(found)


def _uses(nodes: Sequence[Node]) -> list[int]:
    """How often each node is read on the way to an embedding."""
    uses = [0] * len(nodes)
    for i in reversed(range(len(nodes))):
        for feed in _read(nodes[i], uses[i]):
            uses[feed] += 1
    return uses


def _read(node: Node, uses: int) -> tuple[int, ...]:
    """What a node reads, where it is an embedding or passes numbers on to one."""
    passes = isinstance(node.layer, Embedding | EmbeddingBag) or (
        uses and node.layer.moves
    )
    return node.inputs if passes else ()


def _begins(nodes: Sequence[Node], inputs: Sequence[int]) -> Places:
    """Where the numbers of each input begin, samples laid out side by side; the end."""
    sizes = [math.prod(nodes[i].shape) for i in inputs]
    return np.cumsum([0, *sizes])


def _moved(node: Node, feeds: Sequence[Places | None]) -> Places | None:
    """Places in the inputs of what a node gives, if it gives them as they are."""
    known = [feed for feed in feeds if feed is not None]
    if not known or len(known) < len(feeds):
        return None
    return node.layer.formula(np, {}, *known, info=INFERENCE)


def _found(
    name: str, layer: Embedding | EmbeddingBag, places: Places | None, begins: Places
) -> Iterable[Codes]:
    """What an embedding reads, input by input."""
    if places is None:
        return
    flat = places.reshape(-1)
    sizes = np.resize(np.array(layer.sizes), flat.size)
    which = np.searchsorted(begins, flat, side="right") - 1
    for i in np.unique(which):
        own = which == i
        yield Codes(name, int(i), flat[own] - begins[i], sizes[own])


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
