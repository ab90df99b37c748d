# SPDX-License-Identifier: BSD-3-Clause
"""The optimizer contract: what every optimizer declares about itself.

An optimizer is a frozen description. Its ``formula`` is the published update, written
once for NumPy and JAX: the reference of the engine's rules and the update of the JAX
executor. State lies in *slots*, arrays shaped as the parameters that begin at zero.

Legend: ``w`` parameters, ``g`` their gradient, ``step`` the number of the update,
counted from 1.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.base.checks import number
from nervure.base.described import Described
from nervure.optimizers.schedules import Schedule, rate

Array = Any
"""An array of the module `xp` at hand: NumPy or JAX."""

Slots = tuple[Array, ...]
Attribute = int | float | str

SHARED = ("learning_rate", "weight_decay", "clip_value", "clip_norm")
"""Fields that every update rule has and the engine's sweep reads."""


@dataclass(frozen=True)
class Optimizer(Described):
    """What every optimizer has: its ``kind``, the name in specs.

    ``full_batch`` says that a step takes all the data; ``stepwise`` that it is an
    `UpdateRule`, not a procedure of its own (`LBFGS`).
    """

    kind: ClassVar[str] = ""
    full_batch: ClassVar[bool] = False
    stepwise: ClassVar[bool] = False


@dataclass(frozen=True)
class UpdateRule(Optimizer):
    """What every optimizer that works step by step declares.

    Class attribute ``rule``: name of the engine's update rule, by default ``kind``.

    Args:
        learning_rate: positive number or a `Schedule`.
        weight_decay: share ``d``; besides its update every decaying parameter loses
            ``learning_rate * d * w`` (decoupled: Loshchilov and Hutter, ICLR 2019).
            For the classical penalty in the cost, which adaptive rules rescale, use
            ``fit(..., regularizer=L2(...))``; for plain SGD the two agree.
        clip_value: bound of the absolute value of each component of the gradient.
        clip_norm: bound of the norm of the whole gradient, of all parameters
            together, after ``clip_value`` (Pascanu, Mikolov, Bengio, ICML 2013).

    Raises:
        ValueError: a value is out of its range.
    """

    stepwise: ClassVar[bool] = True
    rule: ClassVar[str] = ""

    learning_rate: float | Schedule = 1e-3
    weight_decay: float = dataclasses.field(default=0.0, kw_only=True)
    clip_value: float | None = dataclasses.field(default=None, kw_only=True)
    clip_norm: float | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        # A table or name from a spec becomes the schedule that it stands for.
        found = rate(self.learning_rate, self.kind, "learning_rate")
        object.__setattr__(self, "learning_rate", found)
        number(self.kind, "weight_decay", self.weight_decay, least=0)
        for name in ("clip_value", "clip_norm"):
            if getattr(self, name) is not None:
                number(self.kind, name, getattr(self, name), above=0)
        self.check()

    # -- to be declared by every rule -------------------------------------------

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the state arrays."""
        raise NotImplementedError(self.kind)

    def formula(
        self, xp: Any, w: Array, g: Array, slots: Slots, learning_rate: Any, step: Any
    ) -> tuple[Array, Slots]:
        """The published update: the next parameters and slots."""
        raise NotImplementedError(self.kind)

    # -- with defaults ----------------------------------------------------------

    def check(self) -> None:
        """Raises `ValueError` for fields that are out of their range."""

    def enter(self, xp: Any, w: Array, slots: Slots) -> tuple[Array, Slots]:
        """From the parameters to the point where the gradient is taken."""
        return w, slots

    def leave(self, xp: Any, w: Array, slots: Slots) -> tuple[Array, Slots]:
        """Back from there to the parameters; exact."""
        return w, slots

    def decay(self, xp: Any, w: Array, slots: Slots, share: Any) -> tuple[Array, Slots]:
        """The parameters less a share of themselves."""
        return w - share * w, slots

    def attributes(self) -> dict[str, Attribute]:
        """What the engine reads: its rule's numbers and those of the sweep.

        Without a bound, ``clip_value`` and ``clip_norm`` are 0.
        """
        names = [f.name for f in dataclasses.fields(self) if f.name not in SHARED]
        own: dict[str, Attribute] = {name: getattr(self, name) for name in names}
        flags = {name: int(value) for name, value in own.items() if value is True}
        flags |= {name: 0 for name, value in own.items() if value is False}
        return (
            own
            | flags
            | {
                "weight_decay": float(self.weight_decay),
                "clip_value": float(self.clip_value or 0),
                "clip_norm": float(self.clip_norm or 0),
            }
        )


def unbias(xp: Any, beta: float, step: Any) -> Any:
    """``1 - beta^step``, without the cancellation that float32 would suffer."""
    return -xp.expm1(step * math.log(beta)) if beta > 0 else 1.0


def memory(where: str, name: str, value: object) -> None:
    """Raises unless ``value`` is a fraction in [0, 1)."""
    number(where, name, value, least=0, below=1)
