# SPDX-License-Identifier: BSD-3-Clause
"""Writers: callbacks that hand on to other tools what a run tells, while it tells it.

Each epoch's values go under their names, and what is seen of a sampled step under
"delta/dense" or "ratio/dense.weight", all by the number of the step. Findings are
texts. A tool that fails is warned of once and told no more; training goes on.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nervure.base import plain
from nervure.base.extras import needed
from nervure.base.words import is_table, unknown
from nervure.network.quantities import BINS, LOWEST
from nervure.record import COLUMNS, HISTOGRAMS, Event, Record
from nervure.spec.written import spec_to_dict
from nervure.training.callbacks import Callback
from nervure.training.run import Run

Values = Mapping[str, float]


class Writer(Callback):
    """What writers share; those for a tool say how it takes values and texts."""

    observes = True

    def __init__(self) -> None:
        self._open = False
        self._told = 0

    # -- to be declared for a tool --------------------------------------------------

    def open(self, about: Mapping[str, Any]) -> None:
        """Before the first values; ``about`` is what the run was asked for."""
        raise NotImplementedError

    def values(self, step: int, values: Values) -> None:
        """Numbers by name."""
        raise NotImplementedError

    def text(self, step: int, name: str, text: str) -> None:
        """A text under a name."""
        raise NotImplementedError

    def histogram(self, step: int, name: str, counts: Sequence[int]) -> None:
        """Counts of magnitudes (`nervure.network.quantities`)."""

    def close(self) -> None:
        """After the last values."""
        raise NotImplementedError

    # -- what happens ---------------------------------------------------------------

    def on_begin(self, run: Run) -> None:
        if self._open:
            raise ValueError(
                f"[{type(self).__name__}] two runs at once; expected one; make one for "
                "each, or train the ensemble with jobs=1"
            )
        # What an earlier session has told was handed on by it.
        self._told = len(run.record.events)
        self._begin(_about(run))

    def on_epoch_end(self, run: Run) -> None:
        self._tell(run.record, run.step)
        last = _finite(run.history.last())
        self._safely(lambda: self.values(run.step, last))

    def on_end(self, run: Run) -> None:
        self._tell(run.record, run.step)
        self._end()

    def write(self, record: Record) -> None:
        """Hand on the whole record of a run, as one that has ended.

        Raises:
            ImportError: the tool is not installed.
        """
        self._told = 0
        self._begin({"directory": str(record.path)} if record.path else {})
        per_epoch = _steps_per_epoch(record)
        for event in record.of("epoch"):
            step = round(per_epoch * (event["epoch"] + 1))
            known = {k: v for k, v in event.items() if k not in ("event", "epoch")}
            self._safely(lambda n=step, e=known: self.values(n, _finite(e)))
        self._tell(record, round(per_epoch * len(record.of("epoch"))))
        self._end()

    def _begin(self, about: Mapping[str, Any]) -> None:
        self.open(about)  # a tool that is not there is told of at once
        self._open = True

    def _end(self) -> None:
        self._safely(self.close)
        self._open = False

    def _tell(self, record: Record, now: int) -> None:
        """Sampled steps and findings since the last time."""
        events = record.events[self._told :]
        self._told = len(record.events)
        for event in events:
            if event.get("event") == "step":
                self._safely(lambda e=event: self._step(record, e))
            elif event.get("event") == "finding":
                self._safely(lambda e=event: self._finding(e, now))

    def _step(self, record: Record, event: Event) -> None:
        step = int(event["step"])
        found = {name: event.get(name) for name in ("cost", "rate")}
        for column, name, value in _cells(record, event, COLUMNS):
            found[f"{column}/{name}"] = value
        self.values(step, _finite(found))
        for column, name, counts in _cells(record, event, HISTOGRAMS):
            if counts is not None:
                self.histogram(step, f"{column}/{name}", counts)

    def _finding(self, event: Event, step: int) -> None:
        parts = (f"{event.get('seen')}.", event.get("cause"), event.get("remedy"))
        self.text(step, f"finding/{event.get('code')}", " ".join(map(str, parts)))

    def _safely(self, work: Callable[[], object]) -> None:
        if not self._open:
            return
        try:
            work()
        except Exception as error:
            self._open = False
            warnings.warn(
                f"[{type(self).__name__}] {type(error).__name__}: {error}; training "
                "goes on without it; what the run tells is in its record "
                "(nv.Record), and write(record) hands it on later",
                stacklevel=2,
            )


def _cells(
    record: Record, event: Event, columns: Sequence[str]
) -> Iterator[tuple[str, str, Any]]:
    """Column, name of layer, parameter or gate, and what an event has of it."""
    for column in columns:
        names = record.owners(column) or ()
        for name, value in zip(names, event.get(column) or (), strict=False):
            yield column, name, value


def _finite(found: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among values; what is none, or not finite, no tool draws."""
    numbers = {k: v for k, v in found.items() if isinstance(v, int | float)}
    return {k: float(v) for k, v in numbers.items() if math.isfinite(v)}


