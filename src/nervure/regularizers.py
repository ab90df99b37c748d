# SPDX-License-Identifier: BSD-3-Clause
"""Regularizers: what is added to the cost, and bounds on the weights.

They hold for the parameters that decay (weights and kernels, not biases), and the
engine's sweep applies them from three numbers: ``l1``, ``l2`` and ``max_norm``.

    penalty = l1 sum |w| + l2/2 sum w^2,    gradient = l1 sign(w) + l2 w
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from nervure.base.checks import number
from nervure.base.described import Described, family
from nervure.base.named import read

Array = Any
"""An array of the module `xp` at hand: NumPy or JAX."""


class Strengths(NamedTuple):
    """What the sweep reads of a regularizer; 0 switches a term off."""

    l1: float = 0.0
    l2: float = 0.0
    max_norm: float = 0.0


@dataclass(frozen=True)
class Regularizer(Described):
    """What every regularizer declares: its ``kind`` and its strengths."""

    kind: ClassVar[str] = ""

    def strengths(self) -> Strengths:
        """The three numbers that the regularizer stands for."""
        raise NotImplementedError(self.kind)

    def penalty(self, xp: Any, w: Array) -> Any:
        """The term in the cost: ``l1 sum |w| + l2/2 sum w^2``."""
        l1, l2, _ = self.strengths()
        return l1 * xp.sum(xp.abs(w)) + l2 / 2 * xp.sum(w * w)

    def gradient(self, xp: Any, w: Array) -> Array:
        """Derivative of the penalty; 0 stands for the derivative of ``|w|`` at 0."""
        l1, l2, _ = self.strengths()
        return l1 * xp.sign(w) + l2 * w

    def constrain(self, xp: Any, w: Array) -> Array:
        """Columns (last axis) of ``w`` that are longer than the limit, shortened."""
        limit = self.strengths().max_norm
        if limit == 0:
            return w
        axes = tuple(range(w.ndim - 1))
        norm = xp.sqrt(xp.sum(w * w, axis=axes, keepdims=True))
        return w * xp.where(norm > limit, limit / xp.where(norm > 0, norm, 1.0), 1.0)


@dataclass(frozen=True)
class L1(Regularizer):
    """Adds ``strength sum |w|`` to the cost: many weights become zero.

    Raises:
        ValueError: the strength is negative.

    Source: Goodfellow, Bengio, Courville (2016), eq. 7.19-7.20.

    >>> import numpy as np
    >>> float(L1(0.5).penalty(np, np.array([1.0, -3.0])))
    2.0
    """

    kind: ClassVar[str] = "l1"

    strength: float

    def __post_init__(self) -> None:
        number(self.kind, "strength", self.strength, least=0)

    def strengths(self) -> Strengths:
        return Strengths(l1=self.strength)


@dataclass(frozen=True)
class L2(Regularizer):
    """Adds ``strength / 2 sum w^2`` to the cost; mind the half.

    The gradient gains ``strength w``. Nielsen's ``lambda/(2n) sum w^2`` over ``n``
    training samples is ``L2(lambda / n)``; Keras' ``L2(s)``, without the half, is
    ``L2(2 s)`` here.

    Raises:
        ValueError: the strength is negative.

    Source: Goodfellow, Bengio, Courville (2016), eq. 7.2-7.3.

    >>> import numpy as np
    >>> L2(0.1).gradient(np, np.array([1.0, -3.0])).round(9).tolist()
    [0.1, -0.3]
    """

    kind: ClassVar[str] = "l2"

    strength: float

    def __post_init__(self) -> None:
        number(self.kind, "strength", self.strength, least=0)

    def strengths(self) -> Strengths:
        return Strengths(l2=self.strength)


@dataclass(frozen=True)
class ElasticNet(Regularizer):
    """Adds ``l1 sum |w| + l2 / 2 sum w^2`` to the cost.

    Raises:
        ValueError: a strength is negative.

    Source: Zou and Hastie, *J. R. Stat. Soc. B* 67 (2005), eq. 3 (there without the
    half).

    >>> import numpy as np
    >>> float(ElasticNet(0.5, 1.0).penalty(np, np.array([1.0, -3.0])))
    7.0
    """

    kind: ClassVar[str] = "elastic_net"

    l1: float
    l2: float

    def __post_init__(self) -> None:
        number(self.kind, "l1", self.l1, least=0)
        number(self.kind, "l2", self.l2, least=0)

    def strengths(self) -> Strengths:
        return Strengths(l1=self.l1, l2=self.l2)


@dataclass(frozen=True)
class MaxNorm(Regularizer):
    """After each step, shortens the weights into a unit to ``||w|| <= limit``.

    The weights into a unit are a column of ``(inputs, units)``, and of a kernel all
    entries ``[..., unit]``. The cost has no penalty.

    Raises:
        ValueError: the limit is not positive.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, JMLR 15 (2014),
    sec. 5.1.

    >>> import numpy as np
    >>> MaxNorm(1.0).constrain(np, np.array([[3.0, 0.1], [4.0, 0.2]])).tolist()
    [[0.6000000000000001, 0.1], [0.8, 0.2]]
    """

    kind: ClassVar[str] = "max_norm"

    limit: float

    def __post_init__(self) -> None:
        number(self.kind, "limit", self.limit, above=0)

    def strengths(self) -> Strengths:
        return Strengths(max_norm=self.limit)


REGULARIZERS: tuple[type[Regularizer], ...] = family(
    Regularizer, (L1, L2, ElasticNet, MaxNorm)
)


def regularizer(
    found: str | Mapping[str, object] | Regularizer, where: str = "regularizer"
) -> Regularizer:
    """The regularizer that a table or a regularizer stands for.

    Raises:
        ValueError: an unknown name (the candidates are listed), key or value.

    >>> regularizer({"type": "l2", "strength": 1e-4})
    L2(strength=0.0001)
    """
    return read(found, Regularizer, where)
