# SPDX-License-Identifier: BSD-3-Clause
"""Cutting windows into parts in time: the past to train on, the latest to score.

A part of k steps at the end of the series holds the windows all of whose targets lie in
it. Windows whose targets lie on both sides of a cut are in no part, so that no value is
a target in two of them; that inputs of a later part were targets of an earlier one is
as it will be in use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import many
from nervure.data._errors import fail
from nervure.data.series.records import SeriesRecord
from nervure.data.series.windows import Origins

Rows = NDArray[np.int64]

FEWEST = 10
"""Origins of a part, where there are six times as many: for intervals of 90 %."""


_SIXTH = 6


@dataclass(frozen=True, eq=False)
class Parts:
    """Rows of each part, ascending."""

    train: Rows
    validation: Rows
    calibration: Rows
    test: Rows


def parts_in_time(
    where: str,
    origins: Origins,
    record: SeriesRecord,
    *,
    validation: float = 0.0,
    calibration: float = 0.0,
    test: float = 0.0,
) -> Parts:
    """Rows by the time of their targets; ``test`` is the latest, then ``calibration``.

    Args:
        validation, calibration, test: shares of the steps, in [0, 1). A part that is
            not empty has at least a sixth of the origins, up to `FEWEST`.

    Raises:
        DataError: nothing is left to train on.
    """
    at, h = origins.places, record.horizon
    first, end = int(at.min()) - record.window + 1, int(at.max()) + h
    steps = end - first + 1
    known = np.unique(at)
    fewest = int(np.clip(len(known) // _SIXTH, 1, FEWEST))
    found: dict[str, Rows] = {}
    shares = {"test": test, "calibration": calibration, "validation": validation}
    for part, share in shares.items():
        begin = end
        if share > 0:
            whole = known[known + h <= end][-fewest:]
            begin = min([end - round(share * steps), *whole.tolist()])
        found[part] = np.flatnonzero((at >= begin) & (at + h <= end))
        end = begin
    train = np.flatnonzero(at + h <= end)
    if len(train) < 2:
        raise _too_few(where, record, steps, shares)
    return Parts(train, found["validation"], found["calibration"], found["test"])


def _too_few(
    where: str, record: SeriesRecord, steps: int, shares: dict[str, float]
) -> Exception:
    held = [name for name, share in shares.items() if share > 0]
    less = " and ".join(f"--set data.{name}=0" for name in held)
    return fail(
        where,
        f"{many(steps, 'step')} are too few for windows of {record.window:,} and "
        f"forecasts of {record.horizon:,} with the latest held out "
        f"({', '.join(held) or 'none'}); expected two windows or more to train on",
        "forecast fewer steps (--horizon), use a shorter window (--window), or hold "
        f"out nothing: {less or 'add rows'}",
    )
