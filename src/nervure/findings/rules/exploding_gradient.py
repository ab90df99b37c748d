# SPDX-License-Identifier: BSD-3-Clause
"""exploding-gradient: the error signal grows on its way to the first layers."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Case
from nervure.findings.changes import fields, patch
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.signs import largest

PAGE = Page(
    code="exploding-gradient",
    title="The gradient explodes",
    cause="Each layer multiplies the error signal by weights far above 1.",
    remedy="Begin with the default weights, add normalization, or clip the gradient.",
    what="""
        The error signal (dC/dz of a row) of the first layers is a hundred times that of
        the last ones or more. One step throws the weights far away; the loss jumps, and
        often becomes infinite.
        """,
    why="""
        delta of a layer is delta of the layer above it, times the transposed weights,
        times the slope of the activation. Where weights begin too large, the product
        over the layers grows like a power of their number. Recurrent nets multiply by
        the same matrix at every time step.
        """,
    helps="""
        - leave `initializer` out, so that weights begin as the activation asks for;
        - `BatchNorm` or `LayerNorm` between layers;
        - `clip_norm=1` in the optimizer, which bounds the step;
        - a smaller learning rate.
        """,
    measured="""
        Before the first step the signal of some layer is above 40 times that of the
        last one (per row and layer). In 600 sound trainings of benchmarks/doctor it was
        never above 12.
        """,
    sources=(
        "Bengio, Simard and Frasconi, *Learning long-term dependencies with gradient "
        "descent is difficult* (1994)",
        "Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural "
        "networks* (ICML 2013)",
    ),
    explains=(
        *("non-finite", "learning-rate-too-high", "plateau", "underfitting"),
        *("loss-not-at-chance", "dead-units", "oscillation"),
    ),
)
LIVE = True
RATIO = 40.0


def check(case: Case) -> Finding | None:
    signal = case.signs.first_signal
    if len(signal) < 3 or not case.fails:
        return None
    with np.errstate(all="ignore"):
        ratio = largest(signal) / float(signal[-1])
    if not ratio > RATIO:
        return None
    first = [w.layer for w in case.signs.weighted]
    large = [h for h, s in zip(first, signal, strict=True) if s > RATIO * signal[-1]]
    changes = fields(case, first, "initializer", None)
    return Finding(
        PAGE,
        "warning",
        f"the error signal of {large[0]} is {ratio:.3g} times that of the last layer",
        {"ratio": ratio},
        tuple(large),
        step=0,
        strength=0.8 if len(signal) > 4 else 0.6,
        patch=patch(*changes),
    )
