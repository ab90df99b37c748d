# SPDX-License-Identifier: BSD-3-Clause
"""constant-inputs: columns that are the same in every row."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="constant-inputs",
    title="Most inputs never change",
    cause="Most columns are the same in every row, so they tell nothing.",
    remedy="Look at how the rows are read: something was lost on the way.",
    what="""
        The net learns from the few columns that are left, or not at all. Loss and
        accuracy look like those of a hard problem.
        """,
    why="""
        A join that found nothing, a column that was filled with its default, a scale
        that turned numbers into 0 (integers divided by 255 as integers), an image that
        was cut at the wrong place.
        """,
    helps="""
        - look at a few rows as they enter the net: net.trace(X[:1]), nervure inspect;
        - compare with the raw data.
        """,
    measured="""
        At least three quarters of the columns (of 5 or more) do not change over the
        rows that were looked at. The margins of digits are constant too: of 28 x 28
        pixels about a third.
        """,
    sources=("Schoop, Huang and Hartmann, *UMLAUT* (CHI 2021)",),
    explains=("underfitting", "plateau", "overfitting", "labels-shuffled"),
)
LIVE = True
SHARE, COLUMNS = 0.75, 5


def check(case: Case) -> Finding | None:
    facts = case.facts
    if facts is None or facts.columns < COLUMNS or facts.rows < 8:
        return None
    if facts.constant < SHARE:
        return None
    return Finding(
        PAGE,
        "warning",
        f"{facts.constant:.0%} of {facts.columns} columns are the same in every row",
        {"share": facts.constant, "columns": facts.columns},
        strength=0.97,
    )
