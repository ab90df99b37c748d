# SPDX-License-Identifier: BSD-3-Clause
"""Networks of one layer alone, as files are written of and compared with."""

from __future__ import annotations

from typing import Any

import numpy as np

from nervure.graph.graph import Graph
from nervure.graph.node import Entry
from nervure.layers import Input
from nervure.network.network import Network

TIME = 6
"""Steps of a sequence."""


def network(example: Any, dtype: str = "float32", time: int | None = TIME) -> Network:
    """A layer alone, with parameters and statistics that are far from special.

    Its sequences have so many steps; any number of them for None.
    """
    net = Network.from_graph(_graph(example, time), dtype=dtype)
    rng = np.random.default_rng(3)
    for name, view in net.parameters.items():
        view[...] = rng.normal(size=view.shape) * 0.7
        if name.endswith(("variance", "scale")):
            view[...] = rng.uniform(0.5, 2.0, size=view.shape)
    return net


def _graph(example: Any, time: int | None) -> Graph:
    if isinstance(example.layer, Input):
        return Graph.of([Entry(example.layer, "layer")])
    names = [f"x{i}" for i in range(len(example.inputs))]
    shapes = [tuple(time if n is None else n for n in s) for s in example.shapes]
    feeds = [Entry(Input(s), name) for s, name in zip(shapes, names, strict=True)]
    spare = [] if feeds else [Entry(Input(1), "unused")]
    entry = Entry(example.layer, "layer", tuple(names))
    return Graph.of([*feeds, *spare, entry], ["layer"])
