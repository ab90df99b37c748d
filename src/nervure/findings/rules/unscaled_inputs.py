# SPDX-License-Identifier: BSD-3-Clause
"""unscaled-inputs: columns that are far larger or smaller than 1."""

from __future__ import annotations

import math

from nervure.findings.case import HARM, Case
from nervure.findings.changes import inserted, patch
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Patch

PAGE = Page(
    code="unscaled-inputs",
    title="Inputs are not scaled",
    cause="Some columns are so large or small that no learning rate suits them all.",
    remedy="Standardize the inputs: nervure.data does, and so does nv.Normalize.",
    what="""
        The loss falls slowly, or jumps; units are saturated or dead from the start. A
        column of thousands drowns the others.
        """,
    why="""
        The gradient of a weight is the error signal times the input: the curvature
        along it grows like the square of the input. Pixels from 0 to 255 or amounts in
        euros need other rates than shares between 0 and 1.
        """,
    helps="""
        - data read by `nervure.data` or `nervure train` (numbers = "standard");
        - `nv.Normalize(mean, scale)` behind the input;
        - pixels divided by 255.
        """,
    measured="""
        The root mean square of the columns reaches above 20 or lies below 0.05, or
        columns are 10 deviations away from 0 in the median, no normalization follows
        the input, and the net fails (else a note, and only beyond 100 and 0.01).
        """,
    sources=(
        "LeCun, Bottou, Orr and Müller, *Efficient BackProp* (1998), section 4.3",
        "Schoop, Huang and Hartmann, *UMLAUT* (CHI 2021)",
    ),
    explains=(
        *("saturated-units", "dead-units", "learning-rate-too-high", "plateau"),
        *("underfitting", "learning-rate-too-low", "loss-not-at-chance", "non-finite"),
        *("too-few-epochs", "vanishing-gradient", "exploding-gradient", "overfitting"),
        *("oscillation", "start-too-large", "start-too-small", "batch-too-large"),
    ),
)
LIVE = True
LARGE, SMALL, OFFSET = 20.0, 0.05, 10.0
_NORMS = (
    "normalize",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "rms_norm",
    "embedding",
    "embedding_bag",
)


def check(case: Case) -> Finding | None:
    facts = case.facts
    if facts is None or math.isnan(facts.middle) or _is_normalized(case):
        return None
    large, small = facts.high > LARGE, facts.high < SMALL
    off = facts.offset > OFFSET
    if not (large or small or off):
        return None
    bad = case.fails or case.behind >= HARM
    extreme = facts.high > 5 * LARGE or facts.high < SMALL / 5
    if not bad and not extreme:
        return None
    words = f"columns reach a size of {facts.high:.3g}"
    if small:
        words = f"no column is larger than {facts.high:.2g}"
    elif off and not large:
        words = f"columns are {facts.offset:.3g} deviations away from 0"
    return Finding(
        PAGE,
        "warning" if bad else "note",
        f"{words}; about 1 is what suits",
        {"low": facts.low, "middle": facts.middle, "high": facts.high},
        step=0,
        strength=0.93 if bad else 0.4,
        patch=_patch(case),
    )


def _is_normalized(case: Case) -> bool:
    """Whether each input is normalized or embedded first thing."""
    graph = case.graph
    if graph is None:
        return False
    readers = [graph.nodes[r] for i in graph.inputs for r in graph.consumers(i)]
    return bool(readers) and all(n.layer.kind in _NORMS for n in readers)


def _patch(case: Case) -> Patch | None:
    """A normalization by the numbers of the training rows, behind the input."""
    scales = case.deep_scales
    first = next((n for n in case.names if not _is_input(case, n)), None)
    if scales is None or first is None:
        return None
    mean, scale = scales
    change = inserted(case, first, {"type": "normalize", "mean": mean, "scale": scale})
    return patch(change)


def _is_input(case: Case, name: str) -> bool:
    entry = case.entry(name)
    return entry is not None and entry.layer.kind == "input"
