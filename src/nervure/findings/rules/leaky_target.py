# SPDX-License-Identifier: BSD-3-Clause
"""leaky-target: a column that gives the target away."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="leaky-target",
    title="A column gives the target away",
    cause="One input tells the target all by itself: it will not be there in use.",
    remedy="Leave the column out, if it is known only when the target is.",
    what="""
        Training and held-out rows do almost perfectly after an epoch or two, and new
        rows do not.
        """,
    why="""
        A column that was made of the target, or written down after it: a code of the
        diagnosis beside the diagnosis, the sum beside its parts, an identifier given
        class by class.
        """,
    helps='- columns = {name = "drop"} under [data], or take it out of the arrays.',
    measured="""
        The nearest value of one column alone tells the target of rows it has not seen
        with a skill of 0.99 or more, while the next best column stays below 0.9, of at
        least three columns.
        """,
    sources=("Kaufman et al., *Leakage in data mining* (2012)",),
)
LIVE = False
SKILL, NEXT, COLUMNS = 0.985, 0.9, 3


def check(case: Case) -> Finding | None:
    facts = case.facts
    told, following = case.deep.get("told", 0.0), case.deep.get("next_told", 0.0)
    if facts is None or facts.columns < COLUMNS or not told >= SKILL:
        return None
    if following > NEXT:
        return None
    column = int(case.deep["telling"])
    return Finding(
        PAGE,
        "warning",
        f"column {column} alone tells the target with a skill of {told:.3f}; the next "
        f"best reaches {max(following, 0.0):.2f}",
        {"column": column, "skill": told, "next": following},
        strength=0.97,
    )