def _steps_per_epoch(record: Record) -> float:
    """By the end of the run, or by the last rows that were looked at."""
    end, seen = record.latest("end"), record.latest("checkup")
    if end.get("epochs"):
        return float(end.get("steps", 0)) / float(end["epochs"])
    return float(seen.get("step", 1)) / (float(seen.get("epoch", 0)) + 1)


def _about(run: Run) -> dict[str, Any]:
    """What a run was asked for, defaults too, as names and plain values."""
    spec = run.watch.case(live=False).spec
    tables = spec_to_dict(spec)
    found: dict[str, Any] = {
        "dtype": spec.dtype,
        "layer": [
            " ".join(f"{key}={value}" for key, value in table.items())
            for table in tables.get("layer", ())
        ],
        "augmentation": [str(table) for table in tables.get("augmentation", ())],
    }
    if spec.training is not None:
        fields = {f.name: f for f in dataclasses.fields(spec.training)}
        found["training"] = {
            name: plain.write(getattr(spec.training, name)) for name in fields
        }
    return dict(_flat("", found))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Tables in tables as keys with dots, lists as one text."""
    if is_table(value):
        for key, item in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else key, item)
    elif isinstance(value, list | tuple):
        text = ", ".join(map(str, value))  # pyright: ignore
        if text:
            yield prefix, text
    elif value is not None:
        yield prefix, value


# -- the tools ------------------------------------------------------------------------


class TensorBoard(Writer):
    """Event files of TensorBoard, histograms too (extra ``tensorboard``).

    Args:
        directory: folder of the event files, one for each run; a resumed run goes on
            in it.

    Raises:
        ImportError: tensorboardX is not installed.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__()
        self.directory = os.fspath(directory)
        self._writer: Any = None

    def open(self, about: Mapping[str, Any]) -> None:
        library = needed("tensorboardX", "TensorBoard")
        # Names of files count seconds: a second run within one would take the place.
        own = f".{time.time_ns()}"
        self._writer = library.SummaryWriter(self.directory, filename_suffix=own)
        if about:
            rows = [f"| {name} | {value} |" for name, value in about.items()]
            table = "\n".join(["| key | value |", "|---|---|", *rows])
            self._writer.add_text("spec", table, 0)

    def values(self, step: int, values: Values) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def text(self, step: int, name: str, text: str) -> None:
        self._writer.add_text(name, text, step)

    def histogram(self, step: int, name: str, counts: Sequence[int]) -> None:
        """Bins by the power of two of magnitudes, the first from 0 on."""
        powers = LOWEST + np.arange(BINS)
        limits = 2.0**powers
        middles = limits * 0.75
        count = np.asarray(counts, np.float64)
        self._writer.add_histogram_raw(
            name,
            min=0.0,
            max=float(limits[-1]),
            num=int(count.sum()),
            sum=float(count @ middles),
            sum_squares=float(count @ middles**2),
            bucket_limits=limits.tolist(),
            bucket_counts=count.tolist(),
            global_step=step,
        )

    def close(self) -> None:
        self._writer.close()


