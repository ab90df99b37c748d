# SPDX-License-Identifier: BSD-3-Clause
"""From entries to nodes: composites expanded, ties resolved, shapes inferred.

A clock is the number of the input whose lengths a node's values follow. Layers that
take several sequences step by step make their clocks one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from nervure.base.words import amount, short, unknown
from nervure.graph.node import Entry, Node
from nervure.graph.symbols import reachable
from nervure.layers import (
    Attribute,
    Input,
    Layer,
    LayerError,
    Parameter,
    Shape,
    Symbol,
    Tied,
)
from nervure.layers._layer import Fed, Further, Port
from nervure.layers.dense import TransposedDense

MOST_VALUES = 2**31
"""Of one sample between two layers: a bound for files from strangers.

No whole number that a kernel reads is larger either, so that what it works out from
them fits 64 bits.
"""

MOST_AXES = 31
"""Of a sample: with the batch as many as every NumPy has."""


class Builder:
    """Places the nodes of entries that come each behind what it needs.

    Attributes:
        nodes: those placed so far.
        ends: the last node of each entry.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.nodes: list[Node] = []
        self.ends: dict[str, int] = {}
        self._layers = {entry.name: entry.layer for entry in entries}
        self._index: dict[str, int] = {}
        self._clocks: dict[int, int] = {}

    def add(self, entry: Entry) -> None:
        """Place the nodes of an entry."""
        feeds = tuple(self.place(name) for name in entry.feeds)
        layer = dataclasses.replace(entry.layer, name=entry.name)
        _check_arity(layer, len(feeds))
        tied = isinstance(layer, Tied)
        place = self._place_tied if tied else self._place
        self.ends[entry.name] = place(layer, feeds, entry.name)

    def place(self, name: str) -> int:
        """The node that an input or output names: an entry's last, or a port."""
        if name in self.ends:
            return self.ends[name]
        owner, _, port = name.rpartition(":")
        if owner not in self._index:
            raise LayerError(unknown("graph", "layer", owner, self._index))
        return self._port(self._index[owner], port)

    def finished(self) -> tuple[Node, ...]:
        """The nodes, with clocks that are one called by one number."""
        return tuple(
            dataclasses.replace(node, clock=self._clock_of(node.clock))
            for node in self.nodes
        )

    # -- layers -------------------------------------------------------------------

    def _place(self, layer: Layer, feeds: tuple[int, ...], group: str) -> int:
        """The node of a layer, or the last node of what it expands to."""
        if layer.composite:  # which knows better than its parts what it wants
            layer.output_shape(*self._seen(layer, feeds))
        stand_ins = [Fed(layer, (), self.nodes[i].shape) for i in feeds]
        whole = layer.expand(*stand_ins)
        if whole is None:
            return self._append(layer, feeds, group)
        placed = {id(s): node for s, node in zip(stand_ins, feeds, strict=True)}
        for symbol in reachable([whole]):
            if id(symbol) in placed or not isinstance(symbol, Symbol):
                continue
            inner = tuple(placed[id(feed)] for feed in symbol.inputs)
            if isinstance(symbol, Port):
                placed[id(symbol)] = self._port(inner[0], symbol.port)
            else:
                placed[id(symbol)] = self._place(symbol.layer, inner, group)
        return placed[id(whole)]

    def _append(self, layer: Layer, feeds: tuple[int, ...], group: str) -> int:
        layer = dataclasses.replace(layer, name=self._name(layer, group))
        times, seen = self._times(layer, feeds), self._seen(layer, feeds)
        shape = layer.output_shape(*seen)
        if layer.sequences and layer.keeps_time and times[0]:
            shape = (times[0], *shape)
        shapes = tuple(self.nodes[i].shape for i in feeds)
        clock = self._clock(layer, feeds)
        assert layer.name is not None
        _check_shape(layer.name, shape)
        own = layer.parameters(*seen)
        if not isinstance(layer, Input):
            _check_numbers(layer.name, layer.attributes(*seen))
        return self._keep(
            Node(layer.name, group, layer, feeds, shapes, shape, own, clock, times)
        )

    def _port(self, owner: int, port: str) -> int:
        """The node of a further output, placed at its first use."""
        node = self.nodes[owner]
        name = f"{node.name}:{port}"
        if name in self._index:
            return self._index[name]
        known = node.layer.ports(*node.seen)
        if port not in known:
            kept = ", ".join(known) or "none"
            raise LayerError(
                f"[{node.layer.kind} '{node.name}'] output {port!r}; its further "
                f"outputs: {kept}; use one of them"
            )
        shapes = (node.shape,)
        further = Further(tuple(known).index(port), known[port], name=name)
        return self._keep(
            Node(name, name, further, (owner,), shapes, known[port], (), None)
        )

    def _keep(self, node: Node) -> int:
        self._index[node.name] = len(self.nodes)
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _name(self, layer: Layer, group: str) -> str:
        """The group's name for its first node with parameters, else group.kind."""
        own = layer.name or layer.kind
        wanted = group if own == group else f"{group}.{own}"
        name, number = wanted, 0
        while name in self._index:
            number += 1
            name = f"{wanted}_{number}"
        return name

    # -- tied weights -------------------------------------------------------------

    def _place_tied(self, tied: Layer, feeds: tuple[int, ...], group: str) -> int:
        """The nodes of a layer that has the parameters of another."""
        assert isinstance(tied, Tied)
        owner, layer = self._owner(tied)
        begin = len(self.nodes)
        if tied.transposed:
            weight = self._weight(tied, owner)
            size = weight.shape[0]
            own = TransposedDense(size, tied.activation, tied.bias, name=group)
            end = self._place(own, feeds, group)
            shared = {f"{group}.weight": (f"{owner}.weight", weight)}
        else:
            own = dataclasses.replace(layer, name=group)
            _check_arity(own, len(feeds))
            end = self._place(own, feeds, group)
            known = {f"{n.name}.{p.name}": p for n in self.nodes for p in n.parameters}
            mine = [n for n in self.nodes[begin:] if n.parameters]
            shared = {
                f"{n.name}.{p.name}": (whole, known.get(whole))
                for n in mine
                for p in n.parameters
                for whole in [f"{owner}{n.name[len(group) :]}.{p.name}"]
            }
        for i in range(begin, len(self.nodes)):
            self.nodes[i] = _sharing(self.nodes[i], shared, tied)
        return end

    def _owner(self, tied: Tied) -> tuple[str, Layer]:
        """Name and layer of the entry that the parameters belong to in the end."""
        name, seen = tied.layer, {tied.name}
        while True:
            if name not in self._layers:
                raise LayerError(unknown(tied.name or "", "layer", name, self._layers))
            layer = self._layers[name]
            if not isinstance(layer, Tied) or layer.transposed:
                break
            if name in seen:
                raise tied.fail(f"{name!r} is tied to itself", "tie it to another")
            seen.add(name)
            name = layer.layer
        if name not in self.ends:
            raise tied.fail(f"{name!r} depends on it", "tie the later to the earlier")
        return name, layer

    def _weight(self, tied: Tied, owner: str) -> Parameter:
        """The matrix of a layer that can be passed the other way."""
        node = self.nodes[self._index[owner]] if owner in self._index else None
        for p in node.parameters if node and node.layer.transposable else ():
            if p.name == "weight" and not p.of:
                return p
        raise tied.fail(
            f"{owner!r} has no matrix that could be transposed",
            "name an nv.Dense or an nv.Embedding of one table",
        )

    # -- time ---------------------------------------------------------------------

    def _times(self, layer: Layer, feeds: tuple[int, ...]) -> tuple[int, ...]:
        """Fixed numbers of steps of the sequences that a layer takes; 0 where open."""
        found = tuple(self._time(layer, i) for i in feeds[: layer.sequences])
        if len(set(found[1:])) > 1:
            raise layer.fail(
                f"sequences of {', '.join(map(str, found[1:]))} steps (0: any number), "
                "expected one number behind the first",
                "give sequences whose steps belong together",
            )
        most = layer.longest
        if most is not None and max(found) > most:
            raise layer.fail(
                f"a sequence of {max(found):,} steps, expected at most {most:,}",
                "make the layer longer",
            )
        return found

    def _time(self, layer: Layer, feed: int) -> int:
        node = self.nodes[feed]
        if node.clock is not None:
            return 0
        if len(node.shape) < 2:
            raise layer.fail(
                f"input of shape {node.shape}, expected a sequence (time, features)",
                "begin with nv.Input((None, features)), or bring it into shape with "
                "nv.Reshape((time, features))",
            )
        return node.shape[0]

    def _seen(self, layer: Layer, feeds: tuple[int, ...]) -> tuple[Shape, ...]:
        shapes = [self.nodes[i].shape for i in feeds]
        for i, time in enumerate(self._times(layer, feeds)):
            shapes[i] = shapes[i][1:] if time else shapes[i]
        return tuple(shapes)

    def _clock(self, layer: Layer, feeds: tuple[int, ...]) -> int | None:
        if isinstance(layer, Input):
            return len(self.nodes) if layer.time else None
        if not layer.sequences:
            return self._common(layer, feeds)
        for i in feeds[layer.sequences :]:
            if self.nodes[i].clock is not None:
                raise layer.fail(
                    f"{self.nodes[i].name!r} has a value for each step, expected one "
                    "for each row",
                    "give a state, such as another layer's final one",
                )
        if feeds[1 : layer.sequences]:
            self._common(layer, feeds[1 : layer.sequences])
        return self.nodes[feeds[0]].clock if layer.keeps_time else None

    def _common(self, layer: Layer, feeds: tuple[int, ...]) -> int | None:
        """The clock of inputs that are taken step by step."""
        clocks = [self._clock_of(self.nodes[i].clock) for i in feeds]
        known = sorted({clock for clock in clocks if clock is not None})
        if known and None in clocks:
            rows = next(
                self.nodes[i].name for i in feeds if self.nodes[i].clock is None
            )
            raise layer.fail(
                f"{rows!r} has one value for each row, other inputs one for each step",
                "give it a value for each step: one of the sequence's length, or what "
                "a layer along time makes of it",
            )
        for other in known[1:]:
            self._clocks[other] = known[0]
        return known[0] if known else None

    def _clock_of(self, clock: int | None) -> int | None:
        while clock in self._clocks:
            clock = self._clocks[clock]
        return clock


