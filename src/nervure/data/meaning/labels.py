# SPDX-License-Identifier: BSD-3-Clause
"""Labels that differ in case or blanks alone: Yes, YES, "yes "."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Literal

import numpy as np

from nervure.data._errors import DataWarning, listing
from nervure.data.columns import Column

Labels = Literal["as_written", "merged"]


def folded(label: str) -> str:
    """What labels have in common that differ in case or blanks alone.

    >>> folded(" Very  Good") == folded("very good")
    True
    """
    return " ".join(label.split()).casefold()


def merged(column: Column) -> Column:
    """The column with labels that are one as the one that comes most often."""
    if column.kind != "text":
        return column
    best = _spellings(column)
    names = [best[folded(level)].strip() for level in column.levels]
    levels = sorted(set(names))
    places = np.array([levels.index(name) for name in names], np.int32)
    values = places[column.values] if len(places) else column.values
    return dataclasses.replace(column, values=values, levels=tuple(levels))


def check_labels(column: Column, where: str) -> None:
    """Warn of labels that differ in case or blanks alone.

    Warns:
        DataWarning: there are some; which, and the key that merges them.
    """
    if column.kind != "text":
        return
    several: dict[str, list[str]] = {}
    for level in column.levels:
        several.setdefault(folded(level), []).append(level)
    alike = [levels for levels in several.values() if len(levels) > 1]
    if alike:
        shown = "; ".join(listing(levels, 4) for levels in alike[:3])
        warnings.warn(
            DataWarning(
                f"[{where}] target {column.name!r}: labels that differ in case or "
                f"blanks alone are classes of their own ({shown}); "
                'data.labels = "merged" takes them as one'
            ),
            stacklevel=2,
        )


def _spellings(column: Column) -> dict[str, str]:
    """The most frequent spelling of each label."""
    counts = np.bincount(column.values[column.present], minlength=len(column.levels))
    best: dict[str, str] = {}
    order: list[int] = np.argsort(-counts, kind="stable").tolist()
    for place in order:
        best.setdefault(folded(column.levels[place]), column.levels[place])
    return best
