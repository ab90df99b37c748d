# SPDX-License-Identifier: BSD-3-Clause
"""A table with a time column as series on a grid: in order, gaps filled and told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import many
from nervure.data._errors import DataError, fail, listing
from nervure.data.columns import Column, Table
from nervure.data.series.clock import (
    UnevenError,
    find_clock,
    places_of,
    season_of,
    step_size,
    written_times,
)
from nervure.data.series.columns import Columns
from nervure.data.series.records import Clock

Array = NDArray[Any]
Floats = NDArray[np.float64]

MOST_GAPS = 10
"""Cells of a grid for each row: beyond, the step is not that of the rows."""

_SPARE = 1_000  # cells that any series may have
_EXAMPLE = "SELECT date_trunc('month', t) AS t, avg(y) AS y FROM data GROUP BY ALL"


@dataclass(frozen=True, eq=False)
class Strand:
    """One series on its grid, from its first value on.

    ``values`` ``(cells, targets)`` have no gaps; ``present`` says which cells stood in
    the table; ``rows`` are the table's rows, of a gap the one before it; ``known`` is
    ``(cells, columns)`` and goes on where the values end. ``last`` is a time as it
    stood in the table.
    """

    name: str
    first: int
    values: Floats
    present: NDArray[np.bool_]
    rows: NDArray[np.int64]
    known: Floats
    last: float

    @property
    def cells(self) -> int:
        """Steps from the first value to the last."""
        return len(self.values)


@dataclass(frozen=True, eq=False)
class Grid:
    """All series of a table, what their times are, and notes about them."""

    clock: Clock
    season: int
    strands: tuple[Strand, ...]
    notes: tuple[str, ...]


# -- the grid -------------------------------------------------------------------------


def make_grid(
    table: Table, columns: Columns, season: int | None, clock: Clock | None = None
) -> Grid:
    """The series of a table, gaps filled by the season (None: what the step suggests).

    Raises:
        DataError: times twice with other values, at no equal steps, or none at all.
    """
    labels, groups = _groups(columns.group, table.rows)
    times = columns.time.floats()
    clock = _clock(table, columns.time, groups, clock)
    season = season or season_of(clock)
    places = _places(table, columns.time, clock, times)
    order = np.lexsort((places, groups))
    notes = [] if _in_order(order, groups) else ["rows out of order in time: sorted"]
    order, dropped = _without_twins(table, columns, places, groups, order, clock)
    rows = _Rows(table, places, times, columns.target.floats(), _beside(columns))
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    found = [
        rows.strand(labels[int(groups[own[0]])], own, season)
        for own in np.split(order, ends)
    ]
    strands = [strand for strand in found if strand is not None]
    if not strands:
        name = columns.target.name
        fact = f"target {name!r} is missing in every row"
        raise fail(table.where, fact, "choose another target")
    if len(strands) < len(labels):
        empty = len(labels) - len(strands)
        notes.append(f"{empty:,} series without any value left out")
    return Grid(clock, season, tuple(strands), (*notes, *dropped, *_gap_notes(strands)))


def _clock(table: Table, time: Column, groups: Array, known: Clock | None) -> Clock:
    """The clock of the times, or the one that they must fit."""
    dated = time.kind == "date"
    found = known or find_clock(time.floats(), groups, date=dated)
    if found is None:
        raise fail(
            table.where,
            f"{many(table.rows, 'row')}, each time once in its group; expected series "
            "of several times",
            "check the time and group columns",
        )
    if (found.unit == "number") == dated:
        raise fail(
            table.where,
            f"time {time.name!r} holds {time.found()}; expected "
            f"{'numbers' if dated else 'dates'}, as in training",
            "convert the column",
        )
    return found


def _beside(columns: Columns) -> Floats:
    """What is known in advance, ``(rows, columns)``."""
    rows = len(columns.time.values)
    known = [column.floats() for column in columns.known]
    return np.column_stack(known) if known else np.empty((rows, 0))


def _groups(column: Column | None, rows: int) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the series, and of which each row is."""
    if column is None:
        return [""], np.zeros(rows, np.int64)
    values, first, codes = np.unique(
        column.values, return_index=True, return_inverse=True
    )
    names = list(map(str, column.take(first).labels())) if len(values) else []
    return names, codes.astype(np.int64)


def _in_order(order: Array, groups: Array) -> bool:
    by_group = np.argsort(groups, kind="stable")
    return bool((order == by_group).all())


