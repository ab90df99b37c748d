# SPDX-License-Identifier: BSD-3-Clause
"""Graph: nodes, edges and shapes; validated and immutable.

A network is written as a list of layers, as symbols called on each other, or as
entries of a spec. All three are `Entry` objects; `Graph.of` names and orders them,
expands composites into layers with a kernel, and infers every shape.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from nervure.base.words import amount, short, unknown
from nervure.graph.codes import Codes, codes_of
from nervure.graph.node import MOST_EDGES, Entry, GraphError, Node, placed
from nervure.graph.symbols import reachable
from nervure.layers import Attribute, Input, Layer, LayerError, Shape, Symbol

MOST_NODES = 20_000
"""More than any published architecture; a bound for files from strangers."""

_NAME = re.compile(r"[^/\\\n\0\ud800-\udfff]{1,200}")
"""Names of layers: no slashes, and no halves of characters, which no file can hold."""

MOST_VALUES = 2**31
"""Of one sample between two layers: a bound for files from strangers.

No whole number that a kernel reads is larger either, so that what it works out from
them fits 64 bits.
"""

MOST_AXES = 31
"""Of a sample: with the batch as many as every NumPy has."""


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which each stands behind its inputs.

    >>> from nervure.layers import Dense
    >>> graph = Graph.of([Entry(Input(4)), Entry(Dense(3, activation="relu"))])
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

        An entry without a name is given one; one that does not say what it reads
        reads the entry before. ``outputs`` names the output entries; by default those
        that nothing consumes.

        Raises:
            GraphError: names used twice or unknown, cycles, no input or no output.
            LayerError: a layer that does not fit the shapes of its inputs.
        """
        ordered = _in_order(placed(entries))
        builder = _Builder()
        for entry in ordered:
            builder.add(entry)
        ends = tuple(outputs) or _unconsumed(ordered)
        known = set(builder.ends)
        for end in ends:
            if end not in known:
                raise GraphError(unknown("graph", "output", end, known))
        if len(set(ends)) < len(ends):
            twice = Counter(ends).most_common(1)[0][0]
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
        return codes_of(self.nodes, self.inputs)

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
        return Entry(own.layer, own.name, tuple(self.nodes[i].name for i in own.inputs))


def leading_to(entries: Sequence[Entry], ends: Iterable[str]) -> list[Entry]:
    """Those of the entries, each behind its inputs, that these ends depend on."""
    found = {*ends}
    for entry in reversed(entries):
        if entry.name in found:
            found.update(entry.feeds)
    return [entry for entry in entries if entry.name in found]


# -- from entries to nodes -------------------------------------------------------------


def _in_order(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, each behind its inputs, otherwise as they stand.

    Every edge is looked at once.
    """
    _check_size(entries)
    by_name = {entry.name: entry for entry in entries}
    _check_names(entries, by_name)
    ordered: list[Entry] = []
    placed: dict[str, bool] = {}  # False: entered, its inputs are being placed
    for first in entries:
        if first.name in placed:
            continue
        stack = [(first, iter(first.feeds))]
        placed[first.name] = False
        while stack:
            entry, feeds = stack[-1]
            feed = next((name for name in feeds if not placed.get(name)), None)
            if feed is None:
                placed[entry.name] = True
                ordered.append(entry)
                stack.pop()
            elif feed in placed:
                raise GraphError(
                    f"[graph] {entry.name!r} and {feed!r} depend on each other; "
                    "expected edges without a cycle; remove one of the edges"
                )
            else:
                placed[feed] = False
                stack.append((by_name[feed], iter(by_name[feed].feeds)))
    return ordered


def _check_size(entries: Sequence[Entry]) -> None:
    edges = sum(len(entry.feeds) for entry in entries)
    for found, most, what in (
        (len(entries), MOST_NODES, "layers"),
        (edges, MOST_EDGES, "edges between layers"),
    ):
        if found > most:
            raise GraphError(
                f"[graph] {found:,} {what}; expected at most {most:,}; use fewer layers"
            )


def _check_names(entries: Sequence[Entry], by_name: Mapping[str, Entry]) -> None:
    if len(by_name) < len(entries):
        counts = Counter(entry.name for entry in entries)
        twice = next(name for name, count in counts.items() if count > 1)
        raise GraphError(
            f"[graph] two layers are named {twice!r}; expected different names; "
            "change one"
        )
    for entry in entries:
        if not is_name(entry.name):
            raise GraphError(
                f"[graph] layer name {short(entry.name)}; expected a word without "
                "slashes, of at most 200 characters; change it"
            )
        for feed in entry.feeds:
            if feed not in by_name:
                raise GraphError(unknown(entry.name, "input", feed, by_name))


def is_name(name: object) -> bool:
    """Whether a layer can be called so, in files and on every terminal."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def _unconsumed(entries: Sequence[Entry]) -> tuple[str, ...]:
    consumed = {name for entry in entries for name in entry.feeds}
    return tuple(entry.name for entry in entries if entry.name not in consumed)


def _check_shape(name: str, shape: Shape) -> None:
    if len(shape) > MOST_AXES:
        raise LayerError(
            f"[{name}] a shape of {len(shape):,} axes; expected at most {MOST_AXES}; "
            "use fewer axes"
        )
    if math.prod(shape) > MOST_VALUES:
        raise LayerError(
            f"[{name}] shape {short(shape)} holds {amount(math.prod(shape))} values; "
            "expected at most 2^31 for one sample; use a smaller shape"
        )


def _check_numbers(name: str, attributes: Mapping[str, Attribute]) -> None:
    """Whether the whole numbers that a kernel reads are such as it computes with."""
    for key, value in attributes.items():
        several = value if isinstance(value, tuple) else (value,)
        for number in several:
            if isinstance(number, int) and abs(number) > MOST_VALUES:
                raise LayerError(
                    f"[{name}] {key} = {short(number)}; expected whole numbers of at "
                    "most 2^31; use a smaller one"
                )


class _Builder:
    """Expands entries and places their nodes, inferring shapes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.ends: dict[str, int] = {}
        self._names: set[str] = set()

    def add(self, entry: Entry) -> None:
        feeds = tuple(self.ends[name] for name in entry.feeds)
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
        for symbol in reachable([whole]):
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
        _check_shape(name, shape)
        parameters = layer.parameters(*shapes)
        if not isinstance(layer, Input):
            _check_numbers(name, layer.attributes(*shapes))
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
