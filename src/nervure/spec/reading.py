# SPDX-License-Identifier: BSD-3-Clause
"""Spec files to specs, every fault with its key."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from nervure.base import plain, toml
from nervure.base.described import hints_of
from nervure.base.plain import BAD, Faults, Place
from nervure.base.words import found, is_list, is_table, short
from nervure.graph.entries import (
    MOST_LAYERS,
    check_entries,
    layer_from_dict,
    read_inputs,
)
from nervure.graph.node import Entry
from nervure.spec.tables import DataSpec, Spec, SpecError

LARGEST_IMAGE = 4096  # pixels of a side


def load_spec(path: str | os.PathLike[str], sets: Sequence[str] = ()) -> Spec:
    """Read a spec file; ``sets`` change single keys (see `apply_sets`).

    Raises:
        SpecError: the file cannot be read or has faults; all are listed.
    """
    where = os.fspath(path)
    tables = read_tables(path)
    return parse_spec(apply_sets(tables, sets) if sets else tables, where)


def read_tables(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a spec file as TOML gives them, unchecked.

    Raises:
        SpecError: there is no such file, it is too large, or not TOML.
    """
    where = os.fspath(path)
    try:
        plain = os.path.isfile(path) or os.path.isdir(path)
        if os.path.exists(path) and not plain:
            raise OSError("it is a pipe or device")  # which would block
        with open(path, "rb") as file:
            raw = file.read(toml.MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SpecError(
            f"[{where}] cannot be read: {reason}; expected a spec file (TOML); "
            f"check the path"
        ) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cut = len(raw) > toml.MOST_BYTES
        if not cut:
            raise SpecError(
                f"[{where}] byte {error.start} is not UTF-8; expected a spec (TOML "
                f"text); check that this is the right file"
            ) from None
        text = raw.decode("latin-1")  # too large, as the parser is about to say
    return _tables(text, where)


def _tables(text: str, where: str) -> dict[str, Any]:
    try:
        return toml.parse(text)
    except toml.TomlError as error:
        raise SpecError(f"[{where}] {error}") from None


def parse_spec(source: str | Mapping[str, Any], where: str = "spec") -> Spec:
    """The spec that a TOML text or its tables describe.

    Raises:
        SpecError: every fault, one line each.

    >>> spec = parse_spec('''
    ... [[layer]]
    ... type = "dense"
    ... units = 10
    ... activation = "softmax"
    ... [training]
    ... loss = "cross_entropy"
    ... optimizer = {type = "adam", learning_rate = 0.01}
    ... ''')
    >>> spec.layers[0].layer.units, spec.training.optimizer.learning_rate
    (10, 0.01)
    """
    tables = _tables(source, where) if isinstance(source, str) else source
    at = Faults(where).at()
    spec = _read_spec(tables, at) if plain.check_depth(tables, at) else BAD
    at.faults.raise_as(SpecError)
    return cast(Spec, spec)


_READ = (
    "dtype", "outputs", "data", "network", "augmentation", "training", "ensemble",
    "tune", "autoencoder",
)  # fmt: skip
_KEYS = (*_READ, "layer")


def _read_spec(tables: Mapping[str, Any], at: Place) -> Any:
    hints = hints_of(Spec)
    at.unknown_keys([key for key in tables if key not in _KEYS], _KEYS)
    values: dict[str, Any] = {
        key: plain.read(hints[key], tables[key], at.key(key))
        for key in _READ
        if key in tables
    }
    if values.get("autoencoder") not in (None, BAD):
        _check_autoencoder(tables, values, at)
    elif _task_of(values) == "reconstruction":
        fact = 'found "reconstruction" without [autoencoder]; expected both'
        at.key("data").key("task").bad(f"{fact}; add the table, or leave the task out")
    if "network" in tables:
        for key in ("layer", "outputs"):
            if key in tables:
                at.key(key).bad("found beside [network]; expected one of the two")
        return BAD if at.faults.lines else Spec(**values)
    given = tables.get("layer")
    chosen = given is None and "autoencoder" in tables
    layers = [] if chosen else _read_layers(given, at.key("layer"))
    if at.faults.lines:
        return BAD
    outputs = values.get("outputs", ())
    if not chosen:
        check_entries(layers, outputs, at.key("layer"), at.key("outputs"))
    return Spec(layers=tuple(layers), **values)


_ALONE = ("network", "ensemble", "outputs")
"""Tables that [autoencoder] cannot stand beside."""


def _check_autoencoder(
    tables: Mapping[str, Any], values: dict[str, Any], at: Place
) -> None:
    """Whether all belongs to an autoencoder; its task is written into the data."""
    for key in _ALONE:
        if key in tables:
            at.key(key).bad("found beside [autoencoder]; expected one of the two")
    if "layer" not in tables and values["autoencoder"].code is None:
        place = at.key("autoencoder").key("code")
        place.bad('missing; expected a number of values, or a [[layer]] named "code"')
    data = values.get("data", DataSpec())
    if data is BAD:
        return
    for key, usual in (("series", None), ("calibration", 0.0)):
        if getattr(data, key) != usual:
            place = at.key("data").key(key)
            place.bad("found beside [autoencoder]; expected rows without a target")
    task = data.task or "reconstruction"
    if task != "reconstruction":
        fact = f'found "{task}" beside [autoencoder]; expected "reconstruction"'
        at.key("data").key("task").bad(f"{fact}; leave one of them out")
    values["data"] = replace(data, task=task)


def _task_of(values: Mapping[str, Any]) -> str | None:
    data = values.get("data")
    return data.task if isinstance(data, DataSpec) else None


def _read_layers(data: object, at: Place) -> list[Entry]:
    if not is_list(data) or not data:
        fact = "missing" if data is None else f"found {found(data)}"
        at.bad(f"{fact}; expected at least one [[layer]] table, or [network]")
        return []
    if len(data) > MOST_LAYERS:
        at.bad(f"found {len(data)}; expected at most {MOST_LAYERS}")
        return []
    read = [_read_layer(table, at.item(i)) for i, table in enumerate(data)]
    return [entry for entry in read if entry is not BAD]


def _read_layer(data: object, at: Place) -> Any:
    table: dict[str, Any] = dict(data) if is_table(data) else {}
    inputs = read_inputs(table.pop("inputs", None), at.key("inputs"))
    layer = layer_from_dict(table if is_table(data) else data, at)
    if layer is BAD or inputs is BAD:
        return BAD
    return Entry(layer, layer.name or "", inputs)


# -- --set key=value ------------------------------------------------------------------


def apply_sets(tables: Mapping[str, Any], sets: Iterable[str]) -> dict[str, Any]:
    """A copy of a spec's tables with single keys changed.

    Values are TOML, bare words are text. A layer is named by its place or its name.

    Raises:
        SpecError: a setting without ``=``, or a path that leads nowhere.

    >>> tables = {"layer": [{"type": "dense", "units": 3}], "training": {"epochs": 9}}
    >>> apply_sets(tables, ["layer.0.units=50", "training.epochs=3"])
    {'layer': [{'type': 'dense', 'units': 50}], 'training': {'epochs': 3}}
    """
    at = Faults("--set").at()
    pairs: list[tuple[str, Any]] = []
    for text in sets:
        key, equals, value = text.partition("=")
        if equals and all(part.strip() for part in key.split(".")):
            pairs.append((key.strip(), toml.parse_value(value.strip())))
        else:
            at.bad(f"found {short(text)}; expected key=value, as training.epochs=3")
    changed = _with_values(tables, pairs, at)
    at.faults.raise_as(SpecError)
    return changed


def apply_values(
    tables: Mapping[str, Any], values: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """A copy of a spec's tables with keys at these values, named as by `apply_sets`.

    Raises:
        SpecError: a path that leads nowhere.
    """
    at = Faults(where).at()
    changed = _with_values(tables, values.items(), at)
    at.faults.raise_as(SpecError)
    return changed


def _with_values(
    tables: Mapping[str, Any], pairs: Iterable[tuple[str, Any]], at: Place
) -> dict[str, Any]:
    changed = copy.deepcopy(dict(tables))
    for key, value in pairs:
        _set(changed, _path(key), value, at)
    return changed


_BY_COLUMN = ("data.columns.", "data.dates.")


def _path(key: str) -> list[str]:
    """The parts of a key; the name of a column is one, whatever dots it has.

    >>> _path('data.columns."Sepal.Length"')
    ['data', 'columns', 'Sepal.Length']
    """
    for table in _BY_COLUMN:
        name = key.removeprefix(table)
        if name != key:
            quoted = len(name) > 1 and name[0] == name[-1] == '"'
            return [*table.rstrip(".").split("."), name[1:-1] if quoted else name]
    return [part.strip() for part in key.split(".")]


def _set(here: Any, parts: list[str], value: Any, at: Place) -> None:
    """Put the value where the path leads, from the table or list ``here``."""
    part, *rest = _named_first(here, parts)
    at = at.key(part)
    slot = _slot(here, part, at)
    if slot is BAD:
        return
    if rest:
        _set(_below(here, slot), rest, value, at)
    else:
        here[slot] = value


def _named_first(here: Any, parts: list[str]) -> list[str]:
    """The parts, those that together are a layer's name (``block1.0.conv1``) joined."""
    if is_list(here):
        for length in range(len(parts), 1, -1):
            name = ".".join(parts[:length])
            if name in _labels(here):
                return [name, *parts[length:]]
    return parts


def _labels(here: Sequence[Any]) -> list[Any]:
    return [item.get("name") if is_table(item) else None for item in here]


def _slot(here: Any, part: str, at: Place) -> Any:
    """The key or index that ``part`` stands for in the table or list ``here``."""
    if is_table(here):
        return part
    if not is_list(here):
        return at.bad(f"leads into {found(here)}; expected a table")
    labels = _labels(here)
    if part in labels:
        return labels.index(part)
    if part.isdecimal() and int(part) < len(here):
        return int(part)
    fact = f"there is no such entry; found {len(here)}, counted from 0"
    return at.bad(f"{fact}; expected a number below that, or a layer's name")


def _below(here: Any, slot: Any) -> Any:
    """The value at ``slot``, made a table if it is missing or a name (``"adam"``)."""
    if is_table(here):
        here = cast(dict[str, Any], here)
        here.setdefault(slot, {})
    if isinstance(here[slot], str):
        here[slot] = {"type": here[slot]}
    return here[slot]
