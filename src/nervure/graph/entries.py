# SPDX-License-Identifier: BSD-3-Clause
"""Entries of a file: layers, their names, where they read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from nervure.base import plain
from nervure.base.plain import Place
from nervure.base.words import found, is_list, is_table, short, unknown_name
from nervure.graph.node import MOST_EDGES, Entry, names_of, owner_of
from nervure.layers import Input, Layer

MOST_LAYERS = 10_000
INPUT = "input"
"""Name of the node that stands for the data where no input layer is written."""


def layer_from_dict(data: object, at: Place) -> Any:
    """The layer that plain data describes, or `BAD` with the faults collected."""
    if is_table(data):
        return plain.read(Layer, data, at)
    return at.bad(f"found {found(data)}; expected a table with 'type'")


def read_inputs(data: object, at: Place) -> Any:
    """A list of names of nodes; None where there is none."""
    return plain.read(tuple[str, ...] | None, data, at)


def check_edges(inputs: Iterable[object], at: Place) -> bool:
    """Whether lists of inputs name no more layers than a graph has edges."""
    count = sum(len(one) for one in inputs if is_list(one))
    if count > MOST_EDGES:
        at.bad(f"found {count:,} inputs in all; expected at most {MOST_EDGES:,}")
    return count <= MOST_EDGES


def check_entries(
    entries: Sequence[Entry], outputs: Sequence[str], at: Place, outputs_at: Place
) -> None:
    """Faults of names given twice and of inputs and outputs that do not exist."""
    names = names_of(entries)
    implicit = not any(isinstance(entry.layer, Input) for entry in entries)
    known = Counter([INPUT, *names] if implicit else names)
    for i, (entry, name) in enumerate(zip(entries, names, strict=True)):
        if known[name] > 1:
            fact = f"{short(name)} names {known[name]} layers"
            at.item(i).key("name").bad(f"{fact}; expected one for each; rename it")
        feeds = [owner_of(feed, known) for feed in entry.feeds]
        _check_names(feeds, known, at.item(i).key("inputs"))
        _check_arity(entry, at.item(i).key("inputs"))
    if not (implicit or is_source(entries[0]) or entries[0].inputs):
        remedy = "put the input layer first, or give inputs"
        at.item(0).bad(f"nothing feeds it; expected an input; {remedy}")
    _check_names([owner_of(end, known) for end in outputs], known, outputs_at)


def is_source(entry: Entry) -> bool:
    """Whether the layer takes no inputs."""
    return type(entry.layer).arity == 0


def _check_names(names: Sequence[str], known: Iterable[str], at: Place) -> None:
    for i, name in enumerate(names):
        if name not in known and not at.faults.full:
            at.item(i).bad(unknown_name("layer", name, known))


def _check_arity(entry: Entry, at: Place) -> None:
    arity = type(entry.layer).arity
    if entry.inputs is None:
        return
    count = len(entry.inputs)
    wanted = arity if isinstance(arity, tuple) else (arity,)
    if arity is None and count == 0:
        at.bad("found 0 names; expected 1 or more")
    elif arity is not None and count not in wanted:
        at.bad(f"found {count} names; expected {' or '.join(map(str, wanted))}")


def with_name(entry: Entry) -> Entry:
    """The entry whose layer carries the entry's name, as a spec writes it."""
    if not entry.name or entry.layer.name == entry.name:
        return entry
    return replace(entry, layer=replace(entry.layer, name=entry.name))
