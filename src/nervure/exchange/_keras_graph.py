# SPDX-License-Identifier: BSD-3-Clause
"""A Keras model's configuration, gone through: each call of a layer becomes layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from nervure.base.words import is_list, is_table, short
from nervure.exchange import _keras_layers, _keras_maps, _keras_sequences
from nervure.exchange._held import NotCoveredError
from nervure.exchange._keras_calls import Call, Ref, calls_of, ends_of, refs_in
from nervure.exchange._keras_file import Config, Label, counted_names
from nervure.exchange._keras_operations import MODULES, PAIRS, operation
from nervure.exchange._keras_reader import KerasReader, Place, Value, class_of
from nervure.exchange.errors import ExchangeError, damaged_keras, in_one_line
from nervure.layers import Input, Layer, LayerError

MOST_CALLS = 20_000
MOST_DEPTH = 20

LAYERS = {**_keras_layers.LAYERS, **_keras_maps.LAYERS, **_keras_sequences.LAYERS}
"""How each layer of Keras is read."""

MODELS = ("Functional", "Model", "Sequential")

Found = tuple["Value | None", ...]

_CODE = {
    "Lambda": "it holds code, and nothing of a file is run",
    "TFOpLambda": "an operation of TensorFlow",
    "SlicingOpLambda": "an operation of TensorFlow",
    "Masking": "rows that are masked; give rows of their own lengths",
}


@dataclass
class Walk:
    """A model while it is gone through.

    Args:
        shapes: of inputs by name, where they were given.
        begins: the network's inputs.
        faults: what is not covered.
    """

    reader: KerasReader
    shapes: Mapping[str, Sequence[int | None]]
    begins: list[Layer] = field(default_factory=list[Layer])
    faults: list[str] = field(default_factory=list[str])
    calls: int = 0
    told: set[str] = field(default_factory=set[str])

    @property
    def where(self) -> str:
        return self.reader.file.where

    def fault(self, name: str, kind: str, fact: str) -> None:
        """Once for each layer."""
        line = f"{short(name)} ({short(kind)[1:-1]}): {fact}"
        if line not in self.told:
            self.told.add(line)
            self.faults.append(line)

    def damaged(self, fact: str) -> ExchangeError:
        return damaged_keras(self.where, fact)


@dataclass(frozen=True)
class Inside:
    """One layer of a model: its label, class, configuration and calls."""

    label: Label
    kind: str
    module: str
    config: Config
    layer: Config

    @property
    def operates(self) -> bool:
        """Whether it is an operation between layers."""
        return self.module.startswith(MODULES)


def read_model(
    walk: Walk, model: Config, path: tuple[Label, ...], inputs: Found | None
) -> Found:
    """What a model gives for these inputs; without them it begins the network."""
    if len(path) > MOST_DEPTH:
        raise walk.damaged(f"models within models more than {MOST_DEPTH} deep")
    config = model.get("config")
    if is_list(config):  # of the first versions of Keras
        config = {"layers": config}
    if not is_table(config):
        raise walk.damaged("a model without a configuration")
    insides = _insides(walk, config)
    if class_of(model) == "Sequential":
        return _sequential(walk, config, insides, path, inputs)
    return _functional(walk, config, insides, path, inputs)


def _insides(walk: Walk, config: Config) -> list[Inside]:
    layers = config.get("layers")
    if not is_list(layers) or len(layers) > MOST_CALLS:
        raise walk.damaged("a model without layers, or of too many")
    found: list[Inside] = []
    for layer in layers:
        own = layer.get("config") if is_table(layer) else None
        if not is_table(layer) or not is_table(own):
            raise walk.damaged(f"a layer {short(layer)}")
        name = str(layer.get("name") or own.get("name") or "")
        label, module = Label(name, ""), str(layer.get("module") or "")
        found.append(Inside(label, class_of(layer), module, own, layer))
    if len({inside.label.name for inside in found}) < len(found):
        raise walk.damaged("two layers of one name")
    pairs = [(i.label.name, i.kind) for i in found if not i.operates]
    stored = counted_names(pairs)
    return [
        replace(i, label=Label(i.label.name, stored.get(i.label.name, "")))
        for i in found
    ]


# -- lists of layers -------------------------------------------------------------------


def _sequential(
    walk: Walk,
    config: Config,
    insides: Sequence[Inside],
    path: tuple[Label, ...],
    inputs: Found | None,
) -> Found:
    begin = (_first_input(walk, config, insides),) if inputs is None else inputs[:1]
    values: Found = begin
    for inside in insides:
        if inside.kind != "InputLayer":
            values = _read(walk, inside, path, values, Call((), (None,), {}))
    return values


def _first_input(walk: Walk, config: Config, insides: Sequence[Inside]) -> Value | None:
    """Of a list of layers: told by the first of them, or by the model."""
    if not insides:
        raise walk.damaged("a model without layers")
    first = insides[0]
    if first.kind == "InputLayer":
        return _input(walk, first.label.name, first.config)
    name = "input"
    if _batch_shape(first.config) is not None:
        return _input(walk, name, first.config)
    build = config.get("build_input_shape")
    return _input(walk, name, {"batch_shape": build})


# -- graphs ----------------------------------------------------------------------------


def _functional(
    walk: Walk,
    config: Config,
    insides: Sequence[Inside],
    path: tuple[Label, ...],
    inputs: Found | None,
) -> Found:
    by_name = {inside.label.name: inside for inside in insides}
    found: dict[tuple[str, int], Found] = {}
    begins = _ends(walk, config.get("input_layers"))
    for number, ref in enumerate(begins):
        if ref.layer not in by_name:
            raise walk.damaged(f"an input {short(ref.layer)} that is no layer")
        if inputs is None:
            own = by_name[ref.layer]
            found[ref.layer, 0] = (_input(walk, ref.layer, own.config),)
        else:
            given = inputs[number] if number < len(inputs) else None
            found[ref.layer, 0] = (given,)
    ends = _ends(walk, config.get("output_layers"))
    calls = {name: _calls(walk, inside) for name, inside in by_name.items()}
    for name, number in _in_order(walk, ends, calls, set(found)):
        call = calls[name][number]
        values = tuple(_value(found, ref) for ref in call.refs)
        found[name, number] = _read(walk, by_name[name], path, values, call)
    return tuple(_value(found, ref) for ref in ends)


def _ends(walk: Walk, value: Any) -> list[Ref]:
    try:
        refs = ends_of(value)
    except NotCoveredError as error:
        raise walk.damaged(str(error)) from None
    if not refs:
        raise walk.damaged("a model without inputs or outputs")
    return refs


def _calls(walk: Walk, inside: Inside) -> list[Call]:
    try:
        return calls_of(inside.layer)
    except NotCoveredError as error:
        walk.fault(inside.label.name, inside.kind, str(error))
        nodes = inside.layer.get("inbound_nodes")
        return [Call((), (), {})] * (len(nodes) if is_list(nodes) else 0)


def _value(found: Mapping[tuple[str, int], Found], ref: Ref) -> Value | None:
    outputs = found.get((ref.layer, ref.call), ())
    return outputs[ref.output] if ref.output < len(outputs) else None


def _in_order(
    walk: Walk,
    ends: Sequence[Ref],
    calls: Mapping[str, Sequence[Call]],
    known: set[tuple[str, int]],
) -> list[tuple[str, int]]:
    """The calls that outputs depend on, each behind those that it reads."""
    order: list[tuple[str, int]] = []
    begun: set[tuple[str, int]] = set()
    done = set(known)
    stack = [((ref.layer, ref.call), False) for ref in reversed(ends)]
    while stack:
        key, ready = stack.pop()
        if ready:
            done.add(key)
            order.append(key)
            continue
        if key in done:
            continue
        name, number = key
        if key in begun or name not in calls or number >= len(calls[name]):
            raise walk.damaged(f"{short(name)} is called in a circle, or nowhere")
        begun.add(key)
        stack.append((key, True))
        stack += [
            ((r.layer, r.call), False) for r in reversed(calls[name][number].refs)
        ]
        if len(stack) > 100 * MOST_CALLS:
            raise walk.damaged("too many calls")
    return order


# -- inputs ----------------------------------------------------------------------------


def _batch_shape(config: Config) -> Any:
    for key in ("batch_shape", "batch_input_shape"):
        if is_list(config.get(key)):
            return config.get(key)
    return None


def _input(walk: Walk, name: str, config: Config) -> Value | None:
    """An input of the network: its time is open where Keras says nothing of it."""
    given, whole = walk.shapes.get(name), _batch_shape(config)
    if given is not None:
        shape: list[Any] = [None if n is None else int(n) for n in given]
    else:
        shape = list(whole)[1:] if whole else []
    rest = shape[1:] if shape[:1] == [None] and len(shape) < 3 else shape
    if not shape or any(type(n) is not int or n < 1 for n in rest):
        shown = ", ".join("?" if type(n) is not int else str(n) for n in shape) or "?"
        raise ExchangeError(
            f"[{walk.where}] input {short(name)} has samples of shape ({shown}); "
            f"expected extents that are known; pass shapes={{{short(name)}: (...)}}"
        )
    try:
        layer = Input(tuple(shape), name=walk.reader.named(name))
    except LayerError as error:
        raise ExchangeError(f"[{walk.where}] {error}") from None
    walk.begins.append(layer)
    return Value(layer, cast("tuple[int, ...]", layer.shape), layer.time)


# -- one call --------------------------------------------------------------------------


def _read(
    walk: Walk, inside: Inside, path: tuple[Label, ...], values: Found, call: Call
) -> Found:
    """What a layer gives; a fault is told, and what reads it is passed over."""
    walk.calls += 1
    if walk.calls > MOST_CALLS:
        raise walk.damaged(f"more than {MOST_CALLS:,} calls of layers")
    own = (*path, inside.label)
    try:
        _check_class(inside)
        if inside.kind in MODELS:
            return read_model(walk, inside.layer, own, values)
        if any(value is None for value in values) or not values:
            return (None,)
        given = cast("tuple[Value, ...]", values)
        at = Place(walk.reader, own, inside.kind, inside.config, given, call.options)
        if inside.operates or _is_operation(inside, call):
            return (operation(at, call.arguments),)
        _check_arguments(call)
        found = LAYERS[inside.kind](at)
        return found if isinstance(found, tuple) else (found,)
    except (NotCoveredError, LayerError) as error:
        walk.fault(_shown(own), inside.kind, str(error))
    except ExchangeError:  # what is damaged is told as it is
        raise
    except _MALFORMED as error:
        fact = in_one_line(error, 200)
        walk.fault(_shown(own), inside.kind, f"malformed ({fact})")
    return (None,)


def _is_operation(inside: Inside, call: Call) -> bool:
    """Whether it is ``x * 2`` or ``x * y`` rather than a layer over a list of values.

    Older files have the same class for both.
    """
    two = len(call.arguments) == 2
    return inside.kind in PAIRS and two and not inside.module


def _check_arguments(call: Call) -> None:
    for value in call.arguments:
        if value is not None and not any(True for _ in refs_in(value)):
            raise NotCoveredError(f"called with {short(value)}")


_MALFORMED = (
    ValueError,
    TypeError,
    IndexError,
    ArithmeticError,
    AttributeError,
    KeyError,
)


def _shown(path: Sequence[Label]) -> str:
    return "/".join(label.name for label in path)


def _check_class(inside: Inside) -> None:
    """Raises unless the class is one of Keras's own that layers stand for."""
    registered = inside.layer.get("registered_name")
    own = registered is None or registered == inside.kind
    home = inside.module == "keras" or inside.module.startswith("keras.")
    if inside.kind in _CODE:
        raise NotCoveredError(_CODE[inside.kind])
    if (inside.module and not home) or not own or ">" in inside.kind:
        raise NotCoveredError("a class of its author, whose code is not run")
    if not inside.operates and inside.kind not in (*LAYERS, *MODELS, *PAIRS):
        raise NotCoveredError("no layer stands for it")
