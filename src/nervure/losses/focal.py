# SPDX-License-Identifier: BSD-3-Clause
"""Focal: cross-entropy that cares less for what is already right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nervure.base.checks import number
from nervure.losses import _targets
from nervure.losses._loss import (
    TINY,
    Array,
    Attribute,
    Loss,
    LossExample,
    activation_name,
    log_softmax,
    mean_rows,
    pick,
    softplus,
)


@dataclass(frozen=True)
class Focal(Loss):
    """``-alpha (1 - p)^gamma log p``, where p is the probability of the right answer.

    Behind a logistic every output is a yes-or-no question: p is a where t is 1 and
    1 - a where t is 0, ``alpha`` weighs the yes and ``1 - alpha`` the no, and the cost
    of a row is the mean over its outputs. Behind a softmax p is the probability of the
    class, and ``alpha`` a tuple with one weight per class. ``gamma`` 0 and no
    ``alpha`` is cross-entropy.

    Shape:
        output ``(batch, outputs)``, target the same of 0 and 1 (logistic) or
        ``(batch,)`` classes from 0 (softmax), costs ``(batch,)``.

    Raises:
        ValueError: ``gamma`` is negative or ``alpha`` outside its range.
        LossError: the output layer, ``alpha`` and the target do not fit together.

    Source: Lin, Goyal, Girshick, He, Dollár, *Focal Loss for Dense Object Detection*,
    ICCV (2017), eq. 5 (gamma = 2, alpha = 0.25 there).

    >>> import numpy as np
    >>> Focal().formula(np, np.array([[0.9]]), np.array([[1.0]])).round(5).tolist()
    [0.00105]
    """

    kind: ClassVar[str] = "focal"
    takes_shares: ClassVar[bool] = False
    task: ClassVar[str] = "classification"
    fuses: ClassVar[tuple[str, ...]] = ("softmax", "log_softmax", "logistic")
    accepts: ClassVar[frozenset[str] | None] = frozenset(fuses)
    strict: ClassVar[bool] = True
    expects: ClassVar[str] = "probabilities"
    remedy: ClassVar[str] = (
        'add activation="softmax" (classes) or "logistic" (yes or no) to the last layer'
    )

    gamma: float = 2.0
    alpha: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        number(self.kind, "gamma", self.gamma, least=0)
        if isinstance(self.alpha, list):  # as TOML and JSON hold it
            object.__setattr__(self, "alpha", tuple(self.alpha))
        if isinstance(self.alpha, tuple):
            for value in self.alpha:
                number(self.kind, "alpha", value, least=0)
        elif self.alpha is not None:
            number(self.kind, "alpha", self.alpha, above=0, below=1)

    def answers(self, activation: str) -> bool | None:
        return activation == "logistic"

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        output = ((0.2, 0.5, 0.3), (0.7, 0.1, 0.2))
        answers = ((0.0, 1.0, 0.0), (1.0, 1.0, 0.0))
        return (
            LossExample(cls(), output, answers),
            LossExample(cls(1.5, 0.25), output, answers),
            LossExample(cls(), output, (2, 0)),
            LossExample(cls(0.5, (1.0, 2.0, 0.5)), output, (2, 0)),
            LossExample(cls(0.0), output, (2, 0)),
        )

    def attributes(self) -> dict[str, Attribute]:
        """``alpha`` by answer (no, yes) or by class; left out where there is none."""
        found: dict[str, Attribute] = {"gamma": float(self.gamma)}
        if isinstance(self.alpha, tuple):
            found["alpha"] = tuple(float(value) for value in self.alpha)
        elif self.alpha is not None:
            found["alpha"] = (1.0 - self.alpha, float(self.alpha))
        return found

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        if target.ndim == 1:
            right = pick(xp, output, target)
        else:
            right = xp.where(target > 0.5, output, 1 - output)
        logs = xp.log(xp.maximum(right, TINY))
        return self._cost(xp, logs, 1 - right, target)

    def logits_formula(
        self, xp: Any, z: Array, target: Array, activation: str = ""
    ) -> Array:
        if target.ndim == 1:
            logs = pick(xp, log_softmax(xp, z), target)
        else:
            logs = -softplus(xp, xp.where(target > 0.5, -z, z))
        return self._cost(xp, logs, -xp.expm1(logs), target)

    def _cost(self, xp: Any, logs: Array, wrong: Array, target: Array) -> Array:
        costs = -logs
        if self.gamma != 0:  # 0 ** 0 has no derivative under JAX
            costs = xp.maximum(wrong, TINY) ** self.gamma * costs
        weights = self.attributes().get("alpha")
        if weights is not None:
            answer = target if target.ndim == 1 else (target > 0.5).astype(int)
            costs = costs * xp.asarray(weights, dtype=costs.dtype)[answer]
        return costs if target.ndim == 1 else mean_rows(costs)

    def check_output(
        self, kind: str, function: str | None, size: int, *, name: str | None = None
    ) -> None:
        super().check_output(kind, function, size, name=name)
        per_class = isinstance(self.alpha, tuple)
        if activation_name(kind, function) == "logistic":
            if per_class:
                raise self.fail(
                    "alpha is a tuple, expected one number behind a logistic",
                    "give the weight of the yes, in (0, 1)",
                )
        elif self.alpha is not None and (
            not isinstance(self.alpha, tuple) or len(self.alpha) != size
        ):
            raise self.fail(
                f"alpha = {self.alpha!r}, expected a weight per class behind a softmax",
                f"give a tuple of {size} weights, or use class_weight",
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
        binary = output_kind == "logistic"
        if found.size == len(found) and output_size > 1:
            classes = _targets.classes(found, output_size, self.fail)
            if not binary:
                return classes
            return _targets.one_hot(classes, output_size, dtype)
        rows = _targets.rows(found, output_size, self.fail, dtype)
        self.check_values(rows)
        if binary:
            return rows
        _targets.require_distribution(rows, self.fail)
        return rows.argmax(axis=1).astype(np.int32)

    def check_values(self, rows: npt.NDArray[Any]) -> None:
        holds = (rows == 0) | (rows == 1)
        remedy = "recode the two answers as 0 and 1"
        _targets.require(holds, rows, "0 or 1", remedy, self.fail)
