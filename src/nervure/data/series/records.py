# SPDX-License-Identifier: BSD-3-Clause
"""What is said of a series, and what a model file holds of it: plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from nervure.base.checks import count
from nervure.data._errors import fail
from nervure.data.meaning.forms import DateForm, Form
from nervure.data.scaling import DAMAGED

MOST_STEPS = 10_000
"""Of a window, a season or a horizon."""

Unit = Literal["month", "business_day", "second", "number"]


@dataclass(frozen=True)
class Series:
    """A table as a series: which column is its time, and how far to forecast.

    Args:
        time: column of dates or numbers, one step apart; rows may be in any order.
        horizon: steps to forecast at once.
        group: column that says which series a row belongs to; by default there is one.
        window: values of the past that a forecast is made of; by default two seasons
            (one in a series of fewer than ten), without a season 12.
        season: steps after which the series is like it was; by default what the step
            suggests: 12 of months, 4 of quarters, 7 of days, 24 of hours, else 1.
        known: columns of numbers whose values are known for the times to be forecast.

    Raises:
        ValueError: a number out of bounds.

    >>> Series("month", horizon=12).season is None
    True
    """

    time: str
    horizon: int
    group: str | None = None
    window: int | None = None
    season: int | None = None
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("horizon", "window", "season"):
            value = getattr(self, name)
            if value is not None:
                count("data.series", name, value, least=1, most=MOST_STEPS)


@dataclass(frozen=True)
class Clock:
    """Times at equal steps: ``count`` units from one to the next.

    ``origin`` is the time at place 0: seconds since 1970, a number, or months since
    January 1970. ``ends`` says that times are the last days of their months.
    """

    unit: Unit
    count: float = 1.0
    origin: float = 0.0
    ends: bool = False

    def __post_init__(self) -> None:
        good = math.isfinite(self.count) and self.count > 0
        if not (good and math.isfinite(self.origin)):
            raise fail("series", f"a step of {self.count}", DAMAGED)
        if self.unit == "month" and not float(self.count).is_integer():
            raise fail("series", f"a step of {self.count} months", DAMAGED)


@dataclass(frozen=True)
class SeriesRecord:
    """How the windows of a series came about, so that others are made alike.

    ``time_written`` and ``target_written`` are how the columns stood in a text file,
    if not plainly; ``group_text`` says that groups are named by text. ``others`` are
    further targets, and ``others_written`` how these stood in a text file.
    """

    time: str
    target: str
    clock: Clock
    horizon: int
    window: int
    season: int
    group: str | None = None
    known: tuple[str, ...] = ()
    time_written: DateForm | None = None
    target_written: Form | None = None
    group_text: bool = False
    others: tuple[str, ...] = ()
    others_written: tuple[Form | None, ...] = ()

    def __post_init__(self) -> None:
        for name in ("horizon", "window", "season"):
            if not 1 <= getattr(self, name) <= MOST_STEPS:
                raise fail("series", f"{name} {getattr(self, name)}", DAMAGED)
        if len(set(self.targets)) < len(self.targets):
            raise fail("series", "a target twice", DAMAGED)
        if len(self.others_written) not in (0, len(self.others)):
            raise fail("series", "forms of other targets than there are", DAMAGED)

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns that are forecast."""
        return (self.target, *self.others)

    @property
    def outputs(self) -> int:
        """Values that are forecast at once: those of all steps of each target."""
        return len(self.targets) * self.horizon

    @property
    def written(self) -> dict[str, Form]:
        """How targets stood in a text file, of those that did not plainly."""
        forms = (self.target_written, *self.others_written)
        pairs = zip(self.targets, forms, strict=False)
        return {name: form for name, form in pairs if form is not None}

    @property
    def as_text(self) -> frozenset[str]:
        """Columns that a text file must give as text."""
        found: set[str | None] = {self.group} if self.group_text else set()
        found |= {self.time} if self.time_written else set()
        found |= set(self.written)
        return frozenset(name for name in found if name is not None)

    @property
    def lags(self) -> list[str]:
        """Columns of the values in a window, the latest first, target by target."""
        return [lag for target in self.targets for lag in self.lags_of(target)]

    def lags_of(self, target: str) -> list[str]:
        """Those of one target."""
        return [f"{target} lag {i}" for i in range(self.window)]

    @property
    def names(self) -> frozenset[str]:
        """Columns that a series must have."""
        group = [] if self.group is None else [self.group]
        return frozenset([self.time, *self.targets, *group, *self.known])
