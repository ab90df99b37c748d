# SPDX-License-Identifier: BSD-3-Clause
"""symmetric-start: units that begin alike stay alike."""

from __future__ import annotations

import itertools

import numpy as np

from nervure.findings.case import Case
from nervure.findings.changes import fields, patch
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.initializers import Constant, Normal, Uniform, Zeros

PAGE = Page(
    code="symmetric-start",
    title="Units begin alike",
    cause="All units of a layer have the same weights, so they get the same gradient.",
    remedy="Leave the initializer out: weights have to begin at random.",
    what="""
        A layer of a hundred units does what a layer of one unit does: all of them
        compute the same, and go on to do so. With weights of 0 behind a relu nothing is
        learned at all.
        """,
    why="""
        The weights of a hidden layer and those of the layer behind it began with
        constants. (Zeros in the last layer alone, or in the last layer of a residual
        branch, do no harm: the units before it differ.)
        """,
    helps="- leave `initializer` out; biases may begin with 0.",
    measured="""
        Before training: two layers with weights, one behind the other, begin with
        constants. Afterwards: the units of a hidden layer differ by less than a
        thousandth of the norm of its weights. In sound nets it is above a half.
        """,
    sources=("Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 8.4",),
    explains=(
        *("plateau", "underfitting", "bottleneck", "dead-units", "vanishing-gradient"),
        *("learning-rate-too-low", "too-few-epochs", "start-too-small"),
        *("saturated-units", "start-too-large", "learning-rate-too-high"),
        *("missing-nonlinearity", "oscillation"),
    ),
)
LIVE = True
ALIKE = 0.999


def check(case: Case) -> Finding | None:
    begun = _begins_alike(case)
    seen = _is_alike(case)
    layers = list(dict.fromkeys([*begun, *seen]))
    if not layers or (case.signs.samples > 4 and not seen and not case.fails):
        return None
    changes = fields(case, case.names, "initializer", None)
    return Finding(
        PAGE,
        "error",
        f"all units of {layers[0]} "
        + ("begin with the same weights" if begun else "have the same weights"),
        {"layers": len(layers)},
        tuple(layers),
        step=0,
        strength=1.0,
        patch=patch(*changes),
    )


def _begins_alike(case: Case) -> list[str]:
    """Layers that begin with constants, as do those behind them."""
    weighted = [
        (name, entry.layer)
        for name, entry in zip(case.names, case.spec.layers, strict=True)
        if hasattr(entry.layer, "initializer")
    ]
    pairs = itertools.pairwise(weighted)
    return [
        name
        for (name, layer), (_, behind) in pairs
        if _same(layer) and _same(behind) and getattr(layer, "units", 2) > 1
    ]


def _same(layer: object) -> bool:
    how = getattr(layer, "initializer", None)
    flat = isinstance(how, Normal) and how.std == 0
    narrow = isinstance(how, Uniform) and how.low == how.high
    return isinstance(how, Zeros | Constant) or flat or narrow


def _is_alike(case: Case) -> list[str]:
    """Hidden layers whose units still are the same after some steps."""
    alike = case.signs.parameters("alike")[:, :-1]
    known = alike[~np.isnan(alike).all(axis=1)] if alike.size else alike
    if len(known) < 2:
        return []
    last = known[1:].min(axis=0)
    return [
        w.layer
        for w, share in zip(case.signs.hidden, last, strict=True)
        if share >= ALIKE and w.units > 1
    ]
