# SPDX-License-Identifier: BSD-3-Clause
"""vanishing-gradient: the error signal fades on its way to the first layers."""

from __future__ import annotations

from nervure.findings.case import Case
from nervure.findings.changes import field, is_chain, patch, removed
from nervure.findings.finding import Finding
from nervure.findings.page import Page
from nervure.findings.patch import Patch
from nervure.findings.signs import largest

PAGE = Page(
    code="vanishing-gradient",
    title="The gradient vanishes",
    cause="Each layer multiplies the error signal by weights and slopes below 1.",
    remedy="Use relu instead of logistic or tanh, or add normalization or shortcuts.",
    what="""
        The error signal (dC/dz of a row) of the first layers is a thousandth of that of
        the last ones or less. The last layers learn what they can from features that
        stay as random as they began; the loss falls slowly, or not at all.
        """,
    why="""
        delta of a layer is delta of the layer above it, times the transposed weights,
        times the slope of the activation. The slope of a logistic is 1/4 at most, that
        of tanh is 1 only around 0; with ten layers of such factors nothing is left.
        Weights that begin too small do the same with any activation.
        """,
    helps="""
        - relu, gelu or silu in hidden layers, with the initial weights that nervure
          chooses for them (He et al.);
        - `BatchNorm` or `LayerNorm` between layers;
        - shortcuts around blocks (`Add`), as in residual nets;
        - fewer layers.
        """,
    measured="""
        The signal of the first layer with weights is below 1/500 of that of the last
        hidden one (median of the first samples, per row and layer, so that widths do
        not matter), over at least three layers. In 600 sound trainings of
        benchmarks/doctor it was never below 1/60.
        """,
    sources=(
        "Hochreiter, *Untersuchungen zu dynamischen neuronalen Netzen* (1991)",
        "Glorot and Bengio, *Understanding the difficulty of training deep feedforward "
        "neural networks* (2010), section 4",
        "Nielsen, *Neural Networks and Deep Learning* (2015), chapter 5",
    ),
    explains=(
        *("plateau", "underfitting", "learning-rate-too-low", "too-few-epochs"),
        *("saturated-units", "batch-too-large", "oscillation"),
    ),
)
LIVE = True
RATIO, LAYERS = 1 / 500, 3
DEEP, KEPT = 4, 3


def check(case: Case) -> Finding | None:
    signal = case.signs.signal
    if len(signal) < LAYERS or not case.fails:
        return None
    first, last = float(signal[0]), largest(signal)
    fades = bool(((signal > 0) & (signal < RATIO * last)).any())
    if not first < RATIO * last or not fades:  # what is 0 at once is cut off
        return None
    hidden = [w.layer for w in case.signs.hidden]
    weak = [h for h, s in zip(hidden, signal[:-1], strict=True) if s < 0.03 * last]
    return Finding(
        PAGE,
        "warning",
        f"the error signal of {hidden[0]} is {first / last:.1e} of that of the last "
        "layers",
        {"first": first, "last": last, "ratio": first / last},
        tuple(weak),
        step=0,
        strength=0.9,
        patch=_patch(case, hidden),
    )


def _patch(case: Case, hidden: list[str]) -> Patch | None:
    """relu in the place of what saturates, and the initial weights that suit it.

    Of a chain of many layers the first ones are kept: more of them gain little.
    """
    kept, rest = hidden, list[str]()
    if len(hidden) > DEEP and is_chain(case.spec.layers):
        kept, rest = hidden[:KEPT], hidden[KEPT:]
    gone = [removed(case, layer) for layer in rest]
    changes = [change for change in gone if change is not None]
    changes += [
        change
        for layer in kept
        if (entry := case.entry(layer)) is not None
        for name, after in (("activation", "relu"), ("initializer", None))
        if getattr(entry.layer, name, None) is not None
        and (change := field(case, layer, name, after)) is not None
    ]
    for entry in case.spec.layers:
        if getattr(entry.layer, "function", None) in ("logistic", "tanh"):
            name = case.names[case.spec.layers.index(entry)]
            change = field(case, name, "function", "relu")
            changes += [] if change is None else [change]
    return patch(*changes)
