# SPDX-License-Identifier: BSD-3-Clause
"""Positions: what tells a step its place in its sequence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from nervure.initializers import (
    Fans,
    Floats,
    Initializer,
    Named,
    Normal,
    initializer,
)
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Kept,
    Layer,
    Parameter,
    Pass,
    Shape,
    at_least,
)
from nervure.layers._weights import read_initializers


@dataclass(frozen=True)
class PositionEmbedding(Layer):
    """Adds a vector of its own to each place of a sequence: ``y_t = x_t + W_t``.

    The vectors are learned, or waves of falling frequency, ``W_t[2 j] = sin(t / 10000
    ^ (2 j / features))`` and ``W_t[2 j + 1]`` the cosine, which stay as they are.

    Shape:
        input and output ``(batch, time, features)``; ``weight (length, features)``.

    Args:
        length: places there are vectors for, at least 1.
        sinusoidal: whether they are waves.
        initializer: how learned ones begin, by default normal of deviation 0.02.

    Raises:
        LayerError: steps that are no vectors, a sequence longer than ``length``.

    Source: Gehring et al., *Convolutional sequence to sequence learning* (2017)
    (learned); Vaswani et al., *Attention is all you need* (2017), section 3.5.

    >>> import nervure as nv
    >>> waves = nv.PositionEmbedding(5, sinusoidal=True)
    >>> net = nv.Network([nv.Input((None, 2)), waves])
    >>> net.forward([[[0.0, 0.0], [0.0, 0.0]]]).round(2).tolist()
    [[[0.0, 1.0], [0.8399999737739563, 0.5400000214576721]]]
    """

    kind: ClassVar[str] = "position_embedding"
    sequences: ClassVar[int] = 1

    length: int
    sinusoidal: bool = False
    initializer: Named | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        at_least(self, "length")
        read_initializers(self)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(7), ((3,),)),
            Example(cls(9, sinusoidal=True), ((5,),)),
        )

    @property
    def longest(self) -> int:
        """Steps of the longest sequence that it takes."""
        return self.length

    def output_shape(self, *inputs: Shape) -> Shape:
        return _vectors(self, inputs[0])

    def parameters(self, *inputs: Shape) -> tuple[Parameter, ...]:
        shape = (self.length, *inputs[0])
        if self.sinusoidal:
            waves = _Waves()
            return (Parameter("weight", shape, waves, trainable=False, decays=False),)
        begin = initializer(self.initializer or Normal(std=0.02))
        return (Parameter("weight", shape, begin, decays=False),)

    def flops(self, *inputs: Shape) -> int:
        return inputs[0][0]

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"length": self.length}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        (x,) = inputs
        return x + parameters["weight"][: x.shape[1]]

    @property
    def kept(self) -> Kept | None:
        return "place"

    def advance(
        self, parameters: Mapping[str, Array], state: Any, *inputs: Array
    ) -> tuple[Any, Any]:
        """The step with the vector of its place, which is the state."""
        place: int = state or 0
        if place >= self.length:
            raise self.fail(
                f"step {place + 1:,} of a sequence, expected at most {self.length:,}",
                "generate fewer steps, or make the layer longer",
            )
        return inputs[0] + parameters["weight"][place], place + 1


@dataclass(frozen=True)
class RotaryPositions(Layer):
    """Turns neighbouring numbers by an angle that grows with the place in the sequence.

    The pair j of each head, elements 2 j and 2 j + 1, is turned at place t by
    ``t base^(-2 j / d)``, d being the numbers of a head. The product of two steps that
    were turned so depends on how far they are apart. For queries and keys
    (``nv.MultiHeadAttention(rotary=True)``).

    Shape:
        input and output ``(batch, time, heads d)``, d even.

    Raises:
        LayerError: heads that leave no even number of features to each.

    Source: Su et al., *RoFormer: enhanced transformer with rotary position embedding*
    (2021), eq. 34.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE
    >>> x = np.array([[[1.0, 0.0], [1.0, 0.0]]])
    >>> RotaryPositions().formula(np, {}, x, info=INFERENCE)[0, 1].round(4).tolist()
    [0.5403, 0.8415]
    """

    kind: ClassVar[str] = "rotary_positions"
    sequences: ClassVar[int] = 1

    heads: int = 1
    base: float = 10_000.0

    def __post_init__(self) -> None:
        at_least(self, "heads")
        if not 1 <= self.base < math.inf:
            raise self.fail(f"base = {self.base!r}", "use a number of at least 1")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2), ((8,),)),
            Example(cls(1, 100.0), ((6,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        (features,) = _vectors(self, inputs[0])
        if features % (2 * self.heads):
            raise self.fail(
                f"{features} features for heads = {self.heads}, expected an even "
                "number for each head",
                "use other heads, or an even key_dim",
            )
        return inputs[0]

    def flops(self, *inputs: Shape) -> int:
        return 6 * inputs[0][0]

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"heads": self.heads, "base": float(self.base)}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        return self._turned(xp, inputs[0], 0)

    @property
    def kept(self) -> Kept | None:
        return "place"

    def advance(
        self, parameters: Mapping[str, Array], state: Any, *inputs: Array
    ) -> tuple[Any, Any]:
        """The step turned by its place, which is the state."""
        place: int = state or 0
        return self._turned(np, inputs[0][:, None], place)[:, 0], place + 1

    def turns(self, size: int) -> Floats:
        """The angle of each pair of a head, from one place to the next."""
        width = size // self.heads
        return np.power(float(self.base), -np.arange(0, width, 2) / width)

    def _turned(self, xp: Any, x: Array, first: int) -> Array:
        rows, time, size = x.shape
        places: Floats = np.arange(first, first + int(time), dtype=np.float64)
        angle = xp.asarray(places[:, None, None] * self.turns(size))
        cosine, sine = xp.cos(angle).astype(x.dtype), xp.sin(angle).astype(x.dtype)
        pairs = x.reshape(rows, time, self.heads, -1, 2)
        a, b = pairs[..., 0], pairs[..., 1]
        turned = (a * cosine - b * sine, a * sine + b * cosine)
        return xp.stack(turned, axis=-1).reshape(x.shape)


def _vectors(layer: Layer, shape: Shape) -> Shape:
    """The shape of a step, if it is a vector."""
    if len(shape) == 1:
        return shape
    raise layer.fail(
        f"steps of shape {shape}, expected (features,)",
        "put nv.Flatten() before it" if shape else "put nv.Embedding before it",
    )


@dataclass(frozen=True)
class _Waves(Initializer):
    """Sines and cosines of falling frequency."""

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        length, features = shape
        turn = np.array([j - j % 2 for j in range(features)]) / features
        angle = np.arange(length)[:, None] * np.exp(-math.log(10_000.0) * turn)
        odd = np.arange(features) % 2 == 1
        return np.where(odd, np.cos(angle), np.sin(angle))
