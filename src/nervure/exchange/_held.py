# SPDX-License-Identifier: BSD-3-Clause
"""Values of an ONNX graph while it becomes a network, and how they lie in nervure.

A value is known (a constant), or held: given by a layer for each row. A held value has
its axes in whatever order suits the layers: an ONNX map ``(channels, height, width)``
is held channels-last, and a Transpose moves no number but the names of axes. Only where
a layer or the end of the graph needs another order are axes really exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.layers import Flatten, Layer, Permute, Reshape, Shape, Symbol, Take

Array = npt.NDArray[Any]


class NotCoveredError(ValueError):
    """An operator, or a way of using it, that no layer stands for."""


def check_shape(word: str, found: Shape, wanted: Sequence[int | None]) -> None:
    """Raises where numbers have another shape; None stands for any extent."""
    fits = len(found) == len(wanted) and all(
        n in (None, m) for n, m in zip(wanted, found, strict=True)
    )
    if not fits:
        shown = ", ".join("?" if n is None else str(n) for n in wanted)
        raise NotCoveredError(f"{word} of shape {found}, not ({shown})")


class Rows:
    """Stands for the number of rows among the extents of a shape."""

    def __repr__(self) -> str:
        return "rows"


ROWS = Rows()


@dataclass(frozen=True, eq=False)
class Known:
    """A constant. ``learned`` says that it is one of the file's weights.

    Shapes that hold the number of rows are arrays of objects, with `ROWS` for it.
    """

    array: Array
    learned: bool = False

    @property
    def symbolic(self) -> bool:
        return self.array.dtype == object

    @property
    def number(self) -> float | None:
        """The number, if it is one alone."""
        return float(self.array.reshape(())) if self.array.size == 1 else None


@dataclass(frozen=True, eq=False)
class Held:
    """What a layer gives.

    Args:
        symbol: the layer in its place.
        shape: of a sample, as ONNX has it.
        axes: which of its axes lies where in nervure's sample.
        order: for samples of one axis, which feature stands at each place; None: each
            at its own.
        rows: which axis of ONNX's counts the rows. In the network it is the first;
            around recurrent operators it comes behind time.
    """

    symbol: Symbol | Layer
    shape: Shape
    axes: tuple[int, ...]
    order: Array | None = None
    rows: int = 0

    @property
    def lies(self) -> Shape:
        """The sample's shape in nervure, which has at least one axis."""
        return tuple(self.shape[axis] for axis in self.axes) or (1,)

    @property
    def plain(self) -> bool:
        """Whether it lies as ONNX has it."""
        return self.order is None and self.axes == tuple(range(len(self.shape)))


@dataclass(frozen=True, eq=False)
class Reshaped(Symbol):
    """A value in another shape, and the shape that it had before."""

    before: Shape = ()


def plain(symbol: Symbol | Layer, shape: Shape) -> Held:
    """A value that lies as ONNX has it."""
    return Held(symbol, shape, tuple(range(len(shape))))


def put(layer: Layer, *values: Held) -> Symbol:
    """A layer behind these values."""
    return Symbol(layer, tuple(value.symbol for value in values))


def like(x: Held, symbol: Symbol | Layer) -> Held:
    """Another value that lies as x does."""
    return replace(x, symbol=symbol)


# -- order of axes ---------------------------------------------------------------------


def in_order(x: Held) -> Held:
    """The value as ONNX has it."""
    if x.order is not None:
        back = np.argsort(x.order)
        return plain(put(Take(tuple(back.tolist())), x), x.shape)
    return turned(x, tuple(range(len(x.shape))))


def channels_last(x: Held) -> Held:
    """The value with its first axis, ONNX's channels, at the end."""
    rank = len(x.shape)
    return turned(x, (*range(1, rank), 0)) if rank > 1 else in_order(x)


def with_last(x: Held, axis: int) -> Held:
    """The value with this axis of ONNX's at the end."""
    if x.order is not None:
        x = in_order(x)
    if x.axes[-1] == axis:
        return x
    return turned(x, (*(a for a in x.axes if a != axis), axis))


def turned(x: Held, axes: tuple[int, ...]) -> Held:
    """The value with its axes in this order."""
    if x.order is not None:
        x = in_order(x)
    if x.axes == axes:
        return x
    lies = tuple(x.shape[axis] for axis in axes)
    if _long(x.axes, x.shape) == _long(axes, x.shape):  # axes of extent 1 move freely
        return Held(reshaped(x.symbol, x.lies, lies), x.shape, axes)
    places = tuple(x.axes.index(axis) + 1 for axis in axes)
    return Held(put(Permute(places), x), x.shape, axes)


def _long(axes: tuple[int, ...], shape: Shape) -> list[int]:
    return [axis for axis in axes if shape[axis] != 1]


# -- shapes ----------------------------------------------------------------------------


def reshaped(symbol: Symbol | Layer, found: Shape, wanted: Shape) -> Symbol | Layer:
    """The value in another shape; of two reshapes in a row one is left."""
    if isinstance(symbol, Reshaped) and found != wanted:
        found, (symbol,) = symbol.before, symbol.inputs
    if found == wanted:
        return symbol
    layer = Flatten() if len(wanted) == 1 else Reshape(wanted)
    return Reshaped(layer, (symbol,), found)


def in_shape(x: Held, shape: Shape) -> Held:
    """The value in another shape of as many elements, as ONNX lays them out.

    A map that is laid out flat keeps its layout, and what reads its features is told of
    their order.
    """
    if shape == x.shape:
        return x
    if _unit_axes_apart(x, shape):
        return _renamed(x, shape)
    if len(shape) == 1 and x.order is None and not x.plain:
        places = np.arange(math.prod(shape)).reshape(x.shape)
        order = places.transpose(x.axes).reshape(-1)
        return Held(reshaped(x.symbol, x.lies, shape), shape, (0,), order)
    x = in_order(x)
    return plain(reshaped(x.symbol, x.lies, shape or (1,)), shape)


def _unit_axes_apart(x: Held, shape: Shape) -> bool:
    long = [n for n in x.shape if n != 1]
    return long == [n for n in shape if n != 1] and x.order is None


def _renamed(x: Held, shape: Shape) -> Held:
    """Axes of extent 1 come or go; the others stay where they are."""
    old = [axis for axis, n in enumerate(x.shape) if n != 1]
    new = [axis for axis, n in enumerate(shape) if n != 1]
    long = [new[old.index(axis)] for axis in x.axes if x.shape[axis] != 1]
    units = [axis for axis, n in enumerate(shape) if n == 1]
    axes = (*units, *long)
    if sorted(long) == long:
        axes = tuple(range(len(shape)))
    lies = tuple(shape[axis] for axis in axes) or (1,)
    return Held(reshaped(x.symbol, x.lies, lies), shape, axes)


def transposed(x: Held, axes: tuple[int, ...]) -> Held:
    """Axis i of the new shape is axis ``axes[i]`` of the old one: names change."""
    if len(axes) < 2:
        return x
    shape = tuple(x.shape[axis] for axis in axes)
    return Held(x.symbol, shape, tuple(axes.index(axis) for axis in x.axes))
