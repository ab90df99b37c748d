# SPDX-License-Identifier: BSD-3-Clause
"""Gradient descent: plain, with momentum, Nesterov's, and over the full batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.base.checks import flag
from nervure.optimizers._rule import Array, Attribute, Slots, UpdateRule, memory
from nervure.optimizers.schedules import Schedule


@dataclass(frozen=True)
class SGD(UpdateRule):
    """Stochastic gradient descent, optionally with momentum.

    Plain: ``w <- w - rate g``. Momentum: ``m <- beta m - rate g``, ``w <- w + m``.
    Nesterov: ``m <- beta m - rate g(w + beta m)``, ``w <- w + m``: the gradient is
    taken where the momentum leads, not where the parameters are.

    What is stored for Nesterov: a stretch of training steps begins with `enter` and
    ends with `leave`. In between, the weights hold the look-ahead point ``w + beta m``,
    where forward and backward pass run, and the slot ``position`` holds ``w`` itself.
    `leave` copies ``w`` back, so that validation, checkpoints, callbacks and the
    final model see ``w``. The point is always computed from ``w`` and ``m`` by the
    same expression; leaving and entering therefore changes no bit, and ``w`` is never
    recovered by a subtraction.

    The rate stands inside of the momentum: after a change of the learning rate, the
    momentum gathered before keeps its length (PyTorch multiplies it by the new rate).

    Args:
        momentum: ``beta``, fraction in [0, 1).
        nesterov: take the gradient at the look-ahead point.

    Raises:
        ValueError: a value is out of its range, or ``nesterov`` without momentum.

    Source: Polyak (1964), eq. 9; Nesterov (1983); Sutskever, Martens, Dahl, Hinton,
    ICML (2013), eq. 1-4.

    >>> import numpy as np
    >>> w, slots = SGD(0.1).formula(np, np.array([1.0]), np.array([2.0]), (), 0.1, 1)
    >>> w.tolist()
    [0.8]
    """

    kind: ClassVar[str] = "sgd"
    rule: ClassVar[str] = "sgd"

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def check(self) -> None:
        memory(self.kind, "momentum", self.momentum)
        flag(self.kind, "nesterov", self.nesterov)
        if self.nesterov and self.momentum == 0:
            raise ValueError(
                f"[{self.kind}] nesterov = True with momentum = 0; "
                f"expected a momentum; set momentum = 0.9"
            )

    @property
    def slots(self) -> tuple[str, ...]:
        if self.momentum == 0:
            return ()
        return ("momentum", "position") if self.nesterov else ("momentum",)

    def formula(
        self, xp: Any, w: Array, g: Array, slots: Slots, learning_rate: Any, step: Any
    ) -> tuple[Array, Slots]:
        if self.momentum == 0:
            return w - learning_rate * g, ()
        m = self.momentum * slots[0] - learning_rate * g
        if not self.nesterov:
            return w + m, (m,)
        position = slots[1] + m
        return position + self.momentum * m, (m, position)

    def enter(self, xp: Any, w: Array, slots: Slots) -> tuple[Array, Slots]:
        if not self.nesterov:
            return w, slots
        return w + self.momentum * slots[0], (slots[0], w)

    def leave(self, xp: Any, w: Array, slots: Slots) -> tuple[Array, Slots]:
        return (slots[1], slots) if self.nesterov else (w, slots)

    def decay(self, xp: Any, w: Array, slots: Slots, share: Any) -> tuple[Array, Slots]:
        if not self.nesterov:
            return w - share * w, slots
        return w, (slots[0], slots[1] - share * slots[1])


@dataclass(frozen=True)
class GradientDescent(UpdateRule):
    """Gradient descent over the full batch: ``w <- w - rate dC/dw``, once per epoch.

    Raises:
        ValueError: a value is out of its range.

    Source: Cauchy (1847); Goodfellow, Bengio, Courville (2016), eq. 4.5.

    >>> GradientDescent(0.5).full_batch
    True
    """

    kind: ClassVar[str] = "gradient_descent"
    rule: ClassVar[str] = "sgd"
    full_batch: ClassVar[bool] = True

    learning_rate: float | Schedule = 0.1

    @property
    def slots(self) -> tuple[str, ...]:
        return ()

    def attributes(self) -> dict[str, Attribute]:
        return super().attributes() | {"momentum": 0.0, "nesterov": 0}

    def formula(
        self, xp: Any, w: Array, g: Array, slots: Slots, learning_rate: Any, step: Any
    ) -> tuple[Array, Slots]:
        return w - learning_rate * g, ()
