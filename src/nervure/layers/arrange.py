# SPDX-License-Identifier: BSD-3-Clause
"""Permute, Take and Broadcast: the elements of a sample in other places."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nervure.layers._axis import sample_axis
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Layer,
    Pass,
    Shape,
    whole,
    wholes,
)

MOST_INDICES = 2**20
"""Of one axis: a bound for files from strangers."""


def strides(shape: Shape) -> tuple[int, ...]:
    """How far apart in memory the neighbours on each axis lie, in elements.

    >>> strides((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


@dataclass(frozen=True)
class _Arrange(Layer):
    """Neighbours on an axis of y are so far apart in x; the distances add up."""

    native: ClassVar[str] = "arrange"
    moves: ClassVar[bool] = True

    def distances(self, shape: Shape) -> tuple[int, ...]:
        """Of neighbours on each axis of y, in x of this shape."""
        raise NotImplementedError(self.kind)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"strides": self.distances(inputs[0]), "taken": -1}


@dataclass(frozen=True)
class Permute(_Arrange):
    """The axes of a sample in another order.

    Shape:
        input ``(batch, e_1, ..., e_r)``, output ``(batch, e_axes[0], ...)``.

    Args:
        axes: which axis of the batch comes where; 1 to r, each once (0 is the batch).

    Raises:
        LayerError: the axes are not those of a sample.

    >>> import nervure as nv
    >>> nv.Permute((3, 1, 2)).output_shape((28, 32, 3))
    (3, 28, 32)
    """

    kind: ClassVar[str] = "permute"

    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", wholes(self, "axes", self.axes))
        if not self.axes or sorted(self.axes) != [*range(1, len(self.axes) + 1)]:
            raise self.fail(
                f"axes = {self.axes}", "use each of 1, 2, ... once (0 is the batch)"
            )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls((2, 1)), ((3, 4),)),
            Example(cls((3, 1, 2)), ((2, 3, 4),)),
            Example(cls((1,)), ((5,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) != len(self.axes):
            raise self.fail(
                f"axes {self.axes} for samples of shape {shape}",
                "name every axis of a sample once",
            )
        return tuple(shape[axis - 1] for axis in self.axes)

    def distances(self, shape: Shape) -> tuple[int, ...]:
        apart = strides(shape)
        return tuple(apart[axis - 1] for axis in self.axes)

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        return xp.transpose(inputs[0], (0, *self.axes))


@dataclass(frozen=True)
class Take(_Arrange):
    """The elements of one axis at given indices, which may repeat: ``x[..., indices]``.

    Shape:
        input ``(batch, ..., extent, ...)``, output the same with as many elements on
        the axis as there are indices.

    Args:
        indices: whole numbers; negative ones count from the end of the axis.
        axis: axis of the batch, 0 being the batch itself and not allowed.

    Raises:
        LayerError: the axis does not exist, an index is outside, or there is none.

    >>> import numpy as np, nervure as nv
    >>> net = nv.Network([nv.Input(4), nv.Take((3, 3, 0))])
    >>> net.forward([[5.0, 6.0, 7.0, 8.0]])
    array([[8., 8., 5.]], dtype=float32)
    """

    kind: ClassVar[str] = "take"

    indices: tuple[int, ...]
    axis: int = -1

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", wholes(self, "indices", self.indices))
        object.__setattr__(self, "axis", whole(self, "axis", self.axis))
        if not 1 <= len(self.indices) <= MOST_INDICES:
            raise self.fail(
                f"{len(self.indices):,} indices", f"use 1 to {MOST_INDICES:,}"
            )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls((2, 0, 2, -1)), ((4,),)),
            Example(cls((1, 0), axis=1), ((2, 3),)),
            Example(cls((0,), axis=2), ((2, 3, 2),)),
        )

    def _known(self, axis: int, shape: Shape) -> list[int]:
        extent = shape[axis]
        outside = [i for i in self.indices if not -extent <= i < extent]
        if outside:
            raise self.fail(
                f"index {outside[0]} of an axis of {extent}",
                f"use {-extent} to {extent - 1}",
            )
        return [i % extent for i in self.indices]

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axis = sample_axis(self, self.axis, shape)
        return (*shape[:axis], len(self._known(axis, shape)), *shape[axis + 1 :])

    def distances(self, shape: Shape) -> tuple[int, ...]:
        return strides(shape)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        (shape,) = inputs
        axis = sample_axis(self, self.axis, shape)
        taken = {"taken": axis, "indices": tuple(self._known(axis, shape))}
        return {**super().attributes(shape), **taken}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        shape = tuple(x.shape[1:])
        axis = sample_axis(self, self.axis, shape)
        return xp.take(x, np.array(self._known(axis, shape)), axis=axis + 1)


@dataclass(frozen=True)
class Broadcast(_Arrange):
    """Axes of one element repeated, as NumPy does before it adds arrays.

    Shape:
        input ``(batch, ...)``, output ``(batch, *shape)``.

    Args:
        shape: extents of one sample; the last ones are those of the input, or anything
            where the input has 1. There may be more axes in front.

    Raises:
        LayerError: the input cannot be repeated to this shape.

    >>> import nervure as nv
    >>> nv.Broadcast((4, 5, 3)).output_shape((1, 3))
    (4, 5, 3)
    """

    kind: ClassVar[str] = "broadcast"

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", wholes(self, "shape", self.shape))
        if not self.shape or min(self.shape) < 1:
            raise self.fail(f"shape {self.shape}", "use extents of at least 1")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls((2, 4)), ((4,),)),
            Example(cls((3, 2, 4)), ((3, 1, 4),)),
            Example(cls((2, 3)), ((2, 3),)),
            Example(cls((2, 3)), ((1,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        last = self.shape[len(self.shape) - len(shape) :]
        fits = len(shape) <= len(self.shape) and all(
            n in (1, wanted) for n, wanted in zip(shape, last, strict=True)
        )
        if not fits:
            raise self.fail(
                f"input of shape {shape} for {self.shape}",
                "give axes that are equal, or 1",
            )
        return self.shape

    def distances(self, shape: Shape) -> tuple[int, ...]:
        pairs = zip(shape, strides(shape), strict=True)
        front = (0,) * (len(self.shape) - len(shape))
        return front + tuple(0 if n == 1 else s for n, s in pairs)

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        front = len(self.shape) - (x.ndim - 1)
        x = x.reshape((x.shape[0], *(1,) * front, *x.shape[1:]))
        return xp.broadcast_to(x, (x.shape[0], *self.shape))
