# SPDX-License-Identifier: BSD-3-Clause
"""PReLU: a rectifier whose slope on the left is learned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.initializers import Constant
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


@dataclass(frozen=True)
class PReLU(Layer):
    """``a = z`` for z > 0, else ``alpha z``, with a trained alpha for each feature.

    Weight decay does not act on ``alpha``, which it would draw to the plain rectifier.

    Shape:
        input ``(batch, ..., features)``, output the same; ``alpha (features,)``, or
        ``(1,)`` where it is shared.

    Args:
        alpha: the slope on the left to begin with, finite.
        shared: whether all features have one slope.

    Raises:
        LayerError: a sample has no features, or ``alpha`` is no finite number.

    Source: He, Zhang, Ren, Sun, *Delving deep into rectifiers* (2015), eq. 1.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, PReLU
    >>> own = {"alpha": np.array([0.25, 0.5])}
    >>> PReLU().formula(np, own, np.array([[-4.0, -4.0], [3.0, 0.0]]), info=INFERENCE)
    array([[-1., -2.],
           [ 3.,  0.]])
    """

    kind: ClassVar[str] = "prelu"
    activates: ClassVar[bool] = True

    alpha: float = 0.25
    shared: bool = False

    def __post_init__(self) -> None:
        if not hasattr(self.alpha, "__float__") or not math.isfinite(self.alpha):
            raise self.fail(f"alpha = {self.alpha!r}", "use a finite number")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(), ((5,),)),
            Example(cls(0.1), ((3, 20),)),
            Example(cls(shared=True), ((2, 2, 3),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        return with_last_axis(self, inputs[0])

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        size = 1 if self.shared else inputs[0][-1]
        begin = Constant(float(self.alpha))
        return (Parameter("alpha", (size,), begin, decays=False),)

    def flops(self, *inputs: Shape) -> int:
        return 2 * math.prod(inputs[0])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"slopes": 1 if self.shared else inputs[0][-1]}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (z,) = inputs
        return xp.where(z > 0, z, parameters["alpha"] * z)
