# SPDX-License-Identifier: BSD-3-Clause
"""Networks to model files: weights, and JSON that says what they belong to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

from nervure.data.preprocessing import Preprocessing
from nervure.graph.graph import Graph
from nervure.graph.parameters import ParameterViews
from nervure.network.conformal import Conformal
from nervure.network.modelfile import model_bytes, network_document, write_model

SCORES = "conformal/scores"
"""Tensor of the calibration scores; no layer's name has a slash."""

Contents = tuple[dict[str, Any], dict[str, Any]]
"""Tensors by name, and the document."""


class Weights(Protocol):
    """What a file holds of one network."""

    seed: int

    @property
    def graph(self) -> Graph: ...
    @property
    def dtype(self) -> str: ...
    @property
    def frozen(self) -> frozenset[str]: ...
    @property
    def parameters(self) -> ParameterViews: ...


class Recorded(Protocol):
    """What training and calibration have recorded."""

    @property
    def preprocessing(self) -> Preprocessing | None: ...
    @property
    def conformal(self) -> Conformal | None: ...


class Savable(Weights, Recorded, Protocol):
    """A network."""


def save(net: Savable, path: str | os.PathLike[str]) -> None:
    """Write a network to one safetensors file, atomically."""
    write_model(path, *contents(net))


def to_bytes(net: Savable) -> bytes:
    """The model file of a network as bytes: numbers and JSON, no code."""
    return model_bytes(*contents(net))


def contents(net: Savable) -> Contents:
    """What the file of a network holds."""
    return _with_records(dict(net.parameters), _document(net), net)


def contents_of_members(members: Sequence[Weights], recorded: Recorded) -> Contents:
    """What the file of an ensemble holds: weights of member i are ``i/<node>.<name>``.

    ``recorded`` is the ensemble, for what its members have in common.
    """
    document = {"ensemble": [_document(member) for member in members]}
    tensors = {
        f"{i}/{name}": view
        for i, member in enumerate(members)
        for name, view in member.parameters.items()
    }
    return _with_records(tensors, document, recorded)


def _with_records(
    tensors: dict[str, Any], document: dict[str, Any], recorded: Recorded
) -> Contents:
    record, conformal = recorded.preprocessing, recorded.conformal
    document["preprocessing"] = None if record is None else record.to_json()
    if conformal is not None:
        document["conformal"] = conformal.to_data()
        tensors[SCORES] = conformal.scores
    return tensors, document


def _document(net: Weights) -> dict[str, Any]:
    """What a file says of one network besides its weights."""
    graph = net.graph
    return {
        "network": network_document(graph.entries, graph.output_names, net.dtype),
        "seed": net.seed,
        "frozen": [e.name for e in graph.entries if e.name in net.frozen],
    }
