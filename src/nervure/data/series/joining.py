# SPDX-License-Identifier: BSD-3-Clause
"""Several targets of a table as series side by side, where all of them have steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nervure.base.words import many
from nervure.data._errors import fail, listing
from nervure.data.columns import Table
from nervure.data.series.grid import Grid, Strand


def joined(table: Table, grids: Sequence[Grid], targets: Sequence[str]) -> Grid:
    """One grid of those of each target, which have times and groups in common.

    A series goes from the first step that every target has come to, to the last one
    that none has ended before; a step is present where every target is.

    Raises:
        DataError: no series has steps of all targets.
    """
    if len(grids) == 1:
        return grids[0]
    by_name = [{strand.name: strand for strand in grid.strands} for grid in grids]
    parts = {
        name: [own[name] for own in by_name]
        for name in by_name[0]
        if all(name in own for own in by_name)
    }
    found = [_side_by_side(own) for own in parts.values()]
    strands = tuple(strand for strand in found if strand is not None)
    if not strands:
        raise fail(
            table.where,
            f"no series has steps with values of all targets ({listing([*targets])})",
            "forecast them apart",
        )
    notes = [*_notes(grids, targets), *_ends(parts, targets)]
    every = {name for own in by_name for name in own}
    if len(strands) < len(every):
        left = len(every) - len(strands)
        notes.append(f"{left:,} series without values of all targets left out")
    return Grid(grids[0].clock, grids[0].season, strands, tuple(notes))


def constant_notes(grid: Grid, targets: Sequence[str]) -> list[str]:
    """What is said of targets that have the same value in every step."""
    found: list[str] = []
    for i, name in enumerate(targets):
        values = np.concatenate([s.values[s.present, i] for s in grid.strands])
        if len(values) and values.min() == values.max():
            found.append(
                f"target {name!r} is {values[0]:g} in every step: so will be its "
                "forecasts"
            )
    return found


def _side_by_side(parts: Sequence[Strand]) -> Strand | None:
    """The series of one name; None where they have no step in common."""
    lead, first = parts[0], max(strand.first for strand in parts)
    shortest = min(parts, key=_end)
    if _end(shortest) <= first:
        return None
    own = [slice(first - s.first, _end(shortest) - s.first) for s in parts]
    pairs = list(zip(parts, own, strict=True))
    return Strand(
        lead.name,
        first,
        np.hstack([strand.values[steps] for strand, steps in pairs]),
        np.all([strand.present[steps] for strand, steps in pairs], axis=0),
        lead.rows[own[0]],
        lead.known[first - lead.first :],
        shortest.last,
    )


def _end(strand: Strand) -> int:
    return strand.first + strand.cells


def _notes(grids: Sequence[Grid], targets: Sequence[str]) -> list[str]:
    """Notes of all targets once, those of one with its name."""
    common = set(grids[0].notes).intersection(*(grid.notes for grid in grids))
    own = [
        f"target {name!r}: {note}"
        for grid, name in zip(grids, targets, strict=True)
        for note in grid.notes
        if note not in common
    ]
    return [note for note in grids[0].notes if note in common] + own


def _ends(parts: dict[str, list[Strand]], targets: Sequence[str]) -> list[str]:
    """What is said where targets do not end together."""
    for name, own in parts.items():
        last = max(map(_end, own))
        short = min(range(len(own)), key=lambda i: _end(own[i]))
        lacking = last - _end(own[short])
        if lacking:
            of = f" of {name!r}" if name else ""
            return [
                f"target {targets[short]!r}{of} ends {many(lacking, 'step')} before "
                "another one: forecasts begin after the last step that has all"
            ]
    return []
