# SPDX-License-Identifier: BSD-3-Clause
"""Attending: how widely each head of attention looks around.

The weights of a few rows are computed once more, by the layer's formula. The *entropy*
of a query's weights, as a share of the largest, the logarithm of how many keys it sees:
1 where it looks at all of them alike, 0 where it looks at one alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.ragged import Ragged
from nervure.executors import Data, Trace, as_rows
from nervure.graph.graph import Graph
from nervure.layers import DotProductAttention
from nervure.layers._layer import Pass
from nervure.network.recurrence import ROWS, STEPS, longest

Array = npt.NDArray[Any]
Lengths = npt.NDArray[np.int64]
Columns = dict[str, list[Any]]


class Attending:
    """Looks at the heads of one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        nodes = enumerate(graph.nodes)
        self._nodes = [
            (i, node.layer)
            for i, node in nodes
            if isinstance(node.layer, DotProductAttention)
        ]

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads, as "multi_head_attention.0"."""
        names = [self._graph.nodes[i].name for i, _ in self._nodes]
        short = [name.removesuffix(".heads") for name in names]
        layers = [layer for _, layer in self._nodes]
        pairs = zip(short, layers, strict=True)
        return tuple(f"{name}.{k}" for name, layer in pairs for k in range(layer.heads))

    def of(self, data: Data, trace: Trace) -> Columns:
        """Columns of a batch; none where nothing attends.

        A head is None where no query sees two keys.
        """
        if not self._nodes:
            return {}
        found = [self._entropies(i, layer, data, trace) for i, layer in self._nodes]
        return {"head_entropy": [share for shares in found for share in shares]}

    def _entropies(
        self, index: int, layer: DotProductAttention, data: Data, trace: Trace
    ) -> Sequence[float | None]:
        sources = self._graph.nodes[index].inputs
        q, k, v = (as_rows(self._graph, data, i, trace.values[i]) for i in sources)
        rows = longest(q, ROWS)
        (q, own), (k, other), (v, _) = (_cut(x, rows) for x in (q, k, v))
        info = Pass(lengths=(own, other))
        with np.errstate(all="ignore"):
            weights = layer.shown(np, {}, q, k, v, info=info)["weights"]
            logs = np.log(np.where(weights > 0, weights, 1))
            entropy = -(weights * logs).sum(axis=-1)
        seen = layer.seen(np, q.shape[1], k.shape[1], len(rows), info)
        count = seen.sum(axis=-1)[:, 0]
        known = _asking(count, own)
        if not known.any():
            return [None] * layer.heads
        shares = entropy[known] / np.log(count[known])[:, None]
        return [float(share) for share in shares.mean(axis=0)]


def _asking(count: Array, lengths: Any) -> Array:
    """Which steps are queries that see two keys at least."""
    steps = np.arange(int(count.shape[1]))
    inside = np.less(steps, lengths[:, None])
    return np.logical_and(count > 1, inside)


def _cut(x: Any, rows: Lengths) -> tuple[Array, Lengths]:
    """The first steps of some rows ``(rows, time, features)``, and how many."""
    if isinstance(x, Ragged):
        some = x[rows]
        array = some.to_array()[:, :STEPS]
        return array.astype(np.float64), np.minimum(some.lengths, STEPS)
    array = np.asarray(x)[rows, :STEPS].astype(np.float64)
    return array, np.full(len(rows), array.shape[1])
