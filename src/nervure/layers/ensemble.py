# SPDX-License-Identifier: BSD-3-Clause
"""Ensembles inside of one network: members that share weights, and their mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.initializers import Constant, Named, Signs, Zeros, initializer
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
class EnsembleDense(Activated):
    """A dense layer of several networks that share its weight.

    ``z_m = ((x_m * r_m) W) * s_m + b_m``, ``a_m = activation(z_m)`` for each member m:
    a member has the shared weight up to a matrix of rank one, ``W * (r_m s_m^T)``. A
    vector goes to all members: there the ensemble begins. Trained by a loss that each
    member meets on its own (see `EnsembleMean`).

    Shape:
        input ``(batch, features)`` or ``(batch, members, features)``, output
        ``(batch, members, units)``; ``weight (features, units)``, ``input_scale
        (members, features)``, ``output_scale`` and ``bias (members, units)``.

    Args:
        units: number of nodes of a member, at least 1.
        members: number of networks, at least 1.
        activation: name of an activation or an activation layer; None is linear.
        initializer: how the weight begins, as for `Dense`.
        input_initializer: how ``input_scale`` begins: random signs where the ensemble
            begins, so that its members differ, else ones.

    Raises:
        LayerError: the input is neither a vector nor one for each member, or a number
            is not positive.

    Source: Wen, Tran, Ba, *BatchEnsemble*, ICLR (2020), eq. 1-5; Gorishniy, Kotelnikov,
    Babenko, *TabM*, ICLR (2025), sec. 3, for the beginning.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(3), nv.EnsembleDense(5, 8), nv.EnsembleMean()])
    >>> net.parameters["ensemble_dense.weight"].shape, net.graph.output_shapes
    ((3, 5), ((5,),))
    """

    kind: ClassVar[str] = "ensemble_dense"

    units: int
    members: int
    activation: str | Layer | None = None
    initializer: Named | None = None
    input_initializer: Named | None = None

    def __post_init__(self) -> None:
        at_least(self, "units")
        at_least(self, "members")
        super().__post_init__()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(4, 3), ((2,),)),
            Example(cls(3, 2), ((2, 5),)),
            Example(cls(20, 8), ((33,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) != 1 and (len(shape) != 2 or shape[0] != self.members):
            raise self.fail(
                f"input of shape {shape}, expected (features,) or ({self.members}, "
                "features)",
                "put nv.Flatten() before it, or give every layer as many members",
            )
        return (self.members, self.units)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        (shape,) = inputs
        ins, outs = (self.members, shape[-1]), (self.members, self.units)
        begin = initializer(self.initializer or self.beginning(None))
        differing = Signs() if len(shape) == 1 else Constant(1.0)
        own = initializer(self.input_initializer or differing)
        return (
            Parameter("weight", (shape[-1], self.units), begin),
            Parameter("input_scale", ins, own, decays=False),
            Parameter("output_scale", outs, Constant(1.0), decays=False),
            Parameter("bias", outs, Zeros(), decays=False),
        )

    def flops(self, *inputs: Shape) -> int:
        features = inputs[0][-1]
        return self.members * (2 * features * self.units + features + 2 * self.units)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"begins": int(len(inputs[0]) == 1)}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        x = x[:, None, :] if x.ndim == 2 else x
        u = (x * parameters["input_scale"]) @ parameters["weight"]
        return u * parameters["output_scale"] + parameters["bias"]


@dataclass(frozen=True)
class EnsembleMean(Layer):
    """The mean of an ensemble's members: ``y = sum_m x_m / members``.

    At the end of a network it averages what the members say, probabilities or values,
    and the loss goes to the members: the cost of a row is the mean of their costs, so
    that each of them learns the task on its own.

    Shape:
        input ``(batch, members, ...)``, output ``(batch, ...)``.

    Raises:
        LayerError: the input has no axis of members.

    Source: Gorishniy, Kotelnikov, Babenko, *TabM*, ICLR (2025), sec. 3.3.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE
    >>> x = np.array([[[1.0, 2.0], [3.0, 6.0]]])
    >>> EnsembleMean().formula(np, {}, x, info=INFERENCE)
    array([[2., 4.]])
    """

    kind: ClassVar[str] = "ensemble_mean"

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return Example(cls(), ((3, 4),)), Example(cls(), ((2, 3, 2),))

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) < 2:
            raise self.fail(
                f"input of shape {shape}, expected (members, ...)",
                "put nv.EnsembleDense layers before it",
            )
        return shape[1:]

    def flops(self, *inputs: Shape) -> int:
        return math.prod(inputs[0])

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        return inputs[0].mean(axis=1)
