# SPDX-License-Identifier: BSD-3-Clause
"""MatMul: products of matrices that both depend on the row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.layers._layer import Array, Attribute, Example, Layer, Pass, Shape


@dataclass(frozen=True)
class MatMul(Layer):
    """The matrix product of two inputs, over their last two axes: ``C = A B``.

    Shape:
        inputs ``(batch, ..., m, k)`` and ``(batch, ..., k, n)`` with the same axes in
        front, output ``(batch, ..., m, n)``.

    Raises:
        LayerError: inputs that cannot be multiplied.

    Source: Vaswani et al., *Attention is all you need* (2017), eq. 1, is made of two.

    >>> import nervure as nv
    >>> nv.MatMul().output_shape((8, 5, 16), (8, 16, 5))
    (8, 5, 5)
    """

    kind: ClassVar[str] = "matmul"
    arity: ClassVar[int | None] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(), ((2, 3), (3, 4))),
            Example(cls(), ((2, 3, 5), (2, 5, 1))),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        a, b = inputs
        fits = len(a) == len(b) > 1 and (a[:-2], a[-1]) == (b[:-2], b[-2])
        if not fits:
            raise self.fail(
                f"inputs of shapes {a} and {b}, expected (..., m, k) and (..., k, n)",
                "bring them to such shapes with nv.Permute and nv.Broadcast",
            )
        return (*a[:-1], b[-1])

    def flops(self, *inputs: Shape) -> int:
        a, b = inputs
        return 2 * math.prod(a) * b[-1]

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        a, b = inputs
        return a @ b
