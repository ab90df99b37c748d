# SPDX-License-Identifier: BSD-3-Clause
"""batch-too-small-for-batch-norm: statistics of next to no rows."""

from __future__ import annotations

import math

from nervure.findings.case import HARM, Case
from nervure.findings.changes import BATCH, batches
from nervure.findings.finding import Finding
from nervure.findings.page import Page

PAGE = Page(
    code="batch-too-small-for-batch-norm",
    title="Batches are too small for BatchNorm",
    cause="Mean and deviation of two or three rows say little of all rows.",
    remedy="Use batches of 16 rows or more, or LayerNorm or GroupNorm instead.",
    what="""
        The training loss is noisy and high; in prediction, where running statistics
        take the batch's place, the net gives something else altogether. With one row
        every feature becomes 0.
        """,
    why="""
        `BatchNorm` divides by the deviation over the batch (and, of images, over all
        pixels). Of two values it is but half of their difference: what is left of a
        feature is its sign.
        """,
    helps="""
        - batch_size = 32;
        - `LayerNorm` or `GroupNorm`, which look at one row at a time.
        """,
    measured="""
        A `BatchNorm` sees fewer than 8 values of a feature per batch (rows times
        pixels). A warning where the net fails, does worse than a simple model on rows
        held out, or nobody knows; else a note.
        """,
    sources=(
        "Ioffe, *Batch renormalization* (2017)",
        "Wu and He, *Group normalization* (2018)",
    ),
    explains=(
        *("underfitting", "plateau", "vanishing-gradient", "learning-rate-too-high"),
        *("oscillation", "too-few-epochs", "overfitting", "dead-units"),
        "exploding-gradient",
    ),
)
LIVE = True
FEWEST = 8


def check(case: Case) -> Finding | None:
    rule = case.training.optimizer
    if case.graph is None or rule.full_batch or not rule.stepwise:
        return None
    batch = case.training.batch_size
    norms = [n for n in case.graph.nodes if n.layer.kind == "batch_norm"]
    frozen = set(case.training.freeze)
    seen = {
        n.group: batch * math.prod(n.shape[:-1]) for n in norms if n.group not in frozen
    }
    few = {name: count for name, count in seen.items() if count < FEWEST}
    if not few:
        return None
    name = min(few, key=lambda one: few[one])
    unknown = math.isnan(case.own)
    bad = unknown or case.fails or case.behind >= HARM
    return Finding(
        PAGE,
        "warning" if bad else "note",
        f"{name} takes statistics of {few[name]} value{'s' if few[name] > 1 else ''} "
        "of each feature",
        {"values": few[name], "batch_size": batch},
        tuple(few),
        step=0,
        strength=0.92,
        patch=batches(case, BATCH),
    )
