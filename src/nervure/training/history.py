# SPDX-License-Identifier: BSD-3-Clause
"""History: what was measured at the end of each epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from nervure.base.words import unknown


class History(Mapping[str, list[float]]):
    """Series by name, one value per epoch: ``history["validation_loss"][-1]``.

    >>> history = History()
    >>> history.append({"loss": 0.5})
    >>> history["loss"], history.epochs
    ([0.5], 1)
    """

    def __init__(self, series: Mapping[str, list[float]] | None = None) -> None:
        self._series = {name: list(values) for name, values in (series or {}).items()}

    def append(self, values: Mapping[str, float]) -> None:
        """Add one epoch; what was not measured in it, or before, is NaN there."""
        before = self.epochs
        for name in {**self._series, **values}:
            series = self._series.setdefault(name, [math.nan] * before)
            series.append(float(values.get(name, math.nan)))

    def last(self) -> dict[str, float]:
        """The values of the latest epoch."""
        return {name: values[-1] for name, values in self._series.items()}

    @property
    def epochs(self) -> int:
        return max((len(values) for values in self._series.values()), default=0)

    def __getitem__(self, name: str) -> list[float]:
        if name not in self._series:
            raise KeyError(unknown("history", "series", name, self._series))
        return self._series[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)

    def __repr__(self) -> str:
        return f"History({self._series!r})"
