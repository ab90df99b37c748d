# SPDX-License-Identifier: BSD-3-Clause
"""fit: train a network."""

from __future__ import annotations

import os
from typing import Any, TextIO

import numpy as np

from nervure.base.words import short
from nervure.network.network import Network
from nervure.spec.tables import DataSpec
from nervure.spec.written import write_spec
from nervure.training.checks import check_states
from nervure.training.described import as_chain, code_of, spec_of
from nervure.training.divergence import DivergenceError
from nervure.training.folder import RunFolder
from nervure.training.prepare import Prepared, prepare
from nervure.training.progress import Progress, make_progress
from nervure.training.run import Run
from nervure.training.session import Session
from nervure.training.settings import Settings, settings_of

__all__ = ["DivergenceError", "fit"]


def fit(
    network: Network,
    X: Any,
    y: Any = None,
    *,
    loss: object = None,
    optimizer: object = "adam",
    epochs: int = 10,
    batch_size: int = 32,
    validation: Any = None,
    metrics: Any = None,
    callbacks: Any = (),
    regularizer: object = None,
    learning_rates: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    loss_weights: object = None,
    augmentation: object = None,
    shuffle: bool = True,
    seed: int = 0,
    max_steps: int | None = None,
    max_seconds: float | None = None,
    directory: str | os.PathLike[str] | RunFolder | None = None,
    checkpoint_steps: int | None = None,
    checkpoint_seconds: float | None = None,
    resume: bool = False,
    progress: bool | TextIO = True,
    executor: str = "native",
    threads: int | None = None,
    telemetry: bool | None = None,
) -> Run:
    """Train ``network`` in place, so that the cost of ``(X, y)`` becomes small.

    Args:
        X, y: arrays, data frames of numbers, a sequence of arrays for several inputs
            or outputs, sparse matrices of SciPy as inputs; or a `nervure.data.Dataset`
            as ``X`` alone. For the loss ``ctc`` y is a list with the labels of each
            row (see `nervure.losses.CTC`).
        loss: name, table, `Loss`, or a function ``(target, output)`` of NumPy arrays
            returning ``(value, gradient)``; one, or one per output. By default the one
            that fits the output layer.
        optimizer: name, table or `Optimizer`.
        epochs: passes over the data, at least 1.
        batch_size: rows per step; the last batch of an epoch may be smaller.
        validation: fraction of the rows in [0, 1), ``(X, y)``, or a Dataset.
        metrics: names, `Metric` objects or functions ``(target, output)``, one or
            several, or those of each output in a mapping by its name; by default
            accuracy for classes, r2 for values and label_error_rate for labels.
        callbacks: `EarlyStopping`, `Callback` objects or functions of the run; one or
            several.
        regularizer: `L1`, `L2`, `ElasticNet`, `MaxNorm`, for weights but not biases.
        learning_rates: factors of the learning rate by layer or beginning of a name,
            as ``{"block1": 0.1}``; of several that name a layer the last counts.
        sample_weight: weights of the rows, relative to their mean over those that are
            trained on, in the loss and in the metrics.
        class_weight: ``"balanced"`` or weights by class, in the loss of the rows that
            are trained on and of those held out; metrics are plain.
        loss_weights: weights of the outputs' losses.
        augmentation: changes of images at random, anew in each step (see
            `nervure.augmentation`); one or several, as objects, names or tables.
        shuffle: whether each epoch takes the rows in a new order.
        seed: keys shuffling, dropout and the validation split.
        max_steps, max_seconds: training ends there.
        directory: run folder to be made: spec, record, checkpoints and model.
        checkpoint_steps, checkpoint_seconds: how often a checkpoint is written; by
            default after each epoch.
        resume: go on with the run in ``directory`` (see `nervure.resume`).
        progress: whether to show it, or the stream to show it on.
        executor: ``"native"`` or ``"jax"``.
        threads: workers of the engine; by default as many as turn out to be the
            fastest. The result does not depend on it.
        telemetry: whether sampled steps are looked at, for the record and its findings
            (`nervure.diagnose`); by default where there is a folder or a display. The
            result does not depend on it.

    Returns:
        The run: ``run.history["loss"]``, ``run.best_epoch``, ``run.stopped``. ``loss``
        is the mean over an epoch's steps, of rows as training changes them (dropout,
        augmentation); ``validation_loss`` is the same loss, label smoothing and weights
        of classes too, of the rows as they are, after the epoch.

    Raises:
        ValueError: arguments or data that do not fit, before anything is trained.
        DivergenceError: the cost is no longer finite; the last good weights are kept.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(1), nv.Dense(1)], seed=0)
    >>> run = nv.fit(net, [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], loss="mse",
    ...              optimizer=nv.SGD(0.1), epochs=300, progress=False)
    >>> net.predict([[3.0]]).round(2).tolist()
    [[7.0]]
    """
    check_network(network)
    settings = settings_of(
        network,
        loss=loss,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        metrics=metrics,
        callbacks=callbacks,
        regularizer=regularizer,
        learning_rates=learning_rates,
        class_weight=class_weight,
        loss_weights=loss_weights,
        augmentation=augmentation,
        shuffle=shuffle,
        seed=seed,
        max_steps=max_steps,
        max_seconds=max_seconds,
        checkpoint_steps=checkpoint_steps,
        checkpoint_seconds=checkpoint_seconds,
        executor=executor,
        threads=threads,
        telemetry=telemetry,
    )
    shown = progress_of(progress)
    folder = folder_of(directory, resume, settings)
    prepared = prepare(
        network,
        X,
        y,
        settings.objective,
        validation=validation,
        sample_weight=sample_weight,
        class_weight=class_weight,
        seed=settings.seed,
    )
    again = arrays_again(validation, sample_weight)
    return begin(network, prepared, settings, shown, folder, again, resume).train()


