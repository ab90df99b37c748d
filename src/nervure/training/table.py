# SPDX-License-Identifier: BSD-3-Clause
"""The table of epochs: which stay as lines, their columns, and values in words."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

MOST_LINES = 20
"""Epochs that stay as lines, of a run that goes through them faster than one reads."""

READ_SECONDS = 2.0
"""An epoch that takes longer stays as a line in any case."""

HELD_OUT = "validation_"


class Clock:
    """The time since training began, and what is left of it."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._first: float | None = None  # what was done when a resumed run went on

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def left(self, done: float) -> str:
        """In words, when so much of the whole is done."""
        if self._first is None:
            self._first = done
        gone = done - self._first
        if gone <= 0:
            return ""
        return f"{duration(self.seconds * (1 - done) / gone)} left"


class Row:
    """The values of an epoch, and how long training took until its end."""

    def __init__(self, epoch: int, values: Mapping[str, float], seconds: float) -> None:
        self.epoch, self.values, self.seconds = epoch, dict(values), seconds


class Rows:
    """The epochs that stay as lines: all of a few, of many some, and the last."""

    def __init__(self) -> None:
        self.kept: list[Row] = []
        self.epochs = 0
        self._latest: Row | None = None
        self._shown = 0

    @property
    def names(self) -> list[str]:
        """What is measured, the held-out rows behind the others."""
        row = self._latest or self.kept[-1]
        names = list(row.values)
        return sorted(names, key=lambda name: name.startswith(HELD_OUT))

    def add(
        self, epoch: int, epochs: int, values: Mapping[str, float], seconds: float
    ) -> bool:
        """Take an epoch; whether it stays."""
        self.epochs = epochs
        row = Row(epoch, values, seconds)
        every = math.ceil(epochs / MOST_LINES)
        due = epoch == 0 or (epoch + 1) % every == 0
        since = seconds - (self.kept[-1].seconds if self.kept else 0.0)
        stays = due or since >= READ_SECONDS
        self._latest = None if stays else row
        self.kept += [row] if stays else []
        return stays

    def last(self) -> bool:
        """Training has ended: the last epoch stays; whether it did not yet."""
        if self._latest is None:
            return False
        self.kept.append(self._latest)
        self._latest = None
        return True

    def fresh(self) -> list[Row]:
        """Rows that were not asked for before."""
        found = self.kept[self._shown :]
        self._shown = len(self.kept)
        return found


class Columns:
    """The columns of a table of epochs, as many as fit its width."""

    def __init__(self, names: Sequence[str], epochs: int) -> None:
        self.names, self._epochs = tuple(names), epochs
        self._first = max(len(f"{epochs}/{epochs}"), len("epoch"))

    @classmethod
    def of(cls, names: Sequence[str], epochs: int, width: int) -> Columns:
        """Those of all names, or of the first measures, trained on and held out."""
        measures = list(dict.fromkeys(name.removeprefix(HELD_OUT) for name in names))
        while True:
            chosen = [n for n in names if n.removeprefix(HELD_OUT) in measures]
            columns = cls(chosen, epochs)
            if len(measures) <= 1 or len(columns.head()[-1]) <= width:
                return columns
            measures.pop()

    def head(self) -> list[str]:
        """Names of the columns; above them whose values they are, if there are two."""
        own, held = self._parts()
        cells = [short_name(name).rjust(self._width(name)) for name in own + held]
        line = "  ".join(["epoch".rjust(self._first), *cells, "time".rjust(10)])
        if not held:
            return [line]
        left = self._first + 2 + sum(self._width(name) + 2 for name in own)
        training = "training".rjust(self._first + 2 + self._width(own[0]))
        above = "held out".rjust(self._width(held[0]))
        return [f"{training.ljust(left)}{above}", line]

    def line(self, row: Row) -> str:
        """The values of an epoch under their names."""
        number = f"{row.epoch + 1}/{self._epochs}".rjust(self._first)
        own, held = self._parts()
        cells = [
            cell(row.values.get(name)).rjust(self._width(name)) for name in own + held
        ]
        return "  ".join([number, *cells, duration(row.seconds).rjust(10)])

    def _parts(self) -> tuple[list[str], list[str]]:
        held = [name for name in self.names if name.startswith(HELD_OUT)]
        return [name for name in self.names if name not in held], held

    def _width(self, name: str) -> int:
        return max(8, len(short_name(name)))


def short_name(name: str) -> str:
    """The name of a measure, whichever rows it is of."""
    return name.removeprefix(HELD_OUT).replace("_", " ")


def cell(value: float | None) -> str:
    """A value in a column."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else short(value)


def words(values: Mapping[str, float]) -> str:
    """Values in one line.

    >>> words({"loss": 0.25, "validation_loss": 0.5})
    'loss 0.2500  validation_loss 0.5000'
    """
    return "  ".join(f"{name} {cell(value)}" for name, value in values.items())


def short(value: float) -> str:
    """A value in few digits."""
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(0.42), duration(12.3), duration(75), duration(4000)
    ('0.42 s', '12 s', '1 min 15 s', '1 h 07 min')
    """
    if seconds < 9.95:
        return f"{round(seconds, 3):.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes:02d} min"
