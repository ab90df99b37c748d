# SPDX-License-Identifier: BSD-3-Clause
"""start-too-small: weights begin so small that nothing passes."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Case
from nervure.findings.changes import fields, patch
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="start-too-small",
    title="Weights begin too small",
    cause="Every layer shrinks what it passes on, forward and back.",
    remedy="Leave the initializer out: nervure begins as the activation asks for.",
    what="""
        The outputs begin as (almost) the same numbers for every row, and so does the
        error signal of the first layers: the net stays at guessing for a long time.
        """,
    why="""
        An `initializer` of a fixed small deviation, such as `Normal(0.01)`: over
        several layers the factors multiply.
        """,
    helps="""
        - leave `initializer` out, or use "he_normal", "glorot_uniform";
        - `BatchNorm` or `LayerNorm`, which make up for the scale.
        """,
    measured="""
        Weights of two hidden layers or more begin below a quarter of Glorot's
        deviation, and the net fails. Default initializers begin at 0.9 or more.
        """,
    sources=(
        "Glorot and Bengio, *Understanding the difficulty of training deep feedforward "
        "neural networks* (2010)",
        "Mishkin and Matas, *All you need is a good init* (2016)",
    ),
    explains=(
        *("vanishing-gradient", "plateau", "learning-rate-too-low", "underfitting"),
        *("too-few-epochs", "dead-units", "schedule-ends-too-early", "oscillation"),
        *("layer-not-learning", "learning-rate-too-high"),
    ),
)
LIVE = True
WIDTH, LAYERS = 0.25, 2


def check(case: Case) -> Finding | None:
    widths = case.signs.widths
    if not len(widths) or not case.fails:
        return None
    places = [i for i in np.flatnonzero(widths < WIDTH) if widths[i] > 0]
    if len(places) < LAYERS:
        return None
    layers = [case.signs.weighted[i].layer for i in places]
    least = float(min(widths[places]))
    changes = fields(case, layers, "initializer", None)
    return Finding(
        PAGE,
        "warning",
        f"the weights of {len(layers)} layers begin at {least:.2g} of their usual size",
        {"width": least},
        tuple(layers),
        step=0,
        strength=0.92,
        patch=patch(*changes),
    )
