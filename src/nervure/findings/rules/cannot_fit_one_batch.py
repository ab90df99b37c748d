# SPDX-License-Identifier: BSD-3-Clause
"""cannot-fit-one-batch: the net cannot even learn 16 rows."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="cannot-fit-one-batch",
    title="The network cannot fit sixteen rows",
    cause="Something is wrong with the net itself, whatever the rest of the rows say.",
    remedy="Mend the net before anything else: activations, initial weights, loss.",
    what="""
        Trained on 16 rows alone, from its beginning and at several learning rates, the
        net does not learn them by heart.
        """,
    why="""
        A net that is wired wrongly, dead or saturated from the start, a loss that does
        not suit, dropout behind the output, rows that are equal but for their targets.
        """,
    helps="- what the other findings say; build the net up from one that works.",
    measured="""
        An experiment: after 200 steps of Adam at each of three rates the skill on the
        16 rows is below 0.9 at all of them.
        """,
    sources=("Karpathy, *A recipe for training neural networks* (2019)",),
)
LIVE = False
SKILL = 0.9


def check(case: Case) -> Finding | None:
    reached = case.trials.get("one batch")
    if reached is None or float(reached) >= SKILL:
        return None
    return Finding(
        PAGE,
        "warning",
        f"trained on 16 rows alone, it reaches a skill of {float(reached):.2f} on them",
        {"skill": float(reached)},
        strength=0.4,
    )
