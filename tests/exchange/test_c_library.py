# SPDX-License-Identifier: BSD-3-Clause
"""Networks run by libnervure, from C and through ctypes: the bits of the engine.

``NERVURE_TEST_C`` names a folder in which CMake has built it (-DNERVURE_C=ON); without
it these tests are skipped, and say so. ``.ci/run`` builds one.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.exchange.errors import ExchangeError
from nervure.graph.graph import Graph
from nervure.graph.node import Entry
from nervure.layers import LAYERS, Formula, Input
from nervure.network.network import Network

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "c"
BUILD = os.environ.get("NERVURE_TEST_C")
ROWS = 5
TIME = 6

sys.path.insert(0, str(EXAMPLES))

built = pytest.mark.skipif(BUILD is None, reason="NERVURE_TEST_C names no folder")


@pytest.fixture(scope="module")
def library() -> Any:
    from predict import library

    return library(str(Path(BUILD or "") / "libnervure.so"))


@pytest.fixture
def loaded(library: Any, tmp_path: Path) -> Callable[..., Any]:
    """The model of a network, exported and loaded."""
    from predict import Model

    def load(net: Any, **options: Any) -> Any:
        path = tmp_path / "net.nervure"
        nv.export(net, path, **options)
        return Model(library, str(path))

    return load


def network(example: Any) -> Network:
    """A layer alone, its sequences of one length, its parameters far from special."""
    if isinstance(example.layer, Input):
        graph = Graph.of([Entry(example.layer, "layer")])
    else:
        names = [f"x{i}" for i in range(len(example.inputs))]
        pairs = zip(names, example.shapes, strict=True)
        feeds = [
            Entry(Input(tuple(TIME if n is None else n for n in shape)), name)
            for name, shape in pairs
        ]
        spare = [] if feeds else [Entry(Input(1), "unused")]
        entry = Entry(example.layer, "layer", tuple(names))
        graph = Graph.of([*feeds, *spare, entry], ["layer"])
    net = Network.from_graph(graph, dtype="float32")
    rng = np.random.default_rng(3)
    for name, view in net.parameters.items():
        view[...] = rng.normal(size=view.shape) * 0.7
        if name.endswith(("variance", "scale")):
            view[...] = rng.uniform(0.5, 2.0, size=view.shape)
    return net


def rows_of(net: Network, rows: int = ROWS) -> list[Any]:
    rng = np.random.default_rng(1)
    found = [
        rng.normal(size=(rows, *shape)).astype(np.float32)
        for shape in net.graph.input_shapes
    ]
    domain = next((n.layer.domain for n in net.graph.nodes if n.layer.domain), None)
    if domain is not None:
        low, high = domain[0], min(domain[1], domain[0] + 3)
        found = [low + (high - low) / (1 + np.exp(-x)) for x in found]
    for codes in net.graph.codes:
        flat = found[codes.input].reshape(rows, -1)
        flat[:, codes.columns] = rng.integers(
            0, codes.sizes, (rows, codes.columns.size)
        )
    return found


def outputs_of(net: Network, rows: list[Any]) -> list[Any]:
    names = [net.graph.nodes[i].name for i in net.graph.inputs]
    given = rows[0] if len(rows) == 1 else dict(zip(names, rows, strict=True))
    found = net.forward(given)
    return found if isinstance(found, list) else [found]


def equal_bits(found: list[Any], wanted: list[Any]) -> None:
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_array_equal(
            np.ascontiguousarray(ours).view(np.int32),
            np.ascontiguousarray(theirs).view(np.int32),
        )


SINGLE = [
    pytest.param(example, id=f"{kind.kind}-{i}")
    for kind in LAYERS
    if not issubclass(kind, Formula)
    for i, example in enumerate(kind.examples())
    if not (isinstance(example.layer, Input) and example.layer.time)
]


@built
@pytest.mark.parametrize("example", SINGLE)
def test_every_layer_gives_the_same_bits(example: Any, loaded: Any) -> None:
    net = network(example)
    rows = rows_of(net)
    equal_bits(loaded(net).predict(*rows), outputs_of(net, rows))
