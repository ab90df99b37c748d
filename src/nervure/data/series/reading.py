# SPDX-License-Identifier: BSD-3-Clause
"""From a table to the windows of its series: for training, and after the last value."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import many
from nervure.data._errors import fail
from nervure.data.columns import Table
from nervure.data.meaning.forms import DateForm, Form
from nervure.data.meaning.understanding import apply_form
from nervure.data.series.clock import step_size, times_of, written_times
from nervure.data.series.columns import (
    Columns,
    check_names,
    group_column,
    known_column,
    target_column,
    time_column,
)
from nervure.data.series.grid import Grid, make_grid
from nervure.data.series.joining import constant_notes, joined
from nervure.data.series.records import Clock, Series, SeriesRecord
from nervure.data.series.windows import (
    Windows,
    last_windows,
    short_notes,
    times_ahead,
    training_windows,
)

_PLAIN_WINDOW = 12
_SEASONS = 10
"""Seasons of a series from which a window takes two of them, not one."""


def windows_of(
    table: Table, said: Series, targets: Sequence[str] = ()
) -> tuple[Windows, SeriesRecord, list[str]]:
    """The windows that training learns from, how they came about, and notes.

    Args:
        targets: columns to forecast; by default the last that is nothing else.

    Raises:
        DataError: the table is no series, as the message says.
    """
    targets = tuple(targets) or (_target(table, said),)
    found = _columns(table, said.time, targets, said.group, said.known)
    columns = found[0]
    grid = _grid(table, found, said.season)
    record = SeriesRecord(
        said.time,
        targets[0],
        grid.clock,
        said.horizon,
        said.window or _window(grid, said.horizon),
        grid.season,
        said.group,
        said.known,
        _dates(columns.time.written),
        columns.target.written,
        columns.group is not None and columns.group.kind == "text",
        targets[1:],
        tuple(own.target.written for own in found[1:]),
    )
    windows = training_windows(table, grid, record)
    least = record.window + record.horizon
    short = short_notes(grid, least, "a window and a horizon")
    told = [*grid.notes, *constant_notes(grid, targets), *short]
    notes = [_spans(grid), *_choices(said, record), *told]
    return windows, record, notes


@dataclasses.dataclass(frozen=True, eq=False)
class Ahead:
    """What comes after the last value of each series: one row each.

    ``times`` are those to be forecast, ``(rows, horizon)``, as people write them.
    """

    windows: Windows
    times: NDArray[Any]
    notes: tuple[str, ...] = ()


def ahead_of(table: Table, record: SeriesRecord) -> Ahead:
    """The windows at the end of each series of a table.

    Raises:
        DataError: the table does not fit the record.
    """
    grid = _grid_again(table, record)
    windows = last_windows(table, grid, record)
    strands = {strand.name: strand for strand in grid.strands}
    times = times_ahead(grid.clock, strands, windows.origins, record.horizon)
    written = written_times(grid.clock, times.reshape(-1)).reshape(times.shape)
    short = short_notes(grid, record.window, "the window")
    return Ahead(windows, written, (*grid.notes, *short))


def windows_again(table: Table, record: SeriesRecord) -> Windows:
    """All windows of a table with values after them, made as those of training were.

    Raises:
        DataError: the table does not fit the record.
    """
    return training_windows(table, _grid_again(table, record), record)


def _grid_again(table: Table, record: SeriesRecord) -> Grid:
    for name, form in record.written.items():
        column = table[name]
        if column.kind == "text":
            made = apply_form(column, form, table)
            columns = {**table.columns, name: made}
            table = dataclasses.replace(table, columns=columns)
    found = _columns(
        table,
        record.time,
        record.targets,
        record.group,
        record.known,
        record.time_written,
    )
    return _grid(table, found, record.season, record.clock)


def _grid(
    table: Table,
    found: Sequence[Columns],
    season: int | None,
    clock: Clock | None = None,
) -> Grid:
    """The series of all targets side by side."""
    grids = [make_grid(table, columns, season, clock) for columns in found]
    return joined(table, grids, [columns.target.name for columns in found])


def _target(table: Table, said: Series) -> str:
    taken = {said.time, said.group, *said.known}
    left = [name for name in table.columns if name not in taken]
    if not left:
        raise fail(
            table.where,
            "no column besides the time and what is known; expected a target",
            "add the column to forecast",
        )
    return left[-1]


def _columns(
    table: Table,
    time: str,
    targets: Sequence[str],
    group: str | None,
    known: tuple[str, ...],
    written: DateForm | None = None,
) -> list[Columns]:
    """The columns of a series for each target."""
    numbered = (f" ({i}.)" if i > 1 else "" for i in range(1, len(targets) + 1))
    names = {"time": time}
    names |= {f"target{i}": n for i, n in zip(numbered, targets, strict=True)}
    names |= {} if group is None else {"group": group}
    names |= {f"known ({i + 1}.)": name for i, name in enumerate(known)}
    check_names(table, names)
    if not table.rows:
        raise fail(table.where, "no rows; expected a series", "check the source")
    times = time_column(table[time], written, table)
    groups = None if group is None else group_column(table[group], table)
    beside = tuple(known_column(table[name], table) for name in known)
    return [
        Columns(times, target_column(table[name], table), groups, beside)
        for name in targets
    ]


def _dates(written: Form | None) -> DateForm | None:
    return written if isinstance(written, DateForm) else None


def _window(grid: Grid, horizon: int) -> int:
    """The window by default: seasons, at most a third of what there is to learn from.

    On eight monthly, quarterly and yearly series of R's datasets two seasons were as
    good as one on average (air passengers 29 to 26, sunspots 18.8 to 19.7).
    """
    cells = int(np.median([strand.cells for strand in grid.strands]))
    most = max(1, (cells - horizon) // 3)
    season, wanted = grid.season, _PLAIN_WINDOW
    if season > 1:
        wanted = 2 * season if cells >= _SEASONS * season else season
    return min(wanted, most)


def _spans(grid: Grid) -> str:
    cells = sum(strand.cells for strand in grid.strands)
    first = min(strand.first for strand in grid.strands)
    last = max(strand.first + strand.cells - 1 for strand in grid.strands)
    like = grid.strands[0].last
    ends = times_of(grid.clock, np.array([first, last]), like)
    begin, end = written_times(grid.clock, ends).tolist()
    several = len(grid.strands)
    which = f"{several:,} series, in all " if several > 1 else ""
    steps = f"{many(cells, 'step')} of {step_size(grid.clock)}"
    return f"time: {which}{steps}, {begin} to {end}"


def _choices(said: Series, record: SeriesRecord) -> list[str]:
    season = "no season" if record.season == 1 else f"a season of {record.season}"
    parts = [
        f"{season} steps" if record.season > 1 else season,
        f"windows of {record.window}",
        f"forecasts of {record.horizon}",
    ]
    keys = [name for name in ("season", "window") if getattr(said, name) is None]
    changed = [f"--{name}, data.series.{name}" for name in keys]
    how = f" (chosen; {' and '.join(changed)} change it)" if keys else ""
    lines = [f"{', '.join(parts)}{how}"]
    if record.season > record.window:
        lines.append(
            "the window is shorter than the season: forecasts are in terms of the last "
            "value, and compared with it"
        )
    return lines
