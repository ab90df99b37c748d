# SPDX-License-Identifier: BSD-3-Clause
"""Graph: nodes, edges and shapes; validated and immutable.

A network is written as a list of layers, as symbols called on each other, or as
entries of a spec. All three are `Entry` objects; `Graph.of` names and orders them,
expands composites into layers with a kernel, and infers every shape.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from nervure.base.words import short, unknown
from nervure.graph.building import Builder
from nervure.graph.codes import Codes, codes_of
from nervure.graph.node import MOST_EDGES, Entry, GraphError, Node, owner_of, placed
from nervure.layers import Input, Shape, Tied
from nervure.layers._layer import Further

MOST_NODES = 20_000
"""More than any published architecture; a bound for files from strangers."""

_NAME = re.compile(r"[^/\\\n\0\ud800-\udfff]{1,200}")
"""Names of layers: no slashes, and no halves of characters, which no file can hold."""


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
        builder = Builder(ordered)
        for entry in ordered:
            builder.add(entry)
        ends = tuple(outputs) or _unconsumed(ordered)
        known = set(builder.ends)
        for end in ends:
            if owner_of(end, known) not in known:
                raise GraphError(unknown("graph", "output", end, known))
        if len(set(ends)) < len(ends):
            twice = Counter(ends).most_common(1)[0][0]
            raise GraphError(
                f"[graph] output {twice!r} is named twice; expected different layers; "
                "name it once"
            )
        found = tuple(builder.place(end) for end in ends)
        nodes = builder.finished()
        inputs = tuple(i for i, n in enumerate(nodes) if isinstance(n.layer, Input))
        if not inputs:
            raise GraphError("[graph] no input; put nv.Input(...) first")
        return cls(tuple(ordered), nodes, inputs, found)

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
    def clocks(self) -> tuple[int, ...]:
        """The inputs whose lengths count, one for each clock."""
        return tuple(sorted({n.clock for n in self.nodes if n.clock is not None}))

    @cached_property
    def flops(self) -> int:
        """Floating-point operations of the forward pass of one sample, or one step."""
        return sum(node.flops for node in self.nodes)

    @cached_property
    def codes(self) -> tuple[Codes, ...]:
        """Which numbers of the inputs are codes that embeddings read."""
        return codes_of(self.nodes, self.inputs)

    @cached_property
    def trainable(self) -> int:
        """Number of parameters that training moves: without running statistics."""
        own = (p for node in self.nodes for p in node.owned if p.trainable)
        return sum(math.prod(p.shape) for p in own)

    def consumers(self, node: int) -> tuple[int, ...]:
        """Nodes fed by ``node``."""
        return tuple(i for i, n in enumerate(self.nodes) if node in n.inputs)

    def entry(self, node: int) -> Entry:
        """A node as an entry of another graph."""
        own = self.nodes[node]
        assert not isinstance(own.layer, Further)
        return Entry(own.layer, own.name, tuple(self.nodes[i].name for i in own.inputs))


def leading_to(entries: Sequence[Entry], ends: Iterable[str]) -> list[Entry]:
    """Those of the entries, each behind its inputs, that these ends depend on."""
    known = {entry.name for entry in entries}
    found = {owner_of(end, known) for end in ends}
    for entry in reversed(entries):
        if entry.name in found:
            found.update(owner_of(feed, known) for feed in entry.feeds)
    return [entry for entry in entries if entry.name in found]


# -- entries in order ------------------------------------------------------------------


def _in_order(entries: Sequence[Entry]) -> list[Entry]:
    """The entries, each behind its inputs, otherwise as they stand.

    Every edge is looked at once.
    """
    _check_size(entries)
    by_name = {entry.name: entry for entry in entries}
    _check_names(entries, by_name)
    needs = {entry.name: _needs(entry, by_name) for entry in entries}
    ordered: list[Entry] = []
    placed: dict[str, bool] = {}  # False: entered, its inputs are being placed
    for first in entries:
        if first.name in placed:
            continue
        stack = [(first, iter(needs[first.name]))]
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
                stack.append((by_name[feed], iter(needs[feed])))
    return ordered


def _needs(entry: Entry, known: Collection[str]) -> tuple[str, ...]:
    """Names of the entries that have to stand before this one."""
    needs = tuple(owner_of(feed, known) for feed in entry.feeds)
    if isinstance(entry.layer, Tied) and entry.layer.layer in known:
        return (*needs, entry.layer.layer)
    return needs


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
            if owner_of(feed, by_name) not in by_name:
                raise GraphError(unknown(entry.name, "input", feed, by_name))


def is_name(name: object) -> bool:
    """Whether a layer can be called so, in files and on every terminal."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def _unconsumed(entries: Sequence[Entry]) -> tuple[str, ...]:
    known = {entry.name for entry in entries}
    consumed = {owner_of(name, known) for entry in entries for name in entry.feeds}
    return tuple(entry.name for entry in entries if entry.name not in consumed)
