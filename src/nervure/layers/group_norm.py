# SPDX-License-Identifier: BSD-3-Clause
"""LayerNorm, RMSNorm and GroupNorm: every sample brought to a common scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.initializers import Constant, Zeros
from nervure.layers._axis import check_groups, with_last_axis
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Layer,
    Parameter,
    Pass,
    Shape,
    at_least,
)


@dataclass(frozen=True)
class _Norm(Layer):
    """What the three share: the last axis has a scale for each feature."""

    native: ClassVar[str] = "group_norm"

    def check_epsilon(self, epsilon: float) -> None:
        if not 0 < epsilon < math.inf:
            raise self.fail(f"epsilon = {epsilon!r}", "use a number above 0")

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return with_last_axis(self, shape)

    def flops(self, *inputs: Shape) -> int:
        return 8 * math.prod(inputs[0])


def _scale_and_shift(features: int) -> tuple[Parameter, ...]:
    return (
        Parameter("gamma", (features,), Constant(1.0), decays=False),
        Parameter("beta", (features,), Zeros(), decays=False),
    )


def _normal(xp: Any, x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    return centred / xp.sqrt(variance + epsilon)


@dataclass(frozen=True)
class LayerNorm(_Norm):
    """``y = gamma (x - mean) / sqrt(variance + epsilon) + beta`` over the last axis.

    Shape:
        input ``(batch, ..., features)``, output the same; ``gamma (features,)``,
        ``beta (features,)``.

    Args:
        epsilon: added to the variance, above 0.

    Raises:
        LayerError: the input has no features, or ``epsilon`` is not positive.

    Source: Ba, Kiros, Hinton, *Layer normalization* (2016), eq. 4.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, LayerNorm
    >>> own = {"gamma": np.ones(2), "beta": np.zeros(2)}
    >>> x = np.array([[1.0, 3.0]])
    >>> LayerNorm(1e-12).formula(np, own, x, info=INFERENCE).round(6)
    array([[-1.,  1.]])
    """

    kind: ClassVar[str] = "layer_norm"

    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        self.check_epsilon(self.epsilon)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((5,),)), Example(cls(0.1), ((3, 20),)))

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        return _scale_and_shift(inputs[0][-1])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        epsilon = float(self.epsilon)
        return {"epsilon": epsilon, "groups": 1, "each_pixel": 1, "centred": 1}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        normal = _normal(xp, inputs[0], (-1,), self.epsilon)
        return normal * parameters["gamma"] + parameters["beta"]


@dataclass(frozen=True)
class RMSNorm(_Norm):
    """``y = gamma x / sqrt(mean of x^2 + epsilon)`` over the last axis.

    Shape:
        input ``(batch, ..., features)``, output the same; ``gamma (features,)``.

    Args:
        epsilon: added to the mean square, above 0.

    Raises:
        LayerError: the input has no features, or ``epsilon`` is not positive.

    Source: Zhang and Sennrich, *Root mean square layer normalization* (2019), eq. 4.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, RMSNorm
    >>> x = np.array([[1.0, 7.0]])
    >>> RMSNorm(1e-12).formula(np, {"gamma": np.ones(2)}, x, info=INFERENCE).round(6)
    array([[0.2, 1.4]])
    """

    kind: ClassVar[str] = "rms_norm"

    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        self.check_epsilon(self.epsilon)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((4,),)), Example(cls(0.1), ((2, 3),)))

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        return _scale_and_shift(inputs[0][-1])[:1]

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        epsilon = float(self.epsilon)
        return {"epsilon": epsilon, "groups": 1, "each_pixel": 1, "centred": 0}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        mean = (x * x).mean(axis=-1, keepdims=True)
        return x / xp.sqrt(mean + self.epsilon) * parameters["gamma"]


@dataclass(frozen=True)
class GroupNorm(_Norm):
    """LayerNorm over each group of channels and all pixels of a sample.

    Shape:
        input ``(batch, ..., channels)``, output the same; ``gamma (channels,)``,
        ``beta (channels,)``.

    Args:
        groups: groups of neighbouring channels; they divide the channels. One for each
            channel is instance normalization.
        epsilon: added to the variance, above 0.

    Raises:
        LayerError: the groups do not divide the channels, or ``epsilon`` is not
            positive.

    Source: Wu and He, *Group normalization* (2018), eq. 1 and 7.

    >>> from nervure.layers import GroupNorm
    >>> GroupNorm(8).output_shape((14, 14, 64))
    (14, 14, 64)
    """

    kind: ClassVar[str] = "group_norm"

    groups: int
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        self.check_epsilon(self.epsilon)
        at_least(self, "groups", remedy="use at least 1 group")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2), ((3, 2, 4),)),
            Example(cls(1), ((2, 3),)),
            Example(cls(3, epsilon=0.1), ((4, 3),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = super().output_shape(*inputs)
        check_groups(self, self.groups, shape[-1])
        return shape

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        return _scale_and_shift(inputs[0][-1])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        epsilon = float(self.epsilon)
        return {
            "epsilon": epsilon,
            "groups": self.groups,
            "each_pixel": 0,
            "centred": 1,
        }

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        parted = x.reshape((x.shape[0], -1, self.groups, x.shape[-1] // self.groups))
        normal = _normal(xp, parted, (1, 3), self.epsilon).reshape(x.shape)
        return normal * parameters["gamma"] + parameters["beta"]
