# SPDX-License-Identifier: BSD-3-Clause
"""vanishing-gradient: the error signal fades on its way to the first layers."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="vanishing-gradient",
    title="The gradient vanishes",
    cause="Each layer multiplies the error signal by its slope, which is below 1.",
    remedy="Use relu instead of logistic or tanh, normalization or shortcuts.",
    what="The first layers hardly change while the last ones do.",
    explains=("plateau", "underfitting", "layer-not-learning"),
)
LIVE = False


def check(case: Case) -> Finding | None:
    delta = case.column("delta")
    if len(delta) < 8:
        return None
    some = np.nanmedian(delta, axis=0)
    first, last = some[0], some[-1]
    if not first < 1e-3 * last:
        return None
    layers = case.record.layers
    return Finding(
        PAGE,
        "warning",
        f"the error signal of {layers[0]} is {first / last:.2g} that of {layers[-1]}",
        {"first": float(first), "last": float(last)},
        (layers[0],),
    )
