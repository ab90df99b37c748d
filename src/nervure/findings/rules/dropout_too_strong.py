# SPDX-License-Identifier: BSD-3-Clause
"""dropout-too-strong: too little is left of a row."""

from __future__ import annotations

import math

from nervure.findings.case import Case
from nervure.findings.changes import field
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Patch

PAGE = Page(
    code="dropout-too-strong",
    title="Dropout is too strong",
    cause="So many units are silenced that too little is left to learn from.",
    remedy="Lower the rates of dropout to 0.2.",
    what="""
        The training loss is high and noisy; without dropout the same rows do better,
        but not well. Held-out rows do as well as training rows or better.
        """,
    why="""
        A rate of 0.9 leaves one unit in ten. Over several layers little of a row comes
        through, above all where layers are narrow.
        """,
    helps="""
        - rates of 0.1 to 0.3, 0.5 in wide layers only;
        - wider layers, if the rates are to stay;
        - none at all, where the net underfits.
        """,
    measured="""
        A dropout of 0.7 or more, or dropouts that together leave less than a sixth, and
        the net fails on the rows that it was trained on.
        """,
    sources=(
        "Srivastava et al., *Dropout* (JMLR 2014), section 7.3",
        "Schoop, Huang and Hartmann, *UMLAUT* (CHI 2021)",
    ),
    explains=(
        *("underfitting", "plateau", "learning-rate-too-high", "oscillation"),
        *("bottleneck", "too-few-epochs", "dead-units", "learning-rate-too-low"),
    ),
)
LIVE = False
RATE, LEFT, CALM = 0.7, 1 / 6, 0.2


def check(case: Case) -> Finding | None:
    if case.graph is None or not case.fails:
        return None
    kinds = ("dropout", "spatial_dropout")
    found = [n for n in case.graph.nodes if n.layer.kind in kinds]
    rates = {n.group: float(getattr(n.layer, "rate", 0.0)) for n in found}
    if not rates:
        return None
    most, left = max(rates.values()), math.prod(1 - rate for rate in rates.values())
    if most < RATE and left > LEFT:
        return None
    layers = [name for name, rate in rates.items() if rate > CALM]
    changes = [field(case, name, "rate", CALM) for name in layers]
    known = tuple(change for change in changes if change is not None)
    return Finding(
        PAGE,
        "warning",
        f"{layers[0]} silences {most:.0%} of its units",
        {"rate": most, "left": left},
        tuple(layers),
        step=0,
        strength=0.85 if most >= RATE else 0.5,
        patch=Patch(known) if known else None,
    )
