# SPDX-License-Identifier: BSD-3-Clause
"""Reduce: one number of all the elements of some axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.base.words import unknown
from nervure.layers._axis import sample_axis
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Layer,
    LayerError,
    Pass,
    Shape,
    wholes,
)

FUNCTIONS = ("sum", "mean", "max", "min", "product")


@dataclass(frozen=True)
class Reduce(Layer):
    """The sum, mean, largest, smallest or product of the elements of some axes.

    Of equal largest (smallest) elements the first takes the gradient.

    Shape:
        input ``(batch, ...)``, output without the axes, or with extents of 1 there;
        ``(batch, 1)`` where none is left.

    Args:
        function: "sum", "mean", "max", "min" or "product".
        axes: an axis of the batch or several, 0 being the batch and not allowed; None
            takes all but the batch.
        keep: whether the axes stay, with an extent of 1.

    Raises:
        LayerError: an unknown function, an axis that does not exist or comes twice.

    >>> import nervure as nv
    >>> nv.Reduce("mean", (1, 2)).output_shape((14, 14, 64))
    (64,)
    >>> nv.Network([nv.Input((2, 2)), nv.Reduce("max", -1)]).forward([[[1, 4], [3, 2]]])
    array([[4., 3.]], dtype=float32)
    """

    kind: ClassVar[str] = "reduce"

    function: str
    axes: int | tuple[int, ...] | None = None
    keep: bool = False

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise LayerError(unknown("reduce", "function", self.function, FUNCTIONS))
        if self.axes is not None:
            object.__setattr__(self, "axes", wholes(self, "axes", self.axes))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        every = tuple(Example(cls(name, 2), ((2, 3, 2),)) for name in FUNCTIONS)
        return (
            *every,
            Example(cls("sum"), ((3, 2),)),
            Example(cls("mean", (1, -1), keep=True), ((2, 3, 4),)),
            Example(cls("product"), ((4,),)),
        )

    def sample_axes(self, shape: Shape) -> tuple[int, ...]:
        """Those of a sample of this shape, in order."""
        if self.axes is None:
            return tuple(range(len(shape)))
        given = wholes(self, "axes", self.axes)
        found = sorted(sample_axis(self, axis, shape) for axis in given)
        if len(set(found)) < len(found):
            raise self.fail(f"axes = {self.axes} for {shape}", "name each axis once")
        return tuple(found)

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axes = self.sample_axes(shape)
        if self.keep:
            return tuple(1 if i in axes else n for i, n in enumerate(shape))
        return tuple(n for i, n in enumerate(shape) if i not in axes) or (1,)

    def flops(self, *inputs: Shape) -> int:
        return math.prod(inputs[0])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        (shape,) = inputs
        axes = self.sample_axes(shape)
        reduced = tuple(int(axis in axes) for axis in range(len(shape)))
        return {"function": self.function, "reduced": reduced}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        shape = tuple(x.shape[1:])
        axes = tuple(axis + 1 for axis in self.sample_axes(shape))
        name = "prod" if self.function == "product" else self.function
        y = getattr(xp, name)(x, axis=axes)
        return y.reshape((x.shape[0], *self.output_shape(shape)))
