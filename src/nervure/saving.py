# SPDX-License-Identifier: BSD-3-Clause
"""Networks to files and back; graphs from the entries that files hold."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nervure._entries import LayerEntry, names_of
from nervure._wording import found as found_word
from nervure._wording import is_list, is_table, short
from nervure.data.preprocessing import Preprocessing
from nervure.ensemble import MOST_MEMBERS, Ensemble
from nervure.graph import Entry, Graph
from nervure.layers import Input
from nervure.layers.embedding import entrance
from nervure.modelfile import (
    IN_MEMORY,
    ModelFileError,
    check_parameters,
    model_bytes,
    network_document,
    network_from_document,
    read_model,
    read_model_bytes,
    write_model,
)
from nervure.network import Network
from nervure.parameters import Layout
from nervure.spec import Spec
from nervure.transfer import with_parameters
from nervure.uncertainty.conformal import Conformal, ConformalError
from nervure.zoo import ZooNetwork

SCORES = "conformal/scores"
"""Tensor of the calibration scores; no layer's name has a slash."""


def save(model: Network | Ensemble, path: str | os.PathLike[str]) -> None:
    """Write a network or an ensemble to one safetensors file, atomically.

    The weights of an ensemble's member i are named ``i/<node>.<name>``.
    """
    write_model(path, *_contents(model))


def to_bytes(model: Network | Ensemble) -> bytes:
    """The model file of a network or an ensemble as bytes: numbers and JSON, no code.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(1)], seed=1)
    >>> from_bytes(to_bytes(net)).parameters["dense.weight"].shape
    (2, 1)
    """
    return model_bytes(*_contents(model))


def _contents(model: Network | Ensemble) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors and document, with what training and calibration have recorded."""
    document: dict[str, Any]
    if isinstance(model, Network):
        document, tensors = _network_part(model), dict(model.parameters)
    else:
        document = {"ensemble": [_network_part(member) for member in model]}
        tensors = {
            f"{i}/{name}": view
            for i, member in enumerate(model)
            for name, view in member.parameters.items()
        }
    record, conformal = model.preprocessing, model.conformal
    document["preprocessing"] = None if record is None else record.to_json()
    if conformal is not None:
        document["conformal"] = conformal.to_data()
        tensors[SCORES] = conformal.scores
    return tensors, document


def _network_part(net: Network) -> dict[str, Any]:
    """What a file says of one network besides its weights."""
    graph = net.graph
    return {
        "network": network_document(graph.entries, graph.output_names, net.dtype),
        "seed": net.seed,
        "frozen": [e.name for e in graph.entries if e.name in net.frozen],
    }


def load(path: str | os.PathLike[str]) -> Network | Ensemble:
    """The network of a model file, with the preprocessing it was trained with.

    An `Ensemble`, where one was saved. Nothing in the file is executed: it holds
    numbers and names of known layers.

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
    return _model(*read_model(path), os.fspath(path))


def from_bytes(data: bytes) -> Network | Ensemble:
    """The network or ensemble of a model file's bytes; see `load`."""
    return _model(*read_model_bytes(data), IN_MEMORY)


def _model(
    tensors: dict[str, Any], document: Mapping[str, Any], where: str
) -> Network | Ensemble:
    conformal = _conformal(document.get("conformal"), tensors.pop(SCORES, None), where)
    several = document.get("ensemble")
    found = {"": document} if several is None else _members(several, where)
    drafts = {key: _draft(one, _place(where, key)) for key, one in found.items()}
    expected = {
        f"{key}{s.name}": (s.shape, draft.dtype)
        for key, draft in drafts.items()
        for s in draft.layout.segments
    }
    check_parameters(where, tensors, expected)
    record = document.get("preprocessing")
    known = None if record is None else Preprocessing.from_json(record)
    members = [draft.network(tensors, key, known) for key, draft in drafts.items()]
    model = members[0] if several is None else _ensemble(members, where)
    model.conformal = conformal
    return model


def _ensemble(members: Sequence[Network], where: str) -> Ensemble:
    try:
        return Ensemble(members)
    except ValueError as error:
        raise _contradicting(where, "members", error) from error


def load_network(path: str | os.PathLike[str]) -> Network:
    """The network of a model file that holds one (see `load`).

    Raises:
        ModelFileError: it holds an ensemble, or see `load`.
    """
    found = load(path)
    if isinstance(found, Network):
        return found
    raise ModelFileError(
        f"[{os.fspath(path)}] holds an ensemble of {len(found)}; expected one network; "
        "use nv.load(path).members"
    )


def _members(several: object, where: str) -> dict[str, Mapping[str, Any]]:
    """Documents of an ensemble's members by the prefix of their weights."""
    if not is_list(several) or not 1 <= len(several) <= MOST_MEMBERS:
        raise ModelFileError(
            f"[{where}] ensemble: found {found_word(several)}; expected a list of 1 to "
            f"{MOST_MEMBERS} members; use the file as it was saved"
        )
    return {f"{i}/": one if is_table(one) else {} for i, one in enumerate(several)}


def _place(where: str, key: str) -> str:
    return f"{where}, member {key.rstrip('/')}" if key else where


