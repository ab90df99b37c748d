# SPDX-License-Identifier: BSD-3-Clause
"""BatchNorm: every feature brought to a common scale by the batch it is in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.initializers import Constant, Zeros
from nervure.layers._axis import with_last_axis
from nervure.layers._layer import (
    INFERENCE,
    Array,
    Attribute,
    Example,
    Layer,
    Parameter,
    Pass,
    Shape,
)

_RUNNING = ("running_mean", "running_variance")


@dataclass(frozen=True)
class BatchNorm(Layer):
    """``y = gamma (x - mean) / sqrt(variance + epsilon) + beta``, feature by feature.

    While training, mean and variance are those of the batch, over all its pixels, and
    move the running ones: ``running = momentum running + (1 - momentum) batch`` with
    the unbiased variance. In inference the running ones take their place. A batch is
    never taken in several passes where there is a BatchNorm, and a batch whose
    statistics are not finite moves nothing. A single row (of a single pixel) has no
    variance: the running ones take the place of its own then, and stay as they are.

    Shape:
        input ``(batch, ..., features)``, output the same; ``gamma``, ``beta`` and the
        stored ``running_mean``, ``running_variance`` are ``(features,)``.

    Args:
        epsilon: added to the variance, above 0.
        momentum: share of the running statistics that stays, in [0, 1).

    Raises:
        LayerError: the input has no features, or a number is out of its range.

    Source: Ioffe and Szegedy, *Batch normalization* (2015), algorithms 1 and 2.

    >>> import numpy as np
    >>> from nervure.layers import BatchNorm, Pass
    >>> own = {"gamma": np.ones(1), "beta": np.zeros(1)}
    >>> x = np.array([[1.0], [3.0]])
    >>> BatchNorm(1e-12).formula(np, own, x, info=Pass(training=True)).round(6)
    array([[-1.],
           [ 1.]])
    """

    kind: ClassVar[str] = "batch_norm"
    couples_rows: ClassVar[bool] = True

    epsilon: float = 1e-5
    momentum: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < math.inf:
            raise self.fail(f"epsilon = {self.epsilon!r}", "use a number above 0")
        if not 0 <= self.momentum < 1:
            raise self.fail(f"momentum = {self.momentum!r}", "use a number in [0, 1)")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(), ((3,),)),
            Example(cls(epsilon=0.1, momentum=0.5), ((2, 3, 2),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return with_last_axis(self, shape)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        shape = (inputs[0][-1],)
        return (
            Parameter("gamma", shape, Constant(1.0), decays=False),
            Parameter("beta", shape, Zeros(), decays=False),
            Parameter("running_mean", shape, Zeros(), False, decays=False),
            Parameter("running_variance", shape, Constant(1.0), False, decays=False),
        )

    def flops(self, *inputs: Shape) -> int:
        return 4 * math.prod(inputs[0])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"epsilon": float(self.epsilon), "momentum": float(self.momentum)}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        if info.training and _count(x) > 1:
            mean, variance = _of_batch(xp, parameters, x, info.valid)
        else:
            mean, variance = (parameters[name] for name in _RUNNING)
        normal = (x - mean) / xp.sqrt(variance + self.epsilon)
        return normal * parameters["gamma"] + parameters["beta"]

    def state_updates(
        self,
        xp: Any,
        parameters: Mapping[str, Array],
        *inputs: Array,
        info: Pass = INFERENCE,
    ) -> Mapping[str, Array]:
        (x,) = inputs
        if _count(x) == 1:
            return {name: parameters[name] for name in _RUNNING}
        mean, variance, n = _moments(xp, x, info.valid)
        unbiased = variance * n / (n - 1)
        moved = dict(zip(_RUNNING, (mean, unbiased), strict=True))
        finite = xp.isfinite(mean) & xp.isfinite(variance)
        keep = self.momentum
        return {
            name: xp.where(
                finite, keep * parameters[name] + (1 - keep) * new, parameters[name]
            )
            for name, new in moved.items()
        }


def _count(x: Array) -> int:
    """Rows of the batch, each of their pixels counted."""
    return math.prod(x.shape[:-1])


def _of_batch(
    xp: Any, parameters: Mapping[str, Array], x: Array, valid: Array | None
) -> tuple[Array, Array]:
    """Mean and variance of a batch; the running ones if only one of its rows counts."""
    mean, variance, count = _moments(xp, x, valid)
    if valid is None:
        return mean, variance
    running = (parameters[name] for name in _RUNNING)
    pairs = zip(running, (mean, variance), strict=True)
    return tuple(xp.where(count == 1, old, own) for old, own in pairs)


def _moments(xp: Any, x: Array, valid: Array | None) -> tuple[Array, Array, Any]:
    """Mean and (biased) variance of every feature, and of how many values they are.

    Of the rows that are ``valid``, where a batch is filled up.
    """
    axes = tuple(range(x.ndim - 1))
    if valid is None:
        mean, count = x.mean(axis=axes), math.prod(x.shape[:-1])
        return mean, ((x - mean) ** 2).mean(axis=axes), count
    own = valid.reshape(-1, *(1,) * (x.ndim - 1))
    count = valid.sum() * math.prod(x.shape[1:-1])
    mean = xp.where(own, x, 0).sum(axis=axes) / count
    return mean, xp.where(own, (x - mean) ** 2, 0).sum(axis=axes) / count, count
