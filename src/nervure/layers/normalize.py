# SPDX-License-Identifier: BSD-3-Clause
"""Normalize: features shifted and scaled by stored numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nervure.initializers import Fans, Floats, Initializer
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
class Stored(Initializer):
    """Begin at given numbers: one for all elements, or one for each.

    >>> Stored((1.0, 2.0)).sample((2,), Fans(2, 2), np.random.default_rng(0))
    array([1., 2.])
    """

    kind: ClassVar[str] = "stored"

    values: tuple[float, ...]

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return np.broadcast_to(np.array(self.values, np.float64), shape).copy()


def _numbers(values: Any) -> tuple[float, ...]:
    """A number, list or array as a tuple of floats."""
    listed: Iterable[Any] = values if np.ndim(values) else (values,)
    return tuple(float(value) for value in listed)


@dataclass(frozen=True)
class Normalize(Layer):
    """Features brought to a common scale: ``y_j = (x_j - mean_j) / scale_j``.

    ``mean`` and ``scale`` (a standard deviation) are stored parameters that training
    leaves alone; ``net.parameters["normalize.mean"]`` sets them later.

    Shape:
        input ``(batch, ..., features)``, output the same;
        ``mean (features,)``, ``scale (features,)``.

    Args:
        mean: one number, or one per feature.
        scale: one number, or one per feature; not 0.

    Raises:
        LayerError: a number is not finite, a scale is 0, or there are not as many
            numbers as features.

    Source: LeCun, Bottou, Orr, Müller, *Efficient BackProp* (1998), section 4.3.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Normalize
    >>> stored = {"mean": np.array([1.0, 2.0]), "scale": np.array([2.0, 4.0])}
    >>> Normalize().formula(np, stored, np.array([[3.0, 0.0]]), info=INFERENCE)
    array([[ 1. , -0.5]])
    """

    kind: ClassVar[str] = "normalize"

    mean: float | tuple[float, ...] = 0.0
    scale: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        for name in ("mean", "scale"):
            values = _numbers(getattr(self, name))
            bad = [i for i, value in enumerate(values) if not math.isfinite(value)]
            if bad:
                raise self.fail(
                    f"{name} of feature {bad[0]} is {values[bad[0]]}",
                    "use finite numbers",
                )
            object.__setattr__(self, name, values[0] if len(values) == 1 else values)
        zero = [i for i, value in enumerate(_numbers(self.scale)) if value == 0]
        if zero:
            raise self.fail(
                f"scale of feature {zero[0]} is 0 (a constant feature?)",
                "use 1 there, or leave the feature out",
            )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls((0.5, -1.0, 2.0), (2.0, 0.25, 3.0)), ((3,),)),
            Example(cls(0.5, 0.25), ((2, 4),)),
            Example(cls(), ((1,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        with_last_axis(self, shape)
        for name in ("mean", "scale"):
            count = len(_numbers(getattr(self, name)))
            if count not in (1, shape[-1]):
                raise self.fail(
                    f"{count} values of {name} for {shape[-1]} features",
                    "give one number, or one per feature",
                )
        return shape

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        shape = (inputs[0][-1],)
        return tuple(
            Parameter(name, shape, Stored(_numbers(value)), False, decays=False)
            for name, value in (("mean", self.mean), ("scale", self.scale))
        )

    def flops(self, *inputs: Shape) -> int:
        return 2 * math.prod(inputs[0])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"features": inputs[0][-1]}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        return (inputs[0] - parameters["mean"]) / parameters["scale"]
