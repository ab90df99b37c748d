# SPDX-License-Identifier: BSD-3-Clause
"""Nodes of a network as entries of a file: a layer, its name, where it reads from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nervure import _plain
from nervure._plain import Place
from nervure._wording import found, is_table, short, unknown_name
from nervure.layers import Input, Layer

MOST_LAYERS = 10_000
INPUT = "input"
"""Name of the node that stands for the data where no input layer is written."""


@dataclass(frozen=True, eq=False)
class LayerEntry:
    """One node: its layer and the names of the nodes that feed it.

    ``name`` None asks the graph for one; ``inputs`` None is the entry before. Entries
    are equal if they would be written alike.
    """

    layer: Layer
    name: str | None = None
    inputs: tuple[str, ...] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LayerEntry) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.name, self.inputs, self.layer.kind))

    def _key(self) -> tuple[object, ...]:
        return self.name, self.inputs, layer_to_dict(self.layer)


def layer_to_dict(layer: Layer) -> dict[str, Any]:
    """A layer as plain data: its ``type`` and every field not at its default.

    Raises:
        ValueError: a field holds something that is not data.

    >>> from nervure.layers import Dense
    >>> layer_to_dict(Dense(3, activation="relu"))
    {'type': 'dense', 'units': 3, 'activation': 'relu'}
    """
    return _plain.write_fields(layer, layer.name or layer.kind)


def layer_from_dict(data: object, at: Place) -> Any:
    """The layer that plain data describes, or `BAD` with the faults collected."""
    if is_table(data):
        return _plain.read(Layer, data, at)
    return at.bad(f"found {found(data)}; expected a table with 'type'")


def names_of(entries: Sequence[LayerEntry]) -> list[str]:
    """The name of each node: its own, else ``kind``, ``kind_1``, ... in order.

    >>> from nervure.layers import Dense
    >>> names_of([LayerEntry(Dense(2)), LayerEntry(Dense(1), "y")])
    ['dense', 'y']
    """
    taken = {entry.name for entry in entries if entry.name}
    seen: Counter[str] = Counter()
    return [e.name or _free(e.layer.kind, seen, taken) for e in entries]


def _free(kind: str, seen: Counter[str], taken: Iterable[str | None]) -> str:
    while True:
        name = f"{kind}_{seen[kind]}" if seen[kind] else kind
        seen[kind] += 1
        if name not in taken:
            return name


def read_inputs(data: object, at: Place) -> Any:
    """A list of names of nodes; None where there is none."""
    return _plain.read(tuple[str, ...] | None, data, at)


def check_entries(
    entries: Sequence[LayerEntry], outputs: Sequence[str], at: Place, outputs_at: Place
) -> None:
    """Faults of names given twice and of inputs and outputs that do not exist."""
    names = names_of(entries)
    implicit = not any(isinstance(entry.layer, Input) for entry in entries)
    known = Counter([INPUT, *names] if implicit else names)
    for i, (entry, name) in enumerate(zip(entries, names, strict=True)):
        if known[name] > 1:
            fact = f"{short(name)} names {known[name]} layers"
            at.item(i).key("name").bad(f"{fact}; expected one for each; rename it")
        _check_names(entry.inputs or (), known, at.item(i).key("inputs"))
        _check_arity(entry, at.item(i).key("inputs"))
    if not (implicit or is_source(entries[0]) or entries[0].inputs):
        remedy = "put the input layer first, or give inputs"
        at.item(0).bad(f"nothing feeds it; expected an input; {remedy}")
    _check_names(outputs, known, outputs_at)


def is_source(entry: LayerEntry) -> bool:
    """Whether the layer takes no inputs."""
    return type(entry.layer).arity == 0


def _check_names(names: Sequence[str], known: Iterable[str], at: Place) -> None:
    for i, name in enumerate(names):
        if name not in known and not at.faults.full:
            at.item(i).bad(unknown_name("layer", name, known))


def _check_arity(entry: LayerEntry, at: Place) -> None:
    arity = type(entry.layer).arity
    if entry.inputs is None:
        return
    count = len(entry.inputs)
    if arity is None and count == 0:
        at.bad("found 0 names; expected 1 or more")
    elif arity is not None and count != arity:
        at.bad(f"found {count} names; expected {arity}")


def with_name(entry: LayerEntry) -> LayerEntry:
    """The entry whose layer carries the entry's name, as a spec writes it."""
    if entry.name is None or entry.layer.name == entry.name:
        return entry
    return replace(entry, layer=replace(entry.layer, name=entry.name))
