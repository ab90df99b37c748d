# SPDX-License-Identifier: BSD-3-Clause
"""How a column's numbers or dates are written: plain data that a model keeps.

A file is read in the way that the training file was, whatever its own rows suggest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nervure.data._errors import fail

MOST_PATTERNS = 8
LONGEST_PATTERN = 60
_DAMAGED = "the record is damaged: train again"


@dataclass(frozen=True)
class NumberForm:
    """Marks of numbers: "1.234,5 kg" has decimal ",", thousands "." and unit "kg".

    Currencies, percent signs, bounds ("<100", "5+") and factors ("1.5k") are
    understood in every form.
    """

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    unit: str = ""
    kind: Literal["numbers"] = "numbers"

    def __post_init__(self) -> None:
        if self.decimal == self.thousands or len(self.unit) > LONGEST_PATTERN:
            raise fail("numbers", "a form that no number has", _DAMAGED)


@dataclass(frozen=True)
class DateForm:
    """Patterns of dates, tried in order.

    In a pattern %Y, %y, %m, %b (a name), %d, %q (quarter), %V (week), %H, %M stand
    for the parts of a date; the time of day may follow every full date.
    """

    patterns: tuple[str, ...]
    kind: Literal["dates"] = "dates"

    def __post_init__(self) -> None:
        long = any(len(pattern) > LONGEST_PATTERN for pattern in self.patterns)
        if long or not 1 <= len(self.patterns) <= MOST_PATTERNS:
            raise fail("dates", "patterns that no date has", _DAMAGED)


Form = NumberForm | DateForm
