# SPDX-License-Identifier: BSD-3-Clause
"""Graphs of the entries that specs and files hold, and such entries of graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nervure.graph.entries import with_name
from nervure.graph.graph import Graph
from nervure.graph.node import Entry, layer_to_dict, names_of
from nervure.layers import Input
from nervure.layers.entrance import Codes, entrance


def graph_of(
    entries: Sequence[Entry],
    outputs: Sequence[str] = (),
    input_shape: tuple[int, ...] | None = None,
    categories: Sequence[Codes] = (),
) -> Graph:
    """The graph of entries; for lack of an input it begins as the data ask for.

    ``input_shape`` is that of the data, the last columns of which are codes of so many
    ``categories``; these are embedded unless an entry does so.
    """
    if any(isinstance(entry.layer, Input) for entry in entries):
        return Graph.of(entries, outputs)
    if input_shape is None:
        raise ValueError(
            "[layers] no input layer; expected the shape of the data; pass "
            'input_shape=, or begin with a layer of type = "input"'
        )
    own = [entry.layer for entry in entries]
    first, *embedding = entrance(input_shape, categories, own)
    begin = [Entry(first, "input"), *map(Entry, embedding)]
    return Graph.of([*begin, *entries], outputs)


def entries_of(graph: Graph) -> tuple[Entry, ...]:
    """Entries of a graph as a spec writes them.

    Inputs are left out where they are the entry before, and of a plain chain the names.
    """
    entries = graph.entries
    before = (None, *entries[:-1])
    inputs = [
        None if not e.inputs or (last and e.inputs == (last.name,)) else e.inputs
        for e, last in zip(entries, before, strict=True)
    ]
    automatic = names_of([Entry(entry.layer) for entry in entries])
    if not any(inputs) and [entry.name for entry in entries] == automatic:
        return tuple(Entry(entry.layer) for entry in entries)
    pairs = zip(entries, inputs, strict=True)
    return tuple(Entry(e.layer, e.name, feeds) for e, feeds in pairs)


def outputs_of(graph: Graph) -> tuple[str, ...]:
    """Names of the outputs where they are not those that nothing consumes."""
    plain = Graph.of(graph.entries).output_names
    return () if plain == graph.output_names else graph.output_names


def layer_table(entry: Entry) -> dict[str, Any]:
    """The table ``[[layer]]`` of an entry.

    Raises:
        ValueError: a field holds something that is not data.
    """
    table = layer_to_dict(with_name(entry).layer)
    if entry.inputs is not None:
        table["inputs"] = list(entry.inputs)
    return table


def tables_of(graph: Graph, dtype: str = "float32") -> dict[str, Any]:
    """The tables of a spec of the graph alone, as TOML is written from them."""
    tables: dict[str, Any] = {"outputs": list(outputs_of(graph))}
    if dtype != "float32":
        tables["dtype"] = dtype
    tables["layer"] = [layer_table(entry) for entry in entries_of(graph)]
    return {key: table for key, table in tables.items() if table}
