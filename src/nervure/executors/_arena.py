# SPDX-License-Identifier: BSD-3-Clause
"""The arena: where buffers lie that are alive at some time only.

Two buffers that are never alive together may share memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NOWHERE = -1


@dataclass
class Buffer:
    """Alive from ``first`` to ``last``, and once more ``again``, where it has to be."""

    size: int
    first: int
    last: int
    again: int = NOWHERE
    offset: int = NOWHERE

    def join(self, other: Buffer) -> None:
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)


def allocate(buffers: Sequence[Buffer]) -> int:
    """Give every buffer its offset, largest first, into the lowest gap; total size."""
    placed = _Placed(len(buffers))
    for buffer in sorted(buffers, key=lambda b: -b.size):
        placed.put(buffer)
    return max((b.offset + b.size for b in buffers), default=0)


class _Placed:
    """Buffers that have their places, as columns of numbers in the order of those.

    A graph may have tens of thousands, and every one is compared with all before it.
    """

    def __init__(self, most: int) -> None:
        self._columns = np.empty((5, most), np.int64)
        self._count = 0

    def put(self, buffer: Buffer) -> None:
        """Give a buffer its offset."""
        offsets, ends, first, last, again = self._columns[:, : self._count]
        rivals = (first <= buffer.last) & (buffer.first <= last)
        rivals |= (again != NOWHERE) & (buffer.first <= again) & (again <= buffer.last)
        if buffer.again != NOWHERE:
            rivals |= (first <= buffer.again) & (buffer.again <= last)
            rivals |= again == buffer.again
        begins = offsets[rivals]
        taken = np.maximum.accumulate(np.concatenate([[0], ends[rivals]]))
        gaps = np.flatnonzero(taken[:-1] + buffer.size <= begins)
        buffer.offset = int(taken[gaps[0] if len(gaps) else -1])
        self._insert(buffer)

    def _insert(self, buffer: Buffer) -> None:
        own = self._columns[:, : self._count + 1]
        at = int(np.searchsorted(own[0, : self._count], buffer.offset))
        own[:, at + 1 :] = own[:, at:-1].copy()
        end = buffer.offset + buffer.size
        own[:, at] = buffer.offset, end, buffer.first, buffer.last, buffer.again
        self._count += 1
