# SPDX-License-Identifier: BSD-3-Clause
"""oscillation: the loss swings from epoch to epoch."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Case
from nervure.findings.changes import rate, rate_advice
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Change, Patch
from nervure.findings.signs import largest

PAGE = Page(
    code="oscillation",
    title="The loss oscillates",
    cause="Steps overshoot again and again, carried on by momentum or a high rate.",
    remedy="Lower the momentum to 0.9 and the learning rate by 3 to 10 times.",
    what="""
        The loss of the epochs goes up and down by half of itself and more, instead of
        falling with a little noise.
        """,
    why="""
        A momentum of b adds up 1 / (1 - b) steps: 0.99 makes steps a hundred times as
        long as the learning rate says, and they go on for a hundred steps after the
        slope has turned.
        """,
    helps="""
        - momentum 0.9;
        - a smaller learning rate, falling towards the end;
        - larger batches, where single batches make the swings.
        """,
    measured="""
        With a momentum of at least 0.97 the net fails and weights change by more than 2
        % per step; or the loss of epochs rises by more than 60 % at least three times
        in the second half of the training, and the net fails.
        """,
    sources=(
        "Sutskever, Martens, Dahl and Hinton, *On the importance of initialization and "
        "momentum in deep learning* (ICML 2013)",
        "Goh, *Why momentum really works* (Distill, 2017)",
    ),
    explains=("plateau", "underfitting", "dead-units", "non-finite"),
)
LIVE = False
MOMENTUM, PACE, RISE, TIMES = 0.97, 0.02, 1.6, 3


def check(case: Case) -> Finding | None:
    if not case.fails or not case.signs.samples:
        return None
    momentum = float(getattr(case.training.optimizer, "momentum", 0.0) or 0.0)
    pace = largest(case.signs.pace)
    carried = momentum >= MOMENTUM and pace > PACE
    second = case.loss[len(case.loss) // 2 :]
    swings = int(np.sum(second[1:] > RISE * second[:-1])) if len(second) > 1 else 0
    if not carried and swings < TIMES:
        return None
    seen = (
        f"momentum {momentum:g} carries steps on that change the weights by {pace:.0%}"
        if carried
        else f"the loss rose by more than 60 % in {swings} of the last {len(second)} "
        "epochs"
    )
    change = _patch(case, momentum)
    calmer = "Lower the momentum to 0.9. " if momentum > 0.9 else ""
    return Finding(
        PAGE,
        "warning",
        seen,
        {"momentum": momentum, "pace": pace, "swings": swings},
        strength=0.93 if carried else 0.5,
        patch=change,
        advice=f"{calmer}{rate_advice(case, change)}",
    )


def _patch(case: Case, momentum: float) -> Patch | None:
    slower = rate(case, 0.1)
    if slower is None or momentum <= 0.9:
        return slower
    calm = Change("training.optimizer.momentum", momentum, 0.9)
    return Patch((calm, *slower.changes))
