# SPDX-License-Identifier: BSD-3-Clause
"""dead-units: no row passes a gradient through a relu."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Case
from nervure.findings.changes import field, fields, patch
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Patch
from nervure.findings.signs import largest

PAGE = Page(
    code="dead-units",
    title="Units are dead",
    cause="The weighted sum of a relu is negative for every row, so its slope is 0.",
    remedy="Lower the learning rate, begin with biases of 0, or use leaky_relu.",
    what="""
        A unit gives 0 for all rows, and gets no gradient by which it could come back.
        Where most units of a layer are dead, what is behind them sees constants.
        """,
    why="""
        A step that was too large has pushed weights or biases so far that no row makes
        the sum positive; or the biases began far below 0; or the inputs are all far on
        one side.
        """,
    helps="""
        - a learning rate ten times smaller, if units died on the way;
        - leave `bias_initializer` out;
        - inputs around 0;
        - leaky_relu, elu, gelu or silu, whose slope is not 0.
        """,
    measured="""
        At least 60 % of the units of a hidden layer are dead for all rows that were
        looked at (up to 64), at the beginning or at the end, and the net fails. Of 600
        sound trainings of benchmarks/doctor none had more than 45 % in a layer.
        """,
    sources=(
        "Glorot, Bordes and Bengio, *Deep sparse rectifier neural networks* (2011)",
        "Maas, Hannun and Ng, *Rectifier nonlinearities improve neural network "
        "acoustic models* (2013)",
        "Lu et al., *Dying ReLU and initialization* (2020)",
    ),
    explains=("plateau", "underfitting", "vanishing-gradient", "layer-not-learning"),
)
LIVE = True
SHARE = 0.6


def check(case: Case) -> Finding | None:
    signs = case.signs
    if signs.samples < 4 or not case.fails:
        return None
    rows = _hidden_rows(case)
    if not rows:
        return None
    early, late = signs.early("dead")[rows], signs.late("dead")[rows]
    most = np.fmax(early, late)
    if not largest(most) >= SHARE:
        return None
    layers = [case.record.layers[rows[i]] for i in np.flatnonzero(most >= SHARE)]
    share = largest(most)
    begun = largest(signs.layers("dead")[0, rows]) >= SHARE
    all_dead = share >= 0.999
    return Finding(
        PAGE,
        "error" if all_dead and begun else "warning",
        f"{share:.0%} of the units of {layers[0]} give 0 for every row"
        + (" from the beginning" if begun else ""),
        {"share": share, "early": largest(early)},
        tuple(layers),
        step=0 if begun else int(case.record.steps[-1]),
        strength=0.5 + 0.45 * (share - SHARE) / (1 - SHARE) if begun else 0.5,
        patch=_patch(case, layers),
    )


def _hidden_rows(case: Case) -> list[int]:
    """Places of the layers that are not the last one."""
    return list(range(len(case.record.layers) - 1))


def _patch(case: Case, layers: list[str]) -> Patch | None:
    changes = fields(case, layers, "bias_initializer", None)
    if not changes:
        for layer in layers:
            entry = case.entry(layer)
            own = getattr(entry.layer, "activation", None) if entry else None
            change = field(case, layer, "activation", "leaky_relu") if own else None
            changes += [] if change is None else [change]
    return patch(*changes)
