# SPDX-License-Identifier: BSD-3-Clause
"""A Keras model while it is read: values, layers in their places, numbers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.words import is_list, is_table, short
from nervure.exchange._hdf5 import Numbers
from nervure.exchange._held import NotCoveredError, check_shape
from nervure.exchange._keras_file import Config, KerasFile, Label
from nervure.exchange._names import take_name
from nervure.exchange._reader import bounded, layer_name
from nervure.layers import Broadcast, Layer, Reshape, Shape, Symbol

Array = npt.NDArray[Any]

MOST_UNITS = 2**24


@dataclass(frozen=True, eq=False)
class Value:
    """What a layer gives.

    ``shape`` is that of a sample; of one step, where ``clock`` says that sequences are
    of any length.
    """

    symbol: Symbol | Layer
    shape: Shape
    clock: bool = False

    @property
    def rank(self) -> int:
        """Axes of a sample."""
        return len(self.shape) + self.clock


@dataclass
class KerasReader:
    """What is read of a model: numbers by the names of layers and of parameters.

    ``made`` has the layers of each layer of Keras, which are taken again where it is
    called again.
    """

    file: KerasFile
    weights: dict[str, dict[str, Array]] = field(
        default_factory=dict[str, dict[str, Array]]
    )
    made: dict[tuple[Label, ...], list[Layer]] = field(
        default_factory=dict[tuple[Label, ...], list[Layer]]
    )
    taken: set[str] = field(default_factory=set[str])
    doubles: set[bool] = field(default_factory=set[bool])

    def named(self, wanted: str) -> str:
        """A name that no layer has yet."""
        return take_name(layer_name(wanted) or "layer", self.taken)


class Place:
    """One call of a layer of Keras.

    Args:
        reader: of the whole model.
        path: labels of the models around it, and its own.
        config: the layer's configuration.
        inputs: the values that it is called on.
        options: further arguments of the call.
    """

    def __init__(
        self,
        reader: KerasReader,
        path: tuple[Label, ...],
        kind: str,
        config: Config,
        inputs: Sequence[Value],
        options: Mapping[str, Any],
    ) -> None:
        self.reader, self.path, self.kind = reader, path, kind
        self.config, self.inputs, self.options = config, tuple(inputs), options
        self.part = ""
        self._again = path in reader.made
        self._layers = reader.made.setdefault(path, [])
        self._count = 0

    def inner(self, kind: str, config: Config, part: str) -> Place:
        """A layer inside of this one, in its place, with its numbers under ``part``."""
        found = copy.copy(self)
        found.kind, found.config, found.part = kind, config, part
        return found

    @property
    def name(self) -> str:
        """Names of models around it stand before its own."""
        return ".".join(label.name for label in self.path)

    @property
    def early(self) -> bool:
        return self.reader.file.early

    # -- the configuration ----------------------------------------------------------

    def get(self, key: str, default: Any = None) -> Any:
        found = self.config.get(key, default)
        return default if found is None else found

    def count(self, key: str, default: int | None = None) -> int:
        """A whole number of at least 1."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise NotCoveredError(f"{key} = {short(value)}")
        if not 1 <= value <= MOST_UNITS:
            raise NotCoveredError(f"{key} = {value:,}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise NotCoveredError(f"{key} = {short(value)}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.get(key, default))

    def whole(self, key: str, rank: int, default: Any = None) -> tuple[int, ...]:
        """One number or one for each axis."""
        value = self.get(key, default)
        several = list(value) if is_list(value) else [value] * rank
        fits = len(several) == rank and all(type(n) is int for n in several)
        if not fits:
            raise NotCoveredError(f"{key} = {short(value)}")
        return tuple(cast("list[int]", several))

    def expect(self, **wanted: Any) -> None:
        """Raises where the configuration says something else."""
        for key, value in wanted.items():
            found = self.config.get(key, value)
            if found != value and found is not None:
                raise NotCoveredError(f"{key} = {short(found)}")

    def last_axis(self, key: str = "axis", default: Any = -1) -> None:
        """Raises unless the axis is the one of features."""
        axis = self.get(key, default)
        single = axis[0] if is_list(axis) and len(axis) == 1 else axis
        if single not in (-1, self.x.rank):
            raise NotCoveredError(f"{key} = {short(axis)}, not the last one")

    # -- values ---------------------------------------------------------------------

    @property
    def x(self) -> Value:
        """The only input."""
        if len(self.inputs) != 1:
            raise NotCoveredError(f"called on {len(self.inputs)} inputs")
        return self.inputs[0]

    def fixed(self, x: Value | None = None) -> Value:
        """An input whose shape has no open axis."""
        x = self.x if x is None else x
        if x.clock:
            raise NotCoveredError("sequences of any length; give shapes=")
        return x

    def put(self, layer: Layer, *values: Value) -> Value:
        """A layer behind these values; the same one where this is called again."""
        values = values or (self.x,)
        layer = self._own(layer)
        symbol = Symbol(layer, tuple(value.symbol for value in values))
        return _given(layer, symbol, values)

    def _own(self, layer: Layer) -> Layer:
        if self._again:
            if self._count >= len(self._layers):
                raise NotCoveredError("called again on something else")
            layer = self._layers[self._count]
        else:
            self._layers.append(layer)
        self._count += 1
        return layer

    def weighted(
        self, layer: Layer, numbers: Mapping[str, Array], *values: Value, word: str = ""
    ) -> Value:
        """A layer with these parameters; ``word`` comes behind the name."""
        if self._again:
            return self.put(layer, *values)
        wanted = f"{self.name}.{word}" if word else self.name
        own = self.reader.named(wanted)
        self.reader.weights[own] = dict(numbers)
        return self.put(replace(layer, name=own), *values)

    # -- numbers --------------------------------------------------------------------

    def arrays(
        self, *shapes: Sequence[int | None], parts: Sequence[str] = ("",)
    ) -> Any:
        """The layer's variables, if they have these shapes; None is any extent."""
        found = self.stored(parts)
        if len(found) != len(shapes):
            raise NotCoveredError(f"{len(found)} arrays of numbers, not {len(shapes)}")
        for numbers, shape in zip(found, shapes, strict=True):
            check_shape("numbers", numbers.shape, shape)
        return [self._read(numbers) for numbers in found]

    def stored(self, parts: Sequence[str] = ("",)) -> list[Numbers]:
        whole = [f"{self.part}/{p}".strip("/") if self.part else p for p in parts]
        return self.reader.file.weights.of(self.path, whole)

    def _read(self, numbers: Numbers) -> Array:
        array = numbers.read()
        if array.dtype.kind == "f":
            self.reader.doubles.add(array.dtype == np.float64)
        return array


