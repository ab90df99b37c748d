# SPDX-License-Identifier: BSD-3-Clause
"""exploding-state: what a recurrent layer carries along time grows with every step."""

from __future__ import annotations

import numpy as np

from nervure.base import plain
from nervure.findings.case import Case
from nervure.findings.changes import clipped, patch
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Change, Patch
from nervure.findings.signs import ends, largest
from nervure.layers import Bidirectional, SimpleRNN

PAGE = Page(
    code="exploding-state",
    title="The state explodes along time",
    cause="Recurrent weights make the state, or what is left of a small change of it, "
    "larger at every step.",
    remedy="Begin with the default recurrent weights, use LSTM or GRU, clip the "
    "gradient.",
    what="""
        What a recurrent layer carries from step to step grows like a power of the
        number of steps. With relu the state itself runs away; with tanh it stays in
        [-1, 1], but a change of a millionth at the first step decides what comes out at
        the last: the layer computes noise, and the gradient, which passes the same
        steps backwards, explodes.
        """,
    why="""
        The derivative of the last state by the first is a product of one matrix per
        step: the recurrent weights, times the slopes. Where the largest of their
        eigenvalues is above 1 the product grows as its power.
        """,
    helps="""
        - leave `recurrent_initializer` out: orthogonal weights keep lengths;
        - `LSTM` or `GRU`, whose gates let a state pass unchanged;
        - tanh instead of relu in `SimpleRNN`;
        - `clip_norm=1` in the optimizer, which bounds the step;
        - shorter sequences, or truncated ones (`nv.data.chunks`).
        """,
    measured="""
        A change of the first state is more than 20 times as large at the last step as
        after the first, or the state at the end more than 20 times what it was in the
        first quarter of the steps, in the first samples or at the end; and the net
        fails. Over 32 steps default weights of SimpleRNN, LSTM and GRU begin with 0.00
        to 0.2 and end with at most 4; recurrent weights of a deviation of 0.5 to 0.8
        (24 units) give 50 to 10,000 with tanh, from a billion on with relu.
        """,
    sources=(
        "Bengio, Simard and Frasconi, *Learning long-term dependencies with gradient "
        "descent is difficult* (1994)",
        "Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural "
        "networks* (ICML 2013)",
        "Sompolinsky, Crisanti and Sommers, *Chaos in random neural networks* (1988)",
        "Le, Jaitly and Hinton, *A simple way to initialize recurrent networks of "
        "rectified linear units* (2015)",
    ),
    explains=(
        *("exploding-gradient", "non-finite", "loss-not-at-chance", "plateau"),
        *("learning-rate-too-high", "learning-rate-too-low", "start-too-large"),
        *("underfitting", "overfitting", "oscillation", "too-few-epochs"),
        *("saturated-units", "vanishing-gradient", "batch-too-large", "dead-units"),
    ),
)
LIVE = True
TIMES = 20.0


def check(case: Case) -> Finding | None:
    if not case.fails or not case.record.of("step"):
        return None
    echo, growth = (
        ends(case.signs.layers(name)).max(axis=0) for name in ("echo", "growth")
    )
    bad = np.flatnonzero(np.fmax(echo, growth) > TIMES)
    if not len(bad):
        return None
    layers = [case.record.layers[i] for i in bad]
    moved, grown = largest(echo[bad]), largest(growth[bad])
    if grown > moved:
        seen = f"the state of {layers[0]} is {grown:.3g} times as large at the end"
    else:
        seen = f"a change of the first state of {layers[0]} is {moved:.3g} times as "
        seen += "large at the last step"
    return Finding(
        PAGE,
        "warning",
        seen,
        {"echo": moved, "growth": grown},
        tuple(layers),
        step=0,
        strength=0.9,
        patch=_patch(case, layers),
    )


def _patch(case: Case, layers: list[str]) -> Patch | None:
    """Default recurrent weights; where they are, tanh; and a bound of the step."""
    changes = [change for name in layers for change in _changes(case, name)]
    return patch(*changes, *clipped(case))


def _changes(case: Case, name: str) -> list[Change]:
    entry = case.entry(name)
    if entry is None:
        return []
    layer, key = entry.layer, f"{case.key(name)}."
    if isinstance(layer, Bidirectional):
        layer, key = layer.layer, f"{key}layer."
    given = plain.write(getattr(layer, "recurrent_initializer", None))
    if given is not None:
        return [Change(f"{key}recurrent_initializer", given, None)]
    if isinstance(layer, SimpleRNN) and layer.activation == "relu":
        return [Change(f"{key}activation", "relu", None)]
    return []
