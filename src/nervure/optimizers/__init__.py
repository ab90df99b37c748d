# SPDX-License-Identifier: BSD-3-Clause
"""Optimizers and the schedules of their learning rates."""

from __future__ import annotations

from collections.abc import Mapping

from nervure.base.described import family
from nervure.base.named import read
from nervure.optimizers._rule import Optimizer, Slots, UpdateRule
from nervure.optimizers.adam import Adam, AdamW, NAdam
from nervure.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from nervure.optimizers.descent import SGD, GradientDescent
from nervure.optimizers.lbfgs import LBFGS, Minimum, minimize
from nervure.optimizers.lion import Lion
from nervure.optimizers.schedules import (
    SCHEDULES,
    PlateauState,
    ReduceOnPlateau,
    Schedule,
    learning_rates,
    schedule,
)
from nervure.optimizers.update import Setting, begin, enter, leave, update

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "GradientDescent",
    "Lion",
    "Minimum",
    "NAdam",
    "Optimizer",
    "PlateauState",
    "RMSprop",
    "ReduceOnPlateau",
    "Schedule",
    "Setting",
    "Slots",
    "UpdateRule",
    "begin",
    "enter",
    "learning_rates",
    "leave",
    "minimize",
    "optimizer",
    "schedule",
    "update",
]

OPTIMIZERS: tuple[type[Optimizer], ...] = family(
    Optimizer,
    (
        GradientDescent,
        SGD,
        Adam,
        AdamW,
        NAdam,
        RMSprop,
        Adagrad,
        Adadelta,
        Lion,
        LBFGS,
    ),
)


def optimizer(
    found: str | Mapping[str, object] | Optimizer, where: str = "optimizer"
) -> Optimizer:
    """The optimizer that a name, a table or an optimizer stands for.

    Raises:
        ValueError: an unknown name (the candidates are listed), key or value.

    >>> optimizer({"type": "sgd", "learning_rate": 0.1, "momentum": 0.9}).momentum
    0.9
    """
    return read(found, Optimizer, where)
