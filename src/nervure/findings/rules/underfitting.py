# SPDX-License-Identifier: BSD-3-Clause
"""underfitting: the net cannot do what simple models do."""

from __future__ import annotations

import math

from nervure.findings.case import Case
from nervure.findings.changes import inserted, patch
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Change, Patch
from nervure.layers import Dense

PAGE = Page(
    code="underfitting",
    title="The network underfits",
    cause="It is too small or too plain for what the rows hold.",
    remedy="Add hidden units or layers.",
    what="""
        The loss is flat and training and held-out rows do equally badly, worse than a
        kernel regression on the same rows.
        """,
    why="""
        A net without hidden layers can only cut space by planes; one with two units by
        two of them. Or something else holds it: then there are other findings.
        """,
    helps="""
        - more units per layer, more layers;
        - features that say more;
        - less dropout and smaller penalties.
        """,
    measured="""
        The net fails on the rows that it was trained on. Clear where the hidden layers
        have fewer than 8 units or there is none, while a kernel regression reaches
        more; else the last resort.
        """,
    sources=("Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 5.2",),
)
LIVE = False
FEW, LACK = 8, 0.2
WIDE, DEEP = 64, 2


def check(case: Case) -> Finding | None:
    if not case.fails or case.diverged or len(case.loss) < 1 or math.isnan(case.best):
        return None
    units = [w.units for w in case.signs.hidden]
    small = not units or max(units) < FEW
    return Finding(
        PAGE,
        "warning" if small or case.lack >= LACK else "note",
        f"its skill on rows that it was trained on is {case.own:.2f}; a simple model "
        f"reaches {case.best:.2f} on rows it has not seen",
        {"skill": case.own, "simple": case.best, "units": max(units, default=0)},
        strength=0.75 if small else 0.15,
        patch=_patch(case),
    )


def _patch(case: Case) -> Patch | None:
    """Hidden layers of at least 64 units, and one more where there are few."""
    names = [n for n in case.names if isinstance(_layer(case, n), Dense)]
    if not names or not case.spec.layers:
        return None
    changes: list[Change] = []
    for name in names[:-1]:
        key, layer = case.key(name, "units"), _layer(case, name)
        if key is not None and isinstance(layer, Dense) and layer.units < WIDE:
            changes.append(Change(key, layer.units, WIDE))
    if len(names) <= DEEP:
        table = {"type": "dense", "units": WIDE, "activation": "relu"}
        added = inserted(case, names[-1], table)
        changes += [] if added is None else [added]
    return patch(*changes)


def _layer(case: Case, name: str) -> object:
    entry = case.entry(name)
    return entry.layer if entry is not None else None
