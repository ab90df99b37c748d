# SPDX-License-Identifier: BSD-3-Clause
"""The halves of a network that is cut at one of its layers, as networks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from nervure.base.words import unknown
from nervure.graph.graph import Graph, leading_to
from nervure.graph.node import Entry, Node, owner_of
from nervure.layers import (
    Flatten,
    Input,
    Layer,
    Multiply,
    Reduce,
    Subtract,
    Tied,
    TransposedDense,
)
from nervure.network.network import Network


def before(whole: Network, cut: str) -> Network:
    """From the inputs to a layer: what that layer gives.

    Raises:
        ValueError: there is no such layer.
    """
    _check(whole, cut)
    entries = leading_to(whole.graph.entries, [cut])
    return _filled(whole, Graph.of(entries, (cut,)))


def behind(whole: Network, cut: str, end: str) -> Network:
    """From what a layer gives to the output ``end``.

    Raises:
        ValueError: there is no such layer, or a layer behind it reads another before.
    """
    _check(whole, cut)
    graph = whole.graph
    known = set(graph.groups)
    entries = leading_to(graph.entries, [end])
    earlier = {entry.name for entry in leading_to(graph.entries, [cut])}
    shape = graph.nodes[graph.groups[cut][-1]].shape
    found = [Entry(Input(shape), cut)]
    for entry in entries:
        if entry.name not in earlier:
            _check_feeds(entry, cut, earlier, known)
            found.append(replace(entry, layer=_untied(graph, entry)))
    return _filled(whole, Graph.of(found, (end,)))


def scored(whole: Network, code: str) -> Network:
    """From the inputs to the code, in a row, and the error of the reconstruction.

    Outputs: ``codes`` ``(rows, units)`` and ``score`` ``(rows, 1)``, the mean square of
    what the first output of the whole lacks of its input.

    Raises:
        ValueError: there is no layer of this name.
    """
    _check(whole, code)
    graph, end = whole.graph, whole.graph.output_names[0]
    (source,) = (graph.nodes[i].name for i in graph.inputs)
    entries = leading_to(graph.entries, [code, end])
    names = _free({entry.name for entry in entries}, *_SCORING)
    flat, given, back, error, square, score = names
    entries += [
        Entry(Flatten(), flat, (code,)),
        Entry(Flatten(), given, (source,)),
        Entry(Flatten(), back, (end,)),
        Entry(Subtract(), error, (back, given)),
        Entry(Multiply(), square, (error, error)),
        Entry(Reduce("mean"), score, (square,)),
    ]
    made = _filled(whole, Graph.of(entries, (flat, score)))
    made.preprocessing = whole.preprocessing
    return made


_SCORING = ("codes", "given", "given_again", "error", "squared_error", "score")


def _free(taken: Collection[str], *names: str) -> list[str]:
    """The names, with as many strokes behind them as make them new."""
    found: list[str] = []
    for name in names:
        while name in taken:
            name += "_"
        found.append(name)
    return found


def _check(whole: Network, cut: str) -> None:
    if cut not in whole.graph.groups:
        raise ValueError(unknown("autoencoder", "layer", cut, list(whole.graph.groups)))


def _check_feeds(
    entry: Entry, cut: str, earlier: Collection[str], known: Collection[str]
) -> None:
    for feed in entry.feeds:
        owner = owner_of(feed, known)
        if owner in earlier and owner != cut:
            raise ValueError(
                f"[autoencoder] {entry.name!r} reads {owner!r}, which is before the "
                f"code {cut!r}; expected what is behind the code to be made of it; "
                "leave that connection out"
            )


def _untied(graph: Graph, entry: Entry) -> Layer:
    """The layer with parameters of its own, where it has those of another."""
    tied = entry.layer
    if not isinstance(tied, Tied):
        return tied
    if tied.transposed:
        units = graph.nodes[graph.groups[entry.name][0]].shape[-1]
        return TransposedDense(units, tied.activation, tied.bias, name=entry.name)
    owner = next(e.layer for e in graph.entries if e.name == tied.layer)
    return replace(owner, name=entry.name)


def _filled(whole: Network, graph: Graph) -> Network:
    """A network of that graph with the weights of the whole."""
    part = Network.from_graph(graph, seed=whole.seed, dtype=whole.dtype, begin=False)
    values = {name: np.asarray(view) for name, view in whole.parameters.items()}
    for node in graph.nodes:
        for name, value in _twin(whole, node).own(values).items():
            part.parameters[f"{node.name}.{name}"][...] = value
    return part


def _twin(whole: Network, node: Node) -> Node:
    """The node of the whole network that a part's stands for."""
    nodes = whole.graph.nodes
    return nodes[whole.graph.index[node.name]] if node.parameters else node
