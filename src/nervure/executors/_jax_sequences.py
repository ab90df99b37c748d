# SPDX-License-Identifier: BSD-3-Clause
"""Sequences under JAX, whose shapes are static: packed steps, and rows filled up.

A batch holds its steps side by side, in an array for as many as a batch may have; what
lies behind the last one is never looked at. Layers along time see ``(rows, longest,
...)`` and the lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nervure.data.ragged import Ragged
from nervure.executors._executor import Rows

Array = Any


class Steps(NamedTuple):
    """The sequences of a data set, as `Ragged` has them."""

    values: Array
    starts: Array
    lengths: Array


class Packed(NamedTuple):
    """The sequences of a batch: steps side by side, and the rows' lengths."""

    values: Array
    lengths: Array


class Size(NamedTuple):
    """Room for the steps of a batch, and for those of one row."""

    steps: int
    longest: int


Sizes = tuple[Size | None, ...]


def sizes_of(arrays: Sequence[Rows], count: int) -> Sizes:
    """Room for any ``count`` rows of these arrays; None for arrays without steps."""
    return tuple(
        Size(int(np.sort(x.lengths)[-count:].sum()), x.longest)
        if isinstance(x, Ragged)
        else None
        for x in arrays
    )


def steps_of(rows: Ragged, values: Array) -> Steps:
    """What is uploaded of sequences, their values in another type."""
    whole = np.int32 if len(values) < 2**31 else np.int64
    return Steps(values, rows.starts.astype(whole), rows.lengths.astype(whole))


def taken(xp: Any, steps: Steps, rows: Array, size: Size) -> Packed:
    """These rows, packed."""
    lengths = steps.lengths[rows]
    packing = Packing(xp, lengths, size)
    places = steps.starts[rows][packing.row] + packing.within
    return Packed(steps.values[xp.clip(places, 0, len(steps.values) - 1)], lengths)


class Packing:
    """How the steps of a batch lie side by side.

    Attributes:
        lengths: of the rows.
        row, within: of each step its row, and its place there.
        valid: whether it is one, or room that is left.
    """

    def __init__(self, xp: Any, lengths: Array, size: Size) -> None:
        self._xp, self.lengths, self._size = xp, lengths, size
        ends = xp.cumsum(lengths)
        step = xp.arange(size.steps)
        row = xp.searchsorted(ends, step, side="right")
        self.row = xp.minimum(row, len(lengths) - 1)
        self._begins = ends - lengths
        self.within = step - self._begins[self.row]
        self.valid = step < ends[-1]

    def unpack(self, x: Array) -> Array:
        """``(rows, longest, ...)``; what is beyond a row's end is not to be read."""
        places = self._begins[:, None] + self._xp.arange(self._size.longest)
        return x[self._xp.clip(places, 0, self._size.steps - 1)]

    def pack(self, x: Array) -> Array:
        """The steps side by side again."""
        return x[self.row, self._xp.clip(self.within, 0, self._size.longest - 1)]

    def sum_rows(self, x: Array) -> Array:
        """The sum over the steps of each row of ``x (steps,)``."""
        alive = self._xp.arange(self._size.longest) < self.lengths[:, None]
        return self._xp.where(alive, self.unpack(x), 0).sum(axis=1)
