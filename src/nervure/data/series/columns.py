# SPDX-License-Identifier: BSD-3-Clause
"""The columns of a series: times, values, names of groups, and what is known ahead."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from nervure.base.words import many, unknown
from nervure.data._errors import DataError, fail
from nervure.data.columns import Column, Table, as_integers, as_texts, dates
from nervure.data.meaning.dates import parse_dates
from nervure.data.meaning.forms import DateForm
from nervure.data.meaning.understanding import apply_form


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a series: its time as dates or numbers, its target as numbers."""

    time: Column
    target: Column
    group: Column | None
    known: tuple[Column, ...] = ()


def time_column(column: Column, written: DateForm | None, table: Table) -> Column:
    """The column of times as dates or numbers.

    Whole numbers such as 194901 or 19490131 are dates. ``written`` is how the file of
    training had them.

    Raises:
        DataError: it holds something else, or nothing in a row.
    """
    if column.kind == "text":
        column = apply_form(column, written, table) if written else column
    elif written and column.kind in ("integer", "real"):
        column = _from_numbers(column, written.patterns[0]) or column
    elif column.kind == "integer":
        tried = (_from_numbers(column, pattern) for pattern in ("%Y%m%d", "%Y%m"))
        column = next((found for found in tried if found is not None), column)
    if column.kind not in ("date", "integer", "real"):
        raise fail(
            table.where,
            f"time {column.name!r} holds {column.found()}; expected dates or numbers",
            f'say how dates are written, data.dates.{column.name} = "%d/%m/%Y", or '
            "choose another column",
        )
    lost = ~column.present | ~np.isfinite(column.floats())
    if lost.any():
        place = table.place(int(np.flatnonzero(lost)[0]))
        raise fail(
            table.where,
            f"no time {column.name!r} in {place} ({many(int(lost.sum()), 'row')} in "
            "all); expected one in each row",
            "correct the rows, or drop them (--query)",
        )
    return column


def _from_numbers(column: Column, pattern: str) -> Column | None:
    """Whole numbers as dates, if all of them are some."""
    whole = as_integers(column)
    if whole is None or not whole.present.all() or not len(whole.values):
        return None
    if (whole.values < 100_000).any():
        return None
    texts = as_texts(whole)
    form = DateForm((pattern,))
    seconds = parse_dates(texts.levels, form)
    if np.isnan(seconds).any():
        return None
    made = dates(column.name, seconds[texts.values])
    return dataclasses.replace(made, written=form)


def target_column(column: Column, table: Table) -> Column:
    """The column of values as numbers; missing ones are gaps.

    Raises:
        DataError: it holds something else, nothing, or an infinite value.
    """
    if column.kind not in ("integer", "real", "boolean"):
        raise fail(
            table.where,
            f"target {column.name!r} holds {column.found()}; expected numbers to "
            "forecast",
            "choose another target",
        )
    infinite = np.flatnonzero(np.isinf(column.floats()))
    if len(infinite):
        raise fail(
            table.where,
            f"target {column.name!r} is infinite in {table.place(int(infinite[0]))}; "
            "expected finite numbers",
            "leave the value empty: it counts as a gap",
        )
    return column


def group_column(column: Column, table: Table) -> Column:
    """The column that names the series."""
    if column.kind not in ("text", "boolean", "integer"):
        whole = as_integers(column) if column.kind == "real" else None
        if whole is None:
            raise fail(
                table.where,
                f"group {column.name!r} holds {column.found()}; expected text or "
                "whole numbers that name the series",
                "choose another column",
            )
        column = whole
    if not column.present.all():
        place = table.place(int(np.flatnonzero(~column.present)[0]))
        raise fail(
            table.where,
            f"no group {column.name!r} in {place}; expected the name of a series",
            "correct the row, or drop it (--query)",
        )
    return column


def known_column(column: Column, table: Table) -> Column:
    """A column of numbers known in advance."""
    if column.kind not in ("integer", "real", "boolean", "empty"):
        raise fail(
            table.where,
            f"known column {column.name!r} holds {column.found()}; expected numbers",
            "leave it out of data.series.known, or turn it into numbers (--query)",
        )
    return column


def check_names(table: Table, names: dict[str, str]) -> None:
    """Raises where a column (by what it is for) is not there, or is two things."""
    for what, name in names.items():
        if name not in table.columns:
            raise DataError(unknown(table.where, f"{what} column", name, table.columns))
    twice = [name for name in names.values() if [*names.values()].count(name) > 1]
    if twice:
        uses = [what for what, name in names.items() if name == twice[0]]
        raise fail(
            table.where,
            f"column {twice[0]!r} is {' and '.join(uses)} at once; expected different "
            "columns",
            "name another",
        )
