# SPDX-License-Identifier: BSD-3-Clause
"""learning-rate-too-high: steps leap over what they should go down into."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="learning-rate-too-high",
    title="The learning rate is too high",
    cause="Steps leap over the valleys of the loss instead of going down into them.",
    remedy="Divide the learning rate by 10, or find one with nv.find_learning_rate.",
    what="The loss rises, jumps about, or stays above that of guessing.",
)
LIVE = False


def check(case: Case) -> Finding | None:
    if not case.checkups or not case.chance > 0:
        return None
    loss = float(case.checkups[-1]["training"]["loss"])
    if loss < 1.5 * case.chance:
        return None
    return Finding(
        PAGE,
        "warning",
        f"the loss is {loss:.3g} after training, {case.chance:.3g} by guessing",
        {"loss": loss, "chance": case.chance},
    )
