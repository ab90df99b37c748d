# SPDX-License-Identifier: BSD-3-Clause
"""fit: train a network."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO, cast

import numpy as np

from nervure.base.checks import count, flag, number
from nervure.base.plain import write
from nervure.base.words import short
from nervure.data.augmentation import augmentations, engine_changes
from nervure.executors import Data
from nervure.graph.naming import multipliers
from nervure.graph.parameters import LARGEST_SEED
from nervure.optimizers import LBFGS, Optimizer, UpdateRule
from nervure.optimizers import optimizer as find_optimizer
from nervure.regularizers import regularizer as find_regularizer
from nervure.spec.stopping import EarlyStopping
from nervure.spec.written import write_spec
from nervure.training.callbacks import Callback, as_callback
from nervure.training.checks import check_augmentation, check_rates, check_trainable
from nervure.training.described import code_of, spec_of
from nervure.training.divergence import DivergenceError
from nervure.training.folder import RunFolder, fingerprint_of
from nervure.training.lbfgs import LbfgsSession
from nervure.training.prepare import Prepared, prepare
from nervure.training.progress import Progress, make_progress
from nervure.training.run import Run
from nervure.training.session import Session
from nervure.training.settings import Settings

if TYPE_CHECKING:
    from nervure.network.network import Network

__all__ = ["DivergenceError", "fit"]

MOST_THREADS = 1024


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
) -> Run:
    """Train ``network`` in place, so that the cost of ``(X, y)`` becomes small.

    Args:
        X, y: arrays, data frames of numbers, a sequence of arrays for several inputs
            or outputs; or a `nervure.data.Dataset` as ``X`` alone.
        loss: name, table, `Loss`, or a function ``(output, target)`` of NumPy arrays
            returning ``(value, gradient)``; one, or one per output. By default the one
            that fits the output layer.
        optimizer: name, table or `Optimizer`.
        epochs: passes over the data, at least 1.
        batch_size: rows per step; the last batch of an epoch may be smaller.
        validation: fraction of the rows in [0, 1), ``(X, y)``, or a Dataset.
        metrics: names, `Metric` objects or functions, one or several, or those of each
            output in a mapping by its name; by default accuracy for classes and r2 for
            values.
        callbacks: `EarlyStopping`, `Callback` objects or functions of the run; one or
            several.
        regularizer: `L1`, `L2`, `ElasticNet`, `MaxNorm`, for weights but not biases.
        learning_rates: factors of the learning rate by layer or beginning of a name,
            as ``{"block1": 0.1}``; of several that name a layer the last counts.
        sample_weight: weights of the rows.
        class_weight: ``"balanced"`` or weights by class.
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

    Returns:
        The run: ``run.history["loss"]``, ``run.best_epoch``, ``run.stopped``.

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
    given = locals()
    check_arguments(given)
    folder = folder_of(directory, resume, checkpoint_steps or checkpoint_seconds)
    prepared, settings = arrange(given)
    shown = progress_of(progress)
    again = arrays_again(given)
    return begin(network, prepared, settings, shown, folder, again, resume).train()


def arrange(given: dict[str, Any]) -> tuple[Prepared, Settings]:
    """The data and the settings that the arguments of `fit` ask for."""
    network, seed = given["network"], int(given["seed"])
    validation = given["validation"]
    callbacks = _callbacks(given["callbacks"])
    if isinstance(validation, np.floating):
        validation = float(validation)  # pyright: ignore[reportUnknownArgumentType]
    objective = network.objective(given["loss"], given["loss_weights"])
    rule = find_optimizer(given["optimizer"])
    check_trainable(network.graph, network.frozen)
    rates = multipliers(network.graph, given["learning_rates"])
    check_rates(rates, rule)
    network.executor(given["executor"])
    changes = augmentations(given["augmentation"])
    check_augmentation(changes, network.graph, objective, rule, given["executor"])
    prepared = prepare(
        network,
        given["X"],
        given["y"],
        objective,
        validation=validation,
        sample_weight=given["sample_weight"],
        class_weight=given["class_weight"],
        seed=seed,
    )
    regularizer = given["regularizer"]
    settings = Settings(
        objective=objective,
        optimizer=rule,
        epochs=int(given["epochs"]),
        batch_size=_batch_size(rule, int(given["batch_size"]), prepared),
        early_stopping=next(
            (c for c in callbacks if isinstance(c, EarlyStopping)), None
        ),
        callbacks=tuple(c for c in callbacks if isinstance(c, Callback)),
        regularizer=None if regularizer is None else find_regularizer(regularizer),
        validation=validation if isinstance(validation, float) else 0.0,
        shuffle=given["shuffle"] and not rule.full_batch,
        seed=seed,
        augmentation=changes,
        learning_rates=rates,
        **{name: given[name] for name in _TAKEN},
    )
    return prepared, settings