def _given(layer: Layer, symbol: Symbol, values: Sequence[Value]) -> Value:
    """What comes out, by the layer's own words on shapes."""
    along = layer.sequences
    clock = any(value.clock for value in values)
    if not along:
        shape = layer.output_shape(*(value.shape for value in values))
        bounded(shape)
        return Value(symbol, shape, clock)
    steps = [
        v.shape if v.clock or i >= along else v.shape[1:] for i, v in enumerate(values)
    ]
    if any(not v.clock and not v.shape for v in values[:along]):
        raise NotCoveredError("a sequence without time")
    shape = layer.output_shape(*steps)
    first = values[0]
    if not layer.keeps_time:
        return Value(symbol, shape)
    return Value(
        symbol, shape if first.clock else (first.shape[0], *shape), first.clock
    )


def alike(at: Place, values: Sequence[Value]) -> list[Value]:
    """Values brought to one shape, axes of extent 1 being repeated."""
    clocks = {value.clock for value in values}
    if len(clocks) > 1:
        raise NotCoveredError("sequences of any length together with something else")
    try:
        shape = np.broadcast_shapes(*(value.shape for value in values))
    except ValueError:
        shapes = ", ".join(str(value.shape) for value in values)
        raise NotCoveredError(f"shapes {shapes} that do not fit") from None
    if len({len(value.shape) for value in values}) > 1:
        raise NotCoveredError("values of other numbers of axes")
    bounded(shape)
    return [_repeated(at, value, shape) for value in values]


def _repeated(at: Place, value: Value, shape: Shape) -> Value:
    return value if value.shape == shape else at.put(Broadcast(shape), value)


def reshaped(at: Place, x: Value, shape: Shape) -> Value:
    return x if x.shape == shape else at.put(Reshape(shape), x)


def class_of(config: Any) -> str:
    """The class that a configuration names."""
    return str(config.get("class_name", "")) if is_table(config) else ""
