# SPDX-License-Identifier: BSD-3-Clause
"""Training of ensembles: a session per member, several of them at once."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Lock
from typing import Any, cast

from nervure._atomic import WriteError, write_atomically
from nervure._described import count, flag
from nervure._names import unknown
from nervure.ensemble import Ensemble
from nervure.parameters import LARGEST_SEED
from nervure.spec import EnsembleSpec, TrainingSpec, load_spec, write_spec
from nervure.training.checks import check_trainable
from nervure.training.divergence import DivergenceError
from nervure.training.fit import (
    arrange,
    arrays_again,
    begin,
    check_arguments,
    fit,
    folder_of,
    progress_of,
)
from nervure.training.folder import RunFolder, RunFolderError
from nervure.training.interrupt import Interruption
from nervure.training.prepare import Prepared
from nervure.training.progress import Progress, Silence
from nervure.training.run import Run
from nervure.training.sampler import bootstrap
from nervure.training.session import Session, Settings

MEMBERS = "members"
"""Folder of the members' runs in that of the ensemble: ``members/0``, ..."""

MOST_JOBS = 1024


@dataclasses.dataclass(frozen=True)
class EnsembleRun:
    """The runs of an ensemble's members.

    Attributes:
        ensemble: the ensemble that was trained.
        runs: the run of each member.
        directory: the run folder, or None.
    """

    ensemble: Ensemble
    runs: tuple[Run, ...]
    directory: Path | None = None

    @property
    def epoch(self) -> int:
        """Epochs finished by all members together."""
        return sum(run.epoch for run in self.runs)

    @property
    def seconds(self) -> float:
        """Time that the members have spent in training, together."""
        return sum(run.seconds for run in self.runs)

    @property
    def stopped(self) -> str | None:
        """``"interrupted"`` if a member was; else None."""
        interrupted = any(run.stopped == "interrupted" for run in self.runs)
        return "interrupted" if interrupted else None

    def best_ensemble(self) -> Ensemble:
        """A copy with the weights of each member's best epoch."""
        return Ensemble([run.best_network() for run in self.runs])


def fit_ensemble(
    ensemble: Ensemble,
    X: Any,
    y: Any = None,
    *,
    bagged: bool = False,
    jobs: int | None = None,
    **arguments: Any,
) -> EnsembleRun:
    """Train every member in place (see `Ensemble.fit`)."""
    flag("ensemble", "bagged", bagged)
    if jobs is not None:
        count("ensemble", "jobs", jobs, least=1, most=MOST_JOBS)
    given = _arguments(ensemble, X, y, arguments)
    check_arguments(given)
    most = LARGEST_SEED - len(ensemble) + 1
    count("ensemble", "seed", given["seed"], least=0, most=most)
    often = given["checkpoint_steps"] or given["checkpoint_seconds"]
    folder = folder_of(given["directory"], given["resume"], often)
    for member in ensemble:
        check_trainable(member.graph, member.frozen)
    prepared, settings = arrange(given)
    ensemble.preprocessing = given["network"].preprocessing
    ensemble.conformal = None  # its scores are those of other weights
    at_once, threads = _shares(len(ensemble), jobs, settings)
    settings = dataclasses.replace(settings, threads=threads)
    displays = _displays(progress_of(given["progress"]), settings, ensemble)
    plan = _Plan(ensemble, prepared, settings, given, bagged)
    sessions = plan.sessions(folder, displays)
    runs = tuple(session.run for session in sessions)
    _train(sessions, at_once)
    run = EnsembleRun(ensemble, runs, folder.path if folder else None)
    if folder:
        _save(run, folder)
    return run


