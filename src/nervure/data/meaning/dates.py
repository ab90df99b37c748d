# SPDX-License-Identifier: BSD-3-Clause
"""Dates as people write them; seconds since 1970-01-01 UTC."""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nervure.data._errors import fail
from nervure.data.meaning.forms import MOST_PATTERNS, DateForm

Floats = NDArray[np.float64]

_MONTHS: dict[str, int] = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero ene",
            "february feb februar fevrier février fév febrero",
            "march mar märz mär maerz mars marzo",
            "april apr avril avr abril abr",
            "may mai mayo",
            "june jun juni juin junio",
            "july jul juli juillet juil julio",
            "august aug août aout agosto ago",
            "september sep sept septembre septiembre",
            "october oct oktober okt octobre octubre",
            "november nov novembre noviembre",
            "december dec dezember dez décembre déc diciembre dic",
        ),
        1,
    )
    for name in names.split()
}
_DAY_NAMES = (
    r"(?:(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?\.?,?\s+)?"
)
_TIME = (
    r"(?P<H>[01]?\d|2[0-4]):(?P<M>[0-5]\d)(?::(?P<S>[0-5]\d|60)(?:[.,](?P<f>\d{1,9}))?)?"
    r"(?:\s*(?P<p>[AaPp])\.?[Mm]\.?)?\s*(?P<z>Z|UTC|GMT|[+-]\d\d:?\d\d|[+-]\d\d)?"
)
_PARTS = {
    "%Y": r"(?P<Y>\d{4})",
    "%y": r"(?P<y>\d{2})",
    "%m": r"(?P<m>0?[1-9]|1[0-2])",
    "%d": r"(?P<d>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?",
    "%b": r"(?P<b>[^\W\d_]{3,12})\.?",
    "%q": r"(?P<q>[1-4])",
    "%V": r"(?P<V>[0-5]?\d)",
    "%H:%M": _TIME,
}
_COMPACT = {"%m": r"(?P<m>0[1-9]|1[0-2])", "%d": r"(?P<d>0[1-9]|[12]\d|3[01])"}
TIME = "%H:%M"
_FULL = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y %m %d"),
    *(f"{a}{s}{b}{s}{y}" for y in ("%Y", "%y") for s in "/-. " for a, b in
      (("%m", "%d"), ("%d", "%m"))),
    *(f"%d{s}%b{s}{y}" for y in ("%Y", "%y") for s in (" ", "-", "/", ".", "")),
    *("%d %b, %Y", "%d. %b %Y", "%b %d, %Y", "%b %d %Y", "%b-%d-%Y", "%b/%d/%Y"),
    *("%Y-%b-%d", "%Y %b %d", "%Y/%b/%d"),
)  # fmt: skip
_COARSE = (
    *("%Y-%m", "%Y/%m", "%m/%Y", "%m-%Y", "%b %Y", "%b-%Y", "%b/%Y", "%b, %Y", "%Y %b"),
    *("%Y-%b", "%b-%y", "%b %y", "%YQ%q", "%Y-Q%q", "%Y Q%q", "%Y/Q%q", "Q%q %Y"),
    *("Q%q-%Y", "Q%q/%Y", "%qQ%Y", "%qQ %Y", "%qQ%y", "%Y-W%V", "%YW%V"),
)
PATTERNS = (*_FULL, *_COARSE, TIME)
_PROBED = 300  # texts on which every pattern is tried


@dataclass(frozen=True)
class DateGuess:
    """Patterns, the weight of the texts that are dates, and whether days and months
    might as well change places."""

    form: DateForm
    weight: int
    ambiguous: bool = False


def parse_dates(texts: Sequence[str], form: DateForm) -> Floats:
    """Seconds since 1970 of texts, NaN where one is no date of this form.

    >>> parse_dates(["05 Jan 1970", "1970-01-05", "5.1."], DateForm(("%d %b %Y",)))
    array([345600.,     nan,     nan])
    """
    found = np.full(len(texts), np.nan)
    for pattern in form.patterns:
        match = _compiled(pattern).fullmatch
        for i in np.flatnonzero(np.isnan(found)).tolist():
            parts = match(texts[i].strip())
            if parts is not None:
                found[i] = _seconds(parts)
    return found


def find_date_form(
    texts: Sequence[str], weights: NDArray[np.int64], day_first: bool | None = None
) -> DateGuess | None:
    """The patterns in which most texts, by weight, are dates; None where none is one.

    Where all days are at most 12, ``day_first`` decides, and without it what makes
    more sense: first days of months, then the shorter span of time.
    """
    left = np.ones(len(texts), np.bool_)
    chosen: list[str] = []
    ambiguous = False
    while left.any() and len(chosen) < MOST_PATTERNS:
        index = np.flatnonzero(left)
        best = _best(texts, index, weights, day_first)
        if best is None:
            break
        pattern, values, unsure = best
        chosen.append(pattern)
        ambiguous |= unsure
        left[index[~np.isnan(values)]] = False
    if not chosen:
        return None
    return DateGuess(DateForm(tuple(chosen)), int(weights[~left].sum()), ambiguous)


def day_first_of(form: DateForm) -> bool | None:
    """Whether days come before months in numbers, or None where it does not show."""
    for pattern in form.patterns:
        if "%m" in pattern and "%d" in pattern and not pattern.startswith("%Y"):
            return pattern.startswith("%d")
    return None


