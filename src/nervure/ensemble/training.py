# SPDX-License-Identifier: BSD-3-Clause
"""Training of ensembles: a session per member, several of them at once."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Any, cast

from nervure.base.checks import count, flag
from nervure.base.files import write_atomically
from nervure.base.folders import remove
from nervure.base.words import unknown
from nervure.graph.parameters import LARGEST_SEED
from nervure.network.network import Network
from nervure.spec.reading import load_spec
from nervure.spec.tables import DataSpec, EnsembleSpec, TrainingSpec
from nervure.spec.written import write_spec
from nervure.training.checks import check_trainable
from nervure.training.described import spec_of
from nervure.training.divergence import DivergenceError
from nervure.training.fit import arrays_again, begin, fit, folder_of, progress_of
from nervure.training.folder import RunFolder, RunFolderError
from nervure.training.interrupt import Interruption
from nervure.training.prepare import Prepared, prepare
from nervure.training.progress import Progress, Silence
from nervure.training.run import Run
from nervure.training.sampler import bootstrap
from nervure.training.session import Session
from nervure.training.settings import Settings, settings_of

MEMBERS = "members"
"""Folder of the members' runs in that of the ensemble: ``members/0``, ..."""

MOST_JOBS = 1024


@dataclasses.dataclass(frozen=True)
class Trained:
    """What training several networks gives: their runs, and the folder of all.

    The folder is claimed; who has written the ensemble into it releases it.
    """

    runs: tuple[Run, ...]
    folder: RunFolder | None


def fit_members(
    members: Sequence[Network],
    X: Any,
    y: Any = None,
    *,
    bagged: bool = False,
    jobs: int | None = None,
    **arguments: Any,
) -> Trained:
    """Train every network in place, on the same data (see `Ensemble.fit`)."""
    flag("ensemble", "bagged", bagged)
    if jobs is not None:
        count("ensemble", "jobs", jobs, least=1, most=MOST_JOBS)
    given = _arguments(members[0], X, y, arguments)
    plan = _plan(members, given, bagged)
    shown = progress_of(given["progress"])
    settings = plan.settings
    folder = folder_of(given["directory"], given["resume"], settings)
    at_once, threads = _shares(len(members), jobs, settings)
    plan = dataclasses.replace(
        plan, settings=dataclasses.replace(settings, threads=threads)
    )
    displays = _displays(shown, settings, len(members))
    try:
        sessions = plan.sessions(folder, displays, given["resume"])
        runs = tuple(session.run for session in sessions)
        _train(sessions, at_once)
    except BaseException:
        if folder is not None:
            folder.release()
        raise
    return Trained(runs, folder)


