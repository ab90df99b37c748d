# SPDX-License-Identifier: BSD-3-Clause
"""The study: Optuna's memory of all trials, in one file that survives a kill.

It is Optuna's journal: every trial and every reported value is a line, so that a
process may end at any moment. (SQLite took 1.2 s where the journal takes 0.2 s to keep
a trial of 20 reports, and 2 s to begin.) A trial that was cut off is repeated.

Each trial draws from a sampler of its own, keyed by the seed and the number of trials
before it: a search that was killed goes on as if it had not been.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nervure.base.extras import needed
from nervure.spec.space import Range, TuneSpec
from nervure.tuning.report import Trial

NAME = "nervure"
NOTE, SECONDS, EPOCHS, VALUE = "note", "seconds", "epochs", "value"
STATE = "state"
_REPEATS = "repeats"
_FIRST, _PATIENCE = 10, 5  # trials at random; trials and epochs before any is pruned


def optuna() -> Any:
    """Optuna's module.

    Raises:
        ImportError: it is not installed.
    """
    return needed("optuna", "tune")


@contextmanager
def quiet() -> Generator[None]:
    """Optuna says nothing but warnings meanwhile."""
    logging = optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)


class Study:
    """Asks for values and takes results; ``file`` None keeps them in memory."""

    def __init__(
        self, tuning: TuneSpec, larger_is_better: bool, file: Path | None
    ) -> None:
        self._tuning, self._optuna = tuning, optuna()
        self._states = self._optuna.trial.TrialState
        self.inner = self._optuna.create_study(
            storage=None if file is None else self._storage(file),
            study_name=NAME,
            direction="maximize" if larger_is_better else "minimize",
            pruner=self._pruner(),
            load_if_exists=True,
        )

    def _storage(self, file: Path) -> Any:
        _mend(file)
        storages = self._optuna.storages
        return storages.JournalStorage(storages.journal.JournalFileBackend(str(file)))

    def _pruner(self) -> Any:
        pruners = self._optuna.pruners
        if self._tuning.pruner == "none":
            return pruners.NopPruner()
        return pruners.MedianPruner(
            n_startup_trials=_PATIENCE, n_warmup_steps=_PATIENCE
        )

    def go_on(self, space: Mapping[str, Range]) -> None:
        """Tell of what an earlier process had finished, and repeat what it had not.

        A trial that had all its values is queued with them; one that had not draws them
        anew, from the same sampler.
        """
        for trial in self.inner.get_trials(deepcopy=False):
            if trial.state == self._states.RUNNING:
                self._conclude(trial.number, trial.user_attrs)
        trials = self.inner.get_trials(deepcopy=False)
        repeated = {trial.user_attrs.get(_REPEATS) for trial in trials}
        for trial in trials:
            whole = trial.params.keys() == space.keys()
            if self._is_stopped(trial) and whole and trial.number not in repeated:
                attributes = {_REPEATS: trial.number}
                self.inner.enqueue_trial(trial.params, user_attrs=attributes)

    def _is_stopped(self, trial: Any) -> bool:
        """Whether a trial was cut off, by Ctrl-C, a limit or a kill."""
        state = trial.user_attrs.get(STATE, "stopped")
        return trial.state == self._states.FAIL and state == "stopped"

    @property
    def counted(self) -> int:
        """Trials that came to an end of their own, and those under way."""
        trials = self.inner.get_trials(deepcopy=False)
        return sum(
            t.state != self._states.WAITING and not self._is_stopped(t) for t in trials
        )

    def ask(self, space: Mapping[str, Range]) -> tuple[Any, dict[str, Any]]:
        """A new trial and the values it takes."""
        number = self.counted
        seed = (self._tuning.seed + 1_000_003 * number) % 2**32
        samplers = self._optuna.samplers
        if self._tuning.sampler == "random":
            sampler = samplers.RandomSampler(seed=seed)
        else:
            sampler = samplers.TPESampler(seed=seed, n_startup_trials=_FIRST)
        self.inner.sampler = sampler
        trial = self.inner.ask()
        return trial, {key: each.ask(trial, key) for key, each in space.items()}

    def tell(self, trial: Any, ended: Trial) -> None:
        """Keep how a trial ended.

        Its state is written last of what is known of it, so that a process that goes on
        with the search finds all of it or nothing.
        """
        known = {
            NOTE: ended.note,
            SECONDS: ended.seconds,
            EPOCHS: ended.epochs,
            VALUE: ended.value,
            STATE: ended.state,
        }
        for key, value in known.items():
            trial.set_user_attr(key, value)
        self._conclude(trial.number, known)

    def _conclude(self, number: int, known: Mapping[str, Any]) -> None:
        """End a trial as it is known to have ended; else it was cut off."""
        state = known.get(STATE)
        if state == "complete" and known.get(VALUE) is not None:
            self.inner.tell(number, known[VALUE])
        elif state in ("pruned", "diverged"):
            self.inner.tell(number, state=self._states.PRUNED)
        else:
            self.inner.tell(number, state=self._states.FAIL)

    def trials(self, space: Mapping[str, Range]) -> tuple[Trial, ...]:
        """All trials that have ended, as plain records."""
        ended = [
            t for t in self.inner.get_trials(deepcopy=False) if t.state.is_finished()
        ]
        return tuple(_record(t, space) for t in ended)


def _mend(file: Path) -> None:
    """Take away what a killed process left: half a line, and its lock."""
    for left in file.parent.glob(f"{file.name}.*"):
        left.unlink(missing_ok=True)
    if file.exists():
        whole = file.read_bytes().rfind(b"\n") + 1
        os.truncate(file, whole)


def _record(trial: Any, space: Mapping[str, Range]) -> Trial:
    known = trial.user_attrs
    value = trial.value
    if value is None and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    return Trial(
        number=trial.number,
        state=known.get(STATE, "stopped"),
        values={k: space[k].of_word(v) for k, v in trial.params.items() if k in space},
        value=value,
        epochs=known.get(EPOCHS, 0),
        seconds=known.get(SECONDS, 0.0),
        note=known.get(NOTE, ""),
    )
