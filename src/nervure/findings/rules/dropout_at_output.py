# SPDX-License-Identifier: BSD-3-Clause
"""dropout-at-output: answers are silenced at random."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.changes import patch, removed
from nervure.findings.finding import Finding
from nervure.findings.network import after_last_weights
from nervure.findings.page import Page

PAGE = Page(
    code="dropout-at-output",
    title="There is dropout behind the output",
    cause="Answers themselves are set to 0 at random, which nothing can make up for.",
    remedy="Put the dropout before the last layer, or take it out.",
    what="""
        The training loss stays high and noisy, far above that of the same rows without
        dropout: a silenced logit of the right class costs as much as a wrong answer.
        """,
    why="""
        Dropout works because the units of the next layer learn not to rely on single
        ones. Behind the last layer there is no next one.
        """,
    helps="- dropout between hidden layers, none behind the last one.",
    measured="A dropout stands between the last layer with weights and an output.",
    sources=(
        "Srivastava et al., *Dropout* (JMLR 2014)",
        "Schoop, Huang and Hartmann, *UMLAUT* (CHI 2021)",
    ),
    explains=("dropout-too-strong", "underfitting", "plateau", "oscillation"),
)
LIVE = True


def check(case: Case) -> Finding | None:
    if case.graph is None:
        return None
    found = after_last_weights(case.graph, ("dropout", "spatial_dropout"))
    if found is None:
        return None
    rate = float(getattr(case.graph.nodes[found].layer, "rate", 0.0))
    if rate == 0:
        return None
    name = case.graph.nodes[found].group
    change = removed(case, name)
    return Finding(
        PAGE,
        "warning",
        f"{name} silences {rate:.0%} of the answers in training",
        {"rate": rate},
        (name,),
        strength=0.95,
        patch=patch(change),
    )