def check_pattern(where: str, pattern: str) -> None:
    """Raises `DataError` for a pattern that holds no part of a date."""
    rest = pattern.replace(TIME, "")
    unknown = re.sub(r"%[YymbdqV]", "", rest)
    if (
        "%" in unknown
        or "%" not in pattern
        or len(set(_names(pattern))) < len(_names(pattern))
    ):
        raise fail(
            where,
            f"{pattern!r}; expected a pattern of %Y, %y, %m, %b, %d, %q, %V or %H:%M, "
            "each once",
            'write it like "%d/%m/%Y" or "%b %d, %Y"',
        )


def _names(pattern: str) -> list[str]:
    return re.findall(r"%([A-Za-z])", pattern)


# -- one pattern --------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    compact = re.search(r"%[ymd]%[ymd]", pattern, re.IGNORECASE) is not None
    parts = _PARTS | _COMPACT if compact else _PARTS
    pieces = re.split(r"(%H:%M|%[A-Za-z])", pattern)
    body = "".join(parts.get(p, re.escape(p).replace(r"\ ", r"\s+")) for p in pieces)
    if "%d" in pattern and "%H" not in pattern:
        body = rf"{_DAY_NAMES}{body}(?:(?:\s*T\s*|,?\s+){_TIME})?"
    return re.compile(body, re.IGNORECASE)


def _seconds(parts: re.Match[str]) -> float:
    found = parts.groupdict()
    try:
        days = _days(found)
    except (ValueError, KeyError, OverflowError):
        return np.nan
    return days * 86400.0 + _time(found)


def _days(found: dict[str, str | None]) -> int:
    """Days since 1970 of the parts of a date; 0 for a time of day alone."""
    year = found.get("Y")
    if year is None and found.get("y"):
        short = int(found["y"] or 0)
        year = str(short + (2000 if short < 69 else 1900))  # as POSIX has it
    if year is None:
        return 0
    if found.get("V"):
        day = datetime.date.fromisocalendar(int(year), int(found["V"] or 1), 1)
    else:
        day = datetime.date(int(year), _month(found), int(found.get("d") or 1))
    return day.toordinal() - 719163


def _month(found: dict[str, str | None]) -> int:
    if found.get("q"):
        return 3 * int(found["q"] or 1) - 2
    if found.get("b"):
        return _MONTHS[(found["b"] or "").lower().rstrip(".")]
    return int(found.get("m") or 1)


def _time(found: dict[str, str | None]) -> float:
    if not found.get("H"):
        return 0.0
    hour = int(found["H"] or 0)
    half = (found.get("p") or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    seconds = hour * 3600 + int(found["M"] or 0) * 60 + int(found.get("S") or 0)
    return seconds + float(f"0.{found.get('f') or 0}") - _offset(found.get("z") or "")


def _offset(zone: str) -> int:
    if not zone or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds


# -- the best pattern ---------------------------------------------------------------


def _best(
    texts: Sequence[str],
    index: NDArray[np.int64],
    weights: NDArray[np.int64],
    day_first: bool | None,
) -> tuple[str, Floats, bool] | None:
    """The pattern that reads most of the texts at ``index``, what it reads, and
    whether the other order of day and month reads as many."""
    probed = index[np.linspace(0, len(index) - 1, min(len(index), _PROBED)).astype(int)]
    some = _at(texts, probed)
    able = [
        p for p in PATTERNS if not np.isnan(parse_dates(some, DateForm((p,)))).all()
    ]
    rest = _at(texts, index)
    read = {pattern: parse_dates(rest, DateForm((pattern,))) for pattern in able}
    scores = {p: int(weights[index][~np.isnan(v)].sum()) for p, v in read.items()}
    if not scores or max(scores.values()) == 0:
        return None
    best = max(scores.values())
    tied = [pattern for pattern in able if scores[pattern] == best]
    orders = [p for p in tied if p[:2] in ("%d", "%m") and "%m" in p and "%d" in p]
    unsure = len(orders) > 1 and not np.array_equal(
        read[orders[0]], read[orders[1]], True
    )
    chosen = _sensible(orders[:2], read, day_first) if unsure else tied[0]
    return chosen, read[chosen], unsure and day_first is None


def _at(texts: Sequence[str], places: NDArray[np.int64]) -> list[str]:
    chosen: list[int] = places.tolist()
    return [texts[i] for i in chosen]


def _sensible(
    orders: list[str], read: dict[str, Floats], day_first: bool | None
) -> str:
    if day_first is not None:
        return orders[0] if orders[0].startswith("%d") == day_first else orders[1]
    days_first = next((p for p in orders if p.startswith("%d")), orders[0])
    if "." in days_first:
        return days_first
    for pattern in orders:
        if _first_days(read[pattern]):
            return pattern
    return min(orders, key=lambda pattern: float(np.ptp(_valid(read[pattern]))))


def _valid(seconds: Floats) -> Floats:
    return seconds[~np.isnan(seconds)]


def _first_days(seconds: Floats) -> bool:
    """Whether several dates are all first days of months."""
    days = np.unique(_valid(seconds) // 86400).astype("datetime64[D]")
    return len(days) > 2 and bool((days == days.astype("datetime64[M]")).all())
