# SPDX-License-Identifier: BSD-3-Clause
"""BatchNorm folded into the layer before it, for prediction.

In inference ``y = gamma (z - mean) / sqrt(variance + epsilon) + beta`` is ``z scale +
shift`` with numbers known beforehand. Where z comes from a convolution or a dense layer
and feeds nothing else, that layer's weights and bias take them up, and a pass over z is
saved. Users write parameters through views of the flat array at any time, so weights
are folded anew in each call, where that costs less than it saves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nervure.executors._executor import Floats, Model
from nervure.graph.graph import Graph
from nervure.graph.node import Node
from nervure.graph.parameters import Layout, Segment, aligned_zeros
from nervure.layers import BatchNorm, Dense
from nervure.layers._convolving import Convolving
from nervure.layers.transposed_convolution import TransposedConvolution

WORTH = 4
"""Values that BatchNorms must pass over for each number that is folded or copied. A
number takes 0.3 ns; a value 0.15 ns (ResNet-18), and workers share the values."""

Own = Mapping[str, Segment]
"""Segments of a node by the parameter's name."""


@dataclass(frozen=True)
class _Fold:
    """A layer with weights, the BatchNorm behind it, and what becomes of the two."""

    layer: Dense | Convolving
    norm: BatchNorm
    before: Own
    statistics: Own
    after: Own

    def write(self, values: Floats, folded: Floats) -> None:
        """``W scale`` and ``(b - mean) scale + beta``, the factors in float64."""

        def of(segments: Own, name: str) -> Floats:
            return segments[name].view(values)

        def wide(name: str) -> Floats:
            return of(self.statistics, name).astype(np.float64)

        with np.errstate(all="ignore"):  # what is not finite shows in the outputs
            spread = np.sqrt(wide("running_variance") + self.norm.epsilon)
            scale = wide("gamma") / spread
            bias = of(self.before, "bias") if self.layer.bias else 0.0
            shift = (bias - wide("running_mean")) * scale + wide("beta")
            weight, target = of(self.before, "weight"), self.after["weight"]
            factors = _on_weight(self.layer, scale, weight.shape).astype(folded.dtype)
            np.multiply(weight, factors, out=target.view(folded))
            self.after["bias"].view(folded)[...] = shift


def _on_weight(layer: Any, scale: Floats, shape: tuple[int, ...]) -> Floats:
    """The scale of each map where the weight has it: its last axis, or, transposed, the
    maps of one group and the channels that lead to them."""
    if not isinstance(layer, TransposedConvolution):
        return scale
    maps = scale.reshape(layer.groups, -1).T
    return np.repeat(maps, shape[-1] // layer.groups, axis=1)


def foldable(graph: Graph) -> dict[int, int]:
    """Each BatchNorm that a layer can take up, and that layer: positions of nodes."""
    fed = Counter(feed for node in graph.nodes for feed in node.inputs)
    tied = {p.of for node in graph.nodes for p in node.parameters}
    found: dict[int, int] = {}
    for i, node in enumerate(graph.nodes):
        if not isinstance(node.layer, BatchNorm):
            continue
        (feed,) = node.inputs
        weighs = isinstance(graph.nodes[feed].layer, Dense | Convolving)
        names = {*node.parameter_names, *graph.nodes[feed].parameter_names}
        if weighs and not names & tied and fed[feed] == 1 and feed not in graph.outputs:
            found[i] = feed
    return found


class Folding:
    """A model without the BatchNorms that could be folded, and how to fill it."""

    def __init__(self, model: Model, pairs: Mapping[int, int]) -> None:
        graph, places = _without(model.graph, pairs)
        layout = Layout.of(graph)
        values = aligned_zeros(layout.size, model.dtype)
        self.model = Model(graph, layout, values, values)
        self._copies: list[tuple[Segment, Segment]] = []
        self._folds: list[_Fold] = []
        norms = {layer: norm for norm, layer in pairs.items()}
        for i, place in places.items():
            before, after = _own(model.layout, i), _own(layout, place)
            if i in norms:
                self._folds.append(_fold(model, i, norms[i], before, after))
            elif i not in pairs:
                self._copies += [(before[name], after[name]) for name in before]
        passes = sum(math.prod(model.graph.nodes[norm].shape) for norm in pairs)
        self.least_rows = -(-WORTH * layout.size // passes)
        """Rows of a batch from which on folding is worth it."""

    def fill(self, values: Floats) -> None:
        """Fold and copy what ``values`` hold now."""
        for before, after in self._copies:
            after.view(self.model.values)[...] = before.view(values)
        for fold in self._folds:
            fold.write(values, self.model.values)


def folding_of(model: Model) -> Folding | None:
    """How to fold a model's BatchNorms, if any can be."""
    pairs = foldable(model.graph)
    return Folding(model, pairs) if pairs else None


def _own(layout: Layout, node: int) -> Own:
    return {s.parameter.name: s for s in layout.of_node(node)}


def _fold(model: Model, layer: int, norm: int, before: Own, after: Own) -> _Fold:
    nodes: Any = model.graph.nodes
    statistics = _own(model.layout, norm)
    return _Fold(nodes[layer].layer, nodes[norm].layer, before, statistics, after)


def _without(graph: Graph, pairs: Mapping[int, int]) -> tuple[Graph, dict[int, int]]:
    """The graph without the BatchNorms of ``pairs``, and where each node went."""
    nodes: list[Node] = []
    places: dict[int, int] = {}
    absorbing = set(pairs.values())
    for i, node in enumerate(graph.nodes):
        if i in pairs:
            places[i] = places[pairs[i]]
            continue
        layer: Any = node.layer
        inputs = tuple(places[feed] for feed in node.inputs)
        parameters = node.parameters
        if i in absorbing:
            layer = replace(layer, bias=True)
            parameters = layer.parameters(*node.seen)
        places[i] = len(nodes)
        clock = None if node.clock is None else places[node.clock]
        parts = {"inputs": inputs, "parameters": parameters, "clock": clock}
        nodes.append(replace(node, layer=layer, **parts))
    ends = (tuple(places[i] for i in some) for some in (graph.inputs, graph.outputs))
    return Graph(graph.entries, tuple(nodes), *ends), places
