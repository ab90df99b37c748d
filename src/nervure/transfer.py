# SPDX-License-Identifier: BSD-3-Clause
"""Transfer learning: which layers keep their weights, and heads for other classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from nervure._described import count, number
from nervure._names import unknown
from nervure._wording import short
from nervure.graph import Entry, Graph
from nervure.layers import Dense, Layer, Softmax
from nervure.losses import activation_name
from nervure.objective import activation_of
from nervure.parameters import initialize

if TYPE_CHECKING:
    from nervure.network import Network

PASSED = ("activation", "softmax", "log_softmax")
"""Layers that may stand between the last Dense and the output."""


# -- names of layers ------------------------------------------------------------------


def layers_named(graph: Graph, name: str, where: str) -> tuple[str, ...]:
    """The layers that a name stands for: one, or all of which it is the beginning.

    ``block1`` stands for ``block1_conv`` and ``block1.0.norm``, but not for
    ``block10``; where a layer is called so it stands for that one alone.

    Raises:
        ValueError: there is none.
    """
    layers = [entry.name for entry in graph.entries]
    if not isinstance(cast(object, name), str):
        raise ValueError(
            f"[{where}] {short(name)} is no name of a layer; expected text, as "
            f"{layers[-1]!r}; give each name as one argument"
        )
    if name in layers:
        return (name,)
    found = tuple(layer for layer in layers if _begins(layer, name))
    if not found:
        raise ValueError(unknown(where, "layer", name, layers))
    return found


def _begins(layer: str, name: str) -> bool:
    return bool(name) and layer.startswith(name) and not layer[len(name)].isalnum()


def chosen(
    graph: Graph, names: Sequence[str], until: str | None, where: str
) -> frozenset[str]:
    """Layers with parameters that `Network.freeze` names.

    Raises:
        ValueError: an unknown name, or nothing named.
    """
    layers = [entry.name for entry in graph.entries]
    found = {one for name in names for one in layers_named(graph, name, where)}
    if until is not None:
        end = layers.index(layers_named(graph, until, where)[0])
        begin = min((layers.index(one) for one in found), default=0)
        if begin >= end:
            raise ValueError(
                f"[{where}] until = {until!r} is not behind {layers[begin]!r}; "
                "expected a layer that comes later; change until"
            )
        found |= {*layers[begin:end]}
    if not names and until is None:
        raise ValueError(
            f"[{where}] no layer named; expected names of layers, or until=; the "
            f"network has {', '.join(layers)}"
        )
    return frozenset(found & with_parameters(graph))


def with_parameters(graph: Graph) -> set[str]:
    """Layers that have parameters which an optimizer may move."""
    return {
        node.group for node in graph.nodes if any(p.trainable for p in node.parameters)
    }


def multipliers(graph: Graph, given: Mapping[str, Any] | None) -> dict[str, float]:
    """Learning-rate multipliers by layer; of several that name one the last counts.

    Raises:
        ValueError: an unknown name, or a number that is not positive.
    """
    if not isinstance(cast(object, given), Mapping | None):
        raise ValueError(
            f"[learning_rates] {short(given)}; expected a table of factors by layer, "
            'as {"block1": 0.1}; a rate for all layers is the optimizer\'s'
        )
    found: dict[str, float] = {}
    for name, value in (given or {}).items():
        factor = number("learning_rates", name, value, above=0)
        layers = layers_named(graph, name, "learning_rates")
        found |= dict.fromkeys(layers, factor)
    known = with_parameters(graph)
    return {layer: factor for layer, factor in found.items() if layer in known}


# -- other graphs ---------------------------------------------------------------------


def rebuilt(
    network: Network, graph: Graph, *, seed: int | None = None, fresh: str | None = None
) -> Network:
    """A network of another graph, with the parameters that bear the same names.

    The others begin anew, from ``seed``, and so do those of the layer ``fresh``.
    """
    begin = network.seed if seed is None else seed
    made = type(network).from_graph(graph, seed=begin, dtype=network.dtype, begin=False)
    made.preprocessing = network.preprocessing
    known, nodes = network.parameters, graph.nodes
    new = tuple(
        s
        for s in made.layout.segments
        if s.name not in known or nodes[s.node].group == fresh
    )
    initialize(replace(made.layout, segments=new), begin, made.values)
    anew = {s.name for s in new}
    for name, view in made.parameters.items():
        if name not in anew:
            view[...] = known[name]
    made.freeze_layers(network.frozen & with_parameters(graph))
    return made


def replace_head(network: Network, classes: int, seed: int | None) -> Network:
    """The network with another last Dense layer (see `Network.replace_head`)."""
    count("replace_head", "classes", classes, least=1)
    graph = network.graph
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
    made = rebuilt(
        network, Graph.of(entries, graph.output_names), seed=seed, fresh=head.name
    )
    made.preprocessing = None  # its labels were those of the old head
    made.freeze_layers(made.frozen - {head.name})
    return made


def _head(graph: Graph) -> tuple[Entry, list[Entry]]:
    """The last Dense and what stands behind it."""
    by_name = {entry.name: entry for entry in graph.entries}
    entry, tail = by_name[graph.output_names[0]], list[Entry]()
    while entry.layer.kind in PASSED:
        tail.append(entry)
        entry = by_name[entry.inputs[0]]
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


def factors(graph: Graph, by_layer: Mapping[str, float]) -> dict[str, float]:
    """Learning-rate multipliers of parameters, from those of their layers."""
    return {
        name: factor
        for layer, factor in by_layer.items()
        for name in parameter_names(graph, [layer])
    }


def parameter_names(graph: Graph, layers: Iterable[str]) -> frozenset[str]:
    """All parameters of these layers."""
    wanted = {*layers}
    return frozenset(
        f"{node.name}.{parameter.name}"
        for node in graph.nodes
        if node.group in wanted
        for parameter in node.parameters
    )