def _arguments(
    first: Network, X: Any, y: Any, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of `nervure.fit` for the first member, defaults included."""
    signature = inspect.signature(fit)
    for name in arguments:
        if name not in signature.parameters:
            raise TypeError(unknown("ensemble", "argument", name, signature.parameters))
    bound = signature.bind(first, X, y, **arguments)
    bound.apply_defaults()
    return dict(bound.arguments)


_NOT_SETTINGS = {"network", "X", "y", "validation", "sample_weight"} | {
    *("directory", "resume", "progress")
}


def _plan(members: Sequence[Network], given: dict[str, Any], bagged: bool) -> _Plan:
    """What all members have in common: settings and data are read once."""
    asked = {name: v for name, v in given.items() if name not in _NOT_SETTINGS}
    first = members[0]
    settings = settings_of(first, **asked)
    most = LARGEST_SEED - len(members) + 1
    count("ensemble", "seed", settings.seed, least=0, most=most)
    for member in members:
        check_trainable(member.graph, member.frozen)
    prepared = prepare(
        first,
        given["X"],
        given["y"],
        settings.objective,
        validation=given["validation"],
        sample_weight=given["sample_weight"],
        class_weight=settings.class_weight,
        seed=settings.seed,
    )
    for member in members:
        member.preprocessing = first.preprocessing
    again = arrays_again(given["validation"], given["sample_weight"])
    return _Plan(members, prepared, settings, asked, again, bagged)


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

    members: Sequence[Network]
    prepared: Prepared
    settings: Settings
    asked: Mapping[str, Any]
    again: list[str]
    bagged: bool

    def sessions(
        self, folder: RunFolder | None, displays: Sequence[Progress], resume: bool
    ) -> list[Session]:
        """A session for each member, its folder made or taken over."""
        resume = resume and folder is not None and folder.spec.exists()
        made: list[Path] = []
        if folder is not None:
            made = self._claimed(folder, resume)
        places = [folder and member_folder(folder, i) for i in range(len(displays))]
        sessions: list[Session] = []
        try:
            for i, (place, display) in enumerate(zip(places, displays, strict=True)):
                sessions.append(self._session(i, place, display, resume))
            if folder is not None and not resume:  # last: it says that all is there
                write_atomically(folder.spec, self._spec(sessions[0], folder))
        except BaseException:
            for session in sessions:
                session.recorder.release()
            remove(made)
            raise
        return sessions

    def _claimed(self, folder: RunFolder, resume: bool) -> list[Path]:
        """The folders that are new, the innermost first."""
        if not resume:
            made = folder.begin(folder.path / MEMBERS)
            _clear(folder)
            return made
        folder.claim()
        self._check_run(folder)
        return []

    def _session(
        self, index: int, folder: RunFolder | None, display: Progress, resume: bool
    ) -> Session:
        member = self.members[index]
        seed = self.settings.seed + index
        asked = self.asked
        objective = member.objective(asked["loss"], asked["loss_weights"])
        settings = dataclasses.replace(self.settings, objective=objective, seed=seed)
        prepared = self.prepared
        if self.bagged:
            rows = bootstrap(prepared.rows, seed)
            prepared = dataclasses.replace(prepared, rows=rows)
        return begin(member, prepared, settings, display, folder, [*self.again], resume)

    def _spec(self, first: Session, folder: RunFolder) -> str:
        data = folder.data or DataSpec(validation=self.prepared.share or None)
        one = spec_of(first.net, first.settings, data)
        training = dataclasses.replace(
            one.training or TrainingSpec(), seed=self.settings.seed
        )
        own = EnsembleSpec(len(self.members), self.bagged)
        return write_spec(dataclasses.replace(one, training=training, ensemble=own))

    def _check_run(self, folder: RunFolder) -> None:
        found = load_spec(folder.spec).ensemble
        wanted = EnsembleSpec(len(self.members), self.bagged)
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
    """Undo what a process that was killed at this place has made."""
    for place in (folder.path / MEMBERS).glob("*"):
        left = RunFolder(place)
        if left.untrained():
            left.spec.unlink(missing_ok=True)


# -- all at once ----------------------------------------------------------------------


def _train(sessions: list[Session], jobs: int) -> None:
    """Train all; the first error stops the others and is raised when they have."""
    runs = [session.run for session in sessions]
    errors: dict[int, BaseException] = {}
    left = iter(range(len(sessions)))
    with Interruption() as interruption:
        for session in sessions:
            session.interruption = interruption

        def work() -> None:
            for i in left:
                try:
                    _train_one(sessions, i)
                except BaseException as error:
                    errors[i] = error
                    interruption.requested = True

        # Daemons: a program that ends meanwhile need not wait for them.
        names = [f"member-{k}" for k in range(jobs)]
        threads = [Thread(target=work, name=name, daemon=True) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i, error in sorted(errors.items()):
        if isinstance(error, DivergenceError):
            raise DivergenceError(f"{error} (member {i} of the ensemble)", runs[i])
        error.add_note(f"in member {i} of the ensemble")
        raise error


def _train_one(sessions: list[Any], index: int) -> None:
    session = cast(Session, sessions[index])
    sessions[index] = None  # so that what it holds can go when it has ended
    if session.interruption.requested:
        session.state.stopped = "interrupted"
        session.recorder.release()
    else:
        session.train()


# -- progress -------------------------------------------------------------------------


def _displays(shown: Progress, settings: Settings, members: int) -> list[Progress]:
    if isinstance(shown, Silence):
        return [shown for _ in range(members)]
    together = _Together(shown, members, settings.epochs)
    return [_Member(together, i) for i in range(members)]


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
            named = {"member": member, **values}
            self._shown.epoch(max(int(sum(self._done)), 1) - 1, self._total, named)

    def note(self, member: int, line: str) -> bool:
        with self._lock:
            return self._shown.note(f"member {member} {line}")

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

    def note(self, line: str) -> bool:
        return self._together.note(self._index, line)

    def close(self) -> None:
        self._together.close(self._index)
