# SPDX-License-Identifier: BSD-3-Clause
"""Dropout: elements, channels or whole branches silenced at random while training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure import random
from nervure.layers._layer import Array, Attribute, Example, Layer, Pass, Shape


@dataclass(frozen=True)
class _Silencing(Layer):
    """``a = x m / (1 - rate)`` with a mask of 0 and 1 that is drawn at every step."""

    random: ClassVar[bool] = True

    rate: float

    def __post_init__(self) -> None:
        if not hasattr(self.rate, "__float__") or not 0 <= self.rate < 1:
            raise self.fail(f"rate = {self.rate!r}", "use a fraction in [0, 1)")

    def mask_shape(self, shape: Shape) -> Shape:
        """Of one sample: 1 on the axes along which all elements share their fate."""
        raise NotImplementedError(self.kind)

    @property
    def threshold(self) -> int:
        """Of the 2^24 values that a uniform number takes, how many silence."""
        return round(self.rate * 2**24)

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {
            "rate": float(self.rate),
            "threshold": self.threshold,
            "channels": math.prod(self.mask_shape(inputs[0])),
        }

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        if not info.training:
            return x
        shape = (x.shape[0], *self.mask_shape(tuple(x.shape[1:])))
        u = random.uniform(xp, info.seed, info.step, info.node, math.prod(shape))
        keep = u.reshape(shape) >= self.threshold / 2**24
        return xp.where(keep, x * (1 / (1 - self.rate)), 0.0)


@dataclass(frozen=True)
class Dropout(_Silencing):
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

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(0.5), ((7,),)),
            Example(cls(0.0), ((3,),)),
            Example(cls(0.2), ((4, 5),)),
        )

    def mask_shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True)
class SpatialDropout(_Silencing):
    """Silence whole channels of a sample: ``a = x m / (1 - rate)``.

    Neighbouring pixels of a map tell much the same, so that silencing single ones
    takes little away; here all pixels of a channel share one element of the mask,
    ``uniform(seed, step, node, row * channels + channel) >= rate``. As `Dropout`
    otherwise; for sequences, images and volumes alike.

    Shape:
        input ``(batch, ..., channels)``, output the same.

    Args:
        rate: fraction of channels to silence, in [0, 1).

    Raises:
        LayerError: ``rate`` is outside [0, 1), or the input has no channels.

    Source: Tompson et al., *Efficient object localization using convolutional
    networks* (2015), section 3.2.

    >>> import numpy as np
    >>> from nervure.layers import Pass, SpatialDropout
    >>> info = Pass(training=True, seed=7, step=3)
    >>> SpatialDropout(0.5).formula(np, {}, np.ones((1, 2, 3)), info=info)
    array([[[2., 0., 0.],
            [2., 0., 0.]]])
    """

    kind: ClassVar[str] = "spatial_dropout"
    native: ClassVar[str] = "shared_dropout"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(0.5), ((4, 3),)),
            Example(cls(0.2), ((2, 3, 2),)),
            Example(cls(0.2), ((3, 1),)),
        )

    def mask_shape(self, shape: Shape) -> Shape:
        return (*(1 for _ in shape[:-1]), shape[-1])

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) < 2:
            raise self.fail(
                f"input of shape {shape}, expected (..., channels)",
                "use nv.Dropout for samples without spatial axes",
            )
        return shape


@dataclass(frozen=True)
class StochasticDepth(_Silencing):
    """Leave out a branch for some samples: ``a = x m / (1 - rate)``, one m per sample.

    Put it at the end of a residual branch, before `Add`: a sample then passes by the
    shortcut alone with probability ``rate`` (1 minus the survival probability of the
    paper). Where the paper multiplies by the survival probability in prediction, this
    divides by it in training: the expectation is the same, and prediction passes ``x``
    on unchanged.

    Shape:
        input ``(batch, ...)``, output the same.

    Args:
        rate: fraction of samples that do without the branch, in [0, 1); usually rising
            from block to block.

    Raises:
        LayerError: ``rate`` is outside [0, 1).

    Source: Huang, Sun, Liu, Sedra, Weinberger, *Deep networks with stochastic depth*
    (2016), eq. 2 and 5.

    >>> import nervure as nv
    >>> x = nv.Input((8, 8, 16))
    >>> branch = nv.StochasticDepth(0.2)(nv.Conv2D(16, 3, padding="same")(x))
    >>> nv.Network(inputs=x, outputs=nv.Add()(x, branch)).graph.output_shapes
    ((8, 8, 16),)
    """

    kind: ClassVar[str] = "stochastic_depth"
    native: ClassVar[str] = "shared_dropout"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(0.5), ((4,),)), Example(cls(0.2), ((2, 3, 2),)))

    def mask_shape(self, shape: Shape) -> Shape:
        return (1,) * len(shape)
