# SPDX-License-Identifier: BSD-3-Clause
"""Dense: every node is connected with every node of the layer below."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nervure.initializers import Fans, Floats, Initializer, Named, Zeros, initializer
from nervure.layers._axis import with_last_axis
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
from nervure.layers._weights import Activated


@dataclass(frozen=True)
class _Affine(Activated):
    """What `Dense` and `TransposedDense` share: all but how the matrix is stored."""

    last_axis: ClassVar[bool] = True

    units: int
    activation: str | Layer | None = None
    bias: bool = True
    initializer: Named | None = None
    bias_initializer: Named | None = None

    def __post_init__(self) -> None:
        at_least(self, "units", remedy="use at least 1 unit")
        super().__post_init__()

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        return (*with_last_axis(self, shape)[:-1], self.units)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        weight = self.matrix(inputs[0][-1])
        if not self.bias:
            return (weight,)
        zeros = initializer(self.bias_initializer or Zeros())
        return (weight, Parameter("bias", (self.units,), zeros, decays=False))

    def matrix(self, features: int) -> Parameter:
        """The weights."""
        raise NotImplementedError(self.kind)

    def flops(self, *inputs: Shape) -> int:
        *leading, features = inputs[0]
        each = 2 * features * self.units + (self.units if self.bias else 0)
        return math.prod(leading) * each

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        features = inputs[0][-1]
        return {"features": features, "units": self.units, "bias": int(self.bias)}


@dataclass(frozen=True)
class Dense(_Affine):
    """Affine map of the features, followed by an optional activation.

    ``z = x W + b``, ``a = activation(z)``, along the last axis: of an image or a
    sequence each pixel or step is passed by itself.

    Shape:
        input ``(batch, ..., features)``, output ``(batch, ..., units)``;
        ``weight (features, units)``, ``bias (units,)``.

    Args:
        units: number of nodes, at least 1.
        activation: name of an activation or an activation layer; None is linear.
        bias: whether the nodes have a bias.
        initializer: how the weights begin, an initializer or its name; by default
            chosen by the activation (He for the ReLU family, LeCun for SELU, Glorot
            otherwise).
        bias_initializer: how the biases begin, zeros by default.

    Raises:
        LayerError: a sample has no features, or ``units`` is not positive.

    Source: Goodfellow, Bengio, Courville, *Deep Learning* (2016), eq. 6.40-6.41.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(3), nv.Dense(2, activation="tanh")], seed=0)
    >>> net.parameters["dense.weight"].shape
    (3, 2)
    """

    kind: ClassVar[str] = "dense"
    transposable: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4), ((3,),)),
            Example(cls(1, bias=False), ((5,),)),
            Example(cls(70), ((33,),)),
            Example(cls(4), ((2, 3),)),
        )

    def matrix(self, features: int) -> Parameter:
        """The weights, ``(features, units)``."""
        begin = initializer(self.initializer or self.beginning(None))
        return Parameter("weight", (features, self.units), begin)

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        z = inputs[0] @ parameters["weight"]
        return z + parameters["bias"] if self.bias else z


@dataclass(frozen=True)
class TransposedDense(_Affine):
    """`Dense` with its matrix stored the other way round: ``z = x W^T + b``.

    So that it can be the matrix of another layer, passed back (`Tied`), or one of a
    library that stores a row for each unit.

    Shape:
        input ``(batch, ..., features)``, output ``(batch, ..., units)``;
        ``weight (units, features)``, ``bias (units,)``.

    Args:
        units, activation, bias, initializer, bias_initializer: as of `Dense`.

    Raises:
        LayerError: a sample has no features, or ``units`` is not positive.

    Source: Goodfellow, Bengio, Courville, *Deep Learning* (2016), eq. 6.40-6.41.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(3), nv.TransposedDense(2)], seed=0)
    >>> net.parameters["transposed_dense.weight"].shape
    (2, 3)
    """

    kind: ClassVar[str] = "transposed_dense"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4), ((3,),)),
            Example(cls(1, bias=False), ((5,),)),
            Example(cls(70), ((2, 33),)),
        )

    def matrix(self, features: int) -> Parameter:
        """The weights, ``(units, features)``."""
        begin = initializer(self.initializer or self.beginning(None))
        return Parameter("weight", (self.units, features), _Turned(begin))

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        z = inputs[0] @ parameters["weight"].T
        return z + parameters["bias"] if self.bias else z


@dataclass(frozen=True)
class _Turned(Initializer):
    """Another initializer, for a matrix that is stored the other way round."""

    initializer: Initializer

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        turned = Fans(fans.units, fans.inputs)
        return self.initializer.sample(shape[::-1], turned, rng).T
