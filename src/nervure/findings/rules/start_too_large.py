# SPDX-License-Identifier: BSD-3-Clause
"""start-too-large: weights begin far larger than the activation asks for."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import HARM, Case
from nervure.findings.changes import fields, patch
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.signs import largest

PAGE = Page(
    code="start-too-large",
    title="Weights begin too large",
    cause="Every layer makes its inputs several times as large before any learning.",
    remedy="Leave the initializer out: nervure begins as the activation asks for.",
    what="""
        The outputs begin as huge numbers that mean nothing, the first loss is far above
        that of guessing, and much of the training goes into unlearning them. What is
        left fits the rows it has seen and no others.
        """,
    why="""
        An `initializer` of a fixed deviation, such as `Normal(1)`: sums over n inputs
        have a deviation of sqrt(n) times that of the weights. He's and Glorot's divide
        by it.
        """,
    helps="""
        - leave `initializer` out, or use "he_normal", "glorot_uniform";
        - `BatchNorm` or `LayerNorm`, which make up for the scale.
        """,
    measured="""
        A layer's weights begin with a deviation of more than 3 / sqrt(inputs), and the
        net fails; or of more than 9 / sqrt(inputs), which is but a note. Default
        initializers begin with 0.2 to 1.5; of the sound trainings of benchmarks/doctor
        that were begun "merely unusually" none had more than 2.1.
        """,
    sources=(
        "LeCun, Bottou, Orr and Müller, *Efficient BackProp* (1998), section 4.6",
        "He et al., *Delving deep into rectifiers* (2015)",
    ),
    explains=(
        *("saturated-units", "dead-units", "learning-rate-too-high", "non-finite"),
        *("overfitting", "plateau", "learning-rate-too-low", "underfitting"),
        *("too-few-epochs", "oscillation", "vanishing-gradient"),
    ),
)
LIVE = True
GAIN, HUGE = 3.0, 9.0


def check(case: Case) -> Finding | None:
    gains, widths = case.signs.gains, case.signs.widths
    bad = case.fails or case.behind >= HARM
    far = case.first_cost > 20 * case.chance
    if not len(gains):
        return None
    size = np.fmin(gains, widths)
    wanted = GAIN if bad or far else HUGE
    if not largest(size) > wanted:
        return None
    places = np.flatnonzero(size > GAIN)
    layers = [case.signs.weighted[i].layer for i in places]
    gain = largest(size)
    changes = fields(case, layers, "initializer", None)
    return Finding(
        PAGE,
        "warning" if bad else "note",
        f"the weights of {layers[0]} begin {gain:.3g} times as large as usual",
        {"gain": gain, "first cost": case.first_cost, "chance": case.chance},
        tuple(layers),
        step=0,
        strength=0.85,
        patch=patch(*changes),
    )