def _arguments(
    ensemble: Ensemble, X: Any, y: Any, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of `nervure.fit` for the first member, defaults included."""
    signature = inspect.signature(fit)
    for name in arguments:
        if name not in signature.parameters:
            raise TypeError(unknown("ensemble", "argument", name, signature.parameters))
    bound = signature.bind(ensemble.members[0], X, y, **arguments)
    bound.apply_defaults()
    return dict(bound.arguments)


def _shares(
    members: int, jobs: int | None, settings: Settings
) -> tuple[int, int | None]:
    """Members trained at once, and the threads of each.

    One network after the other makes use of the engine's pool; those that find it busy
    run on their own thread.
    """
    from nervure.executors.native import engine

    cores = engine().default_threads()
    usual = cores if settings.executor == "native" else 1
    at_once = min(members, usual if jobs is None else jobs)
    return at_once, settings.threads or (1 if at_once >= cores > 1 else None)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What the members' sessions are made of."""

    ensemble: Ensemble
    prepared: Prepared
    settings: Settings
    given: Mapping[str, Any]
    bagged: bool

    def sessions(
        self, folder: RunFolder | None, displays: Sequence[Progress]
    ) -> list[Session]:
        """A session for each member, its folder made or taken over."""
        resume = self.given["resume"] and folder is not None and folder.spec.exists()
        if folder is not None:
            self._check_run(folder) if resume else _clear(folder)
        places = [folder and member_folder(folder, i) for i in range(len(displays))]
        sessions = [
            self._session(i, place, display, resume)
            for i, (place, display) in enumerate(zip(places, displays, strict=True))
        ]
        if folder is not None and not resume:  # last: it says that all of it is there
            write_atomically(folder.spec, self._spec(sessions[0]))
        return sessions

    def _session(
        self, index: int, folder: RunFolder | None, display: Progress, resume: bool
    ) -> Session:
        member = self.ensemble[index]
        seed = self.settings.seed + index
        objective = member.objective(self.given["loss"], self.given["loss_weights"])
        settings = dataclasses.replace(self.settings, objective=objective, seed=seed)
        prepared = self.prepared
        if self.bagged:
            rows = bootstrap(prepared.rows, seed)
            prepared = dataclasses.replace(prepared, rows=rows)
        again = arrays_again(self.given)
        return begin(member, prepared, settings, display, folder, again, resume)

    def _spec(self, first: Session) -> str:
        from nervure.training.specs import spec_of

        one = spec_of(first)
        training = dataclasses.replace(
            one.training or TrainingSpec(), seed=self.settings.seed
        )
        own = EnsembleSpec(len(self.ensemble), self.bagged)
        return write_spec(dataclasses.replace(one, training=training, ensemble=own))

    def _check_run(self, folder: RunFolder) -> None:
        found = load_spec(folder.spec).ensemble
        wanted = EnsembleSpec(len(self.ensemble), self.bagged)
        if found != wanted:
            held = "a single network" if found is None else _words(found)
            raise RunFolderError(
                f"[{folder.path}] holds a run of {held}; expected one of "
                f"{_words(wanted)}; resume it as it was begun"
            )


def _words(spec: EnsembleSpec) -> str:
    return f"{spec.members} {'bagged ' if spec.bagged else ''}members"


def member_folder(folder: RunFolder, index: int) -> RunFolder:
    """The run folder of a member."""
    return RunFolder(folder.path / MEMBERS / str(index), folder.data)


def _clear(folder: RunFolder) -> None:
    """Raise where there is a run; undo what a process killed at this place has made."""
    folder.refuse_run()
    for place in (folder.path / MEMBERS).glob("*"):
        left = RunFolder(place)
        if left.untrained():
            left.spec.unlink(missing_ok=True)


# -- all at once ----------------------------------------------------------------------


def _train(sessions: list[Session], jobs: int) -> None:
    """Train all; the first error stops the others and is raised when they have."""
    runs = [session.run for session in sessions]
    with Interruption() as interruption, ThreadPoolExecutor(jobs, "member") as pool:
        for session in sessions:
            session.interruption = interruption
        futures = [pool.submit(_train_one, sessions, i) for i in range(len(sessions))]
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = [f for f in futures if f.done() and f.exception() is not None]
        interruption.requested = interruption.requested or bool(failed)
    for i, future in enumerate(futures):
        error = future.exception()
        if isinstance(error, DivergenceError):
            raise DivergenceError(f"{error} (member {i} of the ensemble)", runs[i])
        if error is not None:
            error.add_note(f"in member {i} of the ensemble")
            raise error


def _train_one(sessions: list[Any], index: int) -> None:
    session = cast(Session, sessions[index])
    sessions[index] = None  # so that what it holds can go when it has ended
    if session.interruption.requested:
        session.state.stopped = "interrupted"
    else:
        session.train()


def _save(run: EnsembleRun, folder: RunFolder) -> None:
    try:
        run.best_ensemble().save(folder.model)
    except WriteError as error:
        raise WriteError(
            f"{error}; the trained ensemble is still in memory: write it elsewhere "
            "with ensemble.save(path)"
        ) from error


# -- progress -------------------------------------------------------------------------


def _displays(
    shown: Progress, settings: Settings, ensemble: Ensemble
) -> list[Progress]:
    if isinstance(shown, Silence):
        return [shown for _ in ensemble]
    together = _Together(shown, len(ensemble), settings.epochs)
    return [_Member(together, i) for i in range(len(ensemble))]


class _Together:
    """One display for all members: the epochs of all of them as one series."""

    def __init__(self, shown: Progress, members: int, epochs: int) -> None:
        self._shown, self._lock = shown, Lock()
        self._total = members * epochs
        self._epochs = epochs
        self._done = [0.0] * members
        self._open = members

    def step(self, member: int, done: float, cost: float) -> None:
        with self._lock:
            self._done[member] = done
            whole, share = divmod(sum(self._done), 1)
            if whole < self._total:
                self._shown.step(int(whole), self._total, share, cost)

    def epoch(self, member: int, done: int, values: Mapping[str, float]) -> None:
        with self._lock:
            self._done[member] = done
            (name, value), *others = values.items()
            named = {f"member {member} {name}": value, **dict(others)}
            self._shown.epoch(max(int(sum(self._done)), 1) - 1, self._total, named)

    def close(self, member: int) -> None:
        with self._lock:
            self._done[member] = self._epochs
            self._open -= 1
            if self._open == 0:
                self._shown.close()


class _Member:
    """What the session of one member tells."""

    def __init__(self, together: _Together, index: int) -> None:
        self._together, self._index = together, index

    def step(self, epoch: int, epochs: int, share: float, cost: float) -> None:
        self._together.step(self._index, epoch + share, cost)

    def epoch(self, epoch: int, epochs: int, values: Mapping[str, float]) -> None:
        self._together.epoch(self._index, epoch + 1, values)

    def close(self) -> None:
        self._together.close(self._index)
