# SPDX-License-Identifier: BSD-3-Clause
"""Dropout: nodes silenced at random while training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure import random
from nervure.layers._layer import Array, Attribute, Example, Layer, Pass, Shape


@dataclass(frozen=True)
class Dropout(Layer):
    """Silence each element with probability ``rate``: ``a = x m / (1 - rate)``.

    The mask ``m`` is 0 where ``uniform(seed, step, node, element) < rate`` and 1
    elsewhere, drawn anew at every step of training; dividing keeps the expectation,
    so that prediction passes ``x`` on unchanged (inverted dropout). The rate counts
    in steps of 2^-24.

    Shape:
        input ``(batch, ...)``, output the same.

    Args:
        rate: fraction of elements to silence, in [0, 1).

    Raises:
        LayerError: ``rate`` is outside [0, 1).

    Source: Srivastava et al., *Dropout* (JMLR 15, 2014), sections 4 and 10.

    >>> import numpy as np
    >>> from nervure.layers import Dropout, Pass
    >>> info = Pass(training=True, seed=7, step=3)
    >>> Dropout(0.5).formula(np, {}, np.ones((1, 6)), info=info)
    array([[2., 0., 0., 2., 2., 0.]])
    """

    kind: ClassVar[str] = "dropout"

    rate: float

    def __post_init__(self) -> None:
        if not hasattr(self.rate, "__float__") or not 0 <= self.rate < 1:
            raise self.fail(f"rate = {self.rate!r}", "use a fraction in [0, 1)")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(0.5), ((7,),)),
            Example(cls(0.0), ((3,),)),
            Example(cls(0.2), ((4, 5),)),
        )

    @property
    def threshold(self) -> int:
        """Of the 2^24 values that a uniform number takes, how many silence."""
        return round(self.rate * 2**24)

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"rate": float(self.rate), "threshold": self.threshold}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        if not info.training:
            return x
        u = random.uniform(xp, info.seed, info.step, info.node, math.prod(x.shape))
        keep = u.reshape(x.shape) >= self.threshold / 2**24
        return xp.where(keep, x * (1 / (1 - self.rate)), 0.0)
