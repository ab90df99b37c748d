# SPDX-License-Identifier: BSD-3-Clause
"""labels-shifted: targets belong to the row before or behind."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="labels-shifted",
    title="Targets are shifted by some rows",
    cause="Each target belongs to another row: inputs and targets are out of step.",
    remedy="Move the targets back by as many rows.",
    what="""
        As with shuffled targets, nothing is learned that holds for other rows. Moved by
        a row or two, the targets fit.
        """,
    why="""
        A header that was read as a row, a lag in a time series, an index that counts
        from 1, a row that was dropped on one side.
        """,
    helps="- compare the first and last rows of inputs and targets.",
    measured="""
        With the targets moved by one to three rows, ridge or kernel ridge regression
        reach twice as much on rows they have not seen, and at least 0.3. In sound data
        moved targets reach 0.13 at most.
        """,
    sources=(
        "Kaufman et al., *Leakage in data mining* (2012): what is told with what, row "
        "by row",
        "Hoerl and Kennard, *Ridge regression* (1970)",
    ),
    explains=(
        *("overfitting", "underfitting", "plateau", "labels-shuffled", "label-noise"),
        *("too-few-epochs", "learning-rate-too-low", "missing-nonlinearity"),
    ),
)
LIVE = False
LEAST = 0.3


def check(case: Case) -> Finding | None:
    if case.spec.data.series is not None:
        return None  # windows overlap: a row holds what others are to forecast
    moved = case.deep.get("shifted", 0.0)
    if not moved > LEAST or not moved > 2 * max(case.best, 0.05):
        return None
    by = int(case.deep.get("shift_by", 0))
    place = "behind" if by > 0 else "before"
    count = abs(by)
    return Finding(
        PAGE,
        "warning",
        f"targets fit the row that stands {count} row{'s' if count > 1 else ''} "
        f"{place} theirs: skill {moved:.2f} instead of {case.best:.2f}",
        {"shift": by, "shifted": moved, "as they are": case.best},
        strength=0.98,
    )
