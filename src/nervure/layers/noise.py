# SPDX-License-Identifier: BSD-3-Clause
"""Normal noise: added to what comes in, or spread around a mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure import random
from nervure.layers._layer import Array, Attribute, Example, Layer, Pass, Shape


def _drawn(xp: Any, x: Array, info: Pass) -> Array:
    """A standard normal number for each element of a batch."""
    n = random.normal(xp, info.seed, info.step, info.node, math.prod(x.shape))
    return n.reshape(x.shape).astype(x.dtype)


@dataclass(frozen=True)
class GaussianNoise(Layer):
    """Noise while training: ``a = x + deviation n`` with n standard normal.

    n is drawn anew for each element at every step, a function of seed, step, node and
    element as `Dropout`'s mask is; in prediction ``a = x``.

    Shape:
        input ``(batch, ...)``, output the same.

    Args:
        deviation: the noise's standard deviation, in the unit of x, at least 0.

    Raises:
        LayerError: ``deviation`` is negative or not finite.

    Source: Bishop, *Training with noise is equivalent to Tikhonov regularization*
    (Neural Computation 7, 1995); as the corruption of an autoencoder Vincent et al.,
    *Stacked denoising autoencoders* (JMLR 11, 2010), section 3.3.

    >>> import numpy as np
    >>> from nervure.layers import GaussianNoise, Pass
    >>> info = Pass(training=True, seed=7, step=3)
    >>> GaussianNoise(0.1).formula(np, {}, np.ones((1, 3)), info=info).round(3)
    array([[1.023, 0.884, 0.902]])
    """

    kind: ClassVar[str] = "gaussian_noise"
    random: ClassVar[bool] = True

    deviation: float

    def __post_init__(self) -> None:
        known = hasattr(self.deviation, "__float__")
        if not known or not 0 <= self.deviation < math.inf:
            raise self.fail(
                f"deviation = {self.deviation!r}", "use a finite number of at least 0"
            )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(0.5), ((7,),)),
            Example(cls(0.0), ((3,),)),
            Example(cls(2.0), ((4, 5),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"deviation": float(self.deviation)}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        if not info.training:
            return x
        return x + self.deviation * _drawn(xp, x, info)


@dataclass(frozen=True)
class GaussianSample(Layer):
    """A number drawn around a mean: ``a = m + exp(v / 2) n`` with n standard normal.

    The inputs are the mean m and the logarithm v of the variance; since n does not
    depend on them, they are learned through it (the reparametrization of variational
    autoencoders). In prediction ``a = m``.

    Shape:
        inputs ``(batch, ...)`` twice, output the same.

    Raises:
        LayerError: the inputs have different shapes.

    Source: Kingma and Welling, *Auto-encoding variational Bayes* (2014), section 2.4.

    >>> import nervure as nv
    >>> x = nv.Input(8)
    >>> mean, log_variance = nv.Dense(2)(x), nv.Dense(2)(x)
    >>> net = nv.Network(inputs=x, outputs=nv.GaussianSample()(mean, log_variance))
    >>> net.graph.output_shapes
    ((2,),)
    """

    kind: ClassVar[str] = "gaussian_sample"
    arity: ClassVar[int | tuple[int, ...] | None] = 2
    random: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((7,), (7,))), Example(cls(), ((4, 5), (4, 5))))

    def output_shape(self, *inputs: Shape) -> Shape:
        mean, log_variance = inputs
        if mean != log_variance:
            raise self.fail(
                f"a mean of shape {mean} and a log variance of {log_variance}, "
                "expected the same",
                "give the two layers as many units",
            )
        return mean

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        mean, log_variance = inputs
        if not info.training:
            return mean
        return mean + xp.exp(log_variance / 2) * _drawn(xp, mean, info)
