# SPDX-License-Identifier: BSD-3-Clause
"""saturated-units: sums so large that the slope of the activation is all but 0."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import HARM, Case
from nervure.findings.changes import fields, patch
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.signs import largest

PAGE = Page(
    code="saturated-units",
    title="Units are saturated",
    cause="Sums are so large that a logistic or tanh is flat there: its slope is 0.",
    remedy="Begin with smaller weights, scale the inputs, or use relu.",
    what="""
        Most outputs of a hidden layer lie at the ends of the activation's range, 0 and
        1 or -1 and 1. What is behind it sees all but constants, and hardly any gradient
        comes through.
        """,
    why="""
        Weights that begin too large, inputs that are not scaled, or a learning rate so
        high that it has driven the weights there.
        """,
    helps="""
        - leave `initializer` out;
        - standardize the inputs;
        - relu, gelu or silu;
        - `BatchNorm` before the activation.
        """,
    measured="""
        More than half of a hidden layer's sums are where the slope is below a twentieth
        of its largest value, as a median of the first samples; but a note unless the
        net fails. In 600 sound trainings of benchmarks/doctor it was 7 % at most at the
        beginning; late in training sound nets may saturate, so the end does not count.
        """,
    sources=(
        "Glorot and Bengio, *Understanding the difficulty of training deep feedforward "
        "neural networks* (2010), section 3",
        "Rakitianskaia and Engelbrecht, *Measuring saturation in neural networks* "
        "(2015)",
    ),
    explains=(
        *("plateau", "underfitting", "vanishing-gradient", "learning-rate-too-low"),
        *("too-few-epochs", "overfitting"),
    ),
)
LIVE = True
SHARE = 0.5


def check(case: Case) -> Finding | None:
    signs = case.signs
    if signs.samples < 4:
        return None
    early = signs.early("saturated")[:-1]
    bad = case.fails or case.behind >= HARM
    if not len(early) or not largest(early) >= SHARE or (case.live and not bad):
        return None
    layers = [case.record.layers[i] for i in np.flatnonzero(early >= SHARE)]
    share = largest(early)
    changes = fields(case, layers, "initializer", None)
    return Finding(
        PAGE,
        "warning" if bad else "note",
        f"{share:.0%} of the sums of {layers[0]} lie where its activation is flat, "
        "from the beginning",
        {"share": share},
        tuple(layers),
        step=0,
        strength=0.75,
        patch=patch(*changes),
    )
