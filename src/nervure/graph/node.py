# SPDX-License-Identifier: BSD-3-Clause
"""A layer in its place: as it was written (`Entry`), and in a graph (`Node`)."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nervure.base import plain
from nervure.layers import Layer, Parameter, Shape

MOST_EDGES = 100_000
"""Of a graph: more than any published one; a bound for files from strangers."""


class GraphError(ValueError):
    """A graph that is not one: unknown inputs, cycles, names used twice."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A layer as it was written, its name, and the names of its inputs.

    ``name`` "" asks the graph for one; ``inputs`` None is the entry before. Those of a
    graph have both. Entries are equal if a file would hold them alike.
    """

    layer: Layer
    name: str = ""
    inputs: tuple[str, ...] | None = None

    @property
    def feeds(self) -> tuple[str, ...]:
        """The inputs that are named."""
        return self.inputs or ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.name, self.inputs, self.layer.kind))

    def _key(self) -> tuple[object, ...]:
        return self.name, self.inputs, layer_to_dict(self.layer)


@dataclass(frozen=True)
class Node:
    """A layer that has a kernel, in its place.

    ``group`` is the entry it came from: ``Dense(8, activation="tanh")`` is the nodes
    ``dense`` and ``dense.activation`` of the group ``dense``. ``random_key`` keys its
    random numbers.

    ``shape`` and ``input_shapes`` are those of one value: of a row, or of one step,
    where ``clock`` says of which input a row has as many steps. What a layer sees is
    in ``seen``: for a layer along time these are shapes of a step, and ``times`` has
    the fixed number of steps of each of its sequences (0 where it is open).
    """

    name: str
    group: str
    layer: Layer
    inputs: tuple[int, ...]
    input_shapes: tuple[Shape, ...]
    shape: Shape
    parameters: tuple[Parameter, ...]
    clock: int | None = None
    times: tuple[int, ...] = ()

    @property
    def random_key(self) -> int:
        return zlib.crc32(self.name.encode())

    @property
    def seen(self) -> tuple[Shape, ...]:
        """Shapes of the inputs as the layer sees them."""
        fixed = (*self.times, *(0 for _ in self.input_shapes[len(self.times) :]))
        pairs = zip(self.input_shapes, fixed, strict=True)
        return tuple(shape[1:] if time else shape for shape, time in pairs)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Full names of the parameters: where they are tied, those of their owner."""
        return tuple(p.of or f"{self.name}.{p.name}" for p in self.parameters)

    @property
    def owned(self) -> tuple[Parameter, ...]:
        """Its parameters but those that are tied, and so belong to another node."""
        return tuple(p for p in self.parameters if not p.of)

    def own(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Its parameters by their short names, from those of a network by full ones."""
        pairs = zip(self.parameters, self.parameter_names, strict=True)
        return {p.name: parameters[name] for p, name in pairs}

    @property
    def flops(self) -> int:
        """Floating-point operations of the forward pass: of a row, or of one step."""
        return self.layer.flops(*self.seen) * max((*self.times, 1))


def layer_to_dict(layer: Layer) -> dict[str, Any]:
    """A layer as plain data: its ``type`` and every field not at its default.

    Raises:
        ValueError: a field holds something that is not data.

    >>> from nervure.layers import Dense
    >>> layer_to_dict(Dense(3, activation="relu"))
    {'type': 'dense', 'units': 3, 'activation': 'relu'}
    """
    return plain.write_fields(layer, layer.name or layer.kind)


def names_of(entries: Sequence[Entry]) -> list[str]:
    """The name of each entry: its own, else ``kind``, ``kind_1``, ... in order.

    >>> from nervure.layers import Dense
    >>> names_of([Entry(Dense(2)), Entry(Dense(1), "y")])
    ['dense', 'y']
    """
    taken = {entry.name for entry in entries}
    seen: Counter[str] = Counter()
    return [e.name or _free(e.layer.kind, seen, taken) for e in entries]


def _free(kind: str, seen: Counter[str], taken: Iterable[str]) -> str:
    while True:
        name = f"{kind}_{seen[kind]}" if seen[kind] else kind
        seen[kind] += 1
        if name not in taken:
            return name


def owner_of(feed: str, known: Collection[str]) -> str:
    """The entry that an input names: its own name, or ``"<layer>:<output>"``.

    >>> owner_of("lstm:state", {"lstm"}), owner_of("both.forward:state", {"both"})
    ('lstm', 'both')
    """
    if feed in known or ":" not in feed:
        return feed
    name = feed.rpartition(":")[0]
    while name not in known and "." in name:
        name = name.rpartition(".")[0]
    return name


def placed(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with all names and inputs; a source has no inputs."""
    names = names_of(entries)
    before = ((), *((name,) for name in names))
    return [
        Entry(e.layer, name, _inputs(e, last))
        for e, name, last in zip(entries, names, before, strict=False)
    ]


def _inputs(entry: Entry, before: tuple[str, ...]) -> tuple[str, ...]:
    if entry.inputs is not None:
        return entry.inputs
    return () if entry.layer.arity == 0 else before
