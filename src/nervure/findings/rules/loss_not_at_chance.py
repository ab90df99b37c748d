# SPDX-License-Identifier: BSD-3-Clause
"""loss-not-at-chance: the first loss is far from that of guessing."""

from __future__ import annotations

from nervure.findings.case import HARM, Case
from nervure.findings.changes import fields, patch
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="loss-not-at-chance",
    title="The first loss is far from that of guessing",
    cause="The net begins sure of answers that it has not learned.",
    remedy="Leave the last layer's initializer out; scale the targets.",
    what="""
        Before anything is learned the loss should be that of a constant answer: log K
        for K classes, the variance for a squared error. Here it is many times that, and
        the first steps go into unlearning.
        """,
    why="""
        The last layer begins with large weights, the inputs are huge, or targets are
        far from 0, where the net's answers begin.
        """,
    helps="""
        - leave `initializer` out of the last layer;
        - standardize inputs and targets.
        """,
    measured="""
        The first batch costs more than 15 times what the best constant answer costs. A
        warning where the net fails; in 600 sound trainings of benchmarks/doctor it was
        11 times at most.
        """,
    sources=("Karpathy, *A recipe for training neural networks* (2019)",),
)
LIVE = False
TIMES = 15.0


def check(case: Case) -> Finding | None:
    if not case.first_cost > TIMES * case.chance or not case.chance > 0:
        return None
    bad = case.fails or case.behind >= HARM
    weighted = case.signs.weighted
    last = [weighted[-1].layer] if weighted else []
    changes = fields(case, last, "initializer", None)
    times = case.first_cost / case.chance
    return Finding(
        PAGE,
        "warning" if bad else "note",
        f"the first loss is {case.first_cost:.3g}, {times:.3g} times that of guessing "
        f"({case.chance:.3g})",
        {"first": case.first_cost, "chance": case.chance},
        tuple(last),
        step=0,
        strength=0.7,
        patch=patch(*changes),
    )
