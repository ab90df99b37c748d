# SPDX-License-Identifier: BSD-3-Clause
"""Specs to TOML."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from nervure.base import plain, toml
from nervure.base.files import write_atomically
from nervure.graph.graph import Graph
from nervure.graph.written import entries_of, layer_table, outputs_of
from nervure.network.network import Network
from nervure.spec.tables import Spec, SpecError


def write_spec(spec: Spec) -> str:
    """The TOML text of a spec; what stands at its default is left out.

    `parse_spec` gives the same spec back.

    Raises:
        SpecError: a part of it is code (a function as a loss), not data.
    """
    try:
        return toml.write(spec_to_dict(spec))
    except (TypeError, ValueError) as error:
        raise SpecError(f"[spec] {error}") from error


def spec_to_dict(spec: Spec) -> dict[str, Any]:
    """The tables of a spec, as `parse_spec` reads them."""
    tables = plain.write_fields(replace(spec, layers=(), augmentation=()))
    tables["layer"] = [layer_table(entry) for entry in spec.layers]
    tables["augmentation"] = [plain.write_fields(a) for a in spec.augmentation]
    found = {key: tables[key] for key in _WRITTEN if key in tables}
    # A table [ensemble] without keys says that there is one.
    said = ("ensemble", "autoencoder")
    return {key: table for key, table in found.items() if table or key in said}


_WRITTEN = (
    "outputs", "dtype", "network", "data", "autoencoder", "layer", "augmentation",
    "training", "ensemble", "tune",
)  # fmt: skip
"""The keys of a spec in the order in which it is written."""


def save_spec(spec: Spec, path: str | os.PathLike[str]) -> Path:
    """Write a spec file atomically.

    Raises:
        SpecError: see `write_spec`.
        WriteError: the file cannot be written; an earlier one is untouched.
    """
    write_atomically(path, write_spec(spec))
    return Path(path)


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
