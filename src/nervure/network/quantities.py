# SPDX-License-Identifier: BSD-3-Clause
"""Quantities: what a batch says of every layer, in a few numbers.

Legend, per layer: ``z`` what its nodes sum up, ``a`` what they output, ``delta`` the
derivative of a row's cost in z. "rms" is the root mean square, the norm divided by the
root of the number of elements, so that layers of any size compare.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.executors import Trace
from nervure.graph.graph import Graph
from nervure.graph.objective import activation_of
from nervure.graph.parameters import Floats, Layout, Segment
from nervure.layers import Input

Array = npt.NDArray[Any]
Columns = dict[str, list[Any]]

MOST = 2**14
"""Elements of an array that are looked at; of larger ones, evenly spaced ones."""

BINS = 32
LOWEST = -24
"""Bin k of a histogram counts magnitudes in [2^(k - 25), 2^(k - 24)), the first one
also zeros and what is smaller, the last one what is larger or no number."""

FLAT = {
    "logistic": 4.36,
    "tanh": 2.18,
    "scaled_tanh": 3.27,
    "softsign": 3.47,
    "gaussian_cdf": 2.45,
    "hard_sigmoid": 3.0,
}
"""Where |z| is larger, the derivative is below a twentieth of its largest value."""

_NO_SLOPE = {
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "hard_sigmoid": (-3.0, 3.0),
}
"""Outside of these bounds of z the derivative is 0."""


@dataclass(frozen=True)
class Place:
    """Where a layer's quantities are found: nodes of z and a, and what joins them."""

    name: str
    z: int
    a: int
    function: str


