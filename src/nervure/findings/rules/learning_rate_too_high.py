# SPDX-License-Identifier: BSD-3-Clause
"""learning-rate-too-high: steps leap over what they should go down into."""

from __future__ import annotations

import math

import numpy as np

from nervure.findings.case import Case
from nervure.findings.changes import rate, rate_advice
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.signs import largest

PAGE = Page(
    code="learning-rate-too-high",
    title="The learning rate is too high",
    cause="Steps leap over the valleys of the loss instead of going down into them.",
    remedy="Divide the learning rate by 10 or more; nv.find_learning_rate finds one.",
    what="""
        The loss rises, jumps about, or stays above that of guessing; weights change by
        a tenth of themselves and more in a single step. Often units are dead
        afterwards, and lowering the rate then helps no more.
        """,
    why="""
        Along a direction of curvature h, gradient descent shrinks the distance to the
        minimum by 1 - rate h per step: above a rate of 2 / h it grows. Adaptive rules
        step by about the learning rate in every weight, however small the gradient.
        """,
    helps="""
        - a rate ten times smaller; `nv.find_learning_rate` finds one in a hundred
          steps;
        - `WarmUp` for the first epochs, a falling schedule;
        - `clip_norm=1` against single large gradients.
        """,
    measured="""
        The net fails (or the loss of its last epoch is 5 times an earlier one), and:
        some layer's weights change by more than 12 % per step (median of the first
        samples), or the loss of an epoch is more than 3 times an earlier one and above
        guessing, or numbers stopped being finite. Sound trainings of benchmarks/doctor
        change by at most 10 %, 0.3 to 2 % as a rule.
        """,
    sources=(
        "LeCun, Bottou, Orr and Müller, *Efficient BackProp* (1998), section 5",
        "Smith, *Cyclical learning rates for training neural networks* (2017)",
        "Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 11.4.1",
    ),
    explains=(
        *("non-finite", "dead-units", "plateau", "underfitting", "overfitting"),
        *("saturated-units", "vanishing-gradient", "attention-collapse"),
    ),
)
LIVE = True
PACE, GROWTH, WILD = 0.12, 3.0, 5.0


def check(case: Case) -> Finding | None:
    if case.signs.samples < 2:
        return None
    pace = _pace(case)
    if not (case.fails or (pace > PACE and _is_wild(case))):
        return None
    grown = _growth(case)
    spoiled = case.diverged or not math.isfinite(grown)
    if not (pace > PACE or grown > GROWTH or spoiled):
        return None
    facts: list[str] = []
    if pace > PACE:
        facts.append(f"weights change by {pace:.0%} of themselves in a step")
    if grown > GROWTH:
        facts.append(f"the loss grew to {grown:.3g} times what it was")
    if spoiled and not facts:
        facts.append("the cost ran away")
    tested = _too_high_by(case)
    lower = rate(case, 0.1 if pace < 1 else 0.01)
    return Finding(
        PAGE,
        "warning",
        f"at {case.rate:g} {' and '.join(facts)}",
        {"pace": pace, "growth": grown, "rate": case.rate},
        step=0,
        strength=min(0.95, 0.6 + 0.1 * math.log10(max(pace / PACE, 1)) + 0.2 * tested),
        patch=lower,
        advice=rate_advice(case, lower),
    )


def _pace(case: Case) -> float:
    """Of the layer that changes fastest, at first, of those that begin above 0."""
    signs = case.signs
    pace = signs.pace if signs.samples > 2 else signs.paces[-1]
    known = pace[signs.stds > 0] if len(pace) == len(signs.stds) else pace
    return largest(known)


def _growth(case: Case) -> float:
    """The largest loss of an epoch beside the least one before, if above guessing."""
    loss = case.loss
    if len(loss) < 2:
        return 0.0
    if not np.isfinite(loss).all():
        return math.inf
    least = np.minimum.accumulate(loss)[:-1]
    grown = loss[1:] / np.maximum(least, 0.05 * max(case.chance, 1e-12))
    above = loss[1:] > 1.2 * case.chance
    return float(np.max(grown[above], initial=0.0))


def _is_wild(case: Case) -> bool:
    """Whether the loss ends far above what it once was, whatever was learned."""
    loss = case.loss
    if case.live or len(loss) < 3 or not np.isfinite(loss).all():
        return False
    return bool(loss[-1] > WILD * loss.min() and loss[-1] > 0.2 * case.chance)


def _too_high_by(case: Case) -> bool:
    """Whether a range test has found a rate far below."""
    found = case.trials.get("rate")
    return found is not None and case.rate > 5 * float(found)
