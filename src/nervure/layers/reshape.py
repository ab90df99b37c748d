# SPDX-License-Identifier: BSD-3-Clause
"""Flatten, Reshape and Slice: the same numbers in another shape, or some of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

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


@dataclass(frozen=True)
class Flatten(Layer):
    """All axes of a sample laid out as one: ``(batch, ...)`` to ``(batch, features)``.

    Shape:
        input ``(batch, ...)``, output ``(batch, product of the other axes)``.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Flatten
    >>> Flatten().formula(np, {}, np.zeros((2, 28, 28)), info=INFERENCE).shape
    (2, 784)
    """

    kind: ClassVar[str] = "flatten"
    moves: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((2, 3, 2),)), Example(cls(), ((5,),)))

    def output_shape(self, *inputs: Shape) -> Shape:
        return (math.prod(inputs[0]),)

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        return x.reshape((x.shape[0], math.prod(x.shape[1:])))


@dataclass(frozen=True)
class Reshape(Layer):
    """The elements of a sample, row-major, in another shape.

    Shape:
        input ``(batch, ...)``, output ``(batch, *shape)``.

    Args:
        shape: extents of one sample, without the batch; at most one may be -1 and is
            worked out.

    Raises:
        LayerError: the shape is malformed or holds another number of elements.

    >>> from nervure.layers import Reshape
    >>> Reshape((28, -1, 1)).output_shape((784,))
    (28, 28, 1)
    """

    kind: ClassVar[str] = "reshape"
    moves: ClassVar[bool] = True

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", wholes(self, "shape", self.shape))
        wrong = any(extent < 1 and extent != -1 for extent in self.shape)
        if wrong or self.shape.count(-1) > 1:
            raise self.fail(
                f"shape {self.shape}", "use positive extents and at most one -1"
            )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls((2, 3)), ((6,),)), Example(cls((3, -1)), ((2, 6),)))

    def output_shape(self, *inputs: Shape) -> Shape:
        size = math.prod(inputs[0])
        known = math.prod(extent for extent in self.shape if extent != -1)
        fits = size % known == 0 if -1 in self.shape else size == known
        if not fits:
            raise self.fail(
                f"input of shape {inputs[0]} holds {size} elements, which do not fill "
                f"{self.shape}",
                "use a shape with the same product",
            )
        return tuple(size // known if e == -1 else e for e in self.shape)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        return x.reshape((x.shape[0], *self.output_shape(tuple(x.shape[1:]))))


@dataclass(frozen=True)
class Slice(Layer):
    """Every ``step``-th element of an axis, from ``begin`` up to before ``end``.

    Shape:
        input ``(batch, ..., extent, ...)``, output the same with the axis shortened.

    Args:
        begin: first index; negative counts from the end of the axis.
        end: index after the last; negative counts from the end, None is the end.
        axis: axis of the batch, 0 being the batch itself and not allowed.
        step: distance of the indices, at least 1.

    Raises:
        LayerError: the axis does not exist, the step is not positive, or nothing is
            left.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Slice
    >>> Slice(1, -1).formula(np, {}, np.array([[5, 6, 7, 8]]), info=INFERENCE)
    array([[6, 7]])
    """

    kind: ClassVar[str] = "slice"
    moves: ClassVar[bool] = True

    begin: int = 0
    end: int | None = None
    axis: int = -1
    step: int = 1

    def __post_init__(self) -> None:
        for name in ("begin", "end", "axis", "step"):
            if name != "end" or self.end is not None:
                object.__setattr__(self, name, whole(self, name, getattr(self, name)))
        if self.step < 1:
            raise self.fail(f"step = {self.step}", "use a step of at least 1")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(1, 3), ((5,),)),
            Example(cls(-2), ((5,),)),
            Example(cls(0, 5, axis=1, step=2), ((5, 3),)),
            Example(cls(1, 3, axis=-2), ((2, 4, 3),)),
        )

    def _indices(self, axis: int, shape: Shape) -> range:
        indices = range(shape[axis])[self.begin : self.end : self.step]
        if not indices:
            raise self.fail(
                f"[{self.begin}:{self.end}:{self.step}] of an axis of "
                f"{shape[axis]} leaves nothing",
                "choose begin and end inside the axis",
            )
        return indices

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        axis = sample_axis(self, self.axis, shape)
        return (*shape[:axis], len(self._indices(axis, shape)), *shape[axis + 1 :])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        axis = sample_axis(self, self.axis, inputs[0])
        begin = self._indices(axis, inputs[0]).start
        return {"axis": axis, "begin": begin, "step": self.step}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        axis = sample_axis(self, self.axis, tuple(x.shape[1:])) + 1
        return x[(slice(None),) * axis + (slice(self.begin, self.end, self.step),)]