@dataclass(frozen=True)
class _Draft:
    """A network that a file describes, before anything of its size is allocated."""

    graph: Graph
    layout: Layout
    dtype: str
    seed: int
    frozen: frozenset[str]

    def network(
        self, tensors: Mapping[str, Any], key: str, record: Preprocessing | None
    ) -> Network:
        net = Network.from_graph(
            self.graph, seed=self.seed, dtype=self.dtype, begin=False
        )
        for name, view in net.parameters.items():
            view[...] = tensors[f"{key}{name}"]
        net.preprocessing = record
        net.freeze_layers(self.frozen)
        return net


def _draft(document: Mapping[str, Any], where: str) -> _Draft:
    found = network_from_document(document.get("network"), where)
    try:
        graph = graph_of(found.entries, found.outputs)
        layout = Layout.of(graph)
    except ValueError as error:
        raise _contradicting(where, "layers", error) from error
    seed = document.get("seed", 0)
    seed = seed if isinstance(seed, int) else 0
    frozen = _frozen(document.get("frozen", []), graph, where)
    return _Draft(graph, layout, found.dtype, seed, frozen)


def _frozen(names: object, graph: Graph, where: str) -> frozenset[str]:
    known = with_parameters(graph)
    if not is_list(names) or not all(name in known for name in names):
        raise ModelFileError(
            f"[{where}] frozen: found {short(names)}; expected names of layers with "
            "parameters; use the file as it was saved"
        )
    return frozenset(names)


def _contradicting(where: str, what: str, error: ValueError) -> ModelFileError:
    return ModelFileError(
        f"[{where}] its {what} do not fit together: {error}; expected the file as "
        "it was saved; save it again"
    )


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
    record: Preprocessing | None = None,
) -> Network:
    """The network that a spec describes, for data as `graph_of` has them.

    One of the zoo has as many outputs as the targets of ``record`` ask for.
    """
    training = spec.training
    seed = spec.seed if seed is None else seed
    if spec.network is not None:
        net = _of_zoo(spec.network, input_shape, record, seed, spec.dtype)
    else:
        graph = graph_of(spec.layers, spec.outputs, input_shape, categories)
        net = Network.from_graph(graph, seed=seed, dtype=spec.dtype)
    if training and (training.freeze or training.freeze_until is not None):
        net.freeze(*training.freeze, until=training.freeze_until)
    return net


def _of_zoo(
    named: ZooNetwork,
    input_shape: tuple[int, ...] | None,
    record: Preprocessing | None,
    seed: int,
    dtype: str,
) -> Network:
    outputs = None if record is None else record.outputs
    values = record is not None and record.task == "regression"
    activation = None if values else "softmax"
    return named.build(input_shape, outputs, activation, seed, dtype)


def described(net: Network) -> Spec:
    """The spec of a network alone: its layers, which one can read and change.

    >>> import nervure as nv
    >>> from nervure.spec import write_spec
    >>> net = nv.Network([nv.Input(2), nv.Dense(3, activation="softmax")])
    >>> print(write_spec(described(net)))
    [[layer]]
    type = "input"
    shape = [2]
    <BLANKLINE>
    [[layer]]
    type = "dense"
    units = 3
    activation = "softmax"
    <BLANKLINE>
    """
    return described_graph(net.graph, net.dtype)


def described_graph(graph: Graph, dtype: str = "float32") -> Spec:
    """The spec of a graph, without any parameters."""
    return Spec(entries_of(graph), outputs=outputs_of(graph), dtype=cast(Any, dtype))


def outputs_of(graph: Graph) -> tuple[str, ...]:
    """Names of the outputs where they are not those that nothing consumes."""
    plain = Graph.of(graph.entries).output_names
    return () if plain == graph.output_names else graph.output_names


def take_weights(net: Network, path: str | os.PathLike[str]) -> None:
    """Give a network the weights of a model file: those of the same name and shape.

    Warns of layers that have none there: they begin anew.

    Raises:
        ModelFileError: none fits, or see `load`.
    """
    own, known = net.parameters, load_network(path).parameters
    same = [n for n in own if n in known and known[n].shape == own[n].shape]
    if not same:
        raise ModelFileError(
            f"[{os.fspath(path)}] none of its weights fits "
            f"({', '.join(list(known)[:5])}); expected those of "
            f"{', '.join(list(own)[:5])}; use a model whose layers have the same names "
            "and shapes"
        )
    for name in same:
        own[name] = known[name]
    groups = {s.name: net.graph.nodes[s.node].group for s in net.layout.segments}
    anew = dict.fromkeys(groups[name] for name in own if name not in same)
    if anew:
        warnings.warn(
            f"[{os.fspath(path)}] {len(same)} of {len(own)} parameters taken; begun "
            f"anew: {', '.join(anew)}",
            stacklevel=2,
        )


def entries_of(graph: Graph) -> tuple[LayerEntry, ...]:
    """Entries of a graph as a spec writes them.

    Inputs are left out where they are the entry before, and of a plain chain the names.
    """
    entries = graph.entries
    before = (None, *entries[:-1])
    inputs = [
        None if not e.inputs or (last and e.inputs == (last.name,)) else e.inputs
        for e, last in zip(entries, before, strict=True)
    ]
    automatic = names_of([LayerEntry(entry.layer) for entry in entries])
    if not any(inputs) and [entry.name for entry in entries] == automatic:
        return tuple(LayerEntry(entry.layer) for entry in entries)
    pairs = zip(entries, inputs, strict=True)
    return tuple(LayerEntry(e.layer, e.name, feeds) for e, feeds in pairs)
