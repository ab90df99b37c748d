# SPDX-License-Identifier: BSD-3-Clause
"""LocalResponseNorm: channels held down by their neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.layers._axis import with_last_axis
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Layer,
    Pass,
    Shape,
    at_least,
)


@dataclass(frozen=True)
class LocalResponseNorm(Layer):
    """``y_c = x_c / (k + alpha / size * sum of x^2 over neighbouring channels)^beta``.

    The neighbours of channel c are the channels ``c - size // 2`` to
    ``c + (size - 1) // 2`` of the same pixel, as far as there are any; missing ones
    count as 0. As in PyTorch, alpha is divided by the size; AlexNet's alpha, which is
    not, is ``LocalResponseNorm(5, alpha=5e-4, k=2.0)`` here.

    Shape:
        input ``(batch, ..., channels)``, output the same.

    Args:
        size: number of channels that count, at least 1.
        alpha: weight of their mean square, at least 0.
        beta: exponent, a finite number.
        k: what the denominator begins with, above 0.

    Raises:
        LayerError: a number is out of its range, or the input has no channels.

    Source: Krizhevsky, Sutskever, Hinton, *ImageNet classification with deep
    convolutional neural networks* (2012), section 3.3.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, LocalResponseNorm
    >>> layer = LocalResponseNorm(3, alpha=3.0, beta=0.5)
    >>> layer.formula(np, {}, np.array([[2.0, 2.0, 4.0]]), info=INFERENCE)
    array([[0.66666667, 0.4       , 0.87287156]])
    """

    kind: ClassVar[str] = "local_response_norm"

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self) -> None:
        at_least(self, "size", remedy="use at least 1")
        if not 0 <= self.alpha < math.inf:
            raise self.fail(f"alpha = {self.alpha!r}", "use a number of at least 0")
        if not math.isfinite(self.beta):
            raise self.fail(f"beta = {self.beta!r}", "use a finite number")
        if not 0 < self.k < math.inf:
            raise self.fail(f"k = {self.k!r}", "use a number above 0")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(3, alpha=0.5), ((2, 5),)),
            Example(cls(4, alpha=0.3, beta=1.5, k=2.0), ((3, 2, 6),)),
            Example(cls(9, alpha=1.0), ((3,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return with_last_axis(self, shape, "channel")

    def flops(self, *inputs: Shape) -> int:
        return (2 * self.size + 4) * math.prod(inputs[0])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        numbers = {name: float(getattr(self, name)) for name in ("alpha", "beta", "k")}
        return {"size": self.size, **numbers}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        channels = x.shape[-1]
        before = min(self.size // 2, channels - 1)
        after = min((self.size - 1) // 2, channels - 1)
        edges = [(0, 0)] * (x.ndim - 1)
        squares = xp.pad(x * x, [*edges, (before, after)])
        total = sum(squares[..., i : i + channels] for i in range(before + after + 1))
        return x / (self.k + self.alpha / self.size * total) ** self.beta
