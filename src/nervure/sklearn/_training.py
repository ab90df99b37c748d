# SPDX-License-Identifier: BSD-3-Clause
"""Training sessions of the estimators: whole, or one epoch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from nervure.graph.parameters import aligned_zeros
from nervure.network.network import Network
from nervure.spec.stopping import EarlyStopping
from nervure.training.callbacks import Callback
from nervure.training.prepare import prepare
from nervure.training.progress import make_progress
from nervure.training.run import Run
from nervure.training.session import Session
from nervure.training.settings import settings_of
from nervure.training.state import State

AUTO_BATCH = (32, 200)
"""Bounds of the automatic batch size; between them an epoch takes 16 steps."""
ONE_EPOCH = "one epoch of partial_fit"


@dataclass(frozen=True)
class Course:
    """What an estimator trains with: the rows, what they and their classes weigh, what
    is held against them, the seed; losses of several outputs where there are some."""

    X: Any
    y: Any
    weights: Any
    class_weights: Any
    held: Any
    seed: int
    losses: Mapping[str, Any] = field(default_factory=dict[str, Any])


def train(estimator: Any, net: Network, course: Course, extra: Sequence[Any]) -> Run:
    """Train from the beginning to the end."""
    return _session(estimator, net, course, extra).train()


def train_on(
    estimator: Any,
    net: Network,
    course: Course,
    extra: Sequence[Any],
    state: State | None,
) -> tuple[Run, State]:
    """Train for one epoch more, from the state that earlier epochs left.

    With early stopping, the network has its latest weights until patience ends, then
    those of the best epoch for good.
    """
    latest = _Latest()
    session = _session(estimator, net, course, [*extra, latest], state, part=True)
    run = session.train()
    if run.stopped == ONE_EPOCH:
        session.state.stopped = None
        net.values[:] = latest.values
    return run, session.state


class _Latest(Callback):
    """Ends training after one epoch, and keeps the weights it ended with."""

    values: Any = None

    def on_epoch_end(self, run: Run) -> None:
        self.values = run.network.values.copy()
        run.stop(ONE_EPOCH)


def _session(
    estimator: Any,
    net: Network,
    course: Course,
    extra: Sequence[Any],
    begun: State | None = None,
    part: bool = False,
) -> Session:
    stopping = early_stopping_of(estimator.early_stopping)
    settings = settings_of(
        net,
        **{"loss": estimator.loss, **course.losses},
        optimizer=estimator.optimizer,
        epochs=max(int(estimator.epochs), begun.epoch + 1 if begun else 1),
        metrics=tuple(estimator.metrics),
        callbacks=[*estimator.callbacks, *extra, *([stopping] if stopping else [])],
        regularizer=estimator.regularizer,
        shuffle=bool(estimator.shuffle),
        seed=course.seed,
        executor=estimator.executor,
        threads=estimator.n_threads,
        telemetry=False if part else estimator.telemetry,
    )
    held = course.held
    if held is None and stopping is not None and estimator.validation_fraction:
        held = float(estimator.validation_fraction)
    prepared = prepare(
        net,
        course.X,
        course.y,
        settings.objective,
        validation=held,
        sample_weight=course.weights,
        class_weight=course.class_weights,
        seed=course.seed,
        part=part,
    )
    size = _batch_size(estimator.batch_size, len(prepared.rows))
    settings = replace(settings, batch_size=size)
    session = Session(net, prepared, settings, make_progress(bool(estimator.verbose)))
    if begun is not None:
        _go_on(session.state, begun)
        session.resume()
    return session


def _go_on(state: State, begun: State) -> None:
    """Take over everything but the weights, which the network has, and the rows."""
    state.slots = tuple(map(_aligned, begun.slots))
    state.best_values[:] = begun.best_values
    state.epoch, state.step = begun.epoch, begun.step
    state.seconds, state.history = begun.seconds, begun.history
    state.best, state.plateau = begun.best, begun.plateau
    state.monitors = begun.monitors


def _aligned(slot: Any) -> Any:
    copy = aligned_zeros(slot.size, slot.dtype)
    copy[:] = slot
    return copy


def _batch_size(wanted: Any, rows: int) -> int:
    if wanted == "auto":
        return max(AUTO_BATCH[0], min(rows // 16, AUTO_BATCH[1]))
    if isinstance(wanted, int | np.integer) and wanted >= 1:
        return int(cast(int, wanted))
    raise ValueError(
        f"[batch_size] {wanted!r}; expected 'auto' or a number of rows, at least 1; "
        "change batch_size="
    )


def early_stopping_of(found: Any) -> EarlyStopping | None:
    """Early stopping of True, a patience, or an `EarlyStopping`."""
    if found is None or found is False:
        return None
    if found is True:
        return EarlyStopping(patience=10)
    if isinstance(found, EarlyStopping):
        return found
    if isinstance(found, int | np.integer):
        return EarlyStopping(patience=int(cast(int, found)))
    raise ValueError(
        f"[early_stopping] {found!r}; expected True, a number of epochs or "
        "nv.EarlyStopping(...); change early_stopping="
    )
