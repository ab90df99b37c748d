# SPDX-License-Identifier: BSD-3-Clause
"""double-softmax: probabilities are taken for logits."""

from __future__ import annotations

import math

from nervure.findings.case import Case
from nervure.findings.changes import field, patch, removed
from nervure.findings.finding import Finding
from nervure.findings.network import behind
from nervure.findings.page import Page

PAGE = Page(
    code="double-softmax",
    title="There are two softmaxes in a row",
    cause="Probabilities, which lie between 0 and 1, are taken for logits.",
    remedy="Remove one of the two activations.",
    what="""
        The net cannot be sure: of ten classes the most probable one gets 0.23 at best,
        and the loss never falls below 1.46. Accuracy may be good all the same, and
        learning is slow.
        """,
    why="""
        `Dense(10, activation="softmax")` and then a `Softmax()`, or a loss that brings
        its own. In nervure the loss never adds one.
        """,
    helps="- one softmax at the end, and cross_entropy.",
    measured="A softmax reads a softmax or a logistic, perhaps through dropout.",
    sources=("Nikanjam et al., *NeuraLint* (TOSEM 2021), rule 8",),
    explains=("underfitting", "plateau", "learning-rate-too-low", "too-few-epochs"),
)
LIVE = True


def check(case: Case) -> Finding | None:
    if case.graph is None:
        return None
    found = behind(case.graph, ("softmax", "log_softmax"), ("softmax", "logistic"))
    if found is None:
        return None
    first, second = found
    classes = case.graph.nodes[case.graph.groups[second][-1]].shape[-1]
    surest = math.e / (math.e + classes - 1)
    change = removed(case, second)
    if change is None or second == first:
        change = field(case, first, "activation", None)
    return Finding(
        PAGE,
        "warning",
        f"the softmax of {second} reads probabilities that {first} gives: of {classes} "
        f"classes none can get more than {surest:.2f}",
        {"classes": classes, "surest": surest},
        (first, second),
        strength=0.95,
        patch=patch(change),
    )
