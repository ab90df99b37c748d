# SPDX-License-Identifier: BSD-3-Clause
"""label-noise: many labels are wrong."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="label-noise",
    title="Many labels are wrong",
    cause="Rows that lie amid rows of one class bear the label of another.",
    remedy="Look at the hardest rows, which the record names, and mend their labels.",
    what="""
        The training loss stays high or the net learns wrong labels by heart; accuracy
        on rows held out ends well below what it could be, since their labels are wrong
        too.
        """,
    why="""
        Labels by other programs, by tired people, by rules that do not always hold; two
        classes that were mixed up.
        """,
    helps="""
        - the `hardest` rows of the record's checkups: mend or drop them;
        - `label_smoothing`, early stopping;
        - a loss that minds outliers less (mae, huber for amounts).
        """,
    measured="""
        Of the half of the rows whose nine nearest neighbours agree best, more than 10 %
        bear another label than these, and nothing is known that errs on less than half
        as many rows it has not seen. Where classes merely overlap neighbours do not
        agree: sound data have 1 % at most, one wrong label in four gives 20 %.
        """,
    sources=(
        "Frénay and Verleysen, *Classification in the presence of label noise* (2014)",
        "Northcutt, Jiang and Chuang, *Confident learning* (JAIR 2021)",
    ),
    explains=("overfitting", "underfitting", "too-few-epochs", "plateau"),
)
LIVE = False
SHARE, AGREEMENT, SKILL = 0.1, 0.55, 0.1


def check(case: Case) -> Finding | None:
    wrong = case.deep.get("disagreement", 0.0)
    agree = case.deep.get("agreement", 0.0)
    if not wrong > SHARE or agree < AGREEMENT or not case.best > SKILL:
        return None
    if _errs(case) < wrong / 2:  # those who are near are no judges here
        return None
    return Finding(
        PAGE,
        "warning",
        f"about {wrong:.0%} of the labels are not those of the rows around them",
        {"share": wrong, "agreement": agree},
        strength=0.9,
    )


def _errs(case: Case) -> float:
    """Share of unseen rows that the better of the net and a simple model gets wrong."""
    counts = case.facts.counts if case.facts else ()
    if not counts:
        return 1.0
    least = 1 - max(counts) / sum(counts)
    return (1 - float(np.fmax(case.best, case.held_out))) * least
