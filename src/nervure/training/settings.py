# SPDX-License-Identifier: BSD-3-Clause
"""Settings: the arguments of `fit`, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nervure.data.augmentation import Augmentation
from nervure.graph.objective import Objective
from nervure.regularizers import Regularizer
from nervure.spec.stopping import EarlyStopping
from nervure.training.callbacks import Callback


@dataclass(frozen=True)
class Settings:
    """The arguments of `fit`, checked; ``validation`` where it is a fraction."""

    objective: Objective
    optimizer: Any
    epochs: int
    batch_size: int
    metrics: Any = None
    early_stopping: EarlyStopping | None = None
    callbacks: tuple[Callback, ...] = ()
    regularizer: Regularizer | None = None
    class_weight: Any = None
    validation: float = 0.0
    shuffle: bool = True
    seed: int = 0
    max_steps: int | None = None
    max_seconds: float | None = None
    checkpoint_steps: int | None = None
    checkpoint_seconds: float | None = None
    executor: str = "native"
    threads: int | None = None
    augmentation: tuple[Augmentation, ...] = ()
    learning_rates: dict[str, float] = field(default_factory=dict[str, float])
