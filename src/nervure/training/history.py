# SPDX-License-Identifier: BSD-3-Clause
"""History: what was measured at the end of each epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nervure.base.html import html_table
from nervure.base.words import many, unknown

MOST_ROWS = 20
"""Epochs that a notebook shows, the last of them."""


class History(dict[str, list[float]]):
    """Series by name, one value per epoch: ``history["validation_loss"][-1]``.

    A dictionary, so that ``pandas.DataFrame(history)`` has a column for each series.

    >>> history = History()
    >>> history.append({"loss": 0.5})
    >>> history["loss"], history.epochs
    ([0.5], 1)
    """

    def __init__(self, series: Mapping[str, list[float]] | None = None) -> None:
        super().__init__({k: list(values) for k, values in (series or {}).items()})

    def append(self, values: Mapping[str, float]) -> None:
        """Add one epoch; what was not measured in it, or before, is NaN there."""
        before = self.epochs
        for name in {**self, **values}:
            series = self.setdefault(name, [math.nan] * before)
            series.append(float(values.get(name, math.nan)))

    def last(self) -> dict[str, float]:
        """The values of the latest epoch."""
        return {name: values[-1] for name, values in self.items()}

    @property
    def epochs(self) -> int:
        """How many there are."""
        return max((len(values) for values in self.values()), default=0)

    def __missing__(self, name: str) -> list[float]:
        raise KeyError(unknown("history", "series", name, self))

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {value:.4g}" for name, value in self.last().items())
        return f"<History of {many(self.epochs, 'epoch')}{f': {last}' if last else ''}>"

    def _repr_html_(self) -> str:
        """What notebooks show: the last epochs."""
        first = max(0, self.epochs - MOST_ROWS)
        rows = [
            [epoch + 1, *(f"{values[epoch]:.4g}" for values in self.values())]
            for epoch in range(first, self.epochs)
        ]
        return html_table(["epoch", *self], rows, numbers=1 + len(self))
