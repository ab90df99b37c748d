# SPDX-License-Identifier: BSD-3-Clause
"""Transfer learning: which layers keep their weights, and heads for other classes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nervure.base.checks import count
from nervure.graph.graph import Graph
from nervure.graph.node import Entry
from nervure.graph.objective import activation_of
from nervure.layers import Conv2D, Dense, Layer, Softmax
from nervure.losses import activation_name

if TYPE_CHECKING:
    pass

PASSED = ("activation", "softmax", "log_softmax")
"""Layers that may stand between the last Dense and the output."""


def with_head(graph: Graph, classes: int) -> tuple[Graph, str]:
    """The graph with another last Dense layer, and that layer's name.

    Raises:
        ValueError: several outputs, or a graph that does not end in a Dense and its
            activation.
    """
    count("replace_head", "classes", classes, least=1)
    if len(graph.outputs) != 1:
        raise ValueError(
            f"[replace_head] {len(graph.outputs)} outputs "
            f"({', '.join(graph.output_names)}); expected one; make a network of the "
            "output that matters: nv.Network(inputs=..., outputs=...)"
        )
    head, tail = _head(graph)
    changed = {head.name: _with_units(head.layer, classes)}
    if classes == 1 and any("softmax" in _kind(e.layer) for e in (head, *tail)):
        raise ValueError(
            "[replace_head] classes = 1 before a softmax, which would always give 1; "
            "expected at least 2; give one class more, or end in a logistic"
        )
    if classes > 1 and any(_kind(e.layer) == "logistic" for e in tail):
        changed |= {e.name: Softmax() for e in tail}
    entries = [replace(e, layer=changed.get(e.name, e.layer)) for e in graph.entries]
    return Graph.of(entries, graph.output_names), head.name


def with_exact(graph: Graph, exact: bool) -> Graph:
    """The graph, its convolutions of images with direct sums, or as is faster."""
    entries = [
        replace(e, layer=replace(e.layer, exact=exact))
        if isinstance(e.layer, Conv2D)
        else e
        for e in graph.entries
    ]
    return Graph.of(entries, graph.output_names)


def _head(graph: Graph) -> tuple[Entry, list[Entry]]:
    """The last Dense and what stands behind it."""
    by_name = {entry.name: entry for entry in graph.entries}
    entry, tail = by_name[graph.output_names[0]], list[Entry]()
    while entry.layer.kind in PASSED:
        tail.append(entry)
        entry = by_name[entry.feeds[0]]
    if not isinstance(entry.layer, Dense):
        raise ValueError(
            f"[replace_head] the network ends in {entry.name!r}, a "
            f"{entry.layer.kind}; expected nv.Dense, perhaps with an activation after "
            "it; build the network anew with the layers you want"
        )
    return entry, tail


def _kind(layer: Layer) -> str:
    """The activation that a layer ends in, as far as it has one."""
    own = layer.activation if isinstance(layer, Dense) else layer
    return activation_of(own) if isinstance(own, Layer) else activation_name(own or "")


def _with_units(layer: Layer, classes: int) -> Layer:
    """The Dense with other units; a logistic becomes a softmax for several classes."""
    assert isinstance(layer, Dense)
    several = classes > 1 and _kind(layer) == "logistic" and layer.units == 1
    activation = "softmax" if several else layer.activation
    return replace(layer, units=classes, activation=activation)
