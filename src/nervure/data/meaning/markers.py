# SPDX-License-Identifier: BSD-3-Clause
"""What stands for a missing value in a text file."""

from __future__ import annotations

_WORDS = ("NA", "N/A", "NaN", "NULL", "None", "NaT", "#N/A", "#NA")
MISSING_WORDS = (
    "",
    *dict.fromkeys(form for w in _WORDS for form in (w, w.lower(), w.upper())),
    *("n.a.", "N.A.", "<NA>", "<na>", "\\N", "(null)", "#NULL!", "?"),
)
"""Words that are missing values in every column, in whatever case."""

_STRONG = frozenset(word.casefold() for word in MISSING_WORDS)
_WEAK = frozenset(
    (
        *("-", "--", "---", "–", "—", ".", "..", "...", "*", "/", "x", "missing"),
        *("unknown", "not available", "not applicable", "not reported", "no data"),
        *("nil", "tbd", "error", "undefined", "#div/0!", "#value!", "#ref!"),
        *("#name?", "#num!"),
    )
)
"""Words that are missing values among numbers and dates; elsewhere they are texts."""


def is_missing(text: str) -> bool:
    """Whether a text is a missing value wherever it stands.

    >>> is_missing(" n/a "), is_missing("-")
    (True, False)
    """
    return text.strip().casefold() in _STRONG


def is_gap(text: str) -> bool:
    """Whether a text is a missing value among numbers and dates.

    >>> is_gap("--"), is_gap("5")
    (True, False)
    """
    word = text.strip().casefold()
    return word in _STRONG or word in _WEAK
