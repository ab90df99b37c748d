# SPDX-License-Identifier: BSD-3-Clause
"""Graph: nodes, edges and shapes; validated and immutable.

A network is written as a list of layers, as symbols called on each other, or as
entries of a spec. All three become `Entry` objects; `Graph.of` orders them, expands
composites into layers with a kernel, and infers every shape.
"""

from __future__ import annotations

import dataclasses
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from nervure._codes import Codes, codes_of
from nervure._names import unknown
from nervure._wording import short
from nervure.layers import Constant, Input, Layer, LayerError, Parameter, Shape, Symbol

MOST_NODES = 20_000
"""More than any published architecture; a bound for files from strangers."""


MOST_VALUES = 2**31
"""Of one sample between two layers: a bound for files from strangers."""


class GraphError(ValueError):
    """A graph that is not one: unknown inputs, cycles, names used twice."""


@dataclass(frozen=True)
class Entry:
    """A layer as the user wrote it, its name, and the names of its inputs."""

    name: str
    layer: Layer
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """A layer that has a kernel, in its place.

    ``group`` is the entry it came from: ``Dense(8, activation="tanh")`` is the nodes
    ``dense`` and ``dense.activation`` of the group ``dense``. ``random_key`` keys its
    random numbers.
    """

    name: str
    group: str
    layer: Layer
    inputs: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape
    parameters: tuple[Parameter, ...]

    @property
    def random_key(self) -> int:
        return zlib.crc32(self.name.encode())

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass of one sample."""
        return self.layer.flops(*self.input_shapes)


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which each stands behind its inputs.

    >>> from nervure.layers import Dense
    >>> graph = Graph.of(sequence([Input(4), Dense(3, activation="relu")]))
    >>> [(node.name, node.shape) for node in graph.nodes]
    [('input', (4,)), ('dense', (3,)), ('dense.activation', (3,))]
    """

    entries: tuple[Entry, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(cls, entries: Sequence[Entry], outputs: Sequence[str] = ()) -> Graph:
        """The graph of these entries, in any order.

        ``outputs`` names the output entries; by default those that nothing consumes.

        Raises:
            GraphError: names used twice or unknown, cycles, no input or no output.
            LayerError: a layer that does not fit the shapes of its inputs.
        """
        ordered = _in_order(entries)
        builder = _Builder()
        for entry in ordered:
            builder.add(entry)
        ends = tuple(outputs) or _unconsumed(ordered)
        known = set(builder.ends)
        for end in ends:
            if end not in known:
                raise GraphError(unknown("graph", "output", end, known))
        if len(set(ends)) < len(ends):
            twice = next(end for end in ends if ends.count(end) > 1)
            raise GraphError(
                f"[graph] output {twice!r} is named twice; expected different layers; "
                "name it once"
            )
        inputs = [i for i, n in enumerate(builder.nodes) if isinstance(n.layer, Input)]
        if not inputs:
            raise GraphError("[graph] no input; put nv.Input(...) first")
        return cls(
            tuple(ordered),
            tuple(builder.nodes),
            tuple(inputs),
            tuple(builder.ends[end] for end in ends),
        )

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each node by name."""
        return {node.name: i for i, node in enumerate(self.nodes)}

    @cached_property
    def groups(self) -> Mapping[str, tuple[int, ...]]:
        """Positions of the nodes of each entry."""
        groups: dict[str, list[int]] = {}
        for i, node in enumerate(self.nodes):
            groups.setdefault(node.group, []).append(i)
        return {name: tuple(nodes) for name, nodes in groups.items()}

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """Names of the entries that are outputs."""
        return tuple(self.nodes[i].group for i in self.outputs)

    @cached_property
    def input_shapes(self) -> tuple[Shape, ...]:
        return tuple(self.nodes[i].shape for i in self.inputs)

    @cached_property
    def output_shapes(self) -> tuple[Shape, ...]:
        return tuple(self.nodes[i].shape for i in self.outputs)

    @cached_property
    def flops(self) -> int:
        """Floating-point operations of the forward pass of one sample."""
        return sum(node.flops for node in self.nodes)

    @cached_property
    def codes(self) -> tuple[Codes, ...]:
        """Which numbers of the inputs are codes that embeddings read."""
        return codes_of(self)

    @cached_property
    def trainable(self) -> int:
        """Number of parameters that training moves: without running statistics."""
        own = (p for node in self.nodes for p in node.parameters if p.trainable)
        return sum(math.prod(p.shape) for p in own)

    def consumers(self, node: int) -> tuple[int, ...]:
        """Nodes fed by ``node``."""
        return tuple(i for i, n in enumerate(self.nodes) if node in n.inputs)

    def entry(self, node: int) -> Entry:
        """A node as an entry of another graph."""
        own = self.nodes[node]
        return Entry(own.name, own.layer, tuple(self.nodes[i].name for i in own.inputs))


def leading_to(entries: Sequence[Entry], ends: Iterable[str]) -> list[Entry]:
    """Those of the entries, each behind its inputs, that these ends depend on."""
    found = {*ends}
    for entry in reversed(entries):
        if entry.name in found:
            found.update(entry.inputs)
    return [entry for entry in entries if entry.name in found]


# -- from layers and symbols to entries ------------------------------------------------


def sequence(layers: Iterable[Layer]) -> tuple[Entry, ...]:
    """Entries of a list of layers, each fed by the one before it."""
    layers = _listed(layers)
    if not layers or not isinstance(layers[0], Input):
        raise GraphError(
            "[graph] the first layer must say what comes in; expected nv.Input(shape); "
            "put e.g. nv.Input(784) first"
        )
    names = _Names(layers)
    entries: list[Entry] = []
    for layer in layers:
        if entries and layer.arity == 0:
            raise GraphError(
                f"[graph] a second source, {names.of(layer)!r}, in a list of layers; "
                "expected one nv.Input, the first; call layers on each other and use "
                "nv.Network(inputs=..., outputs=...)"
            )
        before = (entries[-1].name,) if entries else ()
        entries.append(Entry(names.of(layer), layer, before))
    return tuple(entries)


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
    ordered = _reachable([*inputs, *outputs])
    names = _Names(s if isinstance(s, Layer) else s.layer for s in ordered)
    name_of: dict[int, str] = {}
    entries: list[Entry] = []
    for symbol in ordered:
        layer = symbol if isinstance(symbol, Layer) else symbol.layer
        feeds = () if isinstance(symbol, Layer) else symbol.inputs
        name_of[id(symbol)] = names.of(layer)
        fed = tuple(name_of[id(feed)] for feed in feeds)
        entries.append(Entry(name_of[id(symbol)], layer, fed))
    declared = {id(symbol) for symbol in inputs}
    for symbol in ordered:
        if inputs and isinstance(symbol, Input) and id(symbol) not in declared:
            raise GraphError(
                f"[graph] the outputs depend on {name_of[id(symbol)]!r}, which is not "
                "among inputs=; expected every nv.Input there; add it"
            )
    return tuple(entries), tuple(name_of[id(symbol)] for symbol in outputs)


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


def _reachable(ends: Sequence[Symbol | Layer]) -> list[Symbol | Layer]:
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


def _feeds(symbol: Symbol | Layer) -> tuple[Symbol | Layer, ...]:
    if isinstance(symbol, Symbol):
        return symbol.inputs
    if isinstance(symbol, Input | Constant):
        return ()
    if not isinstance(cast(object, symbol), Layer):
        raise GraphError(
            f"[graph] {short(symbol)} is used as a layer's input; expected layers "
            "called on each other, one argument for each; write e.g. nv.Add()(a, b)"
        )
    raise GraphError(
        f"[graph] layer {symbol.kind!r} is used as a value; expected a layer called on "
        f"its inputs, as in nv.Dense(8)(x); call it"
    )


class _Names:
    """Names of layers: their own, or kind, kind_1, kind_2, ..."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._given = {layer.name for layer in layers}
        self._count: Counter[str] = Counter()

    def of(self, layer: Layer) -> str:
        if layer.name:
            return layer.name
        while True:
            number = self._count[layer.kind]
            self._count[layer.kind] += 1
            name = layer.kind if number == 0 else f"{layer.kind}_{number}"
            if name not in self._given:
                return name


# -- from entries to nodes -------------------------------------------------------------


def _in_order(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, each behind its inputs, otherwise as they stand."""
    if len(entries) > MOST_NODES:
        raise GraphError(
            f"[graph] {len(entries)} layers; expected at most {MOST_NODES}; "
            "use fewer layers"
        )
    by_name = {entry.name: entry for entry in entries}
    _check_names(entries, by_name)
    ordered: list[Entry] = []
    state: dict[str, bool] = {}  # False: entered, True: placed
    for first in entries:
        stack = [first.name]
        while stack:
            name = stack[-1]
            if state.get(name):
                stack.pop()
                continue
            open_inputs = [i for i in by_name[name].inputs if not state.get(i)]
            if not open_inputs:
                state[name] = True
                ordered.append(by_name[name])
                stack.pop()
                continue
            state[name] = False
            for feed in open_inputs:
                if feed in state:
                    raise GraphError(
                        f"[graph] {name!r} and {feed!r} depend on each other; expected "
                        "edges without a cycle; remove one of the edges"
                    )
            stack.append(open_inputs[0])
    return ordered


def _check_names(entries: Sequence[Entry], by_name: Mapping[str, Entry]) -> None:
    if len(by_name) < len(entries):
        counts = Counter(entry.name for entry in entries)
        twice = next(name for name, count in counts.items() if count > 1)
        raise GraphError(
            f"[graph] two layers are named {twice!r}; expected different names; "
            "change one"
        )
    for entry in entries:
        word = isinstance(cast(object, entry.name), str) and entry.name
        if not word or any(c in entry.name for c in "/\\\n\0"):
            raise GraphError(
                f"[graph] layer name {entry.name!r}; expected a word without slashes; "
                "change it"
            )
        for feed in entry.inputs:
            if feed not in by_name:
                raise GraphError(unknown(entry.name, "input", feed, by_name))


def _unconsumed(entries: Sequence[Entry]) -> tuple[str, ...]:
    consumed = {name for entry in entries for name in entry.inputs}
    return tuple(entry.name for entry in entries if entry.name not in consumed)


class _Builder:
    """Expands entries and places their nodes, inferring shapes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.ends: dict[str, int] = {}
        self._names: set[str] = set()

    def add(self, entry: Entry) -> None:
        feeds = tuple(self.ends[name] for name in entry.inputs)
        layer = dataclasses.replace(entry.layer, name=entry.name)
        self._check_arity(layer, len(feeds))
        self.ends[entry.name] = self._place(layer, feeds, entry.name)

    def _place(self, layer: Layer, feeds: tuple[int, ...], group: str) -> int:
        """The node of a layer, or the last node of what it expands to."""
        stand_ins = [Symbol(layer) for _ in feeds]
        whole = layer.expand(*stand_ins)
        if whole is None:
            return self._append(layer, feeds, group)
        if layer.composite:  # which knows better than its parts what it wants
            layer.output_shape(*(self.nodes[i].shape for i in feeds))
        placed = {id(s): node for s, node in zip(stand_ins, feeds, strict=True)}
        for symbol in _reachable([whole]):
            if id(symbol) in placed or not isinstance(symbol, Symbol):
                continue
            inner = tuple(placed[id(feed)] for feed in symbol.inputs)
            placed[id(symbol)] = self._place(symbol.layer, inner, group)
        return placed[id(whole)]

    def _append(self, layer: Layer, feeds: tuple[int, ...], group: str) -> int:
        name = self._name(layer, group)
        layer = dataclasses.replace(layer, name=name)
        shapes = tuple(self.nodes[i].shape for i in feeds)
        shape = layer.output_shape(*shapes)
        if math.prod(shape) > MOST_VALUES:
            raise LayerError(
                f"[{name}] shape {short(shape)} holds {math.prod(shape):,} values; "
                f"expected at most 2^31 for one sample; use a smaller shape"
            )
        parameters = layer.parameters(*shapes)
        node = Node(name, group, layer, feeds, shapes, shape, parameters)
        self.nodes.append(node)
        self._names.add(name)
        return len(self.nodes) - 1

    def _name(self, layer: Layer, group: str) -> str:
        """The group's name for its first node with parameters, else group.kind."""
        own = layer.name or layer.kind
        wanted = group if own == group else f"{group}.{own}"
        name, number = wanted, 0
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        return name

    @staticmethod
    def _check_arity(layer: Layer, found: int) -> None:
        wanted = layer.arity
        if (found == wanted) or (wanted is None and found >= 1):
            return
        expected = "at least one" if wanted is None else str(wanted)
        raise LayerError(
            f"[{layer.kind} '{layer.name}'] {found} inputs; expected {expected}; "
            "connect it as nv.Layer(...)(x)"
        )
