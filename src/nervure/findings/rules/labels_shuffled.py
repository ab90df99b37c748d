# SPDX-License-Identifier: BSD-3-Clause
"""labels-shuffled: targets do not belong to their rows."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="labels-shuffled",
    title="Targets do not belong to their rows",
    cause="Nothing in the inputs tells anything about the targets.",
    remedy="Check how inputs and targets were joined and shuffled.",
    what="""
        The net learns its own rows by heart, or nothing; rows held out do no better
        than guessing, however long it trains. Neither linear nor kernel regression
        finds anything either.
        """,
    why="""
        Inputs and targets were shuffled or sorted apart from each other, or joined by
        the wrong key. Or the inputs really hold nothing of the target.
        """,
    helps="""
        - look at some rows with their targets;
        - shuffle both by the same permutation; join by a key, not by the position.
        """,
    measured="""
        Ridge and kernel ridge regression reach a skill of at most 0.08, or 1 over the
        root of the rows, of at least 60, on rows they have not seen, and the net at
        most 0.15. In benchmarks/doctor the least of all sound tasks is 0.38, and
        shuffled ones reach 0.05, of 90 rows 0.09. Experiments train the net itself,
        as its rows are and with their targets shuffled: where that costs more than 0.2
        of the skill on rows not seen, targets do belong to their rows.
        """,
    sources=(
        "Zhang et al., *Understanding deep learning requires rethinking "
        "generalization* (ICLR 2017)",
    ),
    explains=(
        *("overfitting", "underfitting", "plateau", "label-noise", "too-few-epochs"),
        *("learning-rate-too-low", "oscillation", "missing-nonlinearity"),
    ),
)
LIVE = False
LEAST, NET, ROWS = 0.08, 0.15, 60
BELONG = 0.2


def check(case: Case) -> Finding | None:
    if case.spec.data.series is not None:
        return None  # what a seasonal naive forecast lacks may well be noise
    facts = case.facts
    if facts is None or facts.rows < ROWS:
        return None
    if not case.best <= max(LEAST, facts.rows**-0.5):
        return None
    if case.held_out > NET or case.deep.get("shifted", 0.0) > 0.2:
        return None
    lost = case.trials.get("shuffled")
    if lost is not None and lost > BELONG:
        return None
    seen = f"simple models reach a skill of {case.best:.2f} on rows they have not seen"
    evidence = {"simple": case.best, "held out": case.held_out}
    if lost is not None:
        seen += f"; the net loses {max(lost, 0.0):.2f} where targets are shuffled"
        evidence["lost by shuffling"] = lost
    return Finding(
        PAGE,
        "warning",
        seen,
        evidence,
        strength=0.95,
    )
