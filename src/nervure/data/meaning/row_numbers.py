# SPDX-License-Identifier: BSD-3-Clause
"""Columns that number or name the rows and say nothing about them.

A network that is given the row's number learns the order of the file: on diamonds
sorted by price it predicts the price from it, and fails on the next file.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from nervure.data.columns import Column, Table

_COUNTERS = re.compile(
    "index|idx|id|rn|no|nr|num|number|key|entry|instance|item|unnamed|column[01]?|"
    "(s|sr|sl|serial)(no|number)|(row|obs|observation|record|case|sample)s?"
    "(names?|no|num|number|id)?"
)
"""Names, in small letters without marks, of columns that count the rows 1 to n."""

_UNNAMED = re.compile(r"|(unnamed|_*index|level)[\s:_.]*\d*_*|\.\.\.\d+", re.IGNORECASE)
_IDENTIFIER = re.compile(r"(?i:(.*[_\-. ])?(id|index|uuid|guid)|idx?)|.*[a-z]I[Dd]")
_FEWEST = 20  # rows, below which different numbers may be so by chance


def row_numbers(table: Table) -> dict[str, str]:
    """Columns that only tell the rows apart, and what each holds in words.

    Such are: whole numbers that count the rows from 0 or 1 under a name that says no
    more ("id", "rownames", none); under no name also other rising whole numbers and
    texts that are all different; under the name of an identifier ("id", "user_id",
    "PassengerId") whole numbers that are all different.

    >>> from nervure.data.frames import table_from_mapping
    >>> row_numbers(table_from_mapping({"Unnamed: 0": [1, 2, 3], "x": [3, 1, 2]}))
    {'Unnamed: 0': 'numbers the rows'}
    """
    found = {name: _what(column) for name, column in table.columns.items()}
    return {name: what for name, what in found.items() if what}


def counts_rows(column: Column) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ... in the order of the rows."""
    values = _whole(column)
    if values is None or len(values) < 2 or values[0] not in (0, 1):
        return False
    if values[-1] - values[0] != len(values) - 1:
        return False
    return bool((np.diff(values) == 1).all())


def _what(column: Column) -> str:
    unnamed = _UNNAMED.fullmatch(column.name.strip()) is not None
    letters = re.sub(r"[\W_]", "", column.name)
    named_so = _COUNTERS.fullmatch(letters.lower()) or letters == "X"  # R's for none
    identifier = _IDENTIFIER.fullmatch(column.name.strip()) is not None
    if not (unnamed or named_so or identifier):
        return ""
    if counts_rows(column):
        return "numbers the rows"
    if unnamed:
        return _names_rows(column)
    values = _whole(column) if identifier else None
    if values is None or len(values) < _FEWEST or not _all_different(values):
        return ""
    return "a different number in each row, as identifiers are"


def _names_rows(column: Column) -> str:
    if column.kind == "text" and column.missing is None:
        different = _all_different(column.values) and len(column.values) > 2
        return "names the rows" if different else ""
    values = _whole(column)
    rising = (
        values is not None and len(values) > 1 and bool((np.diff(values) > 0).all())
    )
    return "numbers the rows" if rising else ""


def _whole(column: Column) -> NDArray[np.int64] | None:
    """The values, if they are whole numbers without a gap."""
    if column.missing is not None or column.kind not in ("integer", "real"):
        return None
    values = column.values
    if column.kind == "integer":
        return values
    whole = bool((np.abs(values) < 2**53).all() and (values == np.floor(values)).all())
    return values.astype(np.int64) if whole else None


def _all_different(values: NDArray[np.int64] | NDArray[np.int32]) -> bool:
    return len(np.unique(values)) == len(values)
