# SPDX-License-Identifier: BSD-3-Clause
"""Dense: every node is connected with every node of the layer below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.initializers import Named, Zeros, initializer
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
class Dense(Activated):
    """Affine map of the features, followed by an optional activation.

    ``z = x W + b``, ``a = activation(z)``.

    Shape:
        input ``(batch, features)``, output ``(batch, units)``;
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
        LayerError: the input is not a vector, or ``units`` is not positive.

    Source: Goodfellow, Bengio, Courville, *Deep Learning* (2016), eq. 6.40-6.41.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(3), nv.Dense(2, activation="tanh")], seed=0)
    >>> net.parameters["dense.weight"].shape
    (3, 2)
    """

    kind: ClassVar[str] = "dense"

    units: int
    activation: str | Layer | None = None
    bias: bool = True
    initializer: Named | None = None
    bias_initializer: Named | None = None

    def __post_init__(self) -> None:
        at_least(self, "units", remedy="use at least 1 unit")
        super().__post_init__()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4), ((3,),)),
            Example(cls(1, bias=False), ((5,),)),
            Example(cls(70), ((33,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) != 1:
            raise self.fail(
                f"input of shape {shape}, expected (features,)",
                "put nv.Flatten() before it",
            )
        return (self.units,)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        ((features,),) = inputs
        begin = initializer(self.initializer or self.beginning(None))
        weight = Parameter("weight", (features, self.units), begin)
        if not self.bias:
            return (weight,)
        zeros = initializer(self.bias_initializer or Zeros())
        return (weight, Parameter("bias", (self.units,), zeros, decays=False))

    def flops(self, *inputs: Shape) -> int:
        ((features,),) = inputs
        return 2 * features * self.units + (self.units if self.bias else 0)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        ((features,),) = inputs
        return {"features": features, "units": self.units, "bias": int(self.bias)}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        z = inputs[0] @ parameters["weight"]
        return z + parameters["bias"] if self.bias else z
