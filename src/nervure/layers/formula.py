# SPDX-License-Identifier: BSD-3-Clause
"""Formula: a layer that only Python knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from nervure.layers._layer import Array, Example, Layer, Pass


class Formula(Layer):
    """A layer of one's own, forward and backward written in NumPy.

    Subclass it as a frozen dataclass with `output_shape`, perhaps `parameters`, and:

    ``formula(xp, parameters, *inputs, info)``
        the output for a batch. Written in terms of ``xp`` it runs under JAX too, which
        derives it by itself.
    ``backward(parameters, inputs, output, delta, info)``
        the derivatives of the cost, given ``delta``, that of the output: one array for
        each input (None where there is none), and a mapping of those of parameters.

    The engine calls them on one worker, once for each batch and direction: a layer of
    the engine's own is many times as fast. A file holds no code, so `nervure.load` must
    be given the classes: ``nv.load(path, layers=[Swish])``.

    >>> from dataclasses import dataclass
    >>> import numpy as np, nervure as nv
    >>> @dataclass(frozen=True)
    ... class Square(nv.layers.Formula):
    ...     kind = "square"
    ...     def output_shape(self, *inputs):
    ...         return inputs[0]
    ...     def formula(self, xp, parameters, *inputs, info):
    ...         return inputs[0] ** 2
    ...     def backward(self, parameters, inputs, output, delta, info):
    ...         return [2 * inputs[0] * delta], {}
    >>> net = nv.Network([nv.Input(2), Square(), nv.Dense(1)])
    >>> nv.check_gradients(net, [[1.0, 2.0]], [[1.0]], loss="mse").passed
    True
    """

    native: ClassVar[str] = "formula"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return ()

    def backward(
        self,
        parameters: Mapping[str, Array],
        inputs: Sequence[Array],
        output: Array,
        delta: Array,
        info: Pass,
    ) -> tuple[Sequence[Any], Mapping[str, Array]]:
        """Derivatives by the inputs and by the parameters, from that by the output."""
        raise self.fail(
            "no backward", "write it, or train with executor='jax', which needs none"
        )
