# SPDX-License-Identifier: BSD-3-Clause
"""Learned: a parameter as a value of its own, the same for every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.initializers import Initializer, Normal
from nervure.layers._layer import Array, Attribute, Example, Parameter, Pass, Shape
from nervure.layers._weights import read_initializers
from nervure.layers.source import Source, checked_shape


@dataclass(frozen=True, eq=False)
class Learned(Source):
    """A node without inputs whose output is learned: ``y = value`` for every row.

    For positions, class tokens, scales and shifts: bring it to the shape of another
    value with `Broadcast`, and add or multiply.

    Shape:
        output ``(batch, *shape)``; ``value (*shape,)``.

    Args:
        shape: shape of one sample; an integer n stands for (n,).
        initializer: how the value begins, by default normal with a deviation of 0.02.
        trainable: whether training moves it; else it is stored as it is.

    Raises:
        LayerError: an extent is not positive.

    Source: Dosovitskiy et al., *An image is worth 16 x 16 words* (2021), eq. 1, for
    positions and a class token of this kind.

    >>> import nervure as nv
    >>> x, places = nv.Input((5, 8)), nv.Learned((5, 8))
    >>> net = nv.Network(inputs=x, outputs=nv.Add()(x, places), seed=1)
    >>> net.parameters["learned.value"].shape
    (5, 8)
    """

    kind: ClassVar[str] = "learned"

    shape: int | tuple[int, ...]
    initializer: Initializer | None = None
    trainable: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", checked_shape(self, self.shape))
        read_initializers(self)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(3), ()), Example(cls((2, 9)), ()))

    def output_shape(self, *inputs: Shape) -> Shape:
        return checked_shape(self, self.shape)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        begin = self.initializer or Normal(0, 0.02)
        shape = self.output_shape()
        return (Parameter("value", shape, begin, self.trainable, decays=False),)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        return parameters["value"][None]
