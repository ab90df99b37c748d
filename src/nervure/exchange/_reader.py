# SPDX-License-Identifier: BSD-3-Clause
"""An ONNX graph while it is read: its values, the layers that they become, faults."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.words import short
from nervure.exchange._held import (
    ROWS,
    Held,
    Known,
    NotCoveredError,
    in_order,
    in_shape,
    plain,
    put,
    turned,
)
from nervure.exchange._names import take_name
from nervure.layers import Broadcast, Layer, Learned, Shape, Symbol

Array = npt.NDArray[Any]
Value = Known | Held

MOST_NUMBERS = 2**28
"""Of one value, or a constant that is worked out: a bound for files from strangers."""


@dataclass
class Reader:
    """What is read of a graph.

    Args:
        opset: version of the operators.
        lead: axes of ONNX's values before those of a sample: 1 for the rows, 0 where a
            value is one sample as a whole.
        uses: how often each value is read.
        ends: names of the graph's outputs.
        weights: the numbers of each layer that has some, by layer and parameter.
        whole: names of values that are whole numbers in the file.
        codes: what was made whole numbers, by the name of these.
        double: whether inputs are of double precision.
        clocks: of inputs with an open axis of time what the file calls that axis.
        followed: the same of layers that were asked for, by `id`.
        rounded: what was rounded, by the name of what came out.
    """

    opset: int
    lead: int
    uses: Counter[str]
    ends: frozenset[str]
    values: dict[str, Value | None] = field(default_factory=dict[str, Value | None])
    weights: dict[str, dict[str, Array]] = field(
        default_factory=dict[str, dict[str, Array]]
    )
    taken: set[str] = field(default_factory=set[str])
    whole: set[str] = field(default_factory=set[str])
    codes: dict[str, Held] = field(default_factory=dict[str, Held])
    double: bool = False
    clocks: dict[str, str] = field(default_factory=dict[str, str])
    followed: dict[int, tuple[Symbol | Layer, str | None]] = field(
        default_factory=dict[int, tuple[Symbol | Layer, str | None]]
    )
    rounded: dict[str, Held] = field(default_factory=dict[str, Held])

    # -- layers with numbers --------------------------------------------------------

    def named(self, wanted: str) -> str:
        """A name that no layer has yet: what networks take for one."""
        return take_name(layer_name(wanted) or "layer", self.taken)

    def weighted(
        self, layer: Layer, numbers: Mapping[str, Array], name: str, *inputs: Held
    ) -> Symbol:
        """A layer with these parameters, in its place."""
        own = self.named(name)
        self.weights[own] = dict(numbers)
        return put(replace(layer, name=own), *inputs)

    def stored(self, known: Known, name: str, shape: Shape | None = None) -> Held:
        """A constant as a value, the same for every row."""
        array = known.array if shape is None else known.array.reshape(shape)
        lies = array.shape or (1,)
        layer = Learned(lies, trainable=known.learned, name=self.named(name))
        self.weights[str(layer.name)] = {"value": array.reshape(lies)}
        return plain(layer, array.shape)

    # -- several values of one shape ------------------------------------------------

    def of_sample(self, known: Known, rank: int) -> Array:
        """A constant that meets samples of so many axes; it may not have rows."""
        array = known.array
        if self.lead and array.ndim > rank:
            if array.ndim > rank + 1 or array.shape[0] != 1:
                raise NotCoveredError(
                    f"a constant of shape {array.shape} meets the rows"
                )
            array = array[0]
        return array

    def alike(self, values: Sequence[Value], name: str) -> list[Held]:
        """Values brought to one shape and order, as ONNX repeats axes of extent 1."""
        held = [x for x in values if isinstance(x, Held)]
        rank = max(len(x.shape) for x in held)
        if self.lead and any(len(x.shape) != rank for x in held):
            raise NotCoveredError(
                "values of other numbers of axes, of which one is rows"
            )
        arrays = {
            i: self.of_sample(x, rank)
            for i, x in enumerate(values)
            if isinstance(x, Known)
        }
        shapes = [
            x.shape if isinstance(x, Held) else arrays[i].shape
            for i, x in enumerate(values)
        ]
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError:
            raise NotCoveredError(
                f"shapes {', '.join(map(str, shapes))} that do not fit"
            ) from None
        if _one_order(held) and not arrays:
            return held
        axes = _axes_of(held, shape)
        found: list[Held] = []
        for i, x in enumerate(values):
            if isinstance(x, Known):
                x = self.stored(Known(arrays[i], x.learned), name)
            found.append(_repeated(x, shape, axes))
        return found


def layer_name(wanted: str) -> str:
    """A name as networks have them: without slashes, which end folders in ONNX, and
    without colons, which stand before a further output.

    >>> layer_name("/features/features.0/Conv"), layer_name("layer1.0.conv1.weight")
    ('features.features.0.Conv', 'layer1.0.conv1.weight')
    >>> layer_name("dense/MatMul:0")
    'dense.MatMul_0'
    """
    words = [word for word in wanted.replace("\\", "/").split("/") if word]
    name = ".".join(words)[:200]
    return "".join(c if c.isprintable() and c != ":" else "_" for c in name).strip()


def bounded(shape: Sequence[int]) -> None:
    """Raises where a value would be too large."""
    if math.prod(shape) > MOST_NUMBERS or max(shape, default=0) > MOST_NUMBERS:
        raise NotCoveredError(f"a value of shape {short(tuple(shape))}")


def _one_order(held: Sequence[Held]) -> bool:
    first = held[0]
    return all(
        x.shape == first.shape and x.axes == first.axes and _same(x.order, first.order)
        for x in held
    )


def _same(a: Array | None, b: Array | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b)


def _axes_of(held: Sequence[Held], shape: Shape) -> tuple[int, ...]:
    """The order of the largest value."""
    whole = [x.axes for x in held if x.shape == shape and x.order is None]
    full = [x.axes for x in held if len(x.shape) == len(shape) and x.order is None]
    return next(iter(whole + full), tuple(range(len(shape))))


def _repeated(x: Held, shape: Shape, axes: tuple[int, ...]) -> Held:
    if x.order is not None:
        x = in_order(x)
    x = in_shape(x, (1,) * (len(shape) - len(x.shape)) + x.shape)
    x = turned(x, axes)
    lies = tuple(shape[axis] for axis in axes) or (1,)
    if x.lies == lies:
        return Held(x.symbol, shape, axes)
    return Held(put(Broadcast(lies), x), shape, axes)


# -- one node --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Op:
    """A node of an ONNX graph, its inputs read.

    ``rows`` is the axis of the inputs that counts the rows; they themselves are held as
    if it were the first.
    """

    reader: Reader
    node: Any
    inputs: tuple[Value | None, ...]
    rows: int = 0

    @property
    def kind(self) -> str:
        return str(self.node.op_type)

    @property
    def name(self) -> str:
        """What the layer is to be called, where it gets a name."""
        output = self.node.output[0]
        if output in self.reader.ends:
            return output
        return self.node.name or output

    def weight_name(self, index: int) -> str:
        """A layer's name after that of its weight: ``conv1`` of ``conv1.weight``."""
        output = self.node.output[0]
        if output in self.reader.ends:
            return output
        given = self.node.input[index]
        for end in (".weight", ".kernel", "/kernel", "_weight"):
            if given.endswith(end) and len(given) > len(end):
                return given.removesuffix(end)
        return self.name

    def attribute(self, name: str, default: Any = None) -> Any:
        from onnx import helper

        for attribute in self.node.attribute:
            if attribute.name == name:
                value = helper.get_attribute_value(attribute)
                return (
                    value.decode(errors="replace")
                    if isinstance(value, bytes)
                    else value
                )
        return default

    @property
    def whole(self) -> bool:
        """Whether it computes with whole numbers."""
        held = [
            name in self.reader.whole
            for name, x in zip(self.node.input, self.inputs, strict=True)
            if isinstance(x, Held)
        ]
        return bool(held) and all(held)

    def gives_whole(self, truths: frozenset[str]) -> bool:
        """Whether whole numbers come out; ``truths`` are operators that give 0 or 1."""
        if self.kind == "Cast":
            return any(name in self.reader.codes for name in self.node.output[:1])
        floats = any(
            isinstance(x, Known) and x.array.dtype.kind == "f" for x in self.inputs
        )
        return self.kind in truths or (self.whole and not floats)

    def given(self, index: int) -> Value | None:
        """An input, or None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def value(self, index: int = 0) -> Value:
        found = self.given(index)
        if found is None:
            raise NotCoveredError(f"without input {index}")
        return found

    def held(self, index: int = 0) -> Held:
        """An input that depends on the rows."""
        found = self.value(index)
        if isinstance(found, Held):
            return found
        return self.reader.stored(found, self.name)

    def known(self, index: int, what: str = "") -> Array:
        """An input that must be a constant."""
        found = self.value(index)
        if isinstance(found, Held):
            word = what or f"input {index}"
            raise NotCoveredError(f"{word} that is no constant")
        return found.array

    def constant(self, index: int, name: str, default: Any = None) -> Any:
        """What early opsets have as an attribute and later ones as an input: a list."""
        found = self.given(index)
        if found is None:
            return self.attribute(name, default)
        array = self.known(index, name)
        return array.tolist() if array.ndim else array.reshape(1).tolist()

    def number(
        self, index: int, name: str, default: float | None = None
    ) -> float | None:
        """The same of one number."""
        found = self.given(index)
        if found is None:
            return self.attribute(name, default)
        array = self.known(index, name)
        if array.size != 1:
            raise NotCoveredError(f"{name} of several numbers")
        return float(array.reshape(()))

    def axis(self, axis: int, rank: int) -> int:
        """An axis of ONNX's as one of a sample of so many axes."""
        whole = rank + self.reader.lead
        if not -whole <= axis < whole:
            raise NotCoveredError(f"axis {axis} of {whole}")
        if not self.reader.lead:
            return axis % whole
        if axis % whole == self.rows:
            raise NotCoveredError("it works across the rows")
        return axis % whole - (axis % whole > self.rows)

    def axes(self, axes: Sequence[int], rank: int) -> tuple[int, ...]:
        return tuple(self.axis(int(axis), rank) for axis in axes)

    def only_output(self, why: str) -> None:
        """Raises where another output than the first is read."""
        if any(
            self.reader.uses[name] or name in self.reader.ends
            for name in self.node.output[1:]
            if name
        ):
            raise NotCoveredError(f"its {why} are read")

    def shape_of(self, x: Held) -> list[Any]:
        """A value's shape in ONNX."""
        shape: list[Any] = list(x.shape)
        shape[self.rows : self.rows] = [ROWS] * self.reader.lead
        return shape
