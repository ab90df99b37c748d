# SPDX-License-Identifier: BSD-3-Clause
"""Layers by name: those that are frozen, those that learn at a rate of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from nervure.base.checks import number
from nervure.base.words import short, unknown
from nervure.graph.graph import Graph


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
        name
        for node in graph.nodes
        if node.group in wanted
        for name in node.parameter_names
    )
