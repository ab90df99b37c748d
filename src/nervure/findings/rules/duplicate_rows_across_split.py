# SPDX-License-Identifier: BSD-3-Clause
"""duplicate-rows-across-split: held-out rows that training has seen."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="duplicate-rows-across-split",
    title="Held-out rows are among the training rows",
    cause="What the net is judged by it has learned by heart.",
    remedy="Remove repeated rows before splitting; split by group where rows belong "
    "together.",
    what="""
        Loss and accuracy on the rows held out are as good as on the training rows, and
        better than they will be on new ones.
        """,
    why="""
        Rows were repeated (to balance classes, by a join) before they were split; the
        same picture under two names; the training rows passed as validation data.
        """,
    helps="""
        - drop repeated rows first;
        - split by person, document, day, ..., where several rows share one;
        - balance classes by class_weight.
        """,
    measured="""
        At least 10 % of the held-out rows are equal to training rows in every column,
        while training has far fewer equal rows among itself, or rows of so many values
        that chance cannot make two alike.
        """,
    sources=(
        "Barz and Denzler, *Do we train on test data?* (2020)",
        "Kaufman et al., *Leakage in data mining* (2012)",
    ),
)
LIVE = True
SHARE, BITS = 0.1, 30.0


def check(case: Case) -> Finding | None:
    facts = case.facts
    if facts is None or facts.held_out < 5 or not facts.repeated >= SHARE:
        return None
    natural = facts.common > facts.repeated / 3 and not facts.bits > BITS
    if natural:
        return None
    return Finding(
        PAGE,
        "warning",
        f"{facts.repeated:.0%} of the {facts.held_out} rows held out are training rows",
        {"share": facts.repeated, "held_out": facts.held_out},
        strength=0.98,
    )
