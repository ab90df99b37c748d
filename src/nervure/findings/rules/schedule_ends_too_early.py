# SPDX-License-Identifier: BSD-3-Clause
"""schedule-ends-too-early: the rate has fallen to nothing long before the end."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from nervure.base import plain
from nervure.base.words import is_table
from nervure.findings.case import Array, Case
from nervure.findings.changes import RATE
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Change, Patch
from nervure.optimizers import Schedule, UpdateRule

PAGE = Page(
    code="schedule-ends-too-early",
    title="The schedule ends too early",
    cause="The learning rate falls to almost nothing while there is much to learn.",
    remedy="Let the schedule span the whole training.",
    what="""
        The loss falls well at first, then stays where it is from one epoch to the next,
        well above what is possible, and the rate is a hundredth of its peak or less.
        """,
    why="""
        A schedule for other epochs: a cosine of 10 epochs in a training of 100, a
        factor per epoch that was chosen for 10 of them, steps that come too early. It
        is easily taken for a plateau.
        """,
    helps="""
        - leave `epochs` of the schedule out: it then spans the whole training;
        - of an exponential decay, a factor of 0.01 ** (1 / epochs).
        """,
    measured="""
        For at least 40 % of the steps that were planned the rate is below a fiftieth of
        its peak, and the net fails. Schedules that span the training are below it for
        10 % (cosine) or less.
        """,
    sources=(
        "Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts* "
        "(ICLR 2017)",
        "Godbole et al., *Deep Learning Tuning Playbook* (2023)",
    ),
    explains=(
        *("plateau", "underfitting", "too-few-epochs", "learning-rate-too-low"),
        "batch-too-large",
    ),
)
LIVE = False
SHARE, FALLEN = 0.4, 1 / 50


def check(case: Case) -> Finding | None:
    rule = case.training.optimizer
    if not isinstance(rule, UpdateRule) or not isinstance(rule.learning_rate, Schedule):
        return None
    if len(case.rates) < 8 or not (case.fails or not case.loss.size):
        return None
    low: Array = case.rates < FALLEN * case.rates.max()
    share = float(np.mean(low))
    if share < SHARE or not low[-1]:
        return None
    begins = int(np.argmax(low) / len(low) * case.planned)
    return Finding(
        PAGE,
        "warning",
        f"for {share:.0%} of the training the learning rate is below a fiftieth of its "
        "peak",
        {"share": share, "peak": case.rate, "last": float(case.rates[-1])},
        step=begins,
        epoch=begins // max(case.per_epoch, 1),
        strength=0.9,
        patch=_patch(case, rule.learning_rate),
    )


def _patch(case: Case, schedule: Schedule) -> Patch | None:
    """The same schedule over the whole training."""
    before: Any = plain.write(schedule)
    names = {f.name for f in dataclasses.fields(schedule)}
    epochs = case.training.epochs
    if not is_table(before):
        return None
    if schedule.kind in ("cosine", "one_cycle", "polynomial"):
        change = Change(f"{RATE}.epochs", before.get("epochs"), None)
    elif "factor" in names and "epochs" in names:
        whole = max(1, round(epochs / 3))
        change = Change(f"{RATE}.epochs", before.get("epochs"), whole)
    elif schedule.kind == "exponential":
        factor = round(0.02 ** (1 / max(epochs, 1)), 4)
        change = Change(f"{RATE}.factor", before.get("factor"), factor)
    else:
        change = Change(RATE, before, {"type": "cosine", "start": case.rate})
    return Patch((change,))
