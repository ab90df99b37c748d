# SPDX-License-Identifier: BSD-3-Clause
"""Initializers: how weights begin.

An initializer is a frozen description; the caller hands it a generator keyed by
(seed, parameter), so that a parameter begins the same whatever else the network has.

Legend: ``inputs`` and ``units`` are the fans, the numbers of connections that enter
and leave a node; ``N(mean, variance)``; ``U(low, high)``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from nervure.base.checks import number
from nervure.base.described import Described, family
from nervure.base.named import read

Floats = npt.NDArray[np.float64]
Shape = tuple[int, ...]

RELU_FAMILY = frozenset(
    {
        *("relu", "leaky_relu", "prelu", "relu6"),
        *("elu", "gelu", "gelu_tanh", "silu", "softplus"),
    }
)
"""Activations for which half of the signal is lost, so that the variance doubles."""


class Fans(NamedTuple):
    """Connections into a node and out of it."""

    inputs: int
    units: int


def fans_of(shape: Shape) -> Fans:
    """Fans of a weight of this shape.

    A matrix ``(inputs, units)`` has its two extents; a kernel ``(..., in, out)`` its
    receptive field times ``in`` and times ``out``; a vector its length twice.

    >>> fans_of((784, 100))
    Fans(inputs=784, units=100)
    >>> fans_of((3, 3, 16, 32))
    Fans(inputs=144, units=288)
    """
    if len(shape) < 2:
        return Fans(math.prod(shape), math.prod(shape))
    field = math.prod(shape[:-2])
    return Fans(field * shape[-2], field * shape[-1])


@dataclass(frozen=True)
class Initializer(Described):
    """What every initializer declares: its ``kind`` and how it samples."""

    kind: ClassVar[str] = ""

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        """Values in float64 of this shape, drawn from ``rng``."""
        raise NotImplementedError(self.kind)


@dataclass(frozen=True)
class Normal(Initializer):
    """Independent normal values, ``N(mean, std^2)``; the plain one of the textbooks.

    Raises:
        ValueError: ``std`` is negative, or a value is not finite.

    Source: Nielsen, *Neural Networks and Deep Learning* (2015), ch. 1: N(0, 1).

    >>> Normal(std=0.01).sample((2, 3), fans_of((2, 3)), np.random.default_rng(0)).shape
    (2, 3)
    """

    kind: ClassVar[str] = "normal"

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        number(self.kind, "mean", self.mean)
        number(self.kind, "std", self.std, least=0)

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return rng.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """Normal values; those beyond two standard deviations are drawn again.

    ``std`` is that of the normal before it is cut; after it, 0.8796 times as much.

    Raises:
        ValueError: ``std`` is negative, or a value is not finite.

    >>> rng = np.random.default_rng(0)
    >>> bool(abs(TruncatedNormal().sample((1000,), fans_of((1000,)), rng)).max() <= 2)
    True
    """

    kind: ClassVar[str] = "truncated_normal"

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        number(self.kind, "mean", self.mean)
        number(self.kind, "std", self.std, least=0)

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        z = rng.standard_normal(math.prod(shape))
        while (beyond := np.flatnonzero(np.abs(z) > 2)).size:
            z[beyond] = rng.standard_normal(beyond.size)
        return (self.mean + self.std * z).reshape(shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Independent uniform values in ``[low, high)``.

    Raises:
        ValueError: ``high`` is below ``low``, or a value is not finite.

    >>> w = Uniform(0, 1).sample((9,), Fans(9, 9), np.random.default_rng(0))
    >>> bool(w.min() >= 0)
    True
    """

    kind: ClassVar[str] = "uniform"

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        number(self.kind, "low", self.low)
        number(self.kind, "high", self.high, least=self.low)

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return rng.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """``N(0, 2 / (inputs + units))``.

    Keeps the variance of activations and of gradients alike, on average.

    Source: Glorot and Bengio, AISTATS (2010), eq. 12.

    >>> w = GlorotNormal().sample((90, 110), Fans(90, 110), np.random.default_rng(0))
    >>> round(float(w.std()), 2)
    0.1
    """

    kind: ClassVar[str] = "glorot_normal"

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return _normal(2 / (fans.inputs + fans.units), shape, rng)


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """``U(-r, r)`` with ``r = sqrt(6 / (inputs + units))``.

    Source: Glorot and Bengio, AISTATS (2010), eq. 16.

    >>> w = GlorotUniform().sample((30, 20), Fans(3, 3), np.random.default_rng(0))
    >>> bool(abs(w).max() <= 1)
    True
    """

    kind: ClassVar[str] = "glorot_uniform"

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return _uniform(2 / (fans.inputs + fans.units), shape, rng)


@dataclass(frozen=True)
class HeNormal(Initializer):
    """``N(0, 2 / inputs)``: for activations that let half of the signal through.

    Source: He, Zhang, Ren, Sun, ICCV (2015), eq. 10.

    >>> w = HeNormal().sample((200, 50), Fans(200, 50), np.random.default_rng(0))
    >>> round(float(w.std()), 2)
    0.1
    """

    kind: ClassVar[str] = "he_normal"

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return _normal(2 / fans.inputs, shape, rng)


@dataclass(frozen=True)
class HeUniform(Initializer):
    """``U(-r, r)`` with ``r = sqrt(6 / inputs)``, the variance of `HeNormal`.

    Source: He, Zhang, Ren, Sun, ICCV (2015), eq. 10.

    >>> w = HeUniform().sample((30, 20), Fans(6, 6), np.random.default_rng(0))
    >>> bool(abs(w).max() <= 1)
    True
    """

    kind: ClassVar[str] = "he_uniform"

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return _uniform(2 / fans.inputs, shape, rng)


