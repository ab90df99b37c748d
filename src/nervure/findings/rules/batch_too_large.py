# SPDX-License-Identifier: BSD-3-Clause
"""batch-too-large: so few steps that nothing can be learned."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.changes import BATCH, batches
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="batch-too-large",
    title="Batches are too large",
    cause="With so many rows in a batch, an epoch has but a few steps.",
    remedy="Use batches of 32 rows.",
    what="""
        The loss falls evenly and is far from flat when training ends after a few dozen
        steps.
        """,
    why="""
        An epoch costs about the same with any batch size, but makes rows / batch steps.
        Past a certain size a batch's gradient hardly gets better by more rows.
        """,
    helps="""
        - batch_size = 32;
        - or many more epochs and a higher learning rate.
        """,
    measured="""
        A batch holds at least a quarter of the rows and more than 64, and the net fails
        after at most 400 steps that still brought the loss down, or at most 150 that
        did not raise it; or it has made at most 150 steps, the last quarter of which
        brought the loss down by 5 % and more.
        """,
    sources=(
        "McCandlish et al., *An empirical model of large-batch training* (2018)",
        "Masters and Luschi, *Revisiting small batch training* (2018)",
    ),
    explains=("too-few-epochs", "underfitting", "plateau", "learning-rate-too-low"),
)
LIVE = False
SHARE, STEPS = 0.25, 400
FEW, FALL, RISE, LEARNED = 150, 0.05, 0.1, 0.95


def check(case: Case) -> Finding | None:
    rule, facts = case.training.optimizer, case.facts
    if facts is None or not rule.stepwise or rule.full_batch or case.diverged:
        return None
    batch = min(case.training.batch_size, facts.rows)
    steps = int(case.record.latest("end").get("steps", case.planned))
    falls = _fall(case)
    large = batch >= SHARE * facts.rows and batch > 2 * BATCH
    sure = steps <= FEW and falls > FALL and case.own < LEARNED
    few = steps <= FEW and falls > -RISE
    if not large or steps > STEPS or not (falls > 0 or few):
        return None
    if not (case.fails or sure):
        return None
    still = ", and the loss still falls" if falls > 0 else ""
    return Finding(
        PAGE,
        "warning",
        f"batches of {batch} of {facts.rows} rows made {steps} steps in all{still}",
        {"batch_size": batch, "rows": facts.rows, "steps": steps},
        strength=0.8,
        patch=batches(case, BATCH),
    )


def _fall(case: Case) -> float:
    """By what share the last quarter of the epochs brought the loss down."""
    loss = case.loss
    quarter = max(1, len(loss) // 4)
    if len(loss) <= quarter:
        return 0.0
    return float(1 - loss[-1] / max(float(loss[-quarter - 1]), 1e-12))