class Gauge:
    """Reads the quantities of one graph.

    Attributes:
        places: of all layers but the inputs.
        segments: the parameters that a gradient reaches.
    """

    def __init__(self, graph: Graph, layout: Layout) -> None:
        groups = graph.groups.items()
        found = (_place(graph, name, nodes) for name, nodes in groups)
        self.places = tuple(place for place in found if place is not None)
        self.segments = tuple(s for s in layout.segments if s.parameter.trainable)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the layers."""
        return tuple(place.name for place in self.places)

    def of_layers(self, trace: Trace, rows: int, *, whole: bool = False) -> Columns:
        """Columns with a number per layer; with ``whole`` histograms too."""
        values, deltas = trace.values, trace.gradients
        pairs = [(values[p.z], values[p.a]) for p in self.places]
        slopes = [deltas[p.z] for p in self.places]
        z, a = ([_moments(pair[i]) for pair in pairs] for i in (0, 1))
        columns: Columns = {
            **{f"z_{name}": [getattr(m, name) for m in z] for name in _SHOWN},
            **{f"a_{name}": [getattr(m, name) for m in a] for name in _SHOWN},
            "zero": [m.zero for m in a],
            "nonfinite": [max(m.bad, n.bad) for m, n in zip(z, a, strict=True)],
            "saturated": [_saturated(p, values[p.z]) for p in self.places],
            "dead": [_dead(p, values[p.z]) for p in self.places],
            "entropy": [_entropy(p, values[p.a]) for p in self.places],
            "delta": [None if d is None else rows * _moments(d).rms for d in slopes],
        }
        if whole:
            columns["a_histogram"] = [_histogram(pair[1]) for pair in pairs]
            columns["delta_histogram"] = [_histogram(d, rows) for d in slopes]
        return columns

    def of_parameters(
        self,
        values: Floats,
        gradients: Floats,
        updates: Floats | None = None,
        other: Floats | None = None,
    ) -> Columns:
        """Columns with a number per parameter.

        ``updates`` are what a step added to ``values``; ``other`` is a gradient of
        other rows, which says how much of it is signal.
        """
        of = [(s.view(values), s.view(gradients)) for s in self.segments]
        norms = [_norm(w) for w, _ in of]
        columns: Columns = {"norm": norms, "gradient": [_norm(g) for _, g in of]}
        if updates is not None:
            moved = [_norm(s.view(updates)) for s in self.segments]
            columns["update"] = moved
            pairs = zip(moved, norms, strict=True)
            columns["ratio"] = [u / n if n > 0 else None for u, n in pairs]
        if other is not None:
            columns["signal"] = [_signal(g, s, other) for s, (_, g) in self._with(of)]
            columns["alike"] = [_alike(w) for w, _ in of]
            columns["gradient_histogram"] = [_histogram(g) for _, g in of]
            columns["norm_histogram"] = [_histogram(w) for w, _ in of]
        return columns

    def _with(self, of: list[Any]) -> Iterable[tuple[Segment, Any]]:
        return zip(self.segments, of, strict=True)


def _place(graph: Graph, name: str, nodes: Sequence[int]) -> Place | None:
    first, last = graph.nodes[nodes[0]], graph.nodes[nodes[-1]]
    if isinstance(first.layer, Input) or not first.inputs:
        return None
    lone = _is_activation(activation_of(first.layer))
    z = first.inputs[0] if lone else nodes[0]
    return Place(name, z, nodes[-1], activation_of(last.layer))


def _is_activation(name: str) -> bool:
    return name in FLAT or name in _NO_SLOPE or name in _ELEMENTWISE


_ELEMENTWISE = {
    *("linear", "heaviside", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu"),
    *("softplus", "softmax", "log_softmax"),
}


# -- of one array ---------------------------------------------------------------------


_SHOWN = ("mean", "std", "rms")


@dataclass(frozen=True)
class _Moments:
    mean: float
    std: float
    rms: float
    zero: float
    bad: float


def _thin(x: Array) -> Array:
    """The elements that are looked at, evenly spaced over the array."""
    flat = x.reshape(-1)
    # An odd step meets all columns, of which there is often a power of two.
    return flat if flat.size <= MOST else flat[:: (flat.size // MOST) | 1]


def _moments(x: Array) -> _Moments:
    some = _thin(x)
    count = max(some.size, 1)
    squares = float(some @ some)
    bad = 0.0
    if not math.isfinite(squares):
        kept = some[np.isfinite(some)].astype(np.float64)
        bad = 1 - kept.size / count
        some, count = kept, max(kept.size, 1)
        squares = float(some @ some)
    mean = float(some.sum()) / count
    zero = 1 - np.count_nonzero(some) / count
    spread = max(squares / count - mean * mean, 0.0)
    return _Moments(
        mean, math.sqrt(spread), math.sqrt(squares / count), float(zero), bad
    )


def _norm(x: Array) -> float:
    flat = x.reshape(-1)
    return math.sqrt(float(flat @ flat))


def _saturated(place: Place, z: Array) -> float | None:
    """Share of z where the activation is all but flat; None where it never is."""
    bound = FLAT.get(place.function)
    if bound is None:
        return None
    some = _thin(z)
    return float(np.count_nonzero(np.abs(some) > bound) / max(some.size, 1))


def _dead(place: Place, z: Array) -> float | None:
    """Share of units through which no row of the batch passes a gradient."""
    bounds = _NO_SLOPE.get(place.function)
    if bounds is None:
        return None
    rows = z.reshape(-1, z.shape[-1])
    step = max(1, rows.size // (8 * MOST)) | 1
    some = rows[::step]
    alive = ((some > bounds[0]) & (some < bounds[1])).any(axis=0)
    return float(1 - np.count_nonzero(alive) / alive.size)


def _entropy(place: Place, a: Array) -> float | None:
    """Mean entropy of a softmax's rows, as a share of the largest, ``log K``."""
    classes = a.shape[-1]
    if place.function not in ("softmax", "log_softmax") or classes < 2:
        return None
    p = a.reshape(-1, classes)
    p = np.exp(p) if place.function == "log_softmax" else p
    logs = np.log(np.maximum(p, 1e-30))
    return float(-(p * logs).sum() / len(p) / math.log(classes))


def _histogram(x: Array | None, times: float = 1.0) -> list[int] | None:
    """Counts of magnitudes in `BINS` bins, each twice as large as the one before."""
    if x is None:
        return None
    some = _thin(x)
    exponents = np.frexp(some * times if times != 1 else some)[1]
    exponents[some == 0] = LOWEST
    exponents[~np.isfinite(some)] = BINS
    places = np.clip(exponents - LOWEST, 0, BINS - 1)
    return np.bincount(places, minlength=BINS).tolist()


def _signal(gradient: Array, segment: Segment, other: Floats) -> float | None:
    """Signal-to-noise ratio of a gradient, by one of as many other rows.

    For g = G + noise and g' = G + noise', the mean of ``g g'`` is ``|G|^2``, that of
    ``(g^2 + g'^2) / 2`` is ``|G|^2`` and the noise.
    """
    g, h = gradient.reshape(-1), segment.view(other).reshape(-1)
    signal, power = float(g @ h), float(g @ g + h @ h) / 2
    return None if not power > 0 else max(signal, 0.0) / max(power - signal, 1e-12)


def _alike(weight: Array) -> float | None:
    """1 where all units have the same weights, about 0 where they differ at random."""
    if weight.ndim < 2 or weight.shape[-1] < 2:
        return None
    rows = weight.reshape(-1, weight.shape[-1])
    whole = _norm(rows)
    return 1.0 if whole == 0 else 1 - _norm(rows - rows.mean(axis=1)[:, None]) / whole
