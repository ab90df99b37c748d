# SPDX-License-Identifier: BSD-3-Clause
"""Input and Constant: where numbers enter a network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.layers._layer import Array, Attribute, Example, Layer, Pass, Shape, wholes


def checked_shape(layer: Layer, shape: Any) -> Shape:
    """A shape from an integer, a tuple or a list."""
    extents = wholes(layer, "shape", shape)
    if any(extent < 1 for extent in extents):
        raise layer.fail(f"shape {extents}", "use extents of at least 1")
    return extents


@dataclass(frozen=True, eq=False)
class Source(Layer):
    """A layer that is a place of the graph: equal fields do not make two sources one.

    ``eq=False`` alone would leave the comparison that `Layer` was given.
    """

    arity: ClassVar[int | tuple[int, ...] | None] = 0

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True, eq=False)
class Input(Source):
    """A place where the batch enters the network.

    ``Input((None, 28))`` takes sequences of any length: its time axis is open, and
    ``shape`` is from then on that of one step. ``Input((None,))`` takes sequences of
    single numbers, such as the codes of words.

    Shape:
        output ``(batch, *shape)``, or ``(batch, time, *shape)`` where time is open.

    Args:
        shape: shape of one sample, without the batch; an integer n stands for (n,);
            None as the first extent opens the time axis.
        time: whether samples are sequences of such a shape.

    Raises:
        LayerError: an extent is not positive.

    >>> from nervure.layers import Input
    >>> Input(784).shape, Input((28, 28, 1)).shape
    ((784,), (28, 28, 1))
    >>> Input((None, 28))
    Input(name=None, shape=(28,), time=True)
    """

    kind: ClassVar[str] = "input"

    shape: int | tuple[int | None, ...]
    time: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.shape, tuple | list) and self.shape[:1] in ((None,), [None]):
            object.__setattr__(self, "shape", tuple(self.shape[1:]))
            object.__setattr__(self, "time", True)
        object.__setattr__(self, "shape", checked_shape(self, self.shape))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(3), ()),
            Example(cls((2, 4)), ()),
            Example(cls((None, 3)), ()),
            Example(cls((None,)), ()),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        return checked_shape(self, self.shape)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        """The batch that the executor feeds in, as it is."""
        return inputs[0]


@dataclass(frozen=True, eq=False)
class Constant(Source):
    """A node without inputs that always outputs ``value``: a bias node.

    Its formula gives one row, which the executor repeats for every row of the batch.

    Shape:
        output ``(batch, *shape)``.

    Args:
        value: what every element is, finite.
        shape: shape of one sample; an integer n stands for (n,).

    Raises:
        LayerError: an extent is not positive, or the value is not finite.

    Source: Bishop, *Pattern Recognition and Machine Learning* (2006), eq. 5.8: a unit
    fixed at 1 whose weights are the biases.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Constant
    >>> Constant().formula(np, {}, info=INFERENCE)
    array([[1.]])
    """

    kind: ClassVar[str] = "constant"

    value: float = 1.0
    shape: int | tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", checked_shape(self, self.shape))
        if not hasattr(self.value, "__float__") or not math.isfinite(self.value):
            raise self.fail(f"value = {self.value!r}", "use a finite number")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ()), Example(cls(-2.5, (2, 3)), ()))

    def output_shape(self, *inputs: Shape) -> Shape:
        return checked_shape(self, self.shape)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"value": float(self.value)}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        return xp.full((1, *self.output_shape()), float(self.value))
