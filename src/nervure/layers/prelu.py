# SPDX-License-Identifier: BSD-3-Clause
"""PReLU: a rectifier whose slope left of 0 is learned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.initializers import Constant, Initializer
from nervure.layers._axis import with_last_axis
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Layer,
    Parameter,
    Pass,
    Shape,
)
from nervure.layers._weights import read_initializers


@dataclass(frozen=True)
class PReLU(Layer):
    """``a_j = x_j`` for x_j > 0, else ``slope_j x_j``: a slope for each feature.

    Shape:
        input ``(batch, ..., features)``, output the same; ``slope (features,)``.

    Args:
        initializer: how the slopes begin, by default at 0.25.

    Raises:
        LayerError: the input has no features.

    Source: He, Zhang, Ren, Sun, *Delving deep into rectifiers* (2015), eq. 1.

    >>> import nervure as nv
    >>> nv.Network([nv.Input(2), nv.PReLU()]).forward([[-4.0, 3.0]])
    array([[-1.,  3.]], dtype=float32)
    """

    kind: ClassVar[str] = "prelu"

    initializer: Initializer | None = None

    def __post_init__(self) -> None:
        read_initializers(self)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((4,),)), Example(cls(), ((2, 3, 18),)))

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return with_last_axis(self, shape)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        begin = self.initializer or Constant(0.25)
        return (Parameter("slope", (inputs[0][-1],), begin, decays=False),)

    def flops(self, *inputs: Shape) -> int:
        return 2 * math.prod(inputs[0])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        return xp.where(x > 0, x, parameters["slope"] * x)
