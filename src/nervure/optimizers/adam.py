# SPDX-License-Identifier: BSD-3-Clause
"""Adam and its relatives: AMSGrad, AdamW, NAdam."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from nervure.base.checks import flag, number
from nervure.optimizers._rule import Array, Slots, UpdateRule, memory, unbias
from nervure.optimizers.schedules import Schedule


@dataclass(frozen=True)
class Adam(UpdateRule):
    """Adaptive moments: the mean of the gradient over the root of its mean square.

    ``m <- beta1 m + (1 - beta1) g``, ``v <- beta2 v + (1 - beta2) g^2``,
    ``w <- w - rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)``.
    AMSGrad puts the largest ``v`` so far in place of ``v`` (with the same division
    by ``1 - beta2^t``, as PyTorch and Keras do; the paper leaves it out).

    Args:
        beta1: memory of the mean, fraction in [0, 1).
        beta2: memory of the mean square, fraction in [0, 1).
        epsilon: positive; keeps the quotient finite.
        amsgrad: never let the denominator shrink.
        epsilon_hat: put epsilon beside ``sqrt(v)``, before its correction:
            ``(sqrt(v) + epsilon) / sqrt(1 - beta2^t)``, as scikit-learn does.

    Raises:
        ValueError: a value is out of its range.

    Source: Kingma and Ba, ICLR (2015), algorithm 1, and the end of section 2 for
    ``epsilon_hat``; Reddi, Kale, Kumar, ICLR (2018),
    algorithm 2.

    >>> import numpy as np
    >>> zero = np.zeros(1)
    >>> w, slots = Adam().formula(np, zero, np.array([5.0]), (zero, zero), 0.001, 1)
    >>> round(float(w[0]), 9)  # the first step has the length of the rate
    -0.001
    """

    kind: ClassVar[str] = "adam"
    rule: ClassVar[str] = "adam"

    learning_rate: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    amsgrad: bool = False
    epsilon_hat: bool = False

    def check(self) -> None:
        memory(self.kind, "beta1", self.beta1)
        memory(self.kind, "beta2", self.beta2)
        number(self.kind, "epsilon", self.epsilon, above=0)
        flag(self.kind, "amsgrad", self.amsgrad)
        flag(self.kind, "epsilon_hat", self.epsilon_hat)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("mean", "variance", "largest") if self.amsgrad else ("mean", "variance")

    def formula(
        self, xp: Any, w: Array, g: Array, slots: Slots, learning_rate: Any, step: Any
    ) -> tuple[Array, Slots]:
        m = self.beta1 * slots[0] + (1 - self.beta1) * g
        v = self.beta2 * slots[1] + (1 - self.beta2) * g * g
        largest = xp.maximum(slots[2], v) if self.amsgrad else v
        mean = m / unbias(xp, self.beta1, step)
        correction = xp.sqrt(unbias(xp, self.beta2, step))
        small = self.epsilon / correction if self.epsilon_hat else self.epsilon
        w = w - learning_rate * mean / (xp.sqrt(largest) / correction + small)
        return w, ((m, v, largest) if self.amsgrad else (m, v))


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: ``w`` also loses ``rate weight_decay w``.

    The same rule as `Adam`, whose ``weight_decay`` is decoupled too; only the default
    of ``weight_decay`` is other.

    Raises:
        ValueError: a value is out of its range.

    Source: Loshchilov and Hutter, ICLR (2019), algorithm 2.

    >>> AdamW().weight_decay
    0.01
    """

    kind: ClassVar[str] = "adamw"

    weight_decay: float = field(default=0.01, kw_only=True)


@dataclass(frozen=True)
class NAdam(UpdateRule):
    """Adam with Nesterov's look-ahead in the mean.

    With ``u(t) = beta1 (1 - 0.96^(t / 250) / 2)`` and ``P(t) = u(1) ... u(t)``:
    ``w <- w - rate (u(t + 1) m / (1 - P(t + 1)) + (1 - u(t)) g / (1 - P(t)))
    / (sqrt(v / (1 - beta2^t)) + epsilon)``, ``m`` and ``v`` as in `Adam` (``m`` with
    the constant ``beta1``, as PyTorch and Keras do; the paper puts ``u(t)``).

    Raises:
        ValueError: a value is out of its range.

    Source: Dozat, ICLR workshop (2016), algorithm 2.

    >>> NAdam().slots
    ('mean', 'variance')
    """

    kind: ClassVar[str] = "nadam"
    rule: ClassVar[str] = "nadam"

    learning_rate: float | Schedule = 2e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def check(self) -> None:
        memory(self.kind, "beta1", self.beta1)
        memory(self.kind, "beta2", self.beta2)
        number(self.kind, "epsilon", self.epsilon, above=0)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("mean", "variance")

    def formula(
        self, xp: Any, w: Array, g: Array, slots: Slots, learning_rate: Any, step: Any
    ) -> tuple[Array, Slots]:
        m = self.beta1 * slots[0] + (1 - self.beta1) * g
        v = self.beta2 * slots[1] + (1 - self.beta2) * g * g
        now, following = self._momentum(xp, step), self._momentum(xp, step + 1)
        ahead = following * m / (1 - self._product(xp, step + 1))
        ahead = ahead + (1 - now) * g / (1 - self._product(xp, step))
        root = xp.sqrt(v / unbias(xp, self.beta2, step))
        return w - learning_rate * ahead / (root + self.epsilon), (m, v)

    def _momentum(self, xp: Any, step: Any) -> Any:
        return self.beta1 * (1 - 0.5 * xp.power(0.96, step / 250))

    def _product(self, xp: Any, step: Any) -> Any:
        # All factors are near 1/2 at first: after 64 of them the product is lost
        # beside 1, which keeps it free of state.
        steps = xp.arange(1, 65)
        return xp.prod(xp.where(steps <= step, self._momentum(xp, steps), 1.0))
