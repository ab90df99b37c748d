# SPDX-License-Identifier: BSD-3-Clause
"""Softmax and LogSoftmax: scores of classes turned into probabilities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.base.formulas import stop_gradient
from nervure.layers._layer import Array, Attribute, Example, Layer, Pass, Shape

_EXAMPLES: tuple[Shape, ...] = ((5,), (1,), (37,), (2, 3))


def _shifted(xp: Any, z: Array) -> Array:
    """Scores less the largest of their row, so that no exponential overflows."""
    return z - xp.max(stop_gradient(xp, z), axis=-1, keepdims=True)


def _require_axis(layer: Layer, shape: Shape) -> Shape:
    if not shape or shape[-1] < 1:
        raise layer.fail(
            f"input of shape {shape}, expected (..., classes)",
            "give every sample at least one class",
        )
    return shape


@dataclass(frozen=True)
class Softmax(Layer):
    """Probabilities of classes: ``a_k = exp(z_k) / sum_j exp(z_j)``.

    Shape:
        input ``(batch, ..., classes)``, output the same; rows of the last axis sum
        to 1.

    Raises:
        LayerError: a sample has no axis of classes.

    Source: Goodfellow, Bengio, Courville, *Deep Learning* (2016), eq. 6.29.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Softmax
    >>> scores = np.log([[1.0, 2.0, 5.0]])
    >>> Softmax().formula(np, {}, scores, info=INFERENCE).round(3)
    array([[0.125, 0.25 , 0.625]])
    """

    kind: ClassVar[str] = "softmax"
    activates: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return tuple(Example(cls(), (shape,)) for shape in _EXAMPLES)

    def output_shape(self, *inputs: Shape) -> Shape:
        return _require_axis(self, inputs[0])

    def flops(self, *inputs: Shape) -> int:
        return 5 * math.prod(inputs[0])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"classes": inputs[0][-1]}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        e = xp.exp(_shifted(xp, inputs[0]))
        return e / xp.sum(e, axis=-1, keepdims=True)


@dataclass(frozen=True)
class LogSoftmax(Layer):
    """Logarithms of the softmax: ``a_k = z_k - log sum_j exp(z_j)``.

    Shape:
        input ``(batch, ..., classes)``, output the same.

    Raises:
        LayerError: a sample has no axis of classes.

    Source: Goodfellow, Bengio, Courville, *Deep Learning* (2016), eq. 6.30.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, LogSoftmax
    >>> LogSoftmax().formula(np, {}, np.zeros((1, 2)), info=INFERENCE).round(4)
    array([[-0.6931, -0.6931]])
    """

    kind: ClassVar[str] = "log_softmax"
    activates: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return tuple(Example(cls(), (shape,)) for shape in _EXAMPLES)

    def output_shape(self, *inputs: Shape) -> Shape:
        return _require_axis(self, inputs[0])

    def flops(self, *inputs: Shape) -> int:
        return 5 * math.prod(inputs[0])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"classes": inputs[0][-1]}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        z = _shifted(xp, inputs[0])
        return z - xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))
