# SPDX-License-Identifier: BSD-3-Clause
"""Recurrence: what a few sequences say of the layers that go along time.

Every recurrent node runs once more, by its formula in float64, over the first steps of
a few sequences, and beside them over the same from first states that are moved a
little. So are seen

- *gates*: mean and the share that is all but open or shut;
- *growth*: how many times larger states are at the end than in the first quarter of
  the steps (root mean square);
- *echo*: how many times larger the little move is at the end than after the first
  step. It is what the product of the derivatives ``dh_T/dh_1`` does to a vector, and so
  to the gradient on its way back: far above 1 it explodes, far below 1 it vanishes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.ragged import Ragged
from nervure.executors import Data, Trace, as_rows
from nervure.graph.graph import Graph
from nervure.graph.parameters import Floats, Layout
from nervure.layers import INFERENCE
from nervure.layers._recurrent import Recurrent

Array = npt.NDArray[Any]
Columns = dict[str, list[Any]]
Pair = tuple[float | None, float | None]

ROWS, STEPS = 8, 128
"""Sequences that are looked at, at most, the longest of a batch, and steps of each."""

ALONE = 2**18
"""Multiplications up to which NumPy's BLAS takes one thread for a product. More of them
would wait for cores that the engine's have; of wide layers fewer rows are looked at."""

MOVE = 1e-6
"""How far first states are moved, beside 1."""

OF_GATES = ("gate_mean", "gate_saturated")
"""Columns with a number per gate."""

_CENTRED = ("candidate", "new")
_SHUT, _FLAT = 0.0126, 0.975
"""Where the slope of a logistic, or of tanh, is a twentieth of its largest."""


class Recurrence:
    """Looks at the recurrent layers of one graph.

    Attributes:
        layers: of which it gives numbers, in the order of its columns.
    """

    def __init__(self, graph: Graph, layout: Layout, layers: Sequence[str]) -> None:
        self._graph, self._layout = graph, layout
        self.layers = tuple(layers)
        nodes = enumerate(graph.nodes)
        self._nodes = [i for i, node in nodes if isinstance(node.layer, Recurrent)]

    @cached_property
    def gates(self) -> tuple[str, ...]:
        """Names of the gates, as "lstm.forget"."""
        names = self._graph.nodes
        return tuple(f"{names[i].name}.{g}" for i in self._nodes for g in self._own(i))

    def _own(self, node: int) -> tuple[str, ...]:
        layer = self._graph.nodes[node].layer
        assert isinstance(layer, Recurrent)
        return layer.gate_names

    def of(self, values: Floats, data: Data, trace: Trace) -> Columns:
        """Columns of a batch; none where no layer goes along time."""
        if not self._nodes:
            return {}
        gates: list[Pair] = []
        times: dict[str, Pair] = {}
        for i in self._nodes:
            seen = self._run(i, values, data, trace)
            gates += [_gate(name, seen) for name in self._own(i)]
            if seen:
                owner = self._graph.nodes[i].group
                pair = _growth(seen), _echo(seen)
                times[owner] = _larger(times.get(owner, (None, None)), pair)
        along = [times.get(name, (None, None)) for name in self.layers]
        return {
            "gate_mean": [mean for mean, _ in gates],
            "gate_saturated": [share for _, share in gates],
            "growth": [growth for growth, _ in along],
            "echo": [echo for _, echo in along],
        }

    def _run(
        self, index: int, values: Floats, data: Data, trace: Trace
    ) -> Mapping[str, Array]:
        """Gates and states ``(2 rows, time, units)``, the moved rows behind.

        Nothing where the sequences are of a single step.
        """
        node = self._graph.nodes[index]
        layer = node.layer
        assert isinstance(layer, Recurrent)
        x, *given = (
            as_rows(self._graph, data, i, trace.values[i]) for i in node.inputs
        )
        width = layer.units * layer.gates * layer.units
        x, rows = _cut(x, max(1, min(ROWS, ALONE // (2 * width))))
        if x.shape[1] < 2:
            return {}
        known = {s.parameter.name: s for s in self._layout.of_node(index)}
        own = {n: s.view(values).astype(np.float64) for n, s in known.items()}
        count = len(rows)
        zeros = np.zeros((count, layer.units))
        begin = [np.asarray(s)[rows].astype(np.float64) for s in given]
        begin = begin or [zeros for _ in layer.states]
        moved = [np.concatenate([s, s + MOVE]) for s in begin]
        twice = np.concatenate([x, x]).astype(np.float64)
        with np.errstate(all="ignore"):
            seen = layer.shown(np, own, twice, *moved, info=INFERENCE)
        back = -1 if layer.reverse else 1
        return {name: array[:, ::back] for name, array in seen.items()}


def longest(x: Any, most: int) -> npt.NDArray[np.int64]:
    """So many rows: of sequences the longest, the first of those that are alike."""
    if not isinstance(x, Ragged):
        return np.arange(min(len(x), most))
    return np.argsort(-x.lengths, kind="stable")[:most]


def _cut(x: Any, most: int) -> tuple[Array, npt.NDArray[np.int64]]:
    """The first steps of so many of the longest sequences, and which these are."""
    rows = longest(x, most)
    if not isinstance(x, Ragged):
        return np.asarray(x)[rows, :STEPS], rows
    steps = int(min(STEPS, x.lengths[rows].min()))
    return np.stack([x[int(i)][:steps] for i in rows]), rows


def _gate(name: str, seen: Mapping[str, Array]) -> Pair:
    if not seen:
        return None, None
    gate = seen[name][: len(seen[name]) // 2]
    if name in _CENTRED:
        flat = np.abs(gate) > _FLAT
    else:
        flat = (gate < _SHUT) | (gate > 1 - _SHUT)
    return float(gate.mean()), float(flat.mean())


def _growth(seen: Mapping[str, Array]) -> float | None:
    """Of the state that grows most."""
    found: list[float] = []
    for name in ("state", "cell"):
        if name in seen:
            state = seen[name][: len(seen[name]) // 2]
            sizes = np.sqrt(np.mean(state**2, axis=(0, 2)))
            early = sizes[: max(1, len(sizes) // 4)].max()
            found += [_finite(sizes[-1] / early)] if early > 0 else []
    return max(found, default=None)


def _echo(seen: Mapping[str, Array]) -> float | None:
    own, moved = np.split(seen["state"], 2)
    apart = np.sqrt(np.mean((moved - own) ** 2, axis=(0, 2)))
    return _finite(apart[-1] / apart[0]) if apart[0] > 0 else None


def _finite(times: Any) -> float:
    """A number of times; what is none has run away."""
    return math.inf if math.isnan(times) else float(times)


def _larger(one: Pair, other: Pair) -> Pair:
    pairs = zip(one, other, strict=True)
    known = ([v for v in pair if v is not None] for pair in pairs)
    first, second = (max(values, default=None) for values in known)
    return first, second