_TAKEN = (
    "metrics",
    "class_weight",
    "max_steps",
    "max_seconds",
    "checkpoint_steps",
    "checkpoint_seconds",
    "executor",
    "threads",
)
"""Settings that are the arguments of `fit` as they are given."""


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
    fingerprint = _fingerprint(network, prepared, settings) if folder else {}
    kind = LbfgsSession if isinstance(settings.optimizer, LBFGS) else Session
    session = kind(network, prepared, settings, progress, folder, fingerprint)
    network.conformal = None  # its scores are those of other weights
    if folder is not None:
        _open(folder, session, fingerprint, again, resume)
    return session


def arrays_again(given: Mapping[str, Any]) -> list[str]:
    """Arguments of `fit` that are arrays, which no spec can hold."""
    arrays = {
        "validation": not isinstance(given["validation"], float | int | None),
        "sample_weight": given["sample_weight"] is not None,
    }
    return [name for name, found in arrays.items() if found]


def progress_of(progress: bool | TextIO) -> Progress:
    """The display that ``progress`` asks for."""
    return make_progress(bool(progress), None if progress is True else progress or None)


def check_arguments(given: dict[str, Any]) -> None:
    """What needs no look at the data, before anything else is done."""
    from nervure.network.network import Network

    if not isinstance(given["network"], Network):
        raise TypeError(
            f"[fit] the network is {short(given['network'])}; expected an nv.Network; "
            "pass it first, as in nv.fit(net, X, y)"
        )
    flag("fit", "shuffle", given["shuffle"])
    progress = given["progress"]
    if not isinstance(progress, bool) and not hasattr(progress, "write"):
        raise TypeError(
            f"[fit] progress = {short(progress)}; expected true, false or a stream to "
            "write on; change progress"
        )
    for name in ("epochs", "batch_size"):
        count("fit", name, given[name], least=1)
    count("fit", "seed", given["seed"], least=0, most=LARGEST_SEED)
    if given["threads"] is not None:
        count("fit", "threads", given["threads"], least=1, most=MOST_THREADS)
    for name in ("max_steps", "checkpoint_steps"):
        if given[name] is not None:
            count("fit", name, given[name], least=1)
    for name in ("max_seconds", "checkpoint_seconds"):
        if given[name] is not None:
            number("fit", name, given[name], above=0)


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


def folder_of(
    directory: str | os.PathLike[str] | RunFolder | None, resume: bool, often: Any
) -> RunFolder | None:
    """The run folder; raises where something asks for one that is not given."""
    if directory is not None:
        return directory if isinstance(directory, RunFolder) else RunFolder(directory)
    if resume or often:
        what = "resume" if resume else "checkpoint_steps or checkpoint_seconds"
        raise ValueError(
            f"[fit] {what} without a folder; expected the run folder that checkpoints "
            "lie in; pass directory="
        )
    return None


def _batch_size(rule: Optimizer, wanted: int, prepared: Prepared) -> int:
    rows = len(prepared.rows)
    whole = rule.full_batch or not isinstance(rule, UpdateRule)
    return rows if whole else min(wanted, rows)


def _open(
    folder: RunFolder,
    session: Session,
    fingerprint: dict[str, str],
    again: list[str],
    resume: bool,
) -> None:
    """Begin the folder, or take over its state: a run is there if its spec is."""
    if resume and folder.spec.exists():
        folder.read_checkpoint(session.state, fingerprint)
        return

    again = code_of(session.settings) + again
    spec = write_spec(spec_of(session.net, session.settings, folder.data))
    folder.create(spec, session.state, fingerprint, again)


def _fingerprint(
    network: Network, prepared: Prepared, settings: Settings
) -> dict[str, str]:
    arrays = {f"input {i}": x for i, x in enumerate(prepared.data.inputs)}
    arrays |= {f"target {i}": y for i, y in enumerate(prepared.data.targets)}
    arrays["rows"] = prepared.rows
    if prepared.data.weights is not None:
        arrays["weights"] = prepared.data.weights
    held = prepared.validation or Data(())
    own = {"input": held.inputs, "target": held.targets}
    for what, some in own.items():
        arrays |= {f"validation {what} {i}": x for i, x in enumerate(some)}
    if held.weights is not None:
        arrays["validation weights"] = held.weights
    words = {
        "dtype": network.dtype,
        "loss": repr([(c.loss, c.weight) for c in settings.objective.costs]),
        "regularizer": repr(settings.regularizer),
        "layers": json.dumps([[n.name, str(n.shape)] for n in network.graph.nodes]),
        "optimizer": json.dumps(write(settings.optimizer)),
        "batch size": str(settings.batch_size),
        "seed": str(settings.seed),
        "shuffle": str(settings.shuffle),
        "frozen layers": json.dumps(sorted(network.frozen)),
        "learning rates": json.dumps(settings.learning_rates, sort_keys=True),
        "augmentation": json.dumps(engine_changes(settings.augmentation)),
    }
    return fingerprint_of(arrays, words)
