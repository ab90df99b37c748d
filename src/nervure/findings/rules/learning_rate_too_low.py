# SPDX-License-Identifier: BSD-3-Clause
"""learning-rate-too-low: the weights hardly move."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.changes import rate, rate_advice, safe_rate
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.signs import middle

PAGE = Page(
    code="learning-rate-too-low",
    title="The learning rate is too low",
    cause="Steps are so small that the weights hardly leave where they began.",
    remedy="Multiply the learning rate by 10 or more; nv.find_learning_rate finds one.",
    what="""
        The loss falls evenly, slowly, and is far from flat when training ends; a step
        changes the weights by less than 1/2000 of themselves.
        """,
    why="""
        A rate that was taken from a larger net, another optimizer or a longer training:
        0.001 suits Adam, while plain gradient descent often wants a hundred times that.
        """,
    helps="""
        - a rate ten times higher; `nv.find_learning_rate` finds one in a hundred steps;
        - Adam instead of plain gradient descent;
        - more epochs, if a higher rate does not work.
        """,
    measured="""
        The net fails, the loss still falls, and the layers' weights change by less than
        5e-4 per step (median over the layers of the median of the first samples). Sound
        trainings of benchmarks/doctor change by 1e-3 and more.
        """,
    sources=(
        "Goodfellow, Bengio and Courville, *Deep Learning* (2016), section 11.4.1",
        "Karpathy, *A recipe for training neural networks* (2019)",
    ),
    explains=("too-few-epochs", "plateau", "underfitting", "batch-too-large"),
)
LIVE = False
PACE = 5e-4


def check(case: Case) -> Finding | None:
    signs = case.signs
    if not case.fails or case.diverged or signs.samples < 4 or not len(case.rates):
        return None
    learning = [i for i, w in enumerate(signs.weighted) if w.learns]
    if not learning:
        return None
    pace = middle(signs.pace[learning])
    if not pace < PACE or signs.first_signal[learning].max(initial=0) == 0:
        return None
    found = case.trials.get("rate")
    if found is not None and case.rate > 0.5 * float(found):
        return None
    higher = rate(case, max(10.0, safe_rate(case) / max(case.rate, 1e-12)))
    return Finding(
        PAGE,
        "warning",
        f"at {case.rate:g} weights change by {pace:.1e} of themselves in a step",
        {"pace": pace, "rate": case.rate},
        step=0,
        strength=0.8 if pace < PACE / 4 else 0.6,
        patch=higher,
        advice=rate_advice(case, higher),
    )
