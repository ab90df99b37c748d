# SPDX-License-Identifier: BSD-3-Clause
"""plateau: the loss stays where it is, far from what is possible."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="plateau",
    title="The loss stays on a plateau",
    cause="No step leads anywhere: nothing has been learned for many epochs.",
    remedy="Look for what holds it: learning rate, initial weights, scale of inputs.",
    what="""
        The loss is the same, to 2 %, from one epoch to the next, over more than half of
        the training, and the net does hardly better than a constant answer.
        """,
    why="""
        A plateau is what many faults look like from outside: dead or saturated units,
        weights that begin alike or too small, a learning rate that is too high or too
        low, inputs out of all scale. It stands alone where none of these was seen.
        """,
    helps="""
        - what the other findings say;
        - `nervure doctor --experiments 30`: can the net fit 16 rows?
        - another seed; another learning rate.
        """,
    measured="""
        The loss of the last 60 % of the epochs (at least 5) varies by less than 2 %,
        and the skill on the rows that are trained on is below a fifth.
        """,
    sources=(
        "Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 8.2.2",
        "Karpathy, *A recipe for training neural networks* (2019)",
    ),
)
LIVE = False
SHARE, FLAT, SKILL = 0.6, 0.02, 0.2


def check(case: Case) -> Finding | None:
    loss = case.loss[-max(5, int(SHARE * len(case.loss))) :]
    if len(loss) < 5 or not case.fails or not case.own < SKILL:
        return None
    span = float(np.ptp(loss) / max(abs(float(loss.mean())), 1e-12))
    if not span < FLAT:
        return None
    return Finding(
        PAGE,
        "warning",
        f"the loss has stayed at {float(loss.mean()):.4g} for {len(loss)} epochs",
        {"loss": float(loss.mean()), "span": span, "skill": case.own},
        epoch=len(case.loss) - len(loss),
        strength=0.3,
    )
