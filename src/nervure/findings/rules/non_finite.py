# SPDX-License-Identifier: BSD-3-Clause
"""non-finite: numbers became infinite or NaN."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Case
from nervure.findings.changes import rate, rate_advice
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.signs import largest

PAGE = Page(
    code="non-finite",
    title="Numbers are not finite",
    cause="A cost, a weight or an output became infinite or NaN.",
    remedy="Lower the learning rate, clip the gradient, or scale inputs and targets.",
    what="""
        Training ended because there was nothing left to go on with. The weights of the
        last good epoch are kept.
        """,
    why="""
        Weights have grown without bound (a learning rate that is too high, weights that
        begin too large), or a function left its range: the exponential of a large
        number, the logarithm of 0, a division by a deviation of 0.
        """,
    helps="""
        - a learning rate ten times smaller;
        - `clip_norm=1`;
        - inputs and targets of about 1;
        - losses on logits: nervure fuses softmax with cross_entropy by itself.
        """,
    measured="The run ended so, or a sampled step holds numbers that are not finite.",
    sources=("Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 4.1",),
)
LIVE = True


def check(case: Case) -> Finding | None:
    bad = case.signs.layers("nonfinite")
    seen = largest(bad) > 0
    if not (case.diverged or seen):
        return None
    layers: list[str] = []
    step = None
    if seen:
        row = int(np.argmax((bad > 0).any(axis=1)))
        names = case.record.layers
        layers = [names[i] for i in np.flatnonzero(bad[row] > 0)][:5]
        step = int(case.record.steps[row])
    event = case.record.latest("diverged")
    step = int(event["step"]) if step is None and "step" in event else step
    where = f" in {layers[0]}" if layers else ""
    lower = rate(case, 0.01)
    advice = rate_advice(case, lower)
    return Finding(
        PAGE,
        "error",
        f"the cost ran away{where} in step {step}"
        if not seen
        else f"values{where} are no longer finite in step {step}",
        {"step": step},
        tuple(layers),
        step=step,
        strength=0.7,
        patch=lower,
        advice=advice and f"{advice} Or clip the gradient; scale inputs and targets.",
    )
