# SPDX-License-Identifier: BSD-3-Clause
"""Whether whole numbers are classes or amounts, by how they spread and are called."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

MOST_CLASSES = 1000

_CLASSES = re.compile(
    "airline|brand|category|chain|choice|class|classes|cluster|code|"
    "county|cyl|cylinders|diagnosis|diet|digit|district|firm|gear|gender|"
    "genre|grade|group|industry|kind|label|labels|language|letter|level|"
    "occupation|outcome|race|region|religion|result|sector|severity|sex|"
    "species|stage|state|status|survived|target|team|type"
)
_AMOUNTS = re.compile(
    "age|amount|area|balance|births|breaks|budget|cases|children|cigs|"
    "claims|cost|count|counts|day|days|deaths|demand|depends|distance|"
    "doses|duration|eggs|exper|experience|height|hours|incidence|incidents|"
    "income|kids|length|minutes|month|n|num|number|ounces|parity|pct|"
    "percent|points|population|price|profit|quantity|rank|rate|rent|"
    "revenue|salary|sales|school|score|siblings|size|speed|stations|"
    "strikes|tax|temperature|tenure|time|total|value|visit|visits|volume|"
    "votes|wage|week|weight|width|year|years"
)
_NUMBER_OF = re.compile(r"(n|num|nb|no|nr|number|count)[A-Z_. ]?(of)?", re.IGNORECASE)


def are_classes(name: str, values: NDArray[np.int64]) -> bool:
    """Whether whole numbers under this name are classes.

    Two values are; so are few that lie close together, or whose name says so, where
    each comes often. Amounts have gaps, many values, few rows for each, or fall off
    from 0 as counts do; or their name says so.

    >>> are_classes("digit", np.arange(500) % 10)
    True
    >>> are_classes("income", np.arange(9) % 3)
    False
    """
    found, counts = np.unique(values, return_counts=True)
    kinds, rows = len(found), int(counts.sum())
    if kinds <= 2:
        return True
    if kinds > MOST_CLASSES:
        return False
    each = rows / kinds
    meaning = _said_by(name)
    if meaning is not None:
        return meaning and each >= 2
    close = bool(found[-1] - found[0] == kinds - 1)
    if close and found[0] in (0, 1):
        return each >= 5 and (kinds <= 3 or not _falls_off(found, counts))
    if close:
        return kinds <= 10 and each >= 10
    return kinds <= 5 and each >= 5 and not _spread(found)


def _said_by(name: str) -> bool | None:
    """What a name says: classes, amounts, or nothing."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)
    lower = [word.lower() for word in words]
    if not lower:
        return None
    if any(map(_AMOUNTS.fullmatch, lower)) or (
        len(lower) > 1 and _NUMBER_OF.fullmatch(lower[0])
    ):
        return False
    return True if any(map(_CLASSES.fullmatch, lower)) else None


def _falls_off(found: NDArray[np.int64], counts: NDArray[np.int64]) -> bool:
    """Whether frequencies fall from the first values on, the last ones being rare, as
    those of counts do; classes may be of any size."""
    top = int(np.argmax(counts))
    rare = counts[-1] <= 0.05 * counts[top]
    tail = counts[top:]
    falling = float(np.mean(np.diff(tail) <= 0)) if len(tail) > 1 else 0.0
    early = top <= max(1, len(found) // 4)
    return bool(early and rare and falling >= 0.7)


def _spread(found: NDArray[np.int64]) -> bool:
    """Whether the values are far apart, as amounts that were rounded are."""
    return bool(found[-1] - found[0] > 20)
