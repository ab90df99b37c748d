# SPDX-License-Identifier: BSD-3-Clause
"""The step of a series, found from its times; places on its grid and back again.

A place is a whole number: how many steps a time is after that at place 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.data.series.records import Clock

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
WEEK = 7 * DAY
_MONDAY = np.datetime64("1970-01-05", "D")
_MONTH_DAYS = 28
_SURE = 4
"""So many equal steps of days are no calendar months: those are 31, 28, 31, 30."""

_NEAR = 0.02  # of a step: what times written with few digits may be off by
_EXACT = 1e-9
_FARTHEST = 2.0**53
_YEARS = (1000.0, 3000.0)


class UnevenError(ValueError):
    """Times that are not a whole number of steps apart: ``row`` is the first such."""

    def __init__(self, row: int) -> None:
        super().__init__(f"row {row}")
        self.row = row


def find_clock(times: Floats, groups: NDArray[Any], *, date: bool) -> Clock | None:
    """The step that comes most often between times of a group; None without any.

    >>> find_clock(np.array([0.0, 31, 59, 90]) * DAY, np.zeros(4), date=True)
    Clock(unit='month', count=1.0, origin=0.0, ends=False)
    >>> find_clock(np.array([0.0, 0.5, 2.0, 2.5]), np.zeros(4), date=False)
    Clock(unit='number', count=0.5, origin=0.0, ends=False)
    """
    order = np.lexsort((times, groups))
    sorted_times, same = times[order], groups[order][1:] == groups[order][:-1]
    apart = np.diff(sorted_times)
    apart = apart[same & (apart > 0)]
    if not len(apart):
        return None
    step, first = _most_common(apart), float(times.min())
    if not date:
        return Clock("number", step, first)
    if step >= _MONTH_DAYS * DAY and not _are_equal_days(apart, step):
        return _calendar(times, sorted_times, same)
    if step == DAY and _only_weekdays(times, apart):
        return Clock("business_day", 1.0, first % DAY)
    return Clock("second", step, first)


def _most_common(apart: Floats) -> float:
    """The step that comes most often; the smaller of several."""
    size = 10.0 ** np.floor(np.log10(apart))
    values, counts = np.unique(np.round(apart / size, 6) * size, return_counts=True)
    found = values[counts.argmax()]
    step = float(np.median(apart[np.abs(apart - found) <= _NEAR * found]))
    steps = np.round(apart / step)
    near = np.abs(apart / step - steps) <= _NEAR
    mean = float(apart[near].sum() / steps[near].sum())
    return step if abs(mean - step) <= _EXACT * step else mean


def _are_equal_days(apart: Floats, step: float) -> bool:
    enough = len(apart) >= _SURE and step < 300 * DAY
    return enough and bool((apart % step == 0).all())


def _calendar(times: Floats, in_order: Floats, same: NDArray[np.bool_]) -> Clock:
    months = np.diff(months_of(in_order))[same]
    months = months[months > 0]
    if not len(months):
        return Clock("second", float(np.diff(in_order)[same].max()))
    values, counts = np.unique(months, return_counts=True)
    count = int(values[counts.argmax()])
    after = months_of(times + DAY) > months_of(times)
    ends = bool(after.all()) and bool((times % DAY == 0).all())
    return Clock("month", float(count), float(months_of(times).min() % count), ends)


def _only_weekdays(times: Floats, apart: Floats) -> bool:
    weekend = (times // DAY).astype(np.int64) % 7  # 1970 began on a Thursday
    return bool((apart == 3 * DAY).any()) and not np.isin(weekend, (2, 3)).any()


def months_of(times: Floats) -> Places:
    """Months since January 1970."""
    return _days(times).astype("datetime64[M]").astype(np.int64)


def _days(times: Floats) -> NDArray[np.datetime64]:
    return np.floor(times / DAY).astype(np.int64).astype("datetime64[D]")


# -- places ---------------------------------------------------------------------------


def places_of(clock: Clock, times: Floats) -> Places:
    """Places of times.

    Raises:
        UnevenError: a time that lies between two places.
    """
    if clock.unit == "month":
        after = (months_of(times) - clock.origin) / clock.count
    elif clock.unit == "business_day":
        days = _days(times)
        weekday = np.is_busday(days) & (times % DAY == clock.origin)
        after = np.where(weekday, np.busday_count(_MONDAY, days), 0.5)
    else:
        after = (times - clock.origin) / clock.count
    places = np.round(after)
    good = (np.abs(after - places) <= _NEAR) & (np.abs(places) < _FARTHEST)
    odd = np.flatnonzero(~good)
    if len(odd):
        raise UnevenError(int(odd[0]))
    return places.astype(np.int64)


def times_of(clock: Clock, places: Places, like: float = 0.0) -> Floats:
    """Times at places; in months at the day and hour of the time ``like``.

    >>> january_31 = 30 * DAY
    >>> times_of(Clock("month"), np.array([1, 2]), january_31) / DAY
    array([58., 89.])
    """
    if clock.unit == "business_day":
        days = np.busday_offset(_MONDAY, places).astype(np.int64)
        return days.astype(np.float64) * DAY + clock.origin
    if clock.unit != "month":
        return places.astype(np.float64) * clock.count + clock.origin
    months = (places * clock.count + clock.origin).astype(np.int64)
    begin, end = (_begin(months + i) for i in (0, 1))
    if clock.ends:
        return end - DAY
    into = like - _begin(months_of(np.array([like])))[0]
    clipped = np.minimum(into // DAY, (end - begin) / DAY - 1)
    return begin + clipped * DAY + into % DAY


def _begin(months: Places) -> Floats:
    """Seconds at which months begin."""
    return months.astype("datetime64[M]").astype("datetime64[s]").astype(np.float64)


# -- what a step suggests -------------------------------------------------------------


def season_of(clock: Clock) -> int:
    """Steps after which a series is usually like it was; 1 where there is none.

    >>> [season_of(Clock("month", c)) for c in (1, 3, 12)]
    [12, 4, 1]
    >>> [season_of(Clock("second", s)) for s in (HOUR, DAY, WEEK, 900.0)]
    [24, 7, 52, 96]
    """
    if clock.unit == "business_day":
        return 5
    if clock.unit == "month":
        return int(12 // clock.count) if 12 % clock.count == 0 else 1
    if clock.unit == "number":
        return _of_years(clock)
    if clock.count in (DAY, WEEK):
        return 7 if clock.count == DAY else 52
    longest = next((s for s in (DAY, HOUR, MINUTE) if s / clock.count <= 144), MINUTE)
    often = longest / clock.count
    return int(often) if often >= 1 and often.is_integer() else 1


def _of_years(clock: Clock) -> int:
    """The season of decimal years, as 1949.0833: months or quarters."""
    often = round(1 / clock.count)
    low, high = _YEARS
    years = low < clock.origin < high and abs(often * clock.count - 1) < _NEAR / often
    return often if years and often in (4, 12) else 1


_NAMES = {WEEK: "week", DAY: "day", HOUR: "hour", MINUTE: "minute", 1.0: "second"}
_MONTHS = {1: "month", 3: "quarter", 12: "year"}


def step_name(clock: Clock) -> str:
    """The step in words.

    >>> [step_name(Clock("second", s)) for s in (HOUR, 900.0, 0.1)]
    ['hour', '15 minutes', '0.1 seconds']
    """
    if clock.unit == "business_day":
        return "business day"
    if clock.unit == "number":
        return f"{clock.count:.6g}"
    if clock.unit == "month":
        return _MONTHS.get(int(clock.count), f"{clock.count:g} months")
    for size, name in _NAMES.items():
        often = clock.count / size
        if often >= 1 and often.is_integer():
            return name if often == 1 else f"{often:g} {name}s"
    return f"{clock.count:g} seconds"


def written_times(clock: Clock, times: Floats) -> NDArray[Any]:
    """Times as people write them: numbers, or dates with what of the day is needed."""
    if clock.unit == "number":
        whole = bool((times == np.round(times)).all())
        return times.astype(np.int64) if whole else np.round(times, 6)
    moments = np.round(times * 1e6).astype(np.int64).astype("datetime64[us]")
    if (times % DAY == 0).all():
        return np.datetime_as_string(moments, unit="D")
    seconds = "s" if (times % 1 == 0).all() else "ms"
    unit: Any = "m" if (times % MINUTE == 0).all() else seconds
    return np.datetime_as_string(moments, unit=unit)


def step_size(clock: Clock) -> str:
    """How long a step is, in words.

    >>> step_size(Clock("second", HOUR)), step_size(Clock("number", 0.5))
    ('an hour', '0.5')
    """
    name = step_name(clock)
    if name[0].isdigit():
        return name
    return f"an {name}" if name == "hour" else f"a {name}"


@dataclass(frozen=True, eq=False)
class Turn:
    """How far into a cycle of the calendar places are, in [0, 1), and its waves."""

    name: str
    share: Floats
    waves: int


def turns_of(clock: Clock, season: int, places: Places) -> list[Turn]:
    """The cycles of the calendar that a step goes through, at these places."""
    if clock.unit == "number":
        share = places % season / season
        return [Turn("season", share, 2)] if season > 1 else []
    times = times_of(clock, places)
    year, week = _of_year(times), times / DAY % 7 / 7
    if clock.unit == "month":
        month = (months_of(times) % 12) / 12
        return [Turn("month", month, 2)] if clock.count % 12 else []
    if clock.unit == "second" and clock.count >= WEEK:
        return [Turn("year", year, 2)]
    if clock.unit == "business_day" or clock.count >= DAY:
        return [Turn("weekday", np.floor(7 * week) / 7, 2), Turn("year", year, 1)]
    day = times % DAY / DAY
    return [Turn("day", day, 2), Turn("week", week, 2), Turn("year", year, 1)]


def _of_year(times: Floats) -> Floats:
    years = months_of(times) // 12
    begin, end = _begin(years * 12), _begin(years * 12 + 12)
    return (times - begin) / (end - begin)
