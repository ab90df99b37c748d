# SPDX-License-Identifier: BSD-3-Clause
"""over-regularized: the penalty weighs more than the rows."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Case
from nervure.findings.changes import setting
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Change, Patch
from nervure.findings.signs import largest
from nervure.optimizers import UpdateRule

PAGE = Page(
    code="over-regularized",
    title="The penalty is too strong",
    cause="Keeping the weights small counts for more than learning from the rows.",
    remedy="Leave the penalty out, or make it a hundred times weaker.",
    what="""
        The norms of the weights fall from the first step on, and the net ends near a
        constant answer: of training and held-out rows alike.
        """,
    why="""
        L2 adds strength * w to every gradient; the gradient of a mean cost is small, so
        that 0.1 is a lot. Decay takes learning rate * decay of the weights away in
        every step. Penalties of 1e-4 are usual.
        """,
    helps="""
        - no penalty until the net fits its rows, then the smallest that helps;
        - strength 1e-4 (L2), 1e-5 (L1), weight_decay 0.01.
        """,
    measured="""
        There is a penalty of 0.01 or more (or a decay that takes 1e-3 per step), the
        net fails, and the weights of at least half of the layers have lost 40 % of
        their norm, or one of them nine tenths.
        """,
    sources=(
        "Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 7.1",
        "Krogh and Hertz, *A simple weight decay can improve generalization* (1992)",
    ),
    explains=(
        *("underfitting", "plateau", "vanishing-gradient", "dead-units"),
        *("learning-rate-too-high", "oscillation", "learning-rate-too-low"),
        *("layer-not-learning", "too-few-epochs"),
    ),
)
LIVE = False
STRENGTH, PER_STEP = 0.01, 1e-3


def check(case: Case) -> Finding | None:
    if not case.fails or case.signs.samples < 4:
        return None
    strength, per_step = _penalty(case), _decay(case)
    if strength < STRENGTH and per_step < PER_STEP:
        return None
    kept = case.signs.shrinking
    with np.errstate(all="ignore"):
        shrunk = float(np.mean(kept < 0.6)) >= 0.5 or -largest(-kept) < 0.1
    if not shrunk:
        return None
    changes: list[Change] = []
    if strength >= STRENGTH:
        changes.append(setting(case, "regularizer", None))
    if per_step >= PER_STEP:
        before = getattr(case.training.optimizer, "weight_decay", 0.0)
        changes.append(Change("training.optimizer.weight_decay", before, 0.01))
    what = f"a penalty of {strength:g}" if strength >= STRENGTH else "the weight decay"
    return Finding(
        PAGE,
        "warning",
        f"{what} has shrunk weights to {-largest(-kept):.2g} of their norm",
        {"penalty": strength, "decay per step": per_step, "kept": -largest(-kept)},
        step=0,
        strength=0.9,
        patch=Patch(tuple(changes)),
    )


def _penalty(case: Case) -> float:
    penalty = case.training.regularizer
    if penalty is None:
        return 0.0
    l1, l2, _ = penalty.strengths()
    return float(max(l1, l2))


def _decay(case: Case) -> float:
    rule = case.training.optimizer
    decay = rule.weight_decay if isinstance(rule, UpdateRule) else 0.0
    return float(decay * case.rate) if decay else 0.0