def begin(
    network: Network,
    prepared: Prepared,
    settings: Settings,
    progress: Progress,
    folder: RunFolder | None,
    again: list[str],
    resume: bool,
) -> Session:
    """The session of a run; its folder is made, or its state taken over.

    ``again`` names arrays that `nervure.resume` must be given again.
    """
    count = len(prepared.rows)
    rows = settings.rows_per_step(count)
    check_states(network.graph, count, rows, settings.shuffles)
    session = Session(network, prepared, settings, progress, folder)
    network.conformal = None  # its scores are those of other weights
    if folder is not None:
        _open(folder, session, again, resume)
    return session


def arrays_again(validation: Any, sample_weight: Any) -> list[str]:
    """Arguments of `fit` that are arrays, which no spec can hold."""
    arrays = {
        "validation": not isinstance(validation, float | int | np.floating | None),
        "sample_weight": sample_weight is not None,
    }
    return [name for name, found in arrays.items() if found]


def progress_of(progress: bool | TextIO) -> Progress:
    """The display that ``progress`` asks for: true, false or a stream.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(progress, bool) and not hasattr(progress, "write"):
        raise TypeError(
            f"[fit] progress = {short(progress)}; expected true, false or a stream to "
            "write on; change progress"
        )
    return make_progress(bool(progress), None if progress is True else progress or None)


def check_network(network: object) -> None:
    """Raises `TypeError` for what is no network."""
    if not isinstance(network, Network):
        raise TypeError(
            f"[fit] the network is {short(network)}; expected an nv.Network; "
            "pass it first, as in nv.fit(net, X, y)"
        )


def folder_of(
    directory: str | os.PathLike[str] | RunFolder | None,
    resume: bool,
    settings: Settings,
) -> RunFolder | None:
    """The run folder; raises where something asks for one that is not given."""
    if directory is not None:
        return directory if isinstance(directory, RunFolder) else RunFolder(directory)
    often = settings.checkpoint_steps or settings.checkpoint_seconds
    if resume or often:
        what = "resume" if resume else "checkpoint_steps or checkpoint_seconds"
        raise ValueError(
            f"[fit] {what} without a folder; expected the run folder that checkpoints "
            "lie in; pass directory="
        )
    return None


def _open(folder: RunFolder, session: Session, again: list[str], resume: bool) -> None:
    """Begin the folder, or take over its state: a run is there if its spec is."""
    fingerprint = session.recorder.fingerprint
    if resume and folder.spec.exists():
        folder.read_checkpoint(session.state, fingerprint)
        session.resume()
        return
    settings = session.settings
    data = folder.data or DataSpec(validation=session.prepared.share or None)
    spec, code = spec_of(session.net, settings, data), code_of(settings)
    if folder.chain is not None:
        spec, code = as_chain(spec, folder.chain), [c for c in code if c != "loss"]
    folder.create(write_spec(spec), session.state, fingerprint, code + again)
