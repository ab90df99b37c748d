# SPDX-License-Identifier: BSD-3-Clause
"""Model files to networks."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nervure.base.words import cut, is_list, is_table, many, short
from nervure.base.words import found as found_word
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Reconstruction
from nervure.ensemble.ensemble import Ensemble
from nervure.graph.graph import Graph
from nervure.graph.naming import with_parameters
from nervure.graph.parameters import Layout
from nervure.graph.written import graph_of
from nervure.network.conformal import Conformal, ConformalError
from nervure.network.inputs import check_record
from nervure.network.modelfile import (
    IN_MEMORY,
    ModelFileError,
    check_parameters,
    network_from_document,
    read_model,
    read_model_bytes,
)
from nervure.network.network import Network
from nervure.network.saving import SCORES
from nervure.spec.tables import MOST_MEMBERS

MOST_FACT = 2_000
"""Characters of what is wrong with a file."""


def load(path: str | os.PathLike[str]) -> Network | Ensemble:
    """The network of a model file, with the preprocessing it was trained with.

    An `Ensemble`, where one was saved; of an autoencoder the whole network, which
    `nervure.Autoencoder.load` gives back with its code and threshold. Nothing in the
    file is executed: it holds numbers and names of known layers.

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
    known = _record(document.get("preprocessing"), drafts.values(), where)
    members = [draft.network(tensors, key, known) for key, draft in drafts.items()]
    model = members[0] if several is None else _ensemble(members, where)
    model.conformal = conformal
    _check_scores(model, where)
    return model


def _record(data: object, drafts: Iterable[_Draft], where: str) -> Preprocessing | None:
    """The preprocessing of a file, which fits every network in it."""
    if data is None:
        return None
    if not is_table(data):
        raise ModelFileError(
            f"[{where}] preprocessing: found {found_word(data)}; expected a table; use "
            "the file as it was saved"
        )
    try:
        record = Preprocessing.from_json(data)
        several = list(drafts)
        if len(several) > 1 and isinstance(record.target, Reconstruction):
            raise ValueError("an ensemble of autoencoders; expected one network")
        for draft in several:
            check_record(draft.graph, record)
    except ValueError as error:
        raise _contradicting(where, "network and preprocessing", error) from error
    return record


def _check_scores(model: Network | Ensemble, where: str) -> None:
    """Whether calibration scores are of what the model predicts."""
    conformal, record = model.conformal, model.preprocessing
    if conformal is None or record is None:
        return
    columns = conformal.scores.shape[1] if conformal.scores.ndim > 1 else 1
    classes = record.task == "classification"
    several = not classes and (conformal.method != "cqr" or record.series is not None)
    wanted = record.outputs if several else 1
    if conformal.gives_sets != classes or columns != wanted:
        fact = ValueError(f"scores by {conformal.method} of {many(columns, 'target')}")
        raise _contradicting(where, "predictions and calibration", fact)


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
    fact = cut(re.sub(r"^\[\w+\] ", "", str(error)), MOST_FACT)
    return ModelFileError(
        f"[{where}] its {what} do not fit together: {fact}; expected the file as "
        "it was saved; save it again"
    )


def _conformal(data: object, scores: Any, where: str) -> Conformal | None:
    if data is None and scores is None:
        return None
    try:
        return Conformal.from_data(data, scores)
    except ConformalError as error:
        raise ModelFileError(f"[{where}] {error}") from error


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
