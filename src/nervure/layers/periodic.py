# SPDX-License-Identifier: BSD-3-Clause
"""PeriodicEmbedding: a number as itself and some waves of trained frequencies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.base.checks import number
from nervure.initializers import Normal, Uniform
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
class PeriodicEmbedding(Layer):
    """Numbers as short vectors: ``(x_j, W_j cos(f_j x_j + p_j) + b_j)``.

    Each feature j has its own frequencies f_j, phases p_j, weight and bias, all of them
    trained, so that the layers above can bend what depends on x_j as often as they
    need to. `Flatten` puts the vectors side by side.

    Shape:
        input ``(batch, features)``, output ``(batch, features, width)``; ``frequency``
        and ``phase (features, frequencies)``, ``weight (features, width - 1,
        frequencies)``, ``bias (features, width - 1)``.

    Args:
        width: numbers for each feature, the first the number itself; at least 2.
        frequencies: number of waves of each feature, at least 1.
        scale: standard deviation of the frequencies at the beginning, in waves per
            unit of x (f is in radians: 2 pi as much); positive.

    Raises:
        LayerError: the input is not a vector, or a number is out of its range.

    Source: Gorishniy, Rubachev, Babenko, *On Embeddings for Numerical Features in
    Tabular Deep Learning*, NeurIPS (2022), sec. 3.3; in this form (PBLD) Holzmüller,
    Grinsztajn, Steinwart, *Better by Default*, NeurIPS (2024), sec. 3.

    >>> import nervure as nv
    >>> layers = [nv.Input(3), nv.PeriodicEmbedding(4), nv.Flatten(), nv.Dense(1)]
    >>> nv.Network(layers).graph.nodes[1].shape
    (3, 4)
    """

    kind: ClassVar[str] = "periodic_embedding"

    width: int = 4
    frequencies: int = 16
    scale: float = 0.1

    def __post_init__(self) -> None:
        at_least(self, "width", 2)
        at_least(self, "frequencies")
        number(self.kind, "scale", self.scale, above=0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(), ((3,),)),
            Example(cls(2, 1, 1.0), ((1,),)),
            Example(cls(5, 37, 0.3), ((40,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (shape,) = inputs
        if len(shape) != 1:
            raise self.fail(
                f"input of shape {shape}, expected (features,)",
                "put nv.Flatten() before it",
            )
        return (*shape, self.width)

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        ((features,),) = inputs
        k, rest, bound = self.frequencies, self.width - 1, self.frequencies**-0.5
        waves = Normal(0, 2 * math.pi * self.scale)
        phases = Uniform(-math.pi, math.pi)
        mixing = Uniform(-bound, bound)
        return (
            Parameter("frequency", (features, k), waves, decays=False),
            Parameter("phase", (features, k), phases, decays=False),
            Parameter("weight", (features, rest, k), mixing),
            Parameter("bias", (features, rest), mixing, decays=False),
        )

    def flops(self, *inputs: Shape) -> int:
        ((features,),) = inputs
        return 2 * features * self.frequencies * (self.width + 10)

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"frequencies": self.frequencies}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        x = inputs[0][:, :, None]
        angle = parameters["frequency"] * x + parameters["phase"]
        waves = xp.einsum("ijk,jlk->ijl", xp.cos(angle), parameters["weight"])
        return xp.concatenate([x, waves + parameters["bias"]], axis=2)