def _places(table: Table, time: Column, clock: Clock, times: Floats) -> Array:
    try:
        return places_of(clock, times)
    except UnevenError as error:
        shown = written_times(clock, times[[error.row]])[0]
        raise fail(
            table.where,
            f"time {time.name!r} is {shown} in {table.place(error.row)}, between two "
            f"steps: most rows are {step_size(clock)} apart; expected equal steps",
            f"give one row for each step, e.g. --query {_EXAMPLE!r}",
        ) from error


def _without_twins(
    table: Table,
    columns: Columns,
    places: Array,
    groups: Array,
    order: Array,
    clock: Clock,
) -> tuple[Array, list[str]]:
    """The order less rows whose time came already with the same values."""
    before, after = order[:-1], order[1:]
    twins = (groups[before] == groups[after]) & (places[before] == places[after])
    if not twins.any():
        return order, []
    for column in (columns.target, *columns.known):
        values = column.floats()
        same = (values[before] == values[after]) | (
            np.isnan(values[before]) & np.isnan(values[after])
        )
        odd = np.flatnonzero(twins & ~same)
        if len(odd):
            raise _twice(table, columns, int(before[odd[0]]), int(after[odd[0]]), clock)
    kept = np.r_[True, ~twins]
    count = int(twins.sum())
    return order[kept], [f"{many(count, 'row')} of a time that came already left out"]


def _twice(
    table: Table, columns: Columns, one: int, other: int, clock: Clock
) -> DataError:
    time = written_times(clock, columns.time.floats()[[one]])[0]
    some = columns.group
    named = "" if some is None else f" of {some.take(np.array([one])).labels()[0]!r}"
    said = "name the column that tells series apart (--group), or add up: --query"
    remedy = said if some is None else "add up or choose: --query"
    return fail(
        table.where,
        f"time {time}{named} comes twice with other values ({table.place(one)}, "
        f"{table.place(other)}); expected each time once",
        f"{remedy} {_EXAMPLE!r}",
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a table with their places, and the values that strands hold."""

    table: Table
    places: Array
    times: Floats
    target: Floats
    known: Floats

    def strand(self, name: str, rows: Array, season: int) -> Strand | None:
        """The series of these rows, in order of time; None without any value."""
        there = np.flatnonzero(~np.isnan(self.target[rows]))
        if not len(there):
            return None
        last = int(rows[there[-1]])
        rows = rows[there[0] :]
        first, end = int(self.places[rows[0]]), int(self.places[rows[-1]]) + 1
        self._check_cells(name, len(rows), end - first)
        at, cells = self.places[rows] - first, int(self.places[last]) - first + 1
        values = _on_grid(self.target[rows], at, end - first)[:cells]
        held = np.zeros(end - first, np.int64)
        held[at] = np.arange(len(rows))
        return Strand(
            name,
            first,
            _filled(values, season)[:, None],
            ~np.isnan(values),
            rows[np.maximum.accumulate(held)[:cells]],
            _on_grid(self.known[rows], at, end - first),
            float(self.times[last]),
        )

    def _check_cells(self, name: str, rows: int, cells: int) -> None:
        """Raises before memory is taken for steps that have no rows."""
        if cells > MOST_GAPS * rows + _SPARE:
            named = f" of series {name!r}" if name else ""
            raise fail(
                self.table.where,
                f"{many(rows, 'row')}{named} over {cells:,} steps; expected at most "
                f"{MOST_GAPS} steps for each row",
                f"give one row for each step, e.g. --query {_EXAMPLE!r}",
            )


def _on_grid(values: Floats, at: Array, cells: int) -> Floats:
    """Values at their places, NaN elsewhere."""
    found = np.full((cells, *values.shape[1:]), np.nan)
    found[at] = values
    return found


def _filled(values: Floats, season: int) -> Floats:
    """Values without gaps, by nothing later: the one a season ago, or the last."""
    found = values.copy()
    for i in np.flatnonzero(np.isnan(values)).tolist():
        found[i] = found[i - season] if i >= season else found[i - 1]
    return found


def _gap_notes(strands: list[Strand]) -> list[str]:
    gaps = {strand.name: int((~strand.present).sum()) for strand in strands}
    total, cells = sum(gaps.values()), sum(strand.cells for strand in strands)
    if not total:
        return []
    named = [name for name, count in gaps.items() if count and name]
    which = f" in {listing(named, 3)}" if named else ""
    return [
        f"gaps: {total:,} of {cells:,} steps without a value{which}; as inputs they "
        "have the value a season before (without a season the last one); they are "
        "never a target"
    ]
