# SPDX-License-Identifier: BSD-3-Clause
"""Losses of classes and distributions: how probable the outputs make the targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count, number
from nervure.base.formulas import log_gaussian_cdf, stop_gradient
from nervure.losses import _targets
from nervure.losses._loss import (
    PROBABILITIES,
    TINY,
    Array,
    Loss,
    LossExample,
    activation_name,
    log_softmax,
    mean_rows,
    pick,
    softplus,
)

_SHARES = ((0.2, 0.5, 0.3), (0.7, 0.1, 0.2))
_SOFTMAX = frozenset({"softmax", "log_softmax"})
_ONE_SIGN = frozenset({"log_softmax", "relu", "relu6", "softplus"})
_ADD_SOFTMAX = 'add activation="softmax" to the last layer'


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of class probabilities, ``-sum t log a`` over the classes.

    For an integer class c it is ``-log a_c``. ``label_smoothing`` s replaces t by
    ``(1 - s) t + s / K`` for K classes. On the input z of a softmax it is computed as
    ``log sum exp z - sum t z``, which does not overflow, and
    ``dC/dz = softmax(z) - t``. Where the class is ``ignore`` there is no target: it
    costs nothing, and means are taken over the others.

    Shape:
        output ``(batch, classes)``, target ``(batch,)`` classes from 0 or
        ``(batch, classes)`` one-hot rows or probabilities, costs ``(batch,)``.

    Raises:
        ValueError: ``label_smoothing`` is outside [0, 1).
        LossError: the output layer is no softmax, or a class is out of range.

    Source: Goodfellow, Bengio, Courville, *Deep Learning* (2016), sec. 6.2.2.3; label
    smoothing: Szegedy et al., CVPR (2016), sec. 7.

    >>> import numpy as np
    >>> CrossEntropy().formula(np, np.array([[0.25, 0.75]]), np.array([0])).round(4)
    array([1.3863])
    """

    kind: ClassVar[str] = "cross_entropy"
    task: ClassVar[str] = "classification"
    fuses: ClassVar[tuple[str, ...]] = ("softmax", "log_softmax")
    accepts: ClassVar[frozenset[str] | None] = _SOFTMAX
    strict: ClassVar[bool] = True
    expects: ClassVar[str] = "probabilities of classes"
    remedy: ClassVar[str] = _ADD_SOFTMAX

    label_smoothing: float = 0.0
    ignore: int | None = None

    def __post_init__(self) -> None:
        number(self.kind, "label_smoothing", self.label_smoothing, least=0, below=1)
        if self.ignore is not None:
            count(self.kind, "ignore", self.ignore, least=-(2**31), most=2**31 - 1)

    def missing(self, target: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
        """Which classes are `ignore`."""
        return None if self.ignore is None else np.asarray(target == self.ignore)

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        rows = ((0.0, 1.0, 0.0), (0.5, 0.2, 0.3))
        return (
            LossExample(cls(), _SHARES, (2, 0)),
            LossExample(cls(0.1), _SHARES, (2, 0)),
            LossExample(cls(0.1), _SHARES, rows),
        )

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        return self._cost(xp, xp.log(xp.maximum(output, TINY)), target)

    def logits_formula(
        self, xp: Any, z: Array, target: Array, activation: str = ""
    ) -> Array:
        return self._cost(xp, log_softmax(xp, z), target)

    def _cost(self, xp: Any, logs: Array, target: Array) -> Array:
        labels = target.ndim == 1
        plain = pick(xp, logs, target) if labels else (target * logs).sum(axis=1)
        s = self.label_smoothing
        return -plain if s == 0 else -((1 - s) * plain + s * mean_rows(logs))

    def check_output(
        self, kind: str, function: str | None, size: int, *, name: str | None = None
    ) -> None:
        super().check_output(kind, function, size, name=name)
        if size < 2:
            raise self.fail(
                f"output layer '{name or kind}' has 1 output, whose softmax is 1",
                'use at least 2 units, or binary_cross_entropy with "logistic"',
            )

    def check_target(
        self,
        output_size: int,
        output_kind: str,
        target: npt.ArrayLike,
        *,
        dtype: npt.DTypeLike = np.float64,
    ) -> npt.NDArray[Any]:
        found = _targets.plain(target, self.fail)
        if found.size == len(found):
            if self.ignore is not None:  # weighs 0, so that any class will do
                found = np.where(found == self.ignore, 0, found)
            return _targets.classes(found, output_size, self.fail)
        rows = _targets.rows(found, output_size, self.fail, dtype)
        _targets.require_distribution(rows, self.fail)
        return rows


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """``mean -(t log a + (1 - t) log(1 - a))`` over the outputs.

    Every output is a yes-or-no question of its own. ``label_smoothing`` s replaces t by
    ``(1 - s) t + s / 2``. On the input z of a logistic it is computed as
    ``max(z, 0) - t z + log(1 + exp(-|z|))``, with ``dC/dz = (logistic(z) - t) / K``; on
    that of a ``gaussian_cdf`` from the logarithms of both tails, which are never 0; on
    that of a softmax the complement of the largest is what the others have. Integer
    classes become one-hot rows where there are several outputs.

    Shape:
        output ``(batch, outputs)``, target the same in [0, 1], costs ``(batch,)``.

    Raises:
        ValueError: ``label_smoothing`` is outside [0, 1).
        LossError: the output layer gives no probabilities, or a target is none.

    Source: Bishop, *Pattern Recognition and Machine Learning* (2006), eq. 5.21, 5.22.

    >>> import numpy as np
    >>> BinaryCrossEntropy().formula(np, np.array([[0.25]]), np.array([[1.0]])).round(4)
    array([1.3863])
    """

    kind: ClassVar[str] = "binary_cross_entropy"
    task: ClassVar[str] = "classification"
    fuses: ClassVar[tuple[str, ...]] = ("logistic", "gaussian_cdf", "softmax")
    accepts: ClassVar[frozenset[str] | None] = PROBABILITIES
    expects: ClassVar[str] = "probabilities"
    remedy: ClassVar[str] = 'add activation="logistic" to the last layer'
    one_hot: ClassVar[bool] = True

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        number(self.kind, "label_smoothing", self.label_smoothing, least=0, below=1)

    def answers(self, activation: str) -> bool | None:
        return True

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        target = ((0.0, 1.0, 0.0), (1.0, 1.0, 0.25))
        return tuple(LossExample(cls(s), _SHARES, target) for s in (0.0, 0.2))

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        t = self._smooth(target)
        yes = xp.log(xp.maximum(output, TINY))
        no = xp.log(xp.maximum(1 - output, TINY))
        return -mean_rows(t * yes + (1 - t) * no)

    def logits_formula(
        self, xp: Any, z: Array, target: Array, activation: str = ""
    ) -> Array:
        t = self._smooth(target)
        if activation == "softmax":
            yes, no = log_softmax(xp, z), _log_rest(xp, z)
        elif activation == "gaussian_cdf":
            yes, no = log_gaussian_cdf(xp, z), log_gaussian_cdf(xp, -z)
        else:
            return mean_rows(softplus(xp, z) - t * z)
        return -mean_rows(t * yes + (1 - t) * no)

    def check_output(
        self, kind: str, function: str | None, size: int, *, name: str | None = None
    ) -> None:
        super().check_output(kind, function, size, name=name)
        if size < 2 and activation_name(kind, function) == "softmax":
            raise self.fail(
                f"output layer '{name or kind}' has 1 output, whose softmax is 1",
                'use activation="logistic"',
            )

    def _smooth(self, target: Array) -> Array:
        return target + self.label_smoothing * (0.5 - target)

    def check_values(self, rows: npt.NDArray[Any]) -> None:
        remedy = "recode the two answers as 0 and 1"
        inside = (rows >= 0) & (rows <= 1)
        _targets.require(inside, rows, "a number in [0, 1]", remedy, self.fail)


def _log_rest(xp: Any, z: Array) -> Array:
    """``log(1 - softmax(z))`` of every row.

    That of the largest is what the others have, as 1 - p would be 0 there.
    """
    first = z.argmax(axis=1)[:, None] == xp.arange(z.shape[1])
    others = xp.where(first, -xp.inf, log_softmax(xp, z))
    level = stop_gradient(xp, others).max(axis=1, keepdims=True)
    together = level + xp.log(xp.exp(others - level).sum(axis=1, keepdims=True))
    return xp.where(first, together, xp.log1p(-xp.exp(others)))


@dataclass(frozen=True)
class Hinge(Loss):
    """Margin of at least 1: ``mean max(0, 1 - s a)`` with ``s`` = 1 or -1.

    A target above 0 is s = 1, any other s = -1, so both 0/1 and -1/1 will do. Integer
    classes take the multi-class form ``max(0, 1 + max_{j != c} a_j - a_c)``. The slope
    at the kink is 0. The output is a score: no activation.

    Shape:
        output ``(batch, outputs)``, target the same or ``(batch,)`` classes, costs
        ``(batch,)``.

    Raises:
        LossError: a target is neither -1, 0 nor 1, or both -1 and 0 occur.

    Source: Cortes and Vapnik, *Machine Learning* 20 (1995); several classes: Crammer
    and Singer, JMLR 2 (2001), 265-292.

    >>> import numpy as np
    >>> side = np.array([[1.0], [-1.0]])
    >>> Hinge().formula(np, np.array([[0.5], [0.5]]), side).tolist()
    [0.5, 1.5]
    >>> Hinge().formula(np, np.array([[0.5, 0.25]]), np.array([0])).tolist()
    [0.75]
    """

    kind: ClassVar[str] = "hinge"
    takes_shares: ClassVar[bool] = False
    task: ClassVar[str] = "classification"
    refuses: ClassVar[frozenset[str]] = PROBABILITIES | _ONE_SIGN
    expects: ClassVar[str] = "a score that may be negative"
    remedy: ClassVar[str] = "leave the activation of the last layer out"
    threshold: ClassVar[float] = 0.0

    def answers(self, activation: str) -> bool | None:
        return True

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        output = ((0.5, -1.25, 2.0), (0.1, 0.2, -3.0))
        target = ((1.0, -1.0, -1.0), (-1.0, 1.0, 1.0))
        return LossExample(cls(), output, target), LossExample(cls(), output, (1, 0))

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        if target.ndim == 2:
            side = xp.where(target > 0, 1.0, -1.0).astype(output.dtype)
            return mean_rows(xp.maximum(0, 1 - side * output))
        own = target[:, None] == xp.arange(output.shape[1])
        others = xp.where(own, -xp.inf, output)
        rival = pick(xp, others, others.argmax(axis=1))
        return xp.maximum(0, 1 + rival - pick(xp, output, target))

    def check_target(
        self,
        output_size: int,
        output_kind: str,
        target: npt.ArrayLike,
        *,
        dtype: npt.DTypeLike = np.float64,
    ) -> npt.NDArray[Any]:
        found = _targets.plain(target, self.fail)
        if _targets.are_classes(found, output_size):
            return _targets.classes(found, output_size, self.fail)
        rows = _targets.rows(found, output_size, self.fail, dtype)
        self.check_values(rows)
        return np.where(rows > 0, 1, -1).astype(dtype)

    def check_values(self, rows: npt.NDArray[Any]) -> None:
        low = -1 if (rows == -1).any() else 0
        expected = f"{low} or 1" if low else "0 or 1 (or -1 and 1 throughout)"
        remedy = "recode the two sides as -1 and 1"
        holds = (rows == low) | (rows == 1)
        _targets.require(holds, rows, expected, remedy, self.fail)


@dataclass(frozen=True)
class KL(Loss):
    """Kullback-Leibler divergence of the output from the target, ``sum t log(t / a)``.

    ``0 log 0`` is 0. Integer classes become one-hot rows. On the input z of a softmax
    it is computed from ``log_softmax(z)``, with ``dC/dz = softmax(z) - t``.

    Shape:
        output and target ``(batch, classes)``, rows that sum to 1, costs ``(batch,)``.

    Raises:
        LossError: the output layer is no softmax, or a target row is no distribution.

    Source: Kullback and Leibler, *Annals of Mathematical Statistics* 22 (1951),
    79-86.

    >>> import numpy as np
    >>> KL().formula(np, np.array([[0.25, 0.75]]), np.array([[0.5, 0.5]])).round(4)
    array([0.1438])
    """

    kind: ClassVar[str] = "kl"
    task: ClassVar[str] = "distribution"
    fuses: ClassVar[tuple[str, ...]] = ("softmax", "log_softmax")
    accepts: ClassVar[frozenset[str] | None] = _SOFTMAX
    strict: ClassVar[bool] = True
    expects: ClassVar[str] = "a distribution"
    remedy: ClassVar[str] = _ADD_SOFTMAX
    one_hot: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        target = ((0.0, 0.9, 0.1), (0.5, 0.2, 0.3))
        return (LossExample(cls(), _SHARES, target),)

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        return self._cost(xp, xp.log(xp.maximum(output, TINY)), target)

    def logits_formula(
        self, xp: Any, z: Array, target: Array, activation: str = ""
    ) -> Array:
        return self._cost(xp, log_softmax(xp, z), target)

    def _cost(self, xp: Any, logs: Array, target: Array) -> Array:
        own = xp.log(xp.maximum(target, TINY))
        return (target * (own - logs)).sum(axis=1)

    def check_values(self, rows: npt.NDArray[Any]) -> None:
        _targets.require_distribution(rows, self.fail)