def _sharing(
    node: Node, shared: Mapping[str, tuple[str, Parameter | None]], tied: Tied
) -> Node:
    """The node with those of its parameters that are another's."""
    own: list[Parameter] = []
    for p in node.parameters:
        whole, known = shared.get(f"{node.name}.{p.name}", ("", None))
        if whole and (known is None or known.shape != p.shape):
            there = "missing" if known is None else f"of shape {known.shape}"
            raise tied.fail(
                f"it needs {p.name} of shape {p.shape}, but {whole!r} is {there}",
                f"feed it what has the shape that {tied.layer!r} takes",
            )
        of = (known.of or whole) if known else ""
        own.append(dataclasses.replace(p, of=of or p.of))
    return dataclasses.replace(node, parameters=tuple(own))


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


def _check_arity(layer: Layer, found: int) -> None:
    wanted = layer.arity
    if isinstance(layer, Tied) or (wanted is None and found >= 1):
        return
    counts = wanted if isinstance(wanted, tuple) else (wanted,)
    if found in counts:
        return
    words = " or ".join(map(str, counts))
    expected = "at least one" if wanted is None else words
    raise LayerError(
        f"[{layer.kind} '{layer.name}'] {found} inputs; expected {expected}; "
        "connect it as nv.Layer(...)(x)"
    )
