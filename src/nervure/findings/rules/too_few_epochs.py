# SPDX-License-Identifier: BSD-3-Clause
"""too-few-epochs: training ends while there is much to learn."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.changes import setting
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Change, Patch
from nervure.findings.signs import middle

PAGE = Page(
    code="too-few-epochs",
    title="Training ends too early",
    cause="The epochs were over while the loss was still falling.",
    remedy="Train for more epochs, with early stopping against too many.",
    what="The loss has just begun to fall, and falls as fast as ever, at the end.",
    why="""
        A few hundred steps are few for any net. Small data sets want many epochs: what
        counts is the number of steps.
        """,
    helps="""
        - five or ten times as many epochs, with `early_stopping`;
        - smaller batches make more steps of an epoch.
        """,
    measured="""
        The net fails, weights change at a sound pace (5e-4 and more per step), and the
        last epoch (or quarter) still brought the loss down by 4 % or more, or there
        were at most two epochs, of fewer than 500 steps together.
        """,
    sources=("Godbole et al., *Deep Learning Tuning Playbook* (2023)",),
    explains=("underfitting", "plateau"),
)
LIVE = False
FALL, PACE, FEW = 0.04, 5e-4, 500


def check(case: Case) -> Finding | None:
    loss = case.loss
    if not case.fails or not len(loss) or case.diverged or case.signs.samples < 2:
        return None
    if case.training.early_stopping is not None and len(loss) < case.training.epochs:
        return None  # it was the patience that ended it
    quarter = max(1, len(loss) // 4)
    before = loss[-quarter - 1] if len(loss) > quarter else case.first_cost
    fall = float((before - loss[-1]) / max(abs(before), 1e-12))
    steps = int(case.record.latest("end").get("steps", 0))
    brief = len(loss) <= 2 and steps < FEW
    pace = middle(case.signs.late_pace)
    if not (fall > FALL or brief) or pace < PACE or pace > 0.2:
        return None
    return Finding(
        PAGE,
        "warning",
        f"after {len(loss)} epoch{'s' if len(loss) > 1 else ''} ({steps} steps) the "
        "loss still falls",
        {"epochs": len(loss), "steps": steps, "fall": fall},
        epoch=len(loss) - 1,
        strength=0.8 if brief else 0.45,
        patch=_patch(case, steps),
    )


def _patch(case: Case, steps: int) -> Patch:
    epochs = case.training.epochs
    per_epoch = max(case.per_epoch, 1)
    wanted = max(8 * epochs, -(-1000 // per_epoch), 20)
    changes = [setting(case, "epochs", int(min(wanted, 50 * epochs + 50)))]
    if case.training.max_steps is not None:
        changes.append(Change("training.max_steps", case.training.max_steps, None))
    return Patch(tuple(changes))
