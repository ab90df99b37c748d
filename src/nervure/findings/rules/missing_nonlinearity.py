# SPDX-License-Identifier: BSD-3-Clause
"""missing-nonlinearity: layers without an activation between them."""

from __future__ import annotations

import math

from nervure.findings.case import Case
from nervure.findings.changes import fields, inserted, patch
from nervure.findings.finding import Finding
from nervure.findings.network import is_linear
from nervure.findings.page import Page
from nervure.layers import Dense

PAGE = Page(
    code="missing-nonlinearity",
    title="There is no activation between layers",
    cause="Without an activation any number of layers is one linear map.",
    remedy='Give the hidden layers an activation, such as activation="relu".',
    what="""
        The net does what a linear model does, and no better, however many layers it
        has: the loss is flat where that of a linear model is.
        """,
    why="""
        The default of `Dense` and of the convolutions is no activation, since the last
        layer often wants none. Or there is no hidden layer at all.
        """,
    helps="""
        - `activation="relu"` (gelu, silu, tanh) in every hidden layer;
        - a hidden layer, where there is none.
        """,
    measured="""
        No layer on the way from input to output bends anything but the output's own
        activation. A warning where there are two layers with weights or more, or where
        a kernel regression does better than a linear one and than the net, by 10 % of
        skill.
        """,
    sources=(
        "Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 6.1",
        "Braiek and Khomh, *TheDeepChecker* (2023)",
    ),
    explains=("underfitting", "plateau", "too-few-epochs", "oscillation"),
)
LIVE = False


def check(case: Case) -> Finding | None:
    if case.graph is None or not is_linear(case.graph):
        return None
    weights = sum(len(n.parameters) > 0 for n in case.graph.nodes)
    bends = case.deep.get("kernel", math.nan) - case.deep.get("linear", math.nan) > 0.05
    if weights < 2 and not (bends and case.fails):
        return None
    unknown = math.isnan(case.best)
    hidden = [n for n in case.names if isinstance(_layer(case, n), Dense)][:-1]
    plain = [n for n in case.names if _layer(case, n) is not None]
    changes = fields(case, hidden, "activation", "relu")
    if not hidden:
        table = {"type": "dense", "units": 64, "activation": "relu"}
        last = [n for n in plain if isinstance(_layer(case, n), Dense)]
        added = inserted(case, last[-1], table) if last else None
        changes = [] if added is None else [added]
    return Finding(
        PAGE,
        "warning" if case.fails or unknown else "note",
        f"{weights} layers with weights and no activation between them"
        if weights > 1
        else "there is no hidden layer, and no line parts these rows",
        {"linear": case.deep.get("linear"), "kernel": case.deep.get("kernel")},
        tuple(hidden),
        strength=0.9,
        patch=patch(*changes),
    )


def _layer(case: Case, name: str) -> object:
    entry = case.entry(name)
    return entry.layer if entry is not None else None
