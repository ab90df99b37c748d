# SPDX-License-Identifier: BSD-3-Clause
"""tune: train networks of a declared space, and keep the best one's spec."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TextIO

from nervure.base.files import WriteError
from nervure.base.folders import make, remove
from nervure.base.lock import FolderLock
from nervure.base.plain import Faults, read, write
from nervure.base.words import unknown
from nervure.data import Dataset
from nervure.metrics import METRICS
from nervure.network.autoencoding import CODE
from nervure.runs.building import network_for
from nervure.runs.training import fit_spec
from nervure.spec.defaults import VALIDATION
from nervure.spec.reading import apply_values, load_spec, parse_spec
from nervure.spec.rows import default_for, load_data
from nervure.spec.space import Range, TuneSpec
from nervure.spec.tables import DataSpec, Spec, SpecError, TrainingSpec
from nervure.spec.written import save_spec, spec_to_dict
from nervure.training.callbacks import Callback
from nervure.training.divergence import DivergenceError
from nervure.training.interrupt import Interruption
from nervure.training.run import Run
from nervure.tuning.report import Trial, TuneError, Tuning, taken, write_report
from nervure.tuning.study import Study, quiet

WATCH_SECONDS = 0.1
REPORTS = 20
"""Values that a trial reports, so that short epochs need not wait for the disk."""

MOST_FAILURES = 5
"""Trials that may fail before one succeeds."""

_STOPPED, _PRUNED = "the search was stopped", "pruned"


def tune(
    spec: Spec | str | os.PathLike[str] | None = None,
    dataset: Dataset | None = None,
    *,
    space: Mapping[str, Any] | None = None,
    directory: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    **options: Any,
) -> Tuning:
    """Search a space of specs for the network with the best validation value.

    Each trial takes values for the keys of the space and trains as the spec says; it
    is judged by its validation loss at its best epoch, and ended early where it is
    worse than the median of the trials before it. The same seed gives the same trials,
    also where the search was killed and gone on with (with one job).

    Args:
        spec: a spec, the path of one (``.toml``), or a source for which a network and
            a space are chosen; not with ``resume``.
        dataset: rows in place of those that ``spec.data`` names.
        space: `Range` objects or tables by key, in place of ``[tune.space]``.
        directory: folder to be made: ``spec.toml``, ``study.log``, ``best.toml``,
            ``report.md``, ``report.json``.
        resume: go on with the search in ``directory``.
        progress: whether to tell of each trial.
        options: fields of `nervure.tuning.TuneSpec` in place of the spec's:
            ``trials``, ``seconds``, ``monitor``, ``sampler``, ``pruner``, ``seed``,
            ``jobs``.

    Raises:
        ImportError: Optuna is not installed (``pip install "nervure[tune]"``).
        SpecError: keys or values that no spec has, before anything is trained.
        TuneError: no validation rows, a folder in use, or every trial fails.

    Source: Akiba et al., *Optuna* (KDD 2019).

    >>> import nervure as nv
    >>> found = nv.tune("iris", space={"training.batch_size": {"choices": [16, 64]}},
    ...                 trials=2, progress=False)
    >>> found.best.values["training.batch_size"] in (16, 64)
    True
    """
    folder = None if directory is None else Path(directory)
    base, rows = _begun(spec, dataset, folder, resume)
    base = _asked(base, space, options)
    _check(base, rows)
    lock = None if folder is None else _open(folder, base, resume)
    try:
        with quiet():
            return _Search(base, rows, folder, progress).run()
    finally:
        if lock is not None:
            lock.release()


# -- what is asked for ----------------------------------------------------------------


def _begun(
    spec: Spec | str | os.PathLike[str] | None,
    dataset: Dataset | None,
    folder: Path | None,
    resume: bool,
) -> tuple[Spec, Dataset]:
    """The spec to vary, and the rows."""
    if resume:
        if folder is None or not (folder / "spec.toml").exists():
            raise TuneError(
                f"[{folder or 'tune'}] holds no search; expected the folder of one; "
                "check the path, or begin without resume"
            )
        spec = folder / "spec.toml"
    if spec is None:
        raise TuneError(
            "[tune] nothing to vary; expected a spec, its path or a source; try "
            'nv.tune("digits")'
        )
    if not isinstance(spec, Spec):
        path = os.fspath(spec)
        if not path.endswith(".toml"):
            return default_for(DataSpec(path, validation=VALIDATION))
        spec = load_spec(path)
    if dataset is None:
        dataset = load_data(spec.data, spec.seed, spec.dtype)
    return spec, dataset


def _asked(
    spec: Spec, space: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> Spec:
    """The spec with the whole of its search in it."""
    tuning = spec.tune or TuneSpec()
    names = [field.name for field in dataclasses.fields(TuneSpec)]
    for name in options:
        if name not in names:
            raise TypeError(unknown("tune", "option", name, names))
    given = dict(options)
    if space is not None:
        faults = Faults("tune")
        given["space"] = {
            key: each
            if isinstance(each, Range)
            else read(Range, each, faults.at("space").key(key))
            for key, each in space.items()
        }
        faults.raise_as(SpecError)
    tuning = dataclasses.replace(tuning, **given)
    if not tuning.space:
        tuning = dataclasses.replace(tuning, space=default_space(spec))
    return dataclasses.replace(spec, tune=tuning)


_DENSE = ("dense", "ensemble_dense")


def default_space(spec: Spec) -> dict[str, Range]:
    """A space around a spec: learning rate, batch size, hidden units, dropout.

    >>> spec = parse_spec('''
    ... [[layer]]
    ... type = "dense"
    ... units = 32
    ... [[layer]]
    ... type = "dense"
    ... units = 3
    ... ''')
    >>> default_space(spec)["layer.0.units"].choices
    (16, 32, 64)
    """
    found: dict[str, Range] = {}
    dense = [i for i, e in enumerate(spec.layers) if e.layer.kind in _DENSE]
    for i, entry in enumerate(spec.layers):
        layer: Any = entry.layer
        if spec.autoencoder is not None and layer.name == CODE:
            continue  # how wide a code is to be is not a matter of the loss
        if i in dense[:-1]:
            choices = tuple(max(1, round(layer.units * f)) for f in (0.5, 1, 2))
            found[f"layer.{i}.units"] = Range(choices=choices)
        elif layer.kind == "dropout":
            found[f"layer.{i}.rate"] = Range(low=0.0, high=0.5)
    training = spec.training or TrainingSpec()
    found |= _rate(training.optimizer)
    size = training.batch_size
    sizes = tuple(max(1, round(size * f)) for f in (0.5, 1, 2, 4))
    return found | {"training.batch_size": Range(choices=sizes)}


def _rate(optimizer: Any) -> dict[str, Range]:
    """The learning rate, or the one that its schedule starts from."""
    key = "training.optimizer.learning_rate"
    rate = getattr(optimizer, "learning_rate", None)
    for name in ("start", "peak", "value"):
        if hasattr(rate, name):
            key, rate = f"{key}.{name}", getattr(rate, name)
            break
    if not isinstance(rate, int | float) or rate <= 0:
        return {}
    return {key: Range(low=rate / 10, high=rate * 10, log=True)}


def _check(spec: Spec, rows: Dataset) -> None:
    """Every key alone, before anything is trained; and rows to judge by."""
    assert spec.tune is not None
    for key, each in spec.tune.space.items():
        for value in each.ends:
            with_values(spec, {key: value})
    held = rows.held_out_rows is not None or bool(spec.data.validation)
    if not held and (spec.tune.monitor or "validation_").startswith("validation_"):
        raise TuneError(
            "[tune] no validation rows; expected some to judge by; set "
            "data.validation = 0.1"
        )
    network_for(spec, rows)


def with_values(spec: Spec, values: Mapping[str, Any]) -> Spec:
    """A spec with keys at these values, and without its search.

    Raises:
        SpecError: a key or a value that no spec has.
    """
    tables = spec_to_dict(dataclasses.replace(spec, tune=None))
    optimizer = (spec.training or TrainingSpec()).optimizer
    tables.setdefault("training", {}).setdefault("optimizer", write(optimizer))
    return parse_spec(apply_values(tables, values, "tune.space"), "tune.space")


def _open(folder: Path, spec: Spec, resume: bool) -> FolderLock:
    """The folder of a search, claimed; of a new one the spec is in it."""
    if not resume:
        _refuse_search(folder)
    try:
        made = make(folder)
    except WriteError as error:
        raise TuneError(str(error)) from error
    lock = FolderLock(folder)
    try:
        lock.claim(TuneError)
        if resume:
            _check_space(folder, spec)
        else:
            _refuse_search(folder)  # one that another process has begun meanwhile
        save_spec(spec, folder / "spec.toml")
    except BaseException:
        lock.release()
        remove(made)
        raise
    return lock


def _refuse_search(folder: Path) -> None:
    if (folder / "spec.toml").exists() or (folder / "study.log").exists():
        raise TuneError(
            f"[{folder}] holds a search already; expected a new folder; go on with "
            "resume=True (nervure tune --resume), or choose another"
        )


def _check_space(folder: Path, spec: Spec) -> None:
    known = load_spec(folder / "spec.toml").tune
    assert spec.tune is not None
    if known is None or known.space != spec.tune.space:
        raise TuneError(
            f"[{folder}] was begun with another space; expected the same; leave "
            "space out, or begin in another folder"
        )


# -- the search -----------------------------------------------------------------------


class _Search:
    """One call of `tune`: asks, trains in threads, tells; watches time and Ctrl-C."""

    def __init__(
        self, spec: Spec, rows: Dataset, folder: Path | None, progress: bool
    ) -> None:
        assert spec.tune is not None
        self._spec, self._rows, self._folder = spec, rows, folder
        self._tuning = spec.tune
        self._monitor = self._tuning.monitor or "validation_loss"
        metric = METRICS.get(self._monitor.removeprefix("validation_"))
        self._larger = metric is not None and metric.larger_is_better
        self._shown: TextIO | None = sys.stderr if progress else None
        file = None if folder is None else folder / "study.log"
        self._study = Study(self._tuning, self._larger, file)
        self._study.go_on(self._tuning.space)
        self._running: dict[int, Run] = {}
        self._lock = threading.Lock()
        self._stopped: str | None = None
        self._failures = 0

    def run(self) -> Tuning:
        """Train until the trials are done, the time is over, or Ctrl-C."""
        begun, limit = time.monotonic(), self._tuning.seconds
        pending: set[Future[None]] = set()
        with Interruption() as told, ThreadPoolExecutor(self._tuning.jobs) as pool:
            try:
                while self._fill(pool, pending):
                    done, pending = wait(pending, WATCH_SECONDS, FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    if done:
                        self._keep()
                    if told.requested:
                        self._stop("interrupted")
                    if limit is not None and time.monotonic() - begun >= limit:
                        self._stop(f"seconds = {limit:g} reached")
            except BaseException:
                self._stop("an error")
                raise
        return self._keep()

    def _fill(self, pool: ThreadPoolExecutor, pending: set[Future[None]]) -> bool:
        """Begin trials while there is room; whether any is under way."""
        while len(pending) < self._tuning.jobs and self._goes_on():
            trial, values = self._study.ask(self._tuning.space)
            pending.add(pool.submit(self._train, trial, values))
        return bool(pending)

    def _goes_on(self) -> bool:
        return self._stopped is None and self._study.counted < self._tuning.trials

    def _stop(self, reason: str) -> None:
        """End what is under way at its next step."""
        self._stopped = self._stopped or reason
        with self._lock:
            for run in self._running.values():
                run.stop(_STOPPED)

    # -- one trial ------------------------------------------------------------------

    def _train(self, trial: Any, values: Mapping[str, Any]) -> None:
        begun = time.monotonic()
        state, note, watch = "complete", "", None
        try:
            spec = with_values(self._spec, values)
            watch = _Watch(self, trial, spec.training.epochs if spec.training else 10)
            self._fit(spec, watch)
            state = watch.ended
        except TuneError:
            raise
        except DivergenceError as error:
            state, note = "diverged", str(error)
        except (ValueError, MemoryError) as error:
            state, note = "failed", str(error)
        finally:
            with self._lock:
                self._running.pop(trial.number, None)
        ended = Trial(
            trial.number,
            state,
            values,
            watch.value if watch and state == "complete" else None,
            watch.epochs if watch else 0,
            round(time.monotonic() - begun, 3),
            note.splitlines()[0] if note else "",
        )
        self._study.tell(trial, ended)
        self._tell(ended)
        self._count_failures(ended)

    def _fit(self, spec: Spec, watch: _Watch) -> None:
        fit_spec(
            dataclasses.replace(spec, ensemble=None),  # one network is judged
            self._rows,
            callbacks=[watch],
            progress=False,
            checkpoint_steps=None,
            checkpoint_seconds=None,
        )

    def _count_failures(self, ended: Trial) -> None:
        """Give up where nothing works."""
        self._failures += ended.state == "failed"
        if ended.state == "complete":
            self._failures = -sys.maxsize
        if self._failures >= MOST_FAILURES:
            raise TuneError(
                f"[tune] the first {MOST_FAILURES} trials failed; expected some to "
                f"train; the last one: {ended.note}"
            )

    def note(self, number: int, run: Run) -> None:
        """A run has begun."""
        with self._lock:
            self._running[number] = run

    @property
    def monitor(self) -> str:
        return self._monitor

    # -- what is told and kept --------------------------------------------------------

    def _tell(self, ended: Trial) -> None:
        if self._shown is None:
            return
        value = "" if ended.value is None else f"  {self._monitor} {ended.value:.6g}"
        line = f"trial {ended.number}: {ended.state}{value}  {taken(ended.values)}"
        print(line, file=self._shown, flush=True)

    def _keep(self) -> Tuning:
        """The result so far; its files are written anew."""
        trials = self._study.trials(self._tuning.space)
        found = Tuning(
            trials, None, None, self._monitor, self._larger, self._stopped, self._folder
        )
        ranking = found.ranking()
        if ranking:
            spec = with_values(self._spec, ranking[0].values)
            found = dataclasses.replace(found, best=ranking[0], spec=spec)
        if self._folder is not None:
            write_report(found, self._folder)
        return found


class _Watch(Callback):
    """Reports a trial's values, and ends it where others were better."""

    def __init__(self, search: _Search, trial: Any, epochs: int) -> None:
        self._search, self._trial = search, trial
        self._every = max(1, epochs // REPORTS)
        self._run: Run | None = None

    def on_begin(self, run: Run) -> None:
        self._run = run
        self._search.note(self._trial.number, run)

    def on_epoch_end(self, run: Run) -> None:
        history, epoch = run.history, run.epoch
        monitor = self._search.monitor
        if monitor not in history:
            raise TuneError(unknown("tune", "value to monitor", monitor, history))
        if epoch % self._every or run.stop_requested:
            return
        self._trial.report(history[monitor][-1], epoch)
        if self._trial.should_prune():
            run.stop(_PRUNED)

    @property
    def ended(self) -> str:
        """How the training ended: complete, pruned or stopped."""
        assert self._run is not None
        reasons = {_PRUNED: "pruned", _STOPPED: "stopped", "interrupted": "stopped"}
        return reasons.get(self._run.stopped or "", "complete")

    @property
    def value(self) -> float:
        """The value of the weights that training keeps."""
        assert self._run is not None
        return self._run.history[self._search.monitor][self._run.best_epoch]

    @property
    def epochs(self) -> int:
        return self._run.epoch if self._run is not None else 0
