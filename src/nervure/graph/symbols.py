# SPDX-License-Identifier: BSD-3-Clause
"""Networks as Python has them, as entries: lists of layers, layers called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from nervure.base.words import short
from nervure.graph.node import Entry, GraphError, names_of
from nervure.layers import Input, Layer, Symbol, Tied
from nervure.layers._layer import Port


def sequence(layers: Iterable[Layer]) -> tuple[Entry, ...]:
    """Entries of a list of layers, each fed by the one before it."""
    layers = _listed(layers)
    if not layers or not isinstance(layers[0], Input):
        raise GraphError(
            "[graph] the first layer must say what comes in; expected nv.Input(shape); "
            "put e.g. nv.Input(784) first"
        )
    entries = tuple(Entry(layer, layer.name or "") for layer in layers)
    for entry, name in zip(entries[1:], names_of(entries)[1:], strict=True):
        if entry.layer.arity == 0:
            raise GraphError(
                f"[graph] a second source, {name!r}, in a list of layers; expected one "
                "nv.Input, the first; call layers on each other and use "
                "nv.Network(inputs=..., outputs=...)"
            )
    return entries


def _listed(layers: Iterable[Layer]) -> list[Layer]:
    """The layers, each of them one."""
    if isinstance(layers, Layer | str) or not hasattr(layers, "__iter__"):
        raise GraphError(
            f"[graph] layers is {short(layers)}; expected a list of layers; write e.g. "
            "nv.Network([nv.Input(4), nv.Dense(3)])"
        )
    found: list[Layer] = []
    for i, layer in enumerate(layers):
        if not isinstance(cast(object, layer), Layer):
            raise GraphError(
                f"[graph] layer {i} is {short(layer)}; expected a layer; write e.g. "
                "nv.Dense(3)"
            )
        found.append(layer)
    return found


def from_symbols(
    outputs: Sequence[Symbol | Layer], inputs: Sequence[Layer] = ()
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Entries of all symbols that the outputs depend on, and the outputs' names.

    ``inputs`` fixes the order of the network's inputs.
    """
    _check_ends(outputs, inputs)
    reached = reachable([*inputs, *outputs])
    ordered = [symbol for symbol in reached if not isinstance(symbol, Port)]
    layers = [s if isinstance(s, Layer) else s.layer for s in ordered]
    names = names_of(_named_once(layers))
    name_of = {id(s): name for s, name in zip(ordered, names, strict=True)}
    name_of |= {
        id(port): _port_name(name_of[id(port.inputs[0])], port.port)
        for port in reached
        if isinstance(port, Port)
    }
    entries = [
        Entry(layer, name, tuple(name_of[id(feed)] for feed in _inputs_of(symbol)))
        for symbol, layer, name in zip(
            ordered, _tied(layers, names), names, strict=True
        )
    ]
    declared = {id(symbol) for symbol in inputs}
    for symbol in ordered:
        if inputs and isinstance(symbol, Input) and id(symbol) not in declared:
            raise GraphError(
                f"[graph] the outputs depend on {name_of[id(symbol)]!r}, which is not "
                "among inputs=; expected every nv.Input there; add it"
            )
    return tuple(entries), tuple(name_of[id(symbol)] for symbol in outputs)


def _named_once(layers: Sequence[Layer]) -> list[Entry]:
    """The layers with the names they were given, each by its first call alone."""
    seen: set[int] = set()
    found: list[Entry] = []
    for layer in layers:
        again = id(layer) in seen
        seen.add(id(layer))
        found.append(Entry(layer, "" if again else layer.name or ""))
    return found


def _tied(layers: Sequence[Layer], names: Sequence[str]) -> list[Layer]:
    """The layers, those with parameters that are called again being tied."""
    first: dict[int, str] = {}
    for layer, name in zip(layers, names, strict=True):
        first.setdefault(id(layer), name)
    return [
        layer
        if first[id(layer)] == name or not _learns(layer)
        else Tied(first[id(layer)])
        for layer, name in zip(layers, names, strict=True)
    ]


def _learns(layer: Layer) -> bool:
    """Whether layers of this class may have parameters."""
    kind = type(layer)
    return kind.parameters is not Layer.parameters or kind.composite


def _port_name(owner: str, port: str) -> str:
    """What files call a further output: of a part of the layer with the part's name.

    >>> _port_name("lstm", "cell"), _port_name("both", "forward.cell")
    ('lstm:cell', 'both.forward:cell')
    """
    part, dot, own = port.rpartition(".")
    return f"{owner}{dot}{part}:{own}"


def _check_ends(outputs: Sequence[Symbol | Layer], inputs: Sequence[Layer]) -> None:
    for i, layer in enumerate(inputs):
        if not isinstance(cast(object, layer), Input):
            raise GraphError(
                f"[graph] inputs= holds {short(layer)}; expected nv.Input(...) alone; "
                "name the places where data enter"
            )
        if any(layer is other for other in inputs[:i]):
            raise GraphError(
                "[graph] inputs= holds the same nv.Input twice; expected each once; "
                "remove one"
            )
    if not outputs:
        raise GraphError(
            "[graph] outputs= is empty; expected at least one layer called on its "
            "inputs; name what the network gives"
        )


def reachable(ends: Sequence[Symbol | Layer]) -> list[Symbol | Layer]:
    """All symbols that ``ends`` depend on, each behind its inputs."""
    ordered: list[Symbol | Layer] = []
    seen: set[int] = set()
    stack: list[tuple[Symbol | Layer, bool]] = [(end, False) for end in reversed(ends)]
    while stack:
        symbol, ready = stack.pop()
        if ready:
            ordered.append(symbol)
        if ready or id(symbol) in seen:
            continue
        seen.add(id(symbol))
        stack.append((symbol, True))
        for feed in reversed(_feeds(symbol)):
            stack.append((feed, False))
    return ordered


def _inputs_of(symbol: Symbol | Layer) -> tuple[Symbol | Layer, ...]:
    return symbol.inputs if isinstance(symbol, Symbol) else ()


def _feeds(symbol: Symbol | Layer) -> tuple[Symbol | Layer, ...]:
    if isinstance(symbol, Symbol):
        return symbol.inputs
    if not isinstance(cast(object, symbol), Layer):
        raise GraphError(
            f"[graph] {short(symbol)} is used as a layer's input; expected layers "
            "called on each other, one argument for each; write e.g. nv.Add()(a, b)"
        )
    if symbol.arity == 0:
        return ()
    raise GraphError(
        f"[graph] layer {symbol.kind!r} is used as a value; expected a layer called on "
        f"its inputs, as in nv.Dense(8)(x); call it"
    )
