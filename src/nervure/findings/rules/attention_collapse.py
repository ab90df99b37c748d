# SPDX-License-Identifier: BSD-3-Clause
"""attention-collapse: heads look at a single step each, and learn no more."""

from __future__ import annotations

import numpy as np

from nervure.findings.case import Array, Case
from nervure.findings.changes import fields, patch, rate, rate_advice
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Patch
from nervure.findings.signs import ends

PAGE = Page(
    code="attention-collapse",
    title="Attention collapses",
    cause="Scores of attention are so large that every query looks at one key alone.",
    remedy="Begin with the default weights, lower the learning rate, clip the "
    "gradient.",
    what="""
        The entropy of the heads' weights falls to almost nothing: each query takes the
        value of a single key, whichever has the highest score. Where a softmax is so
        sure its derivative is 0, and the heads stay as they are; what comes after them
        has to make do with it. The loss gets stuck, or falls as long as rows can be
        learned by heart.
        """,
    why="""
        Scores are products of queries and keys: their size grows with the square of
        that of the weights. Weights that begin large, or steps that make them so,
        leave the range in which a softmax can be changed.
        """,
    helps="""
        - leave `initializer` out, so that the entropy begins near 1;
        - a learning rate three to ten times smaller, `WarmUp` for the first epochs;
        - `clip_norm=1` in the optimizer;
        - norm before attention (`TransformerBlock(norm="pre")`), which bounds queries
          and keys.
        """,
    measured="""
        At least half of the heads have an entropy below 0.1 of the largest, in the
        first samples or at the end, and the net fails. Default weights begin with 0.9
        to 1; heads of nets that learned ended with 0.05 to 0.8, those of weights that
        began 30 times too large with 0.01 to 0.13, and those of Adam at a rate of 0.03
        or more below 0.01.
        """,
    sources=(
        "Zhai et al., *Stabilizing transformer training by preventing attention "
        "entropy collapse* (ICML 2023)",
        "Xiong et al., *On layer normalization in the transformer architecture* "
        "(ICML 2020)",
    ),
    explains=(
        *("start-too-large", "exploding-gradient", "loss-not-at-chance", "plateau"),
        *("learning-rate-too-low", "underfitting", "overfitting", "too-few-epochs"),
        *("oscillation", "vanishing-gradient", "batch-too-large"),
    ),
)
LIVE = True
LOW = 0.1


def check(case: Case) -> Finding | None:
    heads = case.record.heads
    if not case.fails or not heads or "head_entropy" not in case.record:
        return None
    entropy: Array = ends(case.record["head_entropy"]).min(axis=0)
    low = np.flatnonzero(entropy < LOW)
    if 2 * len(low) < len(heads):
        return None
    layers = list(dict.fromkeys(_layer_of(case, heads[i]) for i in low))
    mean = float(np.mean(entropy[low]))
    change = _patch(case, layers)
    slower = rate_advice(case, change)
    return Finding(
        PAGE,
        "warning",
        f"{len(low)} of {len(heads)} heads look at one step alone: their entropy is "
        f"{mean:.2g} of the largest",
        {"entropy": mean, "heads": len(low)},
        tuple(layers),
        strength=0.9,
        patch=change,
        advice=slower and f"{slower} Or clip the gradient (clip_norm=1).",
    )


def _layer_of(case: Case, head: str) -> str:
    """The layer of the record that a head is of."""
    owners = [name for name in case.record.layers if head.startswith(f"{name}.")]
    return max(owners, key=len, default=head)


def _patch(case: Case, layers: list[str]) -> Patch | None:
    """Default weights; where they are, smaller steps."""
    begun = fields(case, layers, "initializer", None)
    return patch(*begun) if begun else rate(case, 0.3)
