# SPDX-License-Identifier: BSD-3-Clause
"""Signs: what the sampled steps of a record say of the layers with weights.

Legend: a layer's *gain* is how much wider its weights begin than those of LeCun,
``std sqrt(inputs)``; its *width* the same beside Glorot's, which minds the outputs too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.graph.graph import Graph
from nervure.layers import (
    Embedding,
    EmbeddingBag,
    PeriodicEmbedding,
    PositionEmbedding,
)
from nervure.record import Record

Array = npt.NDArray[Any]

_VECTORS = Embedding | EmbeddingBag | PeriodicEmbedding | PositionEmbedding

FIRST = 8
"""Samples that count as the beginning: steps 0 to 12."""

LAST = 5
"""Samples that count as the end."""

EARLY = 3
"""Samples that count as the beginning, of what only some samples have."""


@dataclass(frozen=True)
class Weighted:
    """A layer with weights: its places among the record's layers and parameters."""

    layer: str
    row: int
    column: int
    inputs: int
    units: int
    learns: bool

    @property
    def size(self) -> int:
        return self.inputs * self.units


class Signs:
    """What the sampled steps say; arrays are empty where there are none."""

    def __init__(self, record: Record, graph: Graph | None) -> None:
        self._record, self._graph = record, graph

    @cached_property
    def samples(self) -> int:
        return len(self._record.of("step"))

    @cached_property
    def weighted(self) -> tuple[Weighted, ...]:
        """Layers with weights, first to last; embeddings left out."""
        layout = self._record.latest("layout")
        layers = list(self._record.layers)
        found: list[Weighted] = []
        shapes, learns = layout.get("shapes", ()), layout.get("learns", ())
        for column, name in enumerate(self._record.parameters):
            shape: list[int] = shapes[column]
            layer = self._layer_of(name)
            if len(shape) < 2 or layer not in layers or not self._is_weight(name):
                continue
            inputs = math.prod(shape[:-1])
            found.append(
                Weighted(
                    layer,
                    layers.index(layer),
                    column,
                    inputs,
                    shape[-1],
                    bool(learns[column]),
                )
            )
        return tuple(found)

    @property
    def hidden(self) -> tuple[Weighted, ...]:
        """All but the last."""
        return self.weighted[:-1]

    def _layer_of(self, parameter: str) -> str:
        node = parameter.rpartition(".")[0]
        if self._graph is not None and node in self._graph.index:
            return self._graph.nodes[self._graph.index[node]].group
        return node

    def _is_weight(self, parameter: str) -> bool:
        """Whether sums over inputs are taken with it: no scale, and no embedding."""
        node, _, name = parameter.rpartition(".")
        if not name.endswith("weight"):
            return False
        if self._graph is None or node not in self._graph.index:
            return True
        layer = self._graph.nodes[self._graph.index[node]].layer
        return not isinstance(layer, _VECTORS)

    # -- columns ------------------------------------------------------------------

    def layers(self, name: str) -> Array:
        """A column of all layers, ``(samples, layers)``."""
        if name not in self._record:
            return np.full((self.samples, len(self._record.layers)), math.nan)
        return self._record[name]

    def parameters(self, name: str) -> Array:
        """A column of the weights, ``(samples, weighted)``."""
        places = [w.column for w in self.weighted]
        if name not in self._record:
            return np.full((self.samples, len(places)), math.nan)
        return self._record[name][:, places]

    # -- the beginning ------------------------------------------------------------

    @cached_property
    def stds(self) -> Array:
        """Root mean square of the weights as they begin."""
        if not self.samples:
            return np.empty(0)
        roots = np.sqrt([w.size for w in self.weighted])
        return self.parameters("norm")[0] / roots

    @cached_property
    def gains(self) -> Array:
        """``std sqrt(inputs)`` of the weights as they begin: about 1 to 1.5."""
        return self.stds * np.sqrt([w.inputs for w in self.weighted])

    @cached_property
    def widths(self) -> Array:
        """``std sqrt((inputs + units) / 2)`` of the weights as they begin: about 1."""
        sums = [(w.inputs + w.units) / 2 for w in self.weighted]
        return self.stds * np.sqrt(sums)

    @cached_property
    def signal(self) -> Array:
        """Norm of a row's error signal in each layer with weights, at first.

        Median of the first samples, per layer.
        """
        some = self.layers("delta")[:FIRST, [w.row for w in self.weighted]]
        return _median(some) * np.sqrt(self._sizes)

    @cached_property
    def first_signal(self) -> Array:
        """The same before the first step."""
        if not self.samples:
            return np.empty(0)
        rows = [w.row for w in self.weighted]
        return self.layers("delta")[0, rows] * np.sqrt(self._sizes)

    @cached_property
    def _sizes(self) -> Array:
        """Values of a row in each of these layers."""
        sizes = self._record.latest("layout").get("sizes")
        if sizes is None:
            return np.ones(len(self.weighted))
        return np.array([sizes[w.row] for w in self.weighted], np.float64)

    @cached_property
    def paces(self) -> Array:
        """Size of the updates beside that of the weights, ``(samples, weighted)``.

        Beside what Glorot's would be where the weights are smaller: those of a few
        inputs may be next to nothing by chance, and grow by much that is little.
        """
        usual = np.sqrt([2 * w.size / (w.inputs + w.units) for w in self.weighted])
        return self.parameters("update") / np.fmax(self.parameters("norm"), usual)

    @cached_property
    def pace(self) -> Array:
        """The same at first, per layer: about 1e-3."""
        return _median(self.paces[1:FIRST])

    @cached_property
    def late_pace(self) -> Array:
        """The same at the end."""
        return _median(self.paces[-LAST:])

    @cached_property
    def shrinking(self) -> Array:
        """Norm of the weights at the end beside that at the beginning."""
        norms = self.parameters("norm")
        if len(norms) < 2:
            return np.full(len(self.weighted), math.nan)
        return norms[-1] / np.maximum(norms[0], 1e-30)

    def early(self, name: str) -> Array:
        """Median of a column of layers over the first samples."""
        return _median(self.layers(name)[:FIRST])

    def late(self, name: str) -> Array:
        """Median of a column of layers over the last samples."""
        return _median(self.layers(name)[-LAST:])


def largest(values: Array, default: float = 0.0) -> float:
    """The largest number among values, NaN left out.

    >>> largest(np.array([1.0, math.nan])), largest(np.array([]))
    (1.0, 0.0)
    """
    known = values[~np.isnan(values)]
    return float(known.max()) if known.size else default


def middle(values: Array, default: float = math.nan) -> float:
    """The median of the numbers among values, NaN left out."""
    known: Array = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else default


def _median(values: Array) -> Array:
    """Median over the samples, NaN where there is no number at all."""
    found: Array = np.full(values.shape[1:], math.nan, np.float64)
    known = ~np.isnan(values)
    for j in np.flatnonzero(known.any(axis=0)):
        found[j] = np.median(values[known[:, j], j])
    return found


def ends(values: Array) -> Array:
    """The beginning and the end of each column ``(2, columns)``; NaN where nothing is.

    Of columns that only some samples have: the median of the first few, and the last.
    """
    found = np.full((2, values.shape[1]), np.nan)
    for j, column in enumerate(values.T):
        known = column[~np.isnan(column)]
        if len(known):
            found[:, j] = np.median(known[:EARLY]), known[-1]
    return found