class MLflow(Writer):
    """A run of MLflow, where its environment says (extra ``mlflow``).

    A run that is active goes on, and stays open; else one is begun and ended.

    Args:
        name: of the run; by default MLflow makes one.
        experiment: which one it belongs to; by default the current one.

    Raises:
        ImportError: MLflow is not installed.
    """

    def __init__(self, name: str | None = None, experiment: str | None = None) -> None:
        super().__init__()
        self.name, self.experiment = name, experiment
        self._client: Any = None
        self._run = ""
        self._ends = False

    def open(self, about: Mapping[str, Any]) -> None:
        library = needed("mlflow", "MLflow")
        if self.experiment is not None:
            library.set_experiment(self.experiment)
        active = library.active_run()
        self._ends = active is None
        found = active or library.start_run(run_name=self.name)
        self._client, self._run = library.MlflowClient(), found.info.run_id
        known = {name: str(value)[:_LONGEST] for name, value in about.items()}
        self._batch(params=[_item("Param", k, v) for k, v in known.items()])

    def values(self, step: int, values: Values) -> None:
        now = int(time.time() * 1000)
        metrics = [_item("Metric", k, v, now, step) for k, v in values.items()]
        for first in range(0, len(metrics), _MOST):
            self._batch(metrics=metrics[first : first + _MOST])

    def text(self, step: int, name: str, text: str) -> None:
        told = f"step {step}: {text}"[:_LONGEST]
        self._client.set_tag(self._run, name.replace("/", "."), told)

    def close(self) -> None:
        if self._ends:
            needed("mlflow", "MLflow").end_run()

    def _batch(self, **items: Any) -> None:
        self._client.log_batch(self._run, **items)


_MOST, _LONGEST = 1000, 500
"""Metrics of a batch, and characters of a parameter or tag, that MLflow takes."""


def _item(kind: str, *fields: Any) -> Any:
    return getattr(needed("mlflow", "MLflow").entities, kind)(*fields)


class Trackio(Writer):
    """A run of trackio (extra ``trackio``), or of what has the same functions, as W&B.

    Args:
        project: which project it belongs to.
        name: of the run; by default the library makes one.
        library: a module with ``init(project=, name=, config=)``, ``log(values,
            step=)`` and ``finish()``; by default trackio. ``import wandb`` and give it.

    Raises:
        ImportError: trackio is not installed.
    """

    def __init__(
        self, project: str, name: str | None = None, library: Any = None
    ) -> None:
        super().__init__()
        self.project, self.name = project, name
        self._library = library

    def open(self, about: Mapping[str, Any]) -> None:
        if self._library is None:
            self._library = needed("trackio", "Trackio")
        self._library.init(project=self.project, name=self.name, config=dict(about))

    def values(self, step: int, values: Values) -> None:
        self._library.log(dict(values), step=step)

    def text(self, step: int, name: str, text: str) -> None:
        self._library.log({name: text}, step=step)

    def close(self) -> None:
        self._library.finish()


# -- by name --------------------------------------------------------------------------

TOOLS: dict[str, Callable[[str], Writer]] = {
    "tensorboard": lambda where: TensorBoard(where or "logs"),
    "mlflow": lambda where: MLflow(experiment=where or None),
    "trackio": lambda where: Trackio(where or "nervure"),
}
"""Tools by name; each is made of a folder, an experiment or a project."""


def writer(text: str) -> Writer:
    """The writer of a word such as "tensorboard=logs", "mlflow" or "trackio=project".

    Raises:
        ValueError: a tool that is not known.

    >>> writer("tensorboard=logs/a").directory
    'logs/a'
    """
    name, _, where = text.partition("=")
    if name not in TOOLS:
        raise ValueError(unknown("log", "tool", name, TOOLS))
    return TOOLS[name](where)
