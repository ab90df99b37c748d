# SPDX-License-Identifier: BSD-3-Clause
"""overfitting: the net learns its rows by heart."""

from __future__ import annotations

import math

import numpy as np

from nervure.findings.case import HARM, Case
from nervure.findings.changes import setting
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Patch

PAGE = Page(
    code="overfitting",
    title="The network overfits",
    cause="It goes on to learn its own rows by heart, noise and all.",
    remedy="Stop early, or use more rows, augmentation, dropout or a penalty.",
    what="""
        The training loss goes on falling while that of the rows held out has turned and
        rises, and so do the errors on them.
        """,
    why="""
        The net can tell every row from every other, and there are more epochs than it
        takes to learn what the rows have in common.
        """,
    helps="""
        - `early_stopping`, which gives back the weights of the best epoch;
        - more rows; `augmentation` of images;
        - `Dropout`, `regularizer = {type = "l2", strength = 1e-4}`;
        - a smaller net.
        """,
    measured="""
        The validation loss ends 20 % or more above its least value, long enough before
        the end, while the training loss went on falling; and the net does worse on the
        rows held out than a simple model or than itself before, by 5 % of skill at
        least. A rising validation loss alone is a note, and so is a skill on its own
        rows that is 0.3 above that on others once these are known by heart: where the
        answers stay right they are but too sure of themselves.
        """,
    sources=(
        "Prechelt, *Early stopping - but when?* (1998)",
        "Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 5.2",
    ),
)
LIVE = False
RISE, FAR, LOST, GAP = 1.2, 1.5, 0.05, 0.15
BY_HEART = 0.05


def check(case: Case) -> Finding | None:
    loss, own = case.history("validation_loss"), case.loss
    if len(loss) < 5 or len(own) != len(loss) or not np.isfinite(loss).all():
        return None
    best, end = int(np.argmin(loss)), float(np.median(loss[-3:]))
    rise = end / max(float(loss[best]), 1e-12)
    gap = case.own - case.held_out
    fell = float(own[best]) > 1.1 * float(own[-1])
    turned = rise >= RISE and fell and best <= len(loss) - 3 and gap > 0
    if turned:
        words = (
            f"the validation loss rose from {loss[best]:.3g} (epoch {best + 1}) to "
            f"{end:.3g}, while the training loss fell"
        )
    elif gap >= 2 * GAP and float(own[-1]) < BY_HEART * case.chance:
        words = (
            f"skill is {case.own:.2f} on its own rows, {case.held_out:.2f} on others"
        )
    else:
        return None
    lost = _lost(case)
    stops = case.training.early_stopping is not None
    worse = lost >= LOST + case.noise or (case.behind >= HARM and rise > FAR)
    hurts = turned and worse and gap >= GAP and not stops
    return Finding(
        PAGE,
        "warning" if hurts else "note",
        words,
        {"least": float(loss[best]), "last": end, "gap": gap, "lost": lost},
        epoch=best if turned else None,
        strength=0.7 if hurts else 0.3,
        patch=None if stops else _patch(case),
    )


def _lost(case: Case) -> float:
    """Skill on rows held out that the net once had, and has no more."""
    for name in ("validation_r2", "validation_accuracy"):
        values = case.history(name)
        if len(values) > 4:
            smooth = np.convolve(values, np.ones(3) / 3, "valid")
            return float(smooth.max() - smooth[-1])
    return math.nan


def _patch(case: Case) -> Patch:
    patience = max(5, case.training.epochs // 10)
    return Patch((setting(case, "early_stopping", {"patience": patience}),))
