# SPDX-License-Identifier: BSD-3-Clause
"""Rows of a text file that are no data: units, a repeated header, a total."""

from __future__ import annotations

import dataclasses
import re
import warnings

import numpy as np
from numpy.typing import NDArray

from nervure.data._errors import DataWarning
from nervure.data.columns import Column, Table
from nervure.data.meaning.markers import is_gap
from nervure.data.meaning.numbers import is_plain_number

_TOTAL = re.compile(
    r"(grand |sub)?\s*total(s|e|en)?:?|sum(me)?:?|summe:?|gesamt:?|somme:?|insgesamt:?",
    re.IGNORECASE,
)
_FEWEST = 4  # rows, below which nothing is called odd


def without_odd_rows(table: Table) -> Table:
    """The table without rows that are no data.

    Warns:
        DataWarning: rows were left out; which, and why.
    """
    if table.rows < _FEWEST:
        return table
    lost = np.zeros(table.rows, np.bool_)
    for rows, what in (
        (_headers(table), "repeats the header"),
        (_units(table), "holds units"),
        (_totals(table), "holds totals"),
    ):
        new = rows[~lost[rows]]
        if not len(new):
            continue
        lost[new] = True
        more = f" and {len(new) - 1:,} more" if len(new) > 1 else ""
        warnings.warn(
            DataWarning(
                f"[{table.where}] {table.place(int(new[0]))}{more} {what}; left out"
            ),
            stacklevel=2,
        )
    if not lost.any():
        return table
    kept = [_retyped(column, ~lost) for column in table.columns.values()]
    named = {column.name: column for column in kept}
    left, lines = np.flatnonzero(~lost), table.lines

    def line(row: int) -> int:
        return 0 if lines is None else lines(int(left[row]))

    return dataclasses.replace(
        table,
        columns=named,
        rows=len(left),
        lines=None if lines is None else line,
    )


def _headers(table: Table) -> NDArray[np.int64]:
    """Rows in which every text is the name of its column."""
    same = np.zeros(table.rows, np.int64)
    texts = [c for c in table.columns.values() if c.kind == "text"]
    for column in texts:
        if column.name in column.levels:
            code = column.levels.index(column.name)
            same += (column.values == code) & column.present
    return np.flatnonzero(same == len(table.columns)) if texts else _NONE


def _units(table: Table) -> NDArray[np.int64]:
    """The first row, if it alone keeps columns from being numbers."""
    spoiled = [c for c in table.columns.values() if _odd_at(c, 0)]
    words = [c.text(0).strip() for c in spoiled]
    if not spoiled or not all(re.fullmatch(r"[^\d]{1,12}", word) for word in words):
        return _NONE
    others = [
        c for c in table.columns.values() if c not in spoiled and c.kind != "text"
    ]
    empty = all(c.missing is not None and c.missing[0] for c in others)
    return np.zeros(1, np.int64) if len(spoiled) > 1 and empty else _NONE


def _totals(table: Table) -> NDArray[np.int64]:
    """The last row, if its one text calls it a total and no other row does so."""
    last = table.rows - 1
    words = [
        (c, c.text(last).strip())
        for c in table.columns.values()
        if c.kind == "text" and c.present[last]
    ]
    for column, word in words:
        if _TOTAL.fullmatch(word):
            code = column.values[last]
            alone = ((column.values == code) & column.present).sum() == 1
            return np.full(1, last) if alone else _NONE
    return _NONE


def _odd_at(column: Column, row: int) -> bool:
    """Whether a column of text is of numbers but for this row."""
    if column.kind != "text" or not column.present[row]:
        return False
    if is_plain_number(column.text(row)):
        return False
    code = column.values[row]
    there = column.values[column.present]
    others: list[int] = np.unique(there[there != code]).tolist()
    some = [column.levels[i] for i in others if not is_gap(column.levels[i])]
    again = (there == code).sum() > 1
    return not again and bool(some) and all(map(is_plain_number, some))


_NONE = np.zeros(0, np.int64)


def _retyped(column: Column, rows: NDArray[np.bool_]) -> Column:
    """The column at the rows that are left, without levels that are gone."""
    taken = column.take(rows)
    return taken.compact() if taken.kind == "text" else taken
