# SPDX-License-Identifier: BSD-3-Clause
"""Losses: what training makes small, one cost per row.

>>> from nervure.losses import loss
>>> loss("huber"), loss({"type": "huber", "delta": 0.5})
(Huber(delta=1.0), Huber(delta=0.5))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nervure.base.described import family
from nervure.base.named import read
from nervure.losses._loss import (
    AFFINE,
    Loss,
    LossError,
    LossExample,
    activation_name,
)
from nervure.losses.classification import KL, BinaryCrossEntropy, CrossEntropy, Hinge
from nervure.losses.ctc import CTC
from nervure.losses.custom import CustomLoss
from nervure.losses.focal import Focal
from nervure.losses.regression import (
    MAE,
    MSE,
    Cosine,
    Huber,
    LogCosh,
    Pinball,
    Poisson,
    Quadratic,
)
from nervure.losses.weights import class_weights, combine_weights, weighted_mean

__all__ = [
    "AFFINE",
    "CTC",
    "KL",
    "LOSSES",
    "MAE",
    "MSE",
    "BinaryCrossEntropy",
    "Cosine",
    "CrossEntropy",
    "CustomLoss",
    "Focal",
    "Hinge",
    "Huber",
    "LogCosh",
    "Loss",
    "LossError",
    "LossExample",
    "Pinball",
    "Poisson",
    "Quadratic",
    "activation_name",
    "class_weights",
    "combine_weights",
    "loss",
    "weighted_mean",
]

LOSSES: tuple[type[Loss], ...] = family(
    Loss,
    (
        Quadratic,
        MSE,
        MAE,
        Huber,
        LogCosh,
        CrossEntropy,
        BinaryCrossEntropy,
        Focal,
        Hinge,
        Poisson,
        Pinball,
        KL,
        Cosine,
        CTC,
    ),
)
"""Every built-in loss; a new one is one line here and one in engine/losses/list.cpp."""


def loss(
    found: str | Mapping[str, object] | Loss | type[Loss] | Callable[..., object],
    where: str = "loss",
) -> Loss:
    """The loss that a name, a table, a loss, a loss class or a function stands for.

    Raises:
        ValueError: an unknown name (the candidates are listed), key or value.

    >>> loss("cross_entropy")
    CrossEntropy(label_smoothing=0.0, ignore=None)
    """
    if isinstance(found, type) and issubclass(found, Loss):
        return found()
    if isinstance(found, str | Loss | type) or not callable(found):
        return read(found, Loss, where)
    return CustomLoss(found)
