# SPDX-License-Identifier: BSD-3-Clause
"""Layers read of a file, as a network with the file's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.words import short
from nervure.exchange.errors import ExchangeError
from nervure.graph.graph import Graph
from nervure.graph.parameters import initialize
from nervure.graph.symbols import from_symbols
from nervure.layers import Layer, LayerError, Symbol
from nervure.network.network import Network

Array = npt.NDArray[Any]


def network_of(
    where: str,
    begins: Sequence[Layer],
    ends: Sequence[Symbol | Layer],
    numbers: Mapping[str, Mapping[str, Array]],
    dtype: str,
) -> Network:
    """A network of these inputs and outputs; ``numbers`` by layer and parameter.

    Raises:
        ExchangeError: they make no graph, or numbers have another shape.
    """
    try:
        entries, outputs = from_symbols(ends, begins)
        graph = Graph.of(entries, outputs)
    except (ValueError, LayerError) as error:
        raise ExchangeError(f"[{where}] {error}") from error
    net = Network.from_graph(graph, dtype=dtype, begin=False)
    given = {
        f"{layer}.{word}": array
        for layer, own in numbers.items()
        for word, array in own.items()
    }
    own = [s for s in net.layout.segments if s.name not in given]
    initialize(replace(net.layout, segments=tuple(own)), net.seed, net.values)
    views = net.parameters
    for name in views.keys() & given.keys():
        if given[name].shape != views[name].shape:
            raise ExchangeError(
                f"[{where}] {short(name)} has shape {given[name].shape}; expected "
                f"{views[name].shape}; save the model again"
            )
        views[name] = np.asarray(given[name], np.float64)
    return net
