# SPDX-License-Identifier: BSD-3-Clause
"""bottleneck: all that is known has to pass through too few units."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Change, Patch

PAGE = Page(
    code="bottleneck",
    title="A layer is too narrow",
    cause="All that is known of a row has to pass through one or two numbers.",
    remedy="Widen the layer.",
    what="""
        A hidden layer is much narrower than the layers around it and than the number of
        answers, and the net fails even on the rows that it was trained on.
        """,
    why="""
        Ten classes along one line can be told apart in principle, and hardly ever are
        by gradient descent. (A narrow middle is the purpose of an autoencoder.)
        """,
    helps="- at least as many units as there are answers, better twice as many.",
    measured="""
        A hidden layer has fewer units than a quarter of both its neighbours and than
        the outputs (or one unit), and the net fails.
        """,
    sources=("Lin and Jegelka, *ResNet with one-neuron hidden layers* (2018)",),
    explains=("underfitting", "plateau", "overfitting", "dead-units"),
)
LIVE = False


def check(case: Case) -> Finding | None:
    weighted = case.signs.weighted
    if len(weighted) < 3 or not case.fails:
        return None
    outputs = weighted[-1].units
    for i in range(1, len(weighted) - 1):
        units = weighted[i].units
        around = min(weighted[i - 1].units, weighted[i + 1].units)
        if 4 * units <= around and (units < outputs or units <= 1):
            return _finding(case, i, around, outputs)
    return None


def _finding(case: Case, place: int, around: int, outputs: int) -> Finding:
    own = case.signs.weighted[place]
    key = case.key(own.layer, "units")
    wide = max(around, 2 * outputs)
    return Finding(
        PAGE,
        "warning",
        f"{own.layer} passes on {own.units} number{'s' if own.units > 1 else ''} "
        f"between layers of {around} and more",
        {"units": own.units, "around": around, "outputs": outputs},
        (own.layer,),
        strength=0.94,
        patch=None if key is None else Patch((Change(key, own.units, wide),)),
    )