@dataclass(frozen=True)
class LeCunNormal(Initializer):
    """``N(0, 1 / inputs)``: a node's input has the variance of the layer below.

    Source: LeCun, Bottou, Orr, Müller, *Efficient BackProp* (1998), eq. 16; Klambauer
    et al., NeurIPS (2017), for SELU.

    >>> w = LeCunNormal().sample((100, 50), Fans(100, 50), np.random.default_rng(0))
    >>> round(float(w.std()), 2)
    0.1
    """

    kind: ClassVar[str] = "lecun_normal"

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return _normal(1 / fans.inputs, shape, rng)


@dataclass(frozen=True)
class LeCunUniform(Initializer):
    """``U(-r, r)`` with ``r = sqrt(3 / inputs)``, the variance of `LeCunNormal`.

    Source: LeCun, Bottou, Orr, Müller, *Efficient BackProp* (1998), eq. 16.

    >>> w = LeCunUniform().sample((30, 20), Fans(3, 3), np.random.default_rng(0))
    >>> bool(abs(w).max() <= 1)
    True
    """

    kind: ClassVar[str] = "lecun_uniform"

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return _uniform(1 / fans.inputs, shape, rng)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """``gain * Q`` with orthonormal columns (or rows, whichever are fewer).

    A kernel ``(..., in, out)`` is taken as the matrix ``(... * in, out)``. ``Q`` is
    uniform over such matrices: QR of normal values, signs taken from R's diagonal.

    Raises:
        ValueError: ``gain`` is not a finite number, or the shape is a vector.

    Source: Saxe, McClelland, Ganguli, ICLR (2014), sec. 3; Mezzadri, *Notices of the
    AMS* 54 (2007), for the signs.

    >>> q = Orthogonal().sample((5, 3), Fans(5, 3), np.random.default_rng(0))
    >>> bool(np.allclose(q.T @ q, np.eye(3)))
    True
    """

    kind: ClassVar[str] = "orthogonal"

    gain: float = 1.0

    def __post_init__(self) -> None:
        number(self.kind, "gain", self.gain)

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        if len(shape) < 2:
            raise ValueError(
                f"[{self.kind}] shape {shape}; expected at least two axes; use "
                f"another initializer for a vector"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        z = rng.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(z)
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


@dataclass(frozen=True)
class Signs(Initializer):
    """1 or -1, each as often.

    Source: Wen, Tran, Ba, *BatchEnsemble*, ICLR (2020), appendix B, for scales by
    which the members of an ensemble differ.

    >>> w = Signs().sample((100,), Fans(100, 100), np.random.default_rng(0))
    >>> sorted(set(w.tolist()))
    [-1.0, 1.0]
    """

    kind: ClassVar[str] = "signs"

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return rng.choice([-1.0, 1.0], shape)


@dataclass(frozen=True)
class Zeros(Initializer):
    """All zero; how biases begin.

    >>> Zeros().sample((2,), Fans(2, 2), np.random.default_rng(0)).tolist()
    [0.0, 0.0]
    """

    kind: ClassVar[str] = "zeros"

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return np.zeros(shape)


@dataclass(frozen=True)
class Constant(Initializer):
    """All equal to ``value``.

    Raises:
        ValueError: ``value`` is not a finite number.

    >>> Constant(0.1).sample((2,), Fans(2, 2), np.random.default_rng(0)).tolist()
    [0.1, 0.1]
    """

    kind: ClassVar[str] = "constant"

    value: float

    def __post_init__(self) -> None:
        number(self.kind, "value", self.value)

    def sample(self, shape: Shape, fans: Fans, rng: np.random.Generator) -> Floats:
        return np.full(shape, float(self.value))


INITIALIZERS: tuple[type[Initializer], ...] = family(
    Initializer,
    (
        Normal,
        TruncatedNormal,
        Uniform,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        LeCunNormal,
        LeCunUniform,
        Orthogonal,
        Signs,
        Zeros,
        Constant,
    ),
)


if TYPE_CHECKING:
    Named = Initializer | str | Mapping[str, object]
else:
    Named = Initializer
"""What may be given for an initializer; a layer keeps the object that it stands for."""


def initializer(found: Named, where: str = "initializer") -> Initializer:
    """The initializer that a name, a table or an initializer stands for.

    Raises:
        ValueError: an unknown name (the candidates are listed), key or value.

    >>> initializer("he_normal")
    HeNormal()
    >>> initializer({"type": "normal", "std": 0.01})
    Normal(mean=0.0, std=0.01)
    """
    return read(found, Initializer, where)


def default_for(activation: Any) -> Initializer:
    """The initializer that suits the activation layer that follows, if any.

    He for the ReLU family, LeCun for SELU, Glorot for all else and for None.

    >>> default_for(None)
    GlorotUniform()
    """
    kind = getattr(activation, "kind", None)
    function = getattr(activation, "function", kind)
    if function in RELU_FAMILY:
        return HeNormal()
    return LeCunNormal() if function == "selu" else GlorotUniform()


def _normal(variance: float, shape: Shape, rng: np.random.Generator) -> Floats:
    return rng.normal(0.0, math.sqrt(variance), shape)


def _uniform(variance: float, shape: Shape, rng: np.random.Generator) -> Floats:
    radius = math.sqrt(3 * variance)
    return rng.uniform(-radius, radius, shape)
