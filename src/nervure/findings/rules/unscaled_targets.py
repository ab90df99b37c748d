# SPDX-License-Identifier: BSD-3-Clause
"""unscaled-targets: amounts far from 1, which the net has to reach."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.changes import appended, setting
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Patch

PAGE = Page(
    code="unscaled-targets",
    title="Targets are not scaled",
    cause="The amounts to learn are far larger or smaller than what a net begins with.",
    remedy="Standardize the targets: nervure.data does, and turns answers back.",
    what="""
        The loss begins at a huge number; with plain gradient descent it becomes
        infinite, with Adam the net spends its time on reaching the right order of
        magnitude.
        """,
    why="""
        A net begins with answers of about 1. The gradient of a squared error grows with
        the targets; Adam's steps do not, and walk by the learning rate at a time.
        """,
    helps="""
        - data read by `nervure.data` or `nervure train`: targets are standardized, and
          answers come in the units of the target;
        - `nv.Normalize(-mean / scale, 1 / scale)` behind the last layer, and
          loss_weights = 1 / scale ** 2.
        """,
    measured="""
        The targets' deviation is above 20 or below 0.02, or they are 20 away from 0,
        and the net fails (else a note).
        """,
    sources=(
        "Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 6.2.2.1",
    ),
    explains=(
        *("learning-rate-too-high", "learning-rate-too-low", "non-finite", "plateau"),
        *("too-few-epochs", "underfitting", "loss-not-at-chance", "dead-units"),
        *("oscillation", "exploding-gradient", "batch-too-large"),
    ),
)
LIVE = True
LARGE, SMALL = 20.0, 0.02


def check(case: Case) -> Finding | None:
    facts = case.facts
    if facts is None or facts.task != "amounts" or not facts.spread > 0:
        return None
    far = facts.mean > LARGE and facts.mean > 0.5 * facts.spread
    if not (facts.spread > LARGE or facts.spread < SMALL or far):
        return None
    return Finding(
        PAGE,
        "warning" if case.fails else "note",
        f"the targets have a deviation of {facts.spread:.3g} around {facts.mean:.3g}",
        {"spread": facts.spread, "mean": facts.mean},
        step=0,
        strength=0.93,
        patch=_patch(case),
    )


def _patch(case: Case) -> Patch | None:
    """A last layer that brings answers to the scale of the targets."""
    scales = case.deep_targets
    if scales is None or case.training.loss_weights is not None:
        return None
    mean, scale = scales
    back = {
        "type": "normalize",
        "mean": [-m / s for m, s in zip(mean, scale, strict=True)],
        "scale": [1 / s for s in scale],
    }
    change = appended(case, back)
    if change is None:
        return None
    size = sum(s * s for s in scale) / len(scale)
    return Patch((change, setting(case, "loss_weights", float(f"{1 / size:.3g}"))))
