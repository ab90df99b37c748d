# SPDX-License-Identifier: BSD-3-Clause
"""shifted-validation: held-out rows are not like the others."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.facts import Facts
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="shifted-validation",
    title="Held-out rows are not like training rows",
    cause="They come from elsewhere, or were prepared in another way.",
    remedy="Hold out rows at random, prepared as the training rows are.",
    what="""
        The validation loss is far from the training loss from the first epoch on, and
        moves for its own reasons.
        """,
    why="""
        Other units or another normalization; rows sorted by class before they were
        split; another time, camera or place.
        """,
    helps="""
        - one preparation for both, its numbers from the training rows;
        - shuffle before splitting; keep the shares of the classes;
        - if new rows will differ like that: train on such rows too.
        """,
    measured="""
        Means of the columns differ by more than half a deviation, or deviations by a
        factor of 1.8, both the root mean square over the columns and four times beyond
        chance; or the shares of the classes differ by 0.3 in total variation, for parts
        of at least 10 rows.
        """,
    sources=(
        "Quiñonero-Candela et al., *Dataset shift in machine learning* (2009)",
        "Rabanser, Günnemann and Lipton, *Failing loudly* (2019)",
    ),
    explains=("overfitting",),
)
LIVE = True
SHIFT, STRETCH, CLASSES, NOISE, ROWS = 0.5, 0.6, 0.3, 4.0, 10


def check(case: Case) -> Finding | None:
    facts = case.facts
    if facts is None or facts.held_out < ROWS or facts.rows < ROWS:
        return None
    apart = _classes_apart(facts)
    moved = facts.shift > max(SHIFT, NOISE * facts.noise)
    stretched = facts.stretch > max(STRETCH, NOISE * facts.noise)
    if not (moved or stretched or apart > CLASSES + facts.noise):
        return None
    if moved:
        words = f"means of the columns differ by {facts.shift:.2g} deviations"
    elif stretched:
        words = f"deviations of the columns differ, by {facts.stretch:.2g} (logarithm)"
    else:
        words = f"the classes have other shares: {apart:.0%} of the rows would change"
    return Finding(
        PAGE,
        "warning",
        f"{words} between training and held-out rows",
        {"shift": facts.shift, "stretch": facts.stretch, "classes": apart},
        strength=0.96,
    )


def _classes_apart(facts: Facts) -> float:
    """Total variation between the shares of the classes."""
    ours, theirs = facts.counts, facts.held_out_counts
    if not sum(ours) or not sum(theirs):
        return 0.0
    width = max(len(ours), len(theirs))
    pad = [(*c, *(0,) * (width - len(c))) for c in (ours, theirs)]
    shares = [[n / sum(c) for n in c] for c in pad]
    return sum(abs(a - b) for a, b in zip(*shares, strict=True)) / 2
