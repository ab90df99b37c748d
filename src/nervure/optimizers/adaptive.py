# SPDX-License-Identifier: BSD-3-Clause
"""A rate of its own for every weight: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.base.checks import flag, number
from nervure.optimizers._rule import Array, Slots, UpdateRule, memory
from nervure.optimizers.schedules import Schedule


@dataclass(frozen=True)
class RMSprop(UpdateRule):
    """The gradient over the root of its running mean square.

    ``v <- rho v + (1 - rho) g^2``, ``w <- w - rate g / (sqrt(v) + epsilon)``.
    Centered: ``n <- rho n + (1 - rho) g`` and ``v - n^2`` in place of ``v``. With
    momentum: ``m <- momentum m - rate g / (...)``, ``w <- w + m``.

    Args:
        rho: memory of the mean square, fraction in [0, 1).
        momentum: fraction in [0, 1).
        epsilon: positive; keeps the quotient finite.
        centered: divide by the standard deviation instead.

    Raises:
        ValueError: a value is out of its range.

    Source: Tieleman and Hinton, Coursera lecture 6.5 (2012); Graves,
    arXiv:1308.0850 (2013), eq. 38-41, for the centered form and momentum.

    >>> RMSprop(momentum=0.9, centered=True).slots
    ('variance', 'mean', 'momentum')
    """

    kind: ClassVar[str] = "rmsprop"
    rule: ClassVar[str] = "rmsprop"

    learning_rate: float | Schedule = 1e-3
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-8
    centered: bool = False

    def check(self) -> None:
        memory(self.kind, "rho", self.rho)
        memory(self.kind, "momentum", self.momentum)
        number(self.kind, "epsilon", self.epsilon, above=0)
        flag(self.kind, "centered", self.centered)

    @property
    def slots(self) -> tuple[str, ...]:
        mean = ("mean",) if self.centered else ()
        return ("variance", *mean, *(("momentum",) if self.momentum else ()))

    def formula(
        self, xp: Any, w: Array, g: Array, slots: Slots, learning_rate: Any, step: Any
    ) -> tuple[Array, Slots]:
        state = dict(zip(self.slots, slots, strict=True))
        v = self.rho * state["variance"] + (1 - self.rho) * g * g
        state["variance"] = v
        if self.centered:
            n = self.rho * state["mean"] + (1 - self.rho) * g
            state["mean"] = n
            v = xp.maximum(v - n * n, 0)  # rounding may take it below
        change = -learning_rate * g / (xp.sqrt(v) + self.epsilon)
        if self.momentum:
            change = self.momentum * state["momentum"] + change
            state["momentum"] = change
        return w + change, tuple(state.values())


@dataclass(frozen=True)
class Adagrad(UpdateRule):
    """The gradient over the root of the sum of all its squares so far.

    ``v <- v + g^2``, ``w <- w - rate g / (sqrt(v) + epsilon)``.

    Raises:
        ValueError: a value is out of its range.

    Source: Duchi, Hazan, Singer, JMLR 12 (2011), fig. 1, diagonal form.

    >>> import numpy as np
    >>> one = np.ones(1)
    >>> w, _ = Adagrad().formula(np, one, 3 * one, (0 * one,), 0.25, 1)
    >>> round(float(w[0]), 9)
    0.75
    """

    kind: ClassVar[str] = "adagrad"
    rule: ClassVar[str] = "adagrad"

    learning_rate: float | Schedule = 0.01
    epsilon: float = 1e-10

    def check(self) -> None:
        number(self.kind, "epsilon", self.epsilon, above=0)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("sum",)

    def formula(
        self, xp: Any, w: Array, g: Array, slots: Slots, learning_rate: Any, step: Any
    ) -> tuple[Array, Slots]:
        v = slots[0] + g * g
        return w - learning_rate * g / (xp.sqrt(v) + self.epsilon), (v,)


@dataclass(frozen=True)
class Adadelta(UpdateRule):
    """Steps in the unit of the weights: no rate has to be chosen.

    ``v <- rho v + (1 - rho) g^2``, ``s = g sqrt(u + epsilon) / sqrt(v + epsilon)``,
    ``u <- rho u + (1 - rho) s^2``, ``w <- w - rate s``. The paper's rate is 1.

    Raises:
        ValueError: a value is out of its range.

    Source: Zeiler, arXiv:1212.5701 (2012), algorithm 1.

    >>> Adadelta().slots
    ('gradients', 'updates')
    """

    kind: ClassVar[str] = "adadelta"
    rule: ClassVar[str] = "adadelta"

    learning_rate: float | Schedule = 1.0
    rho: float = 0.95
    epsilon: float = 1e-6

    def check(self) -> None:
        memory(self.kind, "rho", self.rho)
        number(self.kind, "epsilon", self.epsilon, above=0)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("gradients", "updates")

    def formula(
        self, xp: Any, w: Array, g: Array, slots: Slots, learning_rate: Any, step: Any
    ) -> tuple[Array, Slots]:
        v = self.rho * slots[0] + (1 - self.rho) * g * g
        change = g * xp.sqrt(slots[1] + self.epsilon) / xp.sqrt(v + self.epsilon)
        u = self.rho * slots[1] + (1 - self.rho) * change * change
        return w - learning_rate * change, (v, u)
