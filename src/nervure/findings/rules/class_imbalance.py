# SPDX-License-Identifier: BSD-3-Clause
"""class-imbalance: rare classes are given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nervure.findings.case import Case
from nervure.findings.changes import setting
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Patch

PAGE = Page(
    code="class-imbalance",
    title="Some classes are rare",
    cause="A class of few rows costs little, so the net gives it up first.",
    remedy='Weigh the classes: class_weight="balanced"; judge by balanced accuracy.',
    what="""
        Accuracy is high while whole classes are never found: it is that of the frequent
        ones.
        """,
    why="""
        The cost is a mean over the rows. With 1 row in 20, always saying the other
        class is right 19 times in 20.
        """,
    helps="""
        - class_weight = "balanced";
        - metrics = ["balanced_accuracy", "macro_f1"];
        - more rows of the rare classes; focal loss.
        """,
    measured="""
        A class has less than a tenth of the rows of the largest. A warning where fewer
        than 70 % of a rare class are found (on rows held out, if there are any of it;
        else on the net's own), or nobody knows; else a note.
        """,
    sources=(
        "He and Garcia, *Learning from imbalanced data* (2009)",
        "Buda, Maki and Mazurowski, *A systematic study of the class imbalance "
        "problem* (2018)",
    ),
    explains=("overfitting", "underfitting", "shifted-validation"),
)
LIVE = False
SHARE, FOUND = 0.1, 0.7


def check(case: Case) -> Finding | None:
    facts = case.facts
    if facts is None or len(facts.counts) < 2 or case.training.class_weight is not None:
        return None
    most = max(facts.counts)
    rare = [i for i, n in enumerate(facts.counts) if 0 < n < SHARE * most]
    if not rare:
        return None
    found = _found(case, rare)
    least = min(facts.counts[i] for i in rare)
    hurts = found is None or found < FOUND
    words = "" if found is None else f"; of such rows {found:.0%} are found"
    return Finding(
        PAGE,
        "warning" if hurts else "note",
        f"{len(rare)} of {len(facts.counts)} classes have less than a tenth of the "
        f"largest one's rows ({least} beside {most}){words}",
        {"least": least, "most": most, "found": found},
        strength=0.85,
        patch=Patch((setting(case, "class_weight", "balanced"),)),
    )


def _found(case: Case, rare: Sequence[int]) -> float | None:
    """Share of the rows of rare classes that is found; None where nobody knows."""
    if not case.checkups:
        return None
    for part in ("validation", "training"):
        seen: Mapping[str, Any] = case.checkups[-1].get(part) or {}
        table: Sequence[Any] = seen.get("classes", ())
        rows = [table[i] for i in rare if i < len(table) and table[i][0] > 0]
        if rows:
            return float(sum(n * f for n, _, f, _ in rows) / sum(r[0] for r in rows))
    return None
