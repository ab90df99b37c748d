# SPDX-License-Identifier: BSD-3-Clause
"""Settings: how a network is trained, checked and bound to its graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from nervure.base.checks import count, flag, number
from nervure.data.augmentation import Augmentation, augmentations
from nervure.graph.naming import multipliers
from nervure.graph.objective import Objective
from nervure.graph.parameters import LARGEST_SEED
from nervure.network.network import Network
from nervure.optimizers import Optimizer, UpdateRule
from nervure.optimizers import optimizer as find_optimizer
from nervure.regularizers import Regularizer
from nervure.regularizers import regularizer as find_regularizer
from nervure.spec.stopping import EarlyStopping
from nervure.training.callbacks import Callback, as_callback
from nervure.training.checks import check_augmentation, check_rates, check_trainable

MOST_THREADS = 1024


@dataclass(frozen=True)
class Settings:
    """What `fit` is asked for, but for the data and where the run is kept."""

    objective: Objective
    optimizer: Optimizer
    epochs: int = 10
    batch_size: int = 32
    metrics: Any = None
    early_stopping: EarlyStopping | None = None
    callbacks: tuple[Callback, ...] = ()
    regularizer: Regularizer | None = None
    learning_rates: dict[str, float] = field(default_factory=dict[str, float])
    class_weight: Any = None
    augmentation: tuple[Augmentation, ...] = ()
    shuffle: bool = True
    seed: int = 0
    max_steps: int | None = None
    max_seconds: float | None = None
    checkpoint_steps: int | None = None
    checkpoint_seconds: float | None = None
    executor: str = "native"
    threads: int | None = None
    telemetry: bool | None = None

    def __post_init__(self) -> None:
        flag("fit", "shuffle", self.shuffle)
        if self.telemetry is not None:
            flag("fit", "telemetry", self.telemetry)
        for name in ("epochs", "batch_size"):
            count("fit", name, getattr(self, name), least=1)
        count("fit", "seed", self.seed, least=0, most=LARGEST_SEED)
        if self.threads is not None:
            count("fit", "threads", self.threads, least=1, most=MOST_THREADS)
        for name in ("max_steps", "checkpoint_steps"):
            if getattr(self, name) is not None:
                count("fit", name, getattr(self, name), least=1)
        for name in ("max_seconds", "checkpoint_seconds"):
            if getattr(self, name) is not None:
                number("fit", name, getattr(self, name), above=0)

    @property
    def shuffles(self) -> bool:
        """Whether the order of the rows changes; to a full batch it is all one."""
        return self.shuffle and not self.optimizer.full_batch

    def rows_per_step(self, rows: int) -> int:
        """The size of a batch, of so many rows to train on."""
        rule = self.optimizer
        whole = rule.full_batch or not isinstance(rule, UpdateRule)
        return rows if whole else min(int(self.batch_size), rows)


def settings_of(
    network: Network,
    *,
    loss: object = None,
    optimizer: object = "adam",
    callbacks: Any = (),
    regularizer: object = None,
    learning_rates: Any = None,
    loss_weights: object = None,
    augmentation: object = None,
    executor: str = "native",
    **plain: Any,
) -> Settings:
    """The settings that arguments of `fit` ask for; ``plain`` are taken as they are.

    Raises:
        ValueError: arguments that do not fit the network or each other.
    """
    several = _callbacks(callbacks)
    stopping = [c for c in several if isinstance(c, EarlyStopping)]
    some = regularizer is not None
    settings = Settings(
        objective=network.objective(loss, loss_weights),
        optimizer=find_optimizer(cast(Any, optimizer)),
        early_stopping=stopping[0] if stopping else None,
        callbacks=tuple(c for c in several if isinstance(c, Callback)),
        regularizer=find_regularizer(cast(Any, regularizer)) if some else None,
        learning_rates=multipliers(network.graph, learning_rates),
        augmentation=augmentations(augmentation),
        executor=executor,
        **{name: _number(value) for name, value in plain.items()},
    )
    _check(network, settings)
    return settings


def _number(value: Any) -> Any:
    """Python's own number for one of NumPy's."""
    return value.item() if isinstance(value, np.generic) else value  # pyright: ignore


def _check(network: Network, settings: Settings) -> None:
    """Raise for what the network cannot be trained with."""
    graph, rule = network.graph, settings.optimizer
    check_trainable(graph, network.frozen)
    check_rates(settings.learning_rates, rule)
    network.executor(settings.executor)
    check_augmentation(
        settings.augmentation, graph, settings.objective, rule, settings.executor
    )


def _callbacks(given: Any) -> list[Callback | EarlyStopping]:
    """Callbacks from one or several; at most one that stops early."""
    single = not isinstance(given, list | tuple)
    several: list[Any] = [given] if single else list(cast(Sequence[Any], given))
    found = [c if isinstance(c, EarlyStopping) else as_callback(c) for c in several]
    if sum(isinstance(c, EarlyStopping) for c in found) > 1:
        raise ValueError(
            "[fit] two EarlyStopping callbacks; expected at most one; keep the one "
            "whose monitor matters"
        )
    return found
