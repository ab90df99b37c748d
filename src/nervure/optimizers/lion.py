# SPDX-License-Identifier: BSD-3-Clause
"""Lion: every weight moves by the rate, in the direction of a sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.optimizers._rule import Array, Slots, UpdateRule, memory
from nervure.optimizers.schedules import Schedule


@dataclass(frozen=True)
class Lion(UpdateRule):
    """Sign of an interpolated momentum; ``weight_decay`` is decoupled as in the paper.

    ``w <- w - rate (sign(beta1 m + (1 - beta1) g) + weight_decay w)``,
    ``m <- beta2 m + (1 - beta2) g``. Rates are three to ten times smaller than
    Adam's, weight decays as much larger.

    Raises:
        ValueError: a value is out of its range.

    Source: Chen et al., NeurIPS (2023), algorithm 2.

    >>> import numpy as np
    >>> w, _ = Lion().formula(np, np.ones(2), np.array([3.0, -0.1]), (0,), 0.5, 1)
    >>> w.tolist()
    [0.5, 1.5]
    """

    kind: ClassVar[str] = "lion"
    rule: ClassVar[str] = "lion"

    learning_rate: float | Schedule = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99

    def check(self) -> None:
        memory(self.kind, "beta1", self.beta1)
        memory(self.kind, "beta2", self.beta2)

    @property
    def slots(self) -> tuple[str, ...]:
        return ("momentum",)

    def formula(
        self, xp: Any, w: Array, g: Array, slots: Slots, learning_rate: Any, step: Any
    ) -> tuple[Array, Slots]:
        direction = xp.sign(self.beta1 * slots[0] + (1 - self.beta1) * g)
        m = self.beta2 * slots[0] + (1 - self.beta2) * g
        return w - learning_rate * direction, (m,)
