# SPDX-License-Identifier: BSD-3-Clause
"""Sampling: which steps and epochs are looked at, by their numbers alone.

Dense at first, when most faults show, then ever rarer, with some evenly over the run.
The clock has no say, so that a run leaves the same record wherever it is trained, and
whenever it was killed and resumed.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

_FIRST = (0, 1, 2, 3, 4, 6, 8, 12, 16)

EVENLY = 12
"""Samples evenly over a run; more of them in runs of more than 100,000 steps."""

_STEPS_PER_SAMPLE = 8192
_MOST_EVENLY = 256


@dataclass(frozen=True)
class Sampling:
    """The steps that are looked at, of so many that are planned.

    >>> Sampling(200).steps[:12], Sampling(200).steps[-3:]
    ((0, 1, 2, 3, 4, 6, 8, 12, 16, 17, 32, 33), (166, 182, 199))
    >>> len(Sampling(10_000_000).steps)
    284
    """

    planned: int

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Their numbers, counted from 0."""
        last = max(self.planned - 1, 0)
        count = min(max(EVENLY, self.planned // _STEPS_PER_SAMPLE), _MOST_EVENLY)
        evenly = {round(i * last / count) for i in range(count + 1)}
        found = {*_FIRST, *_doubling(16, last), *evenly}
        return tuple(sorted(step for step in found if step <= last))

    @cached_property
    def wholes(self) -> frozenset[int]:
        """Those of them with histograms, signal-to-noise, and steps along time."""
        last = max(self.planned - 1, 0)
        evenly = {round(i * last / 4) for i in range(5)}
        return frozenset({4, *_doubling(16, last, 4)} | evenly).intersection(self.steps)

    def due(self, step: int) -> bool:
        """Whether this step is looked at."""
        return self.until(step) == 0

    def until(self, step: int) -> int | None:
        """Steps until the next one that is; None if there is none."""
        place = bisect_left(self.steps, step)
        return self.steps[place] - step if place < len(self.steps) else None


def _doubling(first: int, last: int, factor: int = 2) -> list[int]:
    found: list[int] = []
    while first <= last:
        found.append(first)
        first *= factor
    return found


def epoch_is_due(epoch: int, epochs: int) -> bool:
    """Whether rows are looked at after this epoch, counted from 0: 1, 2, 4, 8, ...

    >>> [epoch + 1 for epoch in range(20) if epoch_is_due(epoch, 20)]
    [1, 2, 4, 5, 8, 10, 15, 16, 20]
    """
    number = epoch + 1
    quarter = number in {round(i * epochs / 4) for i in range(1, 5)}
    return quarter or number & (number - 1) == 0


def is_kept(epoch: int) -> bool:
    """Whether the record keeps an epoch: all up to 4096, then ever fewer.

    >>> sum(map(is_kept, range(20_000)))
    8644
    """
    return epoch % (1 << max(0, (epoch >> 12).bit_length())) == 0
