# SPDX-License-Identifier: BSD-3-Clause
"""Concatenate, Add and Multiply: several inputs brought together."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.layers._axis import sample_axis
from nervure.layers._layer import Array, Attribute, Example, Layer, Pass, Shape, whole


@dataclass(frozen=True)
class Concatenate(Layer):
    """Inputs laid end to end along one axis.

    Shape:
        inputs ``(batch, ..., extent_i, ...)``, output ``(batch, ..., sum of extents,
        ...)``; all other extents are equal.

    Args:
        axis: axis of the batch, 0 being the batch itself and not allowed.

    Raises:
        LayerError: the axis does not exist, or the other extents differ.

    >>> from nervure.layers import Concatenate
    >>> Concatenate().output_shape((4, 3), (4, 5))
    (4, 8)
    """

    kind: ClassVar[str] = "concatenate"
    moves: ClassVar[bool] = True
    arity: ClassVar[int | tuple[int, ...] | None] = None

    axis: int = -1

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis", whole(self, "axis", self.axis))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(), ((3,), (2,), (4,))),
            Example(cls(), ((5,),)),
            Example(cls(axis=1), ((2, 3), (4, 3))),
            Example(cls(axis=-2), ((2, 1, 3), (2, 2, 3))),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        axis = sample_axis(self, self.axis, first)
        before, after = first[:axis], first[axis + 1 :]
        for shape in inputs:
            same_rank = len(shape) == len(first)
            if not same_rank or (shape[:axis], shape[axis + 1 :]) != (before, after):
                raise self.fail(
                    f"inputs of shapes {_listed(inputs)} differ beside axis "
                    f"{self.axis}",
                    "give inputs that agree on all other axes, or another axis",
                )
        return (*before, sum(shape[axis] for shape in inputs), *after)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"axis": sample_axis(self, self.axis, inputs[0])}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        axis = sample_axis(self, self.axis, tuple(inputs[0].shape[1:])) + 1
        return xp.concatenate(inputs, axis=axis)


def _listed(shapes: tuple[Shape, ...]) -> str:
    return ", ".join(map(str, shapes))


def same_shape(layer: Layer, inputs: tuple[Shape, ...]) -> Shape:
    if any(shape != inputs[0] for shape in inputs):
        raise layer.fail(
            f"inputs of shapes {_listed(inputs)}, expected one shape",
            "bring them to one shape with nv.Dense, nv.Reshape or nv.Slice",
        )
    return inputs[0]


def _merge_examples(layer: Layer) -> tuple[Example, ...]:
    return (
        Example(layer, ((4,), (4,))),
        Example(layer, ((2, 3), (2, 3), (2, 3))),
        Example(layer, ((5,),)),
    )


@dataclass(frozen=True)
class Add(Layer):
    """Sum of the inputs, element by element: ``y = x_1 + x_2 + ...``.

    Shape:
        inputs ``(batch, ...)``, all the same; output the same.

    Raises:
        LayerError: the shapes differ.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Add
    >>> Add().formula(np, {}, np.ones((1, 2)), np.ones((1, 2)), info=INFERENCE)
    array([[2., 2.]])
    """

    kind: ClassVar[str] = "add"
    arity: ClassVar[int | tuple[int, ...] | None] = None

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return _merge_examples(cls())

    def output_shape(self, *inputs: Shape) -> Shape:
        return same_shape(self, inputs)

    def flops(self, *inputs: Shape) -> int:
        return (len(inputs) - 1) * math.prod(inputs[0])

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        return functools.reduce(operator.add, inputs)


@dataclass(frozen=True)
class Multiply(Layer):
    """Product of the inputs, element by element: ``y = x_1 x_2 ...``.

    Shape:
        inputs ``(batch, ...)``, all the same; output the same.

    Raises:
        LayerError: the shapes differ.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Multiply
    >>> two = np.full((1, 2), 2.0)
    >>> Multiply().formula(np, {}, two, two, two, info=INFERENCE)
    array([[8., 8.]])
    """

    kind: ClassVar[str] = "multiply"
    arity: ClassVar[int | tuple[int, ...] | None] = None

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return _merge_examples(cls())

    def output_shape(self, *inputs: Shape) -> Shape:
        return same_shape(self, inputs)

    def flops(self, *inputs: Shape) -> int:
        return (len(inputs) - 1) * math.prod(inputs[0])

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        return functools.reduce(operator.mul, inputs)
