# SPDX-License-Identifier: BSD-3-Clause
"""Networks to files and back; graphs from the entries that files hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from nervure._entries import LayerEntry, names_of
from nervure.data.preprocessing import Preprocessing
from nervure.graph import Entry, Graph
from nervure.layers import Input
from nervure.layers.embedding import entrance
from nervure.modelfile import (
    ModelFileError,
    check_parameters,
    network_document,
    network_from_document,
    read_model,
    write_model,
)
from nervure.network import Network
from nervure.parameters import Layout
from nervure.spec import Spec
from nervure.uncertainty.conformal import Conformal, ConformalError

SCORES = "conformal/scores"
"""Tensor of the calibration scores; no layer's name has a slash."""


def save(net: Network, path: str | os.PathLike[str]) -> None:
    """Write a network to one safetensors file, atomically."""
    graph, tensors = net.graph, dict(net.parameters)
    record, conformal = net.preprocessing, net.conformal
    document: dict[str, Any] = {
        "network": network_document(graph.entries, graph.output_names, net.dtype),
        "seed": net.seed,
        "preprocessing": None if record is None else record.to_json(),
    }
    if conformal is not None:
        document["conformal"] = conformal.to_data()
        tensors[SCORES] = conformal.scores
    write_model(path, tensors, document)


def load(path: str | os.PathLike[str]) -> Network:
    """The network of a model file, with the preprocessing it was trained with.

    Nothing in the file is executed: it holds numbers and names of known layers.

    Raises:
        ModelFileError: no model file, a damaged one, or one that contradicts itself.

    >>> import tempfile, nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(1)], seed=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(f"{folder}/model.safetensors")
    ...     same = nv.load(f"{folder}/model.safetensors")
    >>> bool((same.parameters["dense.weight"] == net.parameters["dense.weight"]).all())
    True
    """
    where = os.fspath(path)
    tensors, document = read_model(path)
    conformal = _conformal(document.get("conformal"), tensors.pop(SCORES, None), where)
    found = network_from_document(document.get("network"), where)
    try:
        graph = graph_of(found.entries, found.outputs)
        layout = Layout.of(graph)
    except ValueError as error:
        raise ModelFileError(
            f"[{where}] its layers do not fit together: {error}; expected the file as "
            "it was saved; save it again"
        ) from error
    expected = {s.name: (s.shape, found.dtype) for s in layout.segments}
    check_parameters(where, tensors, expected)
    seed = document.get("seed", 0)
    net = Network.from_graph(
        graph, seed=seed if isinstance(seed, int) else 0, dtype=found.dtype, begin=False
    )
    for name, view in net.parameters.items():
        view[...] = tensors[name]
    record = document.get("preprocessing")
    net.preprocessing = None if record is None else Preprocessing.from_json(record)
    net.conformal = conformal
    return net


def _conformal(data: object, scores: Any, where: str) -> Conformal | None:
    if data is None and scores is None:
        return None
    try:
        return Conformal.from_data(data, scores)
    except ConformalError as error:
        raise ModelFileError(f"[{where}] {error}") from error


def graph_of(
    entries: Sequence[LayerEntry],
    outputs: Sequence[str] = (),
    input_shape: tuple[int, ...] | None = None,
    categories: Sequence[int] = (),
) -> Graph:
    """The graph of entries; for lack of an input it begins as the data ask for.

    ``input_shape`` is that of the data, the last columns of which are codes of so many
    ``categories``; these are embedded unless an entry does so.
    """
    placed: list[Entry] = []
    if not any(isinstance(entry.layer, Input) for entry in entries):
        if input_shape is None:
            raise ValueError(
                "[layers] no input layer; expected the shape of the data; pass "
                'input_shape=, or begin with a layer of type = "input"'
            )
        own = [entry.layer for entry in entries]
        first, *embedding = entrance(input_shape, categories, own)
        placed.append(Entry("input", first))
        entries = [*map(LayerEntry, embedding), *entries]
    names = names_of(entries)
    for entry, name in zip(entries, names, strict=True):
        before = (placed[-1].name,) if placed and entry.layer.arity != 0 else ()
        inputs = before if entry.inputs is None else entry.inputs
        placed.append(Entry(name, entry.layer, inputs))
    return Graph.of(placed, outputs)


def network_of(
    spec: Spec,
    input_shape: tuple[int, ...] | None = None,
    seed: int | None = None,
    categories: Sequence[int] = (),
) -> Network:
    """The network that a spec describes, for data as `graph_of` has them."""
    graph = graph_of(spec.layers, spec.outputs, input_shape, categories)
    given = spec.training.seed if spec.training else 0
    return Network.from_graph(
        graph, seed=given if seed is None else seed, dtype=spec.dtype
    )


def entries_of(graph: Graph) -> tuple[LayerEntry, ...]:
    """Entries of a graph as a spec writes them: a plain chain without names."""
    entries = graph.entries
    chain = all(
        entry.inputs == ((entries[i - 1].name,) if i else ())
        for i, entry in enumerate(entries)
    )
    automatic = names_of([LayerEntry(entry.layer) for entry in entries])
    plain = chain and [entry.name for entry in entries] == automatic
    return tuple(
        LayerEntry(e.layer) if plain else LayerEntry(e.layer, e.name, e.inputs)
        for e in entries
    )
