# SPDX-License-Identifier: BSD-3-Clause
"""Clip: numbers held between two bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.layers._layer import Array, Attribute, Example, Layer, Pass, Shape

LARGEST = 1e300
"""Stands for a bound that is not there."""


@dataclass(frozen=True)
class Clip(Layer):
    """``y = x`` between two bounds, the bounds beyond them.

    Where x reaches a bound its derivative is 0.

    Shape:
        input ``(batch, ...)``, output the same.

    Args:
        low: the lower bound; None: there is none.
        high: the upper bound, not below ``low``; None: there is none.

    Raises:
        LayerError: a bound is not finite, or they are in the wrong order.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Clip
    >>> Clip(-1, 1).formula(np, {}, np.array([[-3.0, 0.5, 2.0]]), info=INFERENCE)
    array([[-1. ,  0.5,  1. ]])
    """

    kind: ClassVar[str] = "clip"

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is None:
                continue
            if not hasattr(value, "__float__") or not math.isfinite(value):
                raise self.fail(f"{name} = {value!r}", "use a finite number, or None")
            object.__setattr__(self, name, float(value))
        low, high = self._bounds
        if low > high:
            raise self.fail(f"low = {low:g} above high = {high:g}", "exchange them")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(-1.01, 1.53), ((5,),)),
            Example(cls(low=0.47), ((2, 3),)),
            Example(cls(high=1.19), ((3,),)),
        )

    @property
    def _bounds(self) -> tuple[float, float]:
        low, high = self.low, self.high
        return -LARGEST if low is None else low, LARGEST if high is None else high

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def flops(self, *inputs: Shape) -> int:
        return 2 * math.prod(inputs[0])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        low, high = self._bounds
        return {"low": low, "high": high}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        if self.low is not None:
            x = xp.where(x <= self.low, self.low, x)
        if self.high is not None:
            x = xp.where(x >= self.high, self.high, x)
        return x
