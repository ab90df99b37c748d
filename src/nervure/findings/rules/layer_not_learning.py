# SPDX-License-Identifier: BSD-3-Clause
"""layer-not-learning: a layer stays as it began."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Case
from nervure.findings.changes import patch, setting
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Change
from nervure.findings.signs import largest, middle

PAGE = Page(
    code="layer-not-learning",
    title="A layer does not learn",
    cause="Its weights are frozen, or get next to no update, and nobody trained them.",
    remedy="Unfreeze it, or give it back its learning rate.",
    what="""
        The layer's weights are what they were before training: random numbers, which
        the layers behind it have to make do with.
        """,
    why="""
        `freeze` without weights of an earlier training; a factor in `learning_rates`
        that is far too small; a part of the net that no gradient reaches.
        """,
    helps="""
        - net.unfreeze(), or take `freeze` out of the spec;
        - `weights = "model.safetensors"` with what was trained before;
        - factors of 0.1 in `learning_rates`, not of 1e-6.
        """,
    measured="""
        A frozen layer still has the very weights that its initializer gave; or a layer
        that learns changes by less than a thousandth of what the others change by, in
        the median, or not at all; and the net fails or nobody knows.
        """,
    sources=("Nikanjam et al., *NeuraLint* (TOSEM 2021)",),
    explains=("underfitting", "plateau", "bottleneck"),
)
LIVE = False
SLOW = 1e-3


def check(case: Case) -> Finding | None:
    frozen = list(case.layout.get("untrained", ()))
    slow = _slow(case)
    layers = list(dict.fromkeys([*frozen, *slow]))
    if not layers:
        return None
    changes: list[Change] = []
    if frozen and case.training.freeze:
        changes.append(setting(case, "freeze", None))
    if slow and case.training.learning_rates:
        changes.append(setting(case, "learning_rates", None))
    why = "is frozen at its random beginning" if frozen else "hardly changes"
    return Finding(
        PAGE,
        "warning" if case.fails else "note",
        f"{layers[0]} {why}",
        {"layers": len(layers)},
        tuple(layers),
        step=0,
        strength=0.9 if frozen else 0.8,
        patch=patch(*changes),
    )


def _slow(case: Case) -> list[str]:
    """Layers that change by a thousandth of what the others do."""
    signs = case.signs
    learning = [i for i, w in enumerate(signs.weighted) if w.learns]
    if signs.samples < 4 or len(learning) < 2:
        return []
    pace = np.fmax(signs.pace, signs.late_pace)
    usual = middle(pace[learning])
    most = largest(pace[learning])
    bar = usual if usual > 0 else most
    slow = [i for i in learning if pace[i] < SLOW * bar]
    few = len(slow) <= len(learning) / 2 and bar > 1e-7
    return [signs.weighted[i].layer for i in slow] if few else []
