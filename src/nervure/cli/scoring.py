# SPDX-License-Identifier: BSD-3-Clause
"""Which rows a model is scored on: those that it did not learn from, if it is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from nervure.cli.judging import judge
from nervure.cli.rebuilding import judge_codes, told_rebuilt
from nervure.cli.standard_input import called, from_standard_input
from nervure.cli.telling import reports, told_scores
from nervure.data import Dataset
from nervure.data.builtin import BUILTIN
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Amounts, Reconstruction
from nervure.data.sources import with_targets
from nervure.forecasting.forecaster import scores_of
from nervure.forecasting.scoring import scores_of_source
from nervure.network.predicting import Predictor
from nervure.serving.answers import open_model
from nervure.spec.reading import load_spec
from nervure.spec.rows import load_data
from nervure.spec.tables import DataSpec, Spec, TrainingSpec

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rows:
    """Encoded rows with their targets.

    ``name`` is what they are to the model, in a word; ``said`` tells it in a line.
    """

    name: str
    said: str
    inputs: Array
    targets: Array


def held_out(dataset: Dataset) -> Rows | None:
    """Rows that training did not see, or only to stop; None if there are none."""
    if dataset.test is not None:
        said = "rows held out, which training never saw"
        return Rows("held-out", said, *dataset.test)
    rows = dataset.held_out_rows
    if rows is None or not len(rows):
        return None
    said = "validation rows, by which the best epoch was chosen"
    return Rows("validation", said, dataset.inputs[rows], dataset.targets[rows])


def to_score(
    model: Path,
    network: Predictor,
    record: Preprocessing,
    source: str,
    query: str | None = None,
    *,
    everything: bool = False,
    name: str = "",
    skip_bad: bool = False,
) -> Rows:
    """The rows of a source to score a model on; ``name`` is what it is called.

    Of the source that it was trained from these are the rows that were held out;
    ``everything`` takes all. Of other data sets with a test part it is that part.
    """
    spec, name = spec_beside(model), name or source
    note = "" if spec else "no spec.toml lies beside it: it may have seen some of them"
    if spec is not None and _same_source(spec.data, source, query):
        query, note = spec.data.query, "those that it was trained on among them"
        if not everything:
            kept, note = _kept_apart(spec, record)
            if kept is not None:
                said = f"the {len(kept.inputs):,} {kept.said} (--all: every row)"
                return replace(kept, said=f"{name}: {said}")
            everything = True
    found = with_targets(
        source,
        record,
        query=query,
        everything=everything,
        dtype=network.dtype,
        skip_bad=skip_bad,
    )
    count = f"{len(found.inputs):,}"
    which = f"the {count} rows of its test part" if found.test else f"all {count} rows"
    said = f"{name}: {which}{f' ({note})' if note and not found.test else ''}"
    return Rows(name, said, found.inputs, found.targets)


def _evaluate_series(
    model: Path,
    network: Predictor,
    record: Preprocessing,
    source: str,
    query: str | None,
    everything: bool,
) -> None:
    """Print how good forecasts from the times of a source are.

    Of the source that it was trained from these are the times held out.
    """
    spec, name = spec_beside(model), called(source)
    if spec is not None and not everything and _same_source(spec.data, source, query):
        dataset = load_data(spec.data, spec.seed, spec.dtype)
        same = _alike(dataset.preprocessing, record)
        found = scores_of(network, dataset) if same else ()
        if found:
            print(told_scores(found, f"{name} held out"))
            return
    with from_standard_input(source) as place:
        found = scores_of_source(network, place, query=query)
    seen = "" if spec is None else ", those of training among them"
    print(told_scores(found, f"{name}, every time{seen}"))


def spec_beside(model: Path) -> Spec | None:
    """The spec of the run that a model lies in, if it does."""
    file = (model if model.is_dir() else model.parent) / "spec.toml"
    return load_spec(file) if file.exists() else None


def training_of(spec: Spec | None) -> TrainingSpec:
    """How a model was trained, as far as it is known."""
    return (spec.training if spec else None) or TrainingSpec()


def _kept_apart(spec: Spec, record: Preprocessing) -> tuple[Rows | None, str]:
    """The rows that a run held out; None, and why, if it is not known."""
    dataset = load_data(spec.data, spec.seed, spec.dtype)
    if not _alike(dataset.preprocessing, record):
        return None, "the data have changed since it was trained on some of them"
    return held_out(dataset), "training held none of them out"


def _alike(one: Preprocessing, other: Preprocessing) -> bool:
    """Whether two records are of the same rows."""
    targets = [_as_data_say(record.target) for record in (one, other)]
    return one.inputs == other.inputs and targets[0] == targets[1]


def _as_data_say(target: Any) -> Any:
    """A target without what a training or a network has added."""
    if isinstance(target, Amounts):
        return replace(target, quantiles=())
    return Reconstruction if isinstance(target, Reconstruction) else target


def _same_source(data: DataSpec, source: str, query: str | None) -> bool:
    """Whether a source is that of a spec, and a query, if there is one, too."""
    own = data.source
    if own is None or query not in (None, data.query):
        return False
    named = own in BUILTIN or source in BUILTIN
    return own == source if named else _path(own) == _path(source)


def _path(source: str) -> Path:
    return Path(source).expanduser().resolve()


def evaluate(
    model: Path,
    source: str,
    *,
    query: str | None = None,
    everything: bool = False,
    skip_bad: bool = False,
) -> None:
    """Print how well the network predicts the targets of a source, and which rows."""
    network, record = open_model(model)
    if record.series is not None:
        _evaluate_series(model, network, record, source, query, everything)
        return
    with from_standard_input(source) as place:
        rows = to_score(
            model,
            network,
            record,
            place,
            query,
            everything=everything,
            name=called(source),
            skip_bad=skip_bad,
        )
    training = training_of(spec_beside(model))
    print(rows.said)
    if isinstance(record.target, Reconstruction):
        errors = judge_codes(network, record, rows.inputs, rows.targets)
        return print(told_rebuilt(errors, network, record, rows.name))
    found = judge(network, rows.inputs, rows.targets, training.loss)
    print(reports(found, rows.name, weighted=training.class_weight is not None))
