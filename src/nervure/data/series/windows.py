# SPDX-License-Identifier: BSD-3-Clause
"""Windows over series: a row for each time, of what was known then, and what came.

Legend: v_t the values of a series, o the time from which it is forecast (the origin),
w the window, m the season, h the horizon. A row has

    level_o = mean(v_{o-m+1..o}),   scale_o = std(v_{o-w+1..o})
    inputs  = (v_{o-i} - level_o) / scale_o  for i < w,  level_o / scale_o,  calendar
    targets = (v_{o+k} - naive_k) / scale_o  for k = 1..h
    naive_k = v_{o + k - m ceil(k / m)},  v_o where w < m

so that a network learns what the seasonal naive forecast lacks, in units of the series
as it then was: trends go on and large series are like small ones. Every quantity of a
row is of its own past; nothing is learned here from other rows. Several targets have
levels and scales of their own; a row holds the windows of all, and what came of each,
all steps of the first target before those of the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nervure.data._errors import check_size, fail, listing
from nervure.data.columns import Column, Table, reals, table_of
from nervure.data.series.clock import times_of, turns_of
from nervure.data.series.grid import Grid, Strand
from nervure.data.series.records import Clock, SeriesRecord

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_FLAT = 1e-3
"""Part of the size of the values that a scale is at least: a flat window has none."""


@dataclass(frozen=True, eq=False)
class Origins:
    """For each row where it stands, and how outputs become values.

    Attributes:
        names: of the series.
        series: index into ``names``, ``(rows,)``.
        places: of the last value known, on the grid, ``(rows,)``.
        naive: the seasonal naive forecast ``(rows, targets horizon)``.
        scale: what errors of outputs are multiplied with, ``(rows, targets)``.
    """

    names: tuple[str, ...]
    series: Places
    places: Places
    naive: Floats
    scale: Floats

    def __len__(self) -> int:
        return len(self.places)

    def take(self, rows: NDArray[Any]) -> Origins:
        """Those of some rows (indices or a mask)."""
        return Origins(
            self.names,
            self.series[rows],
            self.places[rows],
            self.naive[rows],
            self.scale[rows],
        )

    def values(self, outputs: Any) -> Floats:
        """Forecasts ``(rows, targets horizon)`` of decoded outputs: naive + scale y."""
        return self.naive + self.scale_of_steps * np.asarray(outputs, np.float64)

    @property
    def scale_of_steps(self) -> Floats:
        """The scale of each step of each target, ``(rows, targets horizon)``."""
        steps = self.naive.shape[1] // self.scale.shape[1]
        return np.repeat(self.scale, steps, axis=1)

    @staticmethod
    def joined(parts: Sequence[Origins]) -> Origins:
        """Rows of several series under each other."""
        names = tuple(name for part in parts for name in part.names)
        before = np.cumsum([0, *(len(part.names) for part in parts[:-1])])
        series = [p.series + b for p, b in zip(parts, before, strict=True)]
        columns = [[p.places, p.naive, p.scale] for p in parts]
        stacked = (np.concatenate(c) for c in zip(*columns, strict=True))
        return Origins(names, np.concatenate(series), *stacked)


@dataclass(frozen=True, eq=False)
class Windows:
    """Rows over all series: inputs as a table, origins, and targets if they are known.

    ``targets`` is ``(rows, targets horizon)``, scaled as above.
    """

    table: Table
    origins: Origins
    targets: Floats


def training_windows(table: Table, grid: Grid, record: SeriesRecord) -> Windows:
    """A row for every time that has a window before it and a horizon after it.

    Raises:
        DataError: the series are too short, or gaps leave no row.
    """
    long = record.window + record.horizon
    strands = [s for s in grid.strands if s.cells >= long]
    if not strands:
        longest = max(strand.cells for strand in grid.strands)
        raise fail(
            table.where,
            f"the longest series has {longest:,} steps; expected at least "
            f"{long:,}: a window of {record.window:,} and a horizon of "
            f"{record.horizon:,}",
            "forecast fewer steps (--horizon), or use a shorter window (--window)",
        )
    found = [(strand, _origins_of(strand, record)) for strand in strands]
    found = [(strand, origins) for strand, origins in found if len(origins)]
    if not found:
        raise fail(
            table.where,
            f"no {long:,} steps in a row end with "
            f"{record.horizon:,} values: the series have too many gaps; expected some",
            "fill the gaps, or forecast fewer steps (--horizon)",
        )
    return _windows(table, grid.clock, record, found)


def last_windows(table: Table, grid: Grid, record: SeriesRecord) -> Windows:
    """A row for the last value of each series, to forecast what comes after it.

    Raises:
        DataError: every series is shorter than the window; a column known in advance
            is not known.
    """
    strands = [s for s in grid.strands if s.cells >= record.window]
    if not strands:
        longest = max(strand.cells for strand in grid.strands)
        raise fail(
            table.where,
            f"the longest series has {longest:,} steps; expected at least the window "
            f"of {record.window:,} that the network was trained with",
            "give the rows before it too",
        )
    found = [(strand, np.array([strand.cells - 1])) for strand in strands]
    for strand in strands:
        _check_known(table, strand, record)
    return _windows(table, grid.clock, record, found)


def short_notes(grid: Grid, least: int, what: str) -> list[str]:
    """What is said of series that have fewer steps, if there are any."""
    names = [strand.name for strand in grid.strands if strand.cells < least]
    if not names:
        return []
    return [
        f"{len(names):,} of {len(grid.strands):,} series left out: fewer than "
        f"{least:,} steps, {what} ({listing(names, 3)})"
    ]


def _check_known(table: Table, strand: Strand, record: SeriesRecord) -> None:
    ahead = strand.known[strand.cells :][: record.horizon]
    for i, name in enumerate(record.known):
        there = int((~np.isnan(ahead[:, i])).sum())
        if there < record.horizon:
            named = f" of {strand.name!r}" if strand.name else ""
            raise fail(
                table.where,
                f"known column {name!r} has {there:,} values after the last "
                f"{record.target!r}{named}; expected {record.horizon:,}, one for each "
                "step to be forecast",
                f"add rows with {name!r} and an empty {record.target!r}",
            )


def _origins_of(strand: Strand, record: SeriesRecord) -> Places:
    """Cells from which to forecast: with a value, and values after them."""
    first, end = record.window - 1, strand.cells - record.horizon
    ahead = sliding_window_view(strand.present[first:], record.horizon + 1)
    return np.flatnonzero(ahead[: end - first].all(axis=1)) + first


def _windows(
    table: Table,
    clock: Clock,
    record: SeriesRecord,
    found: list[tuple[Strand, Places]],
) -> Windows:
    rows = sum(len(origins) for _, origins in found)
    each = record.window + 2 * record.horizon
    width = len(record.targets) * each + len(record.known) * record.horizon
    check_size(table.where, rows * width * 8 * 2)
    origins = Origins.joined([_standing(s, o, record) for s, o in found])
    targets = np.concatenate([_ahead(s, o, record.horizon) for s, o in found])
    targets = (targets - origins.naive) / origins.scale_of_steps
    lags = np.concatenate([_lags(s, o, record) for s, o in found])
    lags /= origins.scale[:, :, None]
    columns = [
        reals(name, lags[:, i, j])
        for i, target in enumerate(record.targets)
        for j, name in enumerate([*record.lags_of(target), f"{target} level"])
    ]
    columns += _calendar(clock, record, origins.places)
    columns += _known(found, record)
    beside = table.without(record.names - {record.group})
    at = np.concatenate([strand.rows[origins] for strand, origins in found])
    columns += beside.take(at).columns.values()
    return Windows(table_of(columns, table.where), origins, targets)


def _standing(strand: Strand, origins: Places, record: SeriesRecord) -> Origins:
    windows = _past(strand, origins, record.window)
    size = np.abs(windows).mean(axis=2)
    scale = np.hypot(windows.std(axis=2), _FLAT * size)
    scale[scale == 0] = 1.0
    return Origins(
        (strand.name,),
        np.zeros(len(origins), np.int64),
        origins + strand.first,
        windows[:, :, _naive_places(record)].reshape(len(origins), -1),
        scale,
    )


def _naive_places(record: SeriesRecord) -> list[int]:
    """Where in the window the seasonal naive forecast of each step stands."""
    w = record.window
    m = record.season if record.season <= w else 1
    return [w - 1 + k - m * math.ceil(k / m) for k in range(1, record.horizon + 1)]


def _past(strand: Strand, origins: Places, window: int) -> Floats:
    """The windows before origins, ``(rows, targets, window)``."""
    found = sliding_window_view(strand.values, window, axis=0)
    return np.ascontiguousarray(found[origins - window + 1])


def _ahead(strand: Strand, origins: Places, horizon: int) -> Floats:
    """The values after the origins, ``(rows, targets horizon)``, NaN where none are."""
    none = np.full((horizon, strand.values.shape[1]), np.nan)
    beyond = np.concatenate([strand.values, none])
    found = sliding_window_view(beyond, horizon, axis=0)[origins + 1]
    return found.reshape(len(origins), -1)


def _lags(strand: Strand, origins: Places, record: SeriesRecord) -> Floats:
    """The window above its level, the latest value first, and that level.

    Of each target, ``(rows, targets, window + 1)``.
    """
    windows = _past(strand, origins, record.window)[:, :, ::-1]
    level = windows[:, :, : record.season].mean(axis=2, keepdims=True)
    return np.concatenate([windows - level, level], axis=2)


def _calendar(clock: Clock, record: SeriesRecord, places: Places) -> list[Column]:
    """Sines and cosines of where the origin stands in the cycles of the calendar."""
    return [
        reals(f"{record.time} {turn.name} {name} {wave}", np.round(function(angle), 9))
        for turn in turns_of(clock, record.season, places)
        for wave in range(1, turn.waves + 1)
        for angle in [2 * np.pi * wave * turn.share]
        for name, function in (("sin", np.sin), ("cos", np.cos))
    ]


def _known(found: list[tuple[Strand, Places]], record: SeriesRecord) -> list[Column]:
    """What is known in advance of each step ahead."""
    columns: list[Column] = []
    for i, name in enumerate(record.known):
        for k in range(1, record.horizon + 1):
            ahead = [strand.known[origins + k, i] for strand, origins in found]
            columns.append(reals(f"{name} ahead {k}", np.concatenate(ahead)))
    return columns


def times_ahead(
    clock: Clock, strands: dict[str, Strand], origins: Origins, horizon: int
) -> Floats:
    """Times of the steps that rows forecast, ``(rows, horizon)``."""
    ahead = origins.places[:, None] + np.arange(1, horizon + 1)
    rows = [
        times_of(clock, places, strands[origins.names[code]].last)
        for places, code in zip(ahead, origins.series.tolist(), strict=True)
    ]
    return np.array(rows).reshape(ahead.shape)
