# SPDX-License-Identifier: BSD-3-Clause
"""Specs: a network and its training as a TOML file, every fault with its key.

The tables follow the dataclasses below and those of layers, losses and optimizers;
the reader (`nervure._plain`) walks their annotations, so that nothing is listed twice.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, cast

from nervure import _entries, _plain, _registry, _toml
from nervure._atomic import write_atomically
from nervure._described import count, number
from nervure._entries import LayerEntry
from nervure._names import unknown
from nervure._plain import BAD, Faults, Place
from nervure._wording import found, is_list, is_table, short
from nervure.data.augmentation import Augmentation
from nervure.data.encodings import Categories, Encodings, Method, Use
from nervure.ensemble import MOST_MEMBERS
from nervure.losses import Loss
from nervure.metrics import METRICS
from nervure.optimizers import Adam, Optimizer
from nervure.regularizers import Regularizer
from nervure.training.callbacks import EarlyStopping
from nervure.tuning.space import TuneSpec
from nervure.zoo import ZooNetwork

LARGEST_IMAGE = 4096  # pixels of a side


class SpecError(ValueError):
    """All faults of a spec, one line each: ``[net.toml] layer[2].units: ...``."""


@dataclass(frozen=True)
class DataSpec:
    """Where the data comes from and what is kept aside.

    ``source``, ``target``, ``query``, ``task``, ``weights`` and ``image_size`` are
    those of `nervure.data.load`; ``numbers``, ``categories`` and the encodings of
    single ``columns`` too (`nervure.data.Encodings`). ``test`` is the fraction in
    [0, 1) of the rows that training never sees, ``calibration`` that of the other rows
    which is kept for conformal scores, ``validation`` that of the rest which early
    stopping looks at.
    """

    source: str | None = None
    target: str | tuple[str, ...] | None = None
    query: str | None = None
    task: Literal["classification", "regression"] | None = None
    weights: str | None = None
    image_size: tuple[int, int] | None = None
    validation: float = 0.0
    test: float = 0.0
    calibration: float = 0.0
    numbers: Method = "standard"
    categories: Categories = "auto"
    columns: dict[str, Use] | None = None

    def __post_init__(self) -> None:
        fraction = {"least": 0, "below": 1}
        parts = ("validation", "test", "calibration")
        _check(self, "data", dict.fromkeys(parts, fraction))
        for side in self.image_size or ():
            count("data", "image_size", side, least=1, most=LARGEST_IMAGE)

    @property
    def encodings(self) -> Encodings:
        """How the columns of a table become inputs."""
        return Encodings(self.numbers, self.categories, self.columns or {})


@dataclass(frozen=True)
class EnsembleSpec:
    """How many networks are trained (see `nervure.Ensemble`), and on which rows.

    ``bagged`` says whether each draws its training rows with replacement.
    """

    members: int = 5
    bagged: bool = False

    def __post_init__(self) -> None:
        _check(self, "ensemble", {"members": {"least": 1, "most": MOST_MEMBERS}})


_COUNT, _DURATION = {"least": 1.0}, {"above": 0.0}
_BOUNDS = {
    "batch_size": _COUNT,
    "epochs": _COUNT,
    "max_steps": _COUNT,
    "checkpoint_steps": _COUNT,
    "max_seconds": _DURATION,
    "checkpoint_seconds": _DURATION,
    "seed": {"least": 0.0},
}


_NOT_OF_FIT = ("early_stopping", "weights", "freeze", "freeze_until")


@dataclass(frozen=True)
class TrainingSpec:
    """The keyword arguments of `nervure.fit`, under the same names.

    Besides, for transfer learning: ``weights`` is a model file whose weights the
    network begins with, wherever name and shape are the same; ``freeze`` and
    ``freeze_until`` are the arguments of `Network.freeze`.
    """

    loss: Loss | tuple[Loss, ...] | dict[str, Loss] | None = None
    optimizer: Optimizer = field(default_factory=Adam)
    batch_size: int = 32
    epochs: int = 10
    metrics: tuple[str, ...] | None = None
    early_stopping: EarlyStopping | None = None
    regularizer: Regularizer | None = None
    learning_rates: dict[str, float] | None = None
    class_weight: Literal["balanced"] | dict[str, float] | None = None
    loss_weights: float | tuple[float, ...] | dict[str, float] | None = None
    shuffle: bool = True
    seed: int = 0
    max_steps: int | None = None
    max_seconds: float | None = None
    checkpoint_steps: int | None = None
    checkpoint_seconds: float | None = None
    executor: Literal["native", "jax"] = "native"
    weights: str | None = None
    freeze: tuple[str, ...] = ()
    freeze_until: str | None = None

    def __post_init__(self) -> None:
        _check(self, "training", _BOUNDS)
        unknowns = [name for name in self.metrics or () if name not in METRICS]
        if unknowns:
            raise ValueError(unknown("training", "metric", unknowns[0], METRICS))

    def arguments(self, labels: Sequence[object] = ()) -> dict[str, Any]:
        """The keyword arguments for `nervure.fit`.

        ``labels`` are the classes in order; ``class_weight`` may name them.

        Raises:
            SpecError: a weight for a class that does not exist.
        """
        names = (f.name for f in fields(self) if f.name not in _NOT_OF_FIT)
        given = {name: getattr(self, name) for name in names}
        given["callbacks"] = [self.early_stopping] if self.early_stopping else []
        if isinstance(self.class_weight, dict):
            given["class_weight"] = _by_index(self.class_weight, labels)
        return given


def _by_index(
    weights: Mapping[str, float], labels: Sequence[object]
) -> dict[int, float]:
    """Weights of classes by index: the keys are labels or, without them, indices."""
    names = [str(label) for label in labels]
    where = "training.class_weight"
    found: dict[int, float] = {}
    for key, weight in weights.items():
        if key in names:
            found[names.index(key)] = weight
        elif not names and key.isdecimal():
            found[int(key)] = weight
        else:
            raise SpecError(unknown(where, "class", key, names or ["0", "1", "..."]))
    return found


@dataclass(frozen=True)
class Spec:
    """A network, its data and its training: what a spec file says.

    ``layers`` are the tables ``[[layer]]``; in their place ``network``, the table
    ``[network]``, names an architecture of the zoo: ``zoo = "resnet18"``. ``training``
    None is a spec of a network alone, ``ensemble`` None one of a single network.
    ``outputs`` names the layers whose values the network gives; empty are those that
    no other layer reads. ``augmentation`` is how training changes images
    (``[[augmentation]]``). ``tune`` is the space that `nervure.tune` searches; training
    takes no notice of it.
    """

    layers: tuple[LayerEntry, ...] = ()
    data: DataSpec = field(default_factory=DataSpec)
    training: TrainingSpec | None = None
    outputs: tuple[str, ...] = ()
    dtype: Literal["float32", "float64"] = "float32"
    augmentation: tuple[Augmentation, ...] = ()
    ensemble: EnsembleSpec | None = None
    network: ZooNetwork | None = None
    tune: TuneSpec | None = None

    @property
    def seed(self) -> int:
        """Of the network, the split of the rows and the training."""
        return (self.training or TrainingSpec()).seed


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
        with open(path, "rb") as file:
            raw = file.read(_toml.MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SpecError(
            f"[{where}] cannot be read: {reason}; expected a spec file (TOML); "
            f"check the path"
        ) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cut = len(raw) > _toml.MOST_BYTES
        if not cut:
            raise SpecError(
                f"[{where}] byte {error.start} is not UTF-8; expected a spec (TOML "
                f"text); check that this is the right file"
            ) from None
        text = raw.decode("latin-1")  # too large, as the parser is about to say
    return _tables(text, where)


def _tables(text: str, where: str) -> dict[str, Any]:
    try:
        return _toml.parse(text)
    except _toml.TomlError as error:
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
    spec = _read_spec(tables, at) if _plain.check_depth(tables, at) else BAD
    at.faults.raise_as(SpecError)
    return cast(Spec, spec)


_READ = (
    "dtype", "outputs", "data", "network", "augmentation", "training", "ensemble",
    "tune",
)  # fmt: skip
_KEYS = (*_READ, "layer")


def _read_spec(tables: Mapping[str, Any], at: Place) -> Any:
    hints = _registry.hints_of(Spec)
    at.unknown_keys([key for key in tables if key not in _KEYS], _KEYS)
    values: dict[str, Any] = {
        key: _plain.read(hints[key], tables[key], at.key(key))
        for key in _READ
        if key in tables
    }
    if "network" in tables:
        for key in ("layer", "outputs"):
            if key in tables:
                at.key(key).bad("found beside [network]; expected one of the two")
        return BAD if at.faults.lines else Spec(**values)
    layers = _read_layers(tables.get("layer"), at.key("layer"))
    if at.faults.lines:
        return BAD
    outputs = values.get("outputs", ())
    _entries.check_entries(layers, outputs, at.key("layer"), at.key("outputs"))
    return Spec(layers=tuple(layers), **values)


def _read_layers(data: object, at: Place) -> list[LayerEntry]:
    if not is_list(data) or not data:
        fact = "missing" if data is None else f"found {found(data)}"
        at.bad(f"{fact}; expected at least one [[layer]] table, or [network]")
        return []
    if len(data) > _entries.MOST_LAYERS:
        at.bad(f"found {len(data)}; expected at most {_entries.MOST_LAYERS}")
        return []
    read = [_read_layer(table, at.item(i)) for i, table in enumerate(data)]
    return [entry for entry in read if entry is not BAD]


def _read_layer(data: object, at: Place) -> Any:
    table: dict[str, Any] = dict(data) if is_table(data) else {}
    inputs = _entries.read_inputs(table.pop("inputs", None), at.key("inputs"))
    layer = _entries.layer_from_dict(table if is_table(data) else data, at)
    if layer is BAD or inputs is BAD:
        return BAD
    return LayerEntry(layer, layer.name, inputs)


def write_spec(spec: Spec) -> str:
    """The TOML text of a spec; what stands at its default is left out.

    `parse_spec` gives the same spec back.

    Raises:
        SpecError: a part of it is code (a function as a loss), not data.
    """
    try:
        return _toml.write(spec_to_dict(spec))
    except (TypeError, ValueError) as error:
        raise SpecError(f"[spec] {error}") from error


def spec_to_dict(spec: Spec) -> dict[str, Any]:
    """The tables of a spec, as `parse_spec` reads them."""
    tables = _plain.write_fields(replace(spec, layers=(), augmentation=()))
    tables["layer"] = [_layer_table(entry) for entry in spec.layers]
    tables["augmentation"] = [_plain.write_fields(a) for a in spec.augmentation]
    found = {key: tables[key] for key in _WRITTEN if key in tables}
    # A table [ensemble] without keys says that there is one.
    return {key: table for key, table in found.items() if table or key == "ensemble"}


_WRITTEN = (
    "outputs", "dtype", "network", "data", "layer", "augmentation", "training",
    "ensemble", "tune",
)  # fmt: skip
"""The keys of a spec in the order in which it is written."""


def _layer_table(entry: LayerEntry) -> dict[str, Any]:
    table = _entries.layer_to_dict(_entries.with_name(entry).layer)
    if entry.inputs is not None:
        table["inputs"] = list(entry.inputs)
    return table


def save_spec(spec: Spec, path: str | os.PathLike[str]) -> Path:
    """Write a spec file atomically.

    Raises:
        SpecError: see `write_spec`.
        WriteError: the file cannot be written; an earlier one is untouched.
    """
    write_atomically(path, write_spec(spec))
    return Path(path)


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
            pairs.append((key, _toml.parse_value(value.strip())))
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
        _set(changed, [part.strip() for part in key.split(".")], value, at)
    return changed


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


# -- checks of values -----------------------------------------------------------------


def _check(
    thing: object, where: str, bounds: Mapping[str, Mapping[str, float]]
) -> None:
    """Raise for every number that is out of bounds at once; None is not checked."""
    wrong: list[str] = []
    for name, range_of_it in bounds.items():
        value = getattr(thing, name)
        try:
            if value is not None:
                number(where, name, value, **range_of_it)
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("\n".join(wrong))
