# SPDX-License-Identifier: BSD-3-Clause
"""What a saved model answers about rows, in columns: labels, amounts, probabilities."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import nervure as nv
from nervure.base.checks import number
from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import one_each
from nervure.data.records import Amounts, Classes, Reconstruction
from nervure.ensemble.ensemble import Ensemble
from nervure.executors import Rows
from nervure.network.conformal import Conformal
from nervure.network.finite import tell_not_finite
from nervure.network.halves import scored
from nervure.network.modelfile import ModelFileError
from nervure.network.network import Network
from nervure.network.predicting import Predictor, decoded, ready
from nervure.network.targets import records_of
from nervure.uncertainty.outputs import as_probabilities

Array = npt.NDArray[Any]
Columns = dict[str, Array]
"""Answers by name, a value for each row."""


def model_file(path: Path) -> Path:
    """The model file at a path: itself, or the one in a run folder."""
    return path / "model.safetensors" if path.is_dir() else path


def open_model(path: Path) -> tuple[Predictor, Preprocessing]:
    """The network or ensemble of a model file or run folder, with its preprocessing.

    Of an autoencoder the network that gives codes and errors (see `scored`).

    Raises:
        ModelFileError: no model there, or one that was not trained on a source.
    """
    file = model_file(path)
    network = nv.load(file)
    if network.preprocessing is None:
        raise ModelFileError(
            f"[{file}] has no record of its data's preprocessing; expected a network "
            "trained with nervure train or on a Dataset; use net.predict in Python"
        )
    return answering(network), network.preprocessing


def answering(network: Network | Ensemble) -> Network | Ensemble:
    """What is asked for answers: of an autoencoder the codes and errors of rows."""
    record = network.preprocessing
    target = None if record is None else record.target
    if isinstance(target, Reconstruction) and isinstance(network, Network):
        return scored(network, target.code)
    return network


@dataclass(frozen=True)
class Wanted:
    """What to tell beside the predictions.

    ``probabilities`` of the classes; intervals or sets that hold the truth for the
    share ``interval`` of the rows; nothing at all where a prediction is not finite and
    it is ``strict``.
    """

    probabilities: bool = False
    interval: float | None = None
    strict: bool = False


def check_wanted(
    wanted: Wanted, network: Predictor, record: Preprocessing, mark: str = "--"
) -> None:
    """Whether the model can give what is wanted; ``mark`` is how options begin.

    Raises:
        ValueError: it predicts amounts, or was not calibrated.
    """
    if isinstance(record.target, Reconstruction):
        return _check_rebuilding(wanted, mark)
    if wanted.probabilities and not isinstance(record.target, Classes):
        raise ValueError(
            f"[{mark}probabilities] the model predicts amounts; expected one that "
            "predicts classes; leave the option out"
        )
    if wanted.interval is None:
        return
    number(f"{mark}interval", "level", wanted.interval, above=0, below=1)
    if network.conformal is None:
        raise ValueError(
            f"[{mark}interval] the model holds no calibration; expected one that was "
            "trained with rows kept for it; use nervure train --calibrate"
        )


def _check_rebuilding(wanted: Wanted, mark: str) -> None:
    asked = {"probabilities": wanted.probabilities, "interval": wanted.interval}
    for name, value in asked.items():
        if value:
            raise ValueError(
                f"[{mark}{name}] the model is an autoencoder, which gives codes and "
                "errors; expected one that predicts; leave the option out"
            )


def raw_outputs(network: Predictor, record: Preprocessing, inputs: Array) -> list[Rows]:
    """What the network gives for rows that are encoded."""
    return network.executor().outputs(ready(network, record, inputs))


def answers(
    network: Predictor,
    record: Preprocessing,
    outputs: Sequence[Rows],
    wanted: Wanted,
) -> Columns:
    """Predictions of every output; of several, named ``<output>_prediction``.

    Raises:
        NotFiniteError: one is no number, and that is ``strict``.
    """
    target, names = record.target, network.graph.output_names
    if isinstance(target, Reconstruction):
        tell_not_finite(outputs, strict=wanted.strict)
        return codes(target, *map(np.asarray, outputs))
    tell_not_finite(decoded(network, outputs), strict=wanted.strict)
    records = records_of(network.graph, record)
    columns: Columns = {}
    for name, own, y in zip(names, records, outputs, strict=True):
        rows = one_each(y, "predict").reshape(len(y), -1)
        found = predictions(own, rows, network.conformal, wanted)
        prefix = f"{name}_" if len(names) > 1 else ""
        columns |= {f"{prefix}{key}": column for key, column in found.items()}
    return columns


def predictions(
    record: Preprocessing,
    outputs: Array,
    conformal: Conformal | None = None,
    wanted: Wanted | None = None,
) -> Columns:
    """Columns of predictions: a label, or an amount for each target or quantile."""
    wanted = wanted or Wanted()
    scores = conformal if wanted.interval else None
    if isinstance(record.target, Amounts):
        amounts = record.decode_targets(outputs)
        columns = _amounts(record.target, amounts)
        if scores is not None and wanted.interval:
            ends = scores.intervals(amounts, wanted.interval)
            columns |= _ends(record.target, ends.reshape(len(ends), -1, 2))
        return columns
    assert isinstance(record.target, Classes)
    p = outputs if outputs.shape[1] > 1 else np.hstack([1 - outputs, outputs])
    columns: Columns = {"prediction": record.decode_classes(p.argmax(axis=1))}
    labels = record.target.labels
    if wanted.probabilities:
        columns |= {f"probability_{label}": p[:, i] for i, label in enumerate(labels)}
    if scores is not None and wanted.interval:
        inside = scores.sets(as_probabilities(outputs), wanted.interval)
        columns |= {f"in_set_{label}": inside[:, i] for i, label in enumerate(labels)}
    return columns


def codes(target: Reconstruction, code: Array, score: Array) -> Columns:
    """The values of the code, the error, and whether that is above the threshold."""
    columns: Columns = {f"code_{i}": y for i, y in enumerate(code.T, start=1)}
    columns["score"] = scores = score.reshape(-1)
    if target.threshold is not None:
        columns["anomaly"] = scores.astype(np.float64) > target.threshold
    return columns


def _amounts(target: Amounts, amounts: Array) -> Columns:
    if target.quantiles:
        ordered = np.sort(amounts, axis=1)  # they may cross
        keys = [f"quantile_{q:g}" for q in sorted(target.quantiles)]
        return {key: ordered[:, i] for i, key in enumerate(keys)}
    keys = [f"prediction{of}" for of in _suffixes(target)]
    return {key: amounts[:, i] for i, key in enumerate(keys)}


def _ends(target: Amounts, ends: Array) -> Columns:
    return {
        f"{word}{of}": ends[:, i, end]
        for i, of in enumerate(_suffixes(target))
        for end, word in enumerate(("low", "high"))
    }


def _suffixes(target: Amounts) -> list[str]:
    names = target.names
    return [""] if len(names) == 1 else [f"_{name}" for name in names]


def as_csv(columns: Columns) -> str:
    """Columns as the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*map(_cells, columns.values()), strict=True))
    return text.getvalue()


def _cells(column: Array) -> list[Any]:
    """Values as CSV has them: numbers as short as they can be told in their type."""
    if column.dtype.kind == "b":
        return np.where(column, "true", "false").tolist()
    return (column.astype(str) if column.dtype.kind == "f" else column).tolist()
