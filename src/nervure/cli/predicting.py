# SPDX-License-Identifier: BSD-3-Clause
"""``nervure predict`` and ``nervure evaluate``: a saved network on other rows."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import nervure as nv
from nervure.base.checks import number
from nervure.base.words import many
from nervure.cli.standard_input import from_standard_input
from nervure.cli.writing import Columns, as_csv, format_of, write
from nervure.data import prepare, row_names
from nervure.data.columns import Column
from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import one_each
from nervure.data.records import Amounts, Classes
from nervure.data.sources import columns_beside, is_table_file
from nervure.executors import Data
from nervure.forecasting.ahead import LEVEL, forecast
from nervure.network.finite import tell_not_finite
from nervure.network.modelfile import ModelFileError
from nervure.network.predicting import Predictor, decoded
from nervure.network.targets import records_of
from nervure.uncertainty import Conformal
from nervure.uncertainty.outputs import as_probabilities

Array = npt.NDArray[Any]


def model_file(path: Path) -> Path:
    """The model file at a path: itself, or the one in a run folder."""
    return path / "model.safetensors" if path.is_dir() else path


def open_model(path: Path) -> tuple[Predictor, Preprocessing]:
    """The network or ensemble of a model file or run folder, with its preprocessing.

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
    return network, network.preprocessing


@dataclass(frozen=True)
class Wanted:
    """What to write beside the predictions.

    ``probabilities`` of the classes; intervals or sets that hold the truth for the
    share ``interval`` of the rows; columns of the source to ``keep``; nothing at all
    where a prediction is not finite and it is ``strict``. ``exact`` asks for direct
    sums of convolutions.
    """

    probabilities: bool = False
    interval: float | None = None
    keep: tuple[str, ...] = ()
    strict: bool = False
    exact: bool = False


def predict(
    model: Path,
    source: str,
    out: Path | None,
    wanted: Wanted | None = None,
    *,
    query: str | None = None,
    skip_bad: bool = False,
) -> None:
    """Write predictions for the rows of a source, one row each."""
    kind, wanted = format_of(out), wanted or Wanted()
    network, record = open_model(model)
    if wanted.exact:
        network = network.exact()
    if record.series is not None:
        _forecast(network, source, out, kind, wanted, query)
        return
    _check(wanted, network, record)
    with from_standard_input(source) as place:
        inputs, _ = prepare(
            place, record, query=query, dtype=network.dtype, skip_bad=skip_bad
        )
        names = row_names(place, skip_bad=skip_bad)
        kept = _kept(place, record, wanted.keep, query)
    columns = _columns(network, record, inputs, wanted)
    if names is not None:
        kept = {"file": np.array(names), **kept}
    _check_names(wanted.keep, columns)
    columns = {**kept, **columns}
    if out is None:
        sys.stdout.write(as_csv(columns))
        sys.stdout.flush()  # here, so that a reader that left (head) is no error
        return
    write(columns, out, kind)
    print(f"{many(len(inputs), 'prediction')} written to {out}")


def _forecast(
    network: Predictor,
    source: str,
    out: Path | None,
    kind: str,
    wanted: Wanted,
    query: str | None,
) -> None:
    """Write what comes after the last value of each series of a source."""
    for option, given in (
        ("--probabilities", wanted.probabilities),
        ("--keep", wanted.keep),
    ):
        if given:
            raise ValueError(
                f"[{option}] the model forecasts a series, whose rows are still to "
                "come; expected one that predicts for rows; leave the option out"
            )
    if wanted.interval is not None and network.conformal is None:
        raise ValueError(
            "[--interval] the model holds no errors of origins held out; expected "
            "one trained with some; set data.validation or data.calibration"
        )
    level = LEVEL if wanted.interval is None else wanted.interval
    with from_standard_input(source) as place:
        columns = forecast(
            network, place, level=level, query=query, strict=wanted.strict
        )
    if out is None:
        sys.stdout.write(as_csv(columns))
        sys.stdout.flush()
        return
    write(columns, out, kind)
    count = len(next(iter(columns.values())))
    print(f"{many(count, 'forecast')} written to {out}")


def _kept(
    source: str, record: Preprocessing, names: tuple[str, ...], query: str | None
) -> Columns:
    """Columns of a table file as they are; those of a CSV file letter by letter."""
    if not names:
        return {}
    if not is_table_file(source):
        raise ValueError(
            f"[--keep] {source} has no columns to keep; expected a CSV, TSV, Parquet "
            "or JSON file; leave --keep out"
        )
    found = columns_beside(source, record, names, query=query)
    return {column.name: _as_it_is(column) for column in found}


def _as_it_is(column: Column) -> Array:
    """The values, numbers as numbers; where some are missing as text, these empty."""
    values: Array = column.values
    if column.kind == "boolean" and column.missing is None:
        return values.astype(np.bool_)
    if column.kind in ("text", "boolean"):
        values = np.array([*column.levels, ""])[values]
    elif column.kind == "date":
        moments = np.where(np.isnan(values), 0, values * 1e6).astype("datetime64[us]")
        values = np.datetime_as_string(moments, unit="auto")
    if column.missing is None and column.kind != "empty":
        return values
    missing = True if column.missing is None else column.missing
    return np.where(missing, "", values.astype(str))


def _check_names(keep: tuple[str, ...], columns: Columns) -> None:
    """Raises where a column that is kept is called as one of predictions."""
    both = [name for name in keep if name in columns]
    if both:
        raise ValueError(
            f"[--keep] {both[0]!r} is the name of a column of predictions too; "
            "expected another; rename it with a query (SELECT ... AS ...)"
        )


def _check(wanted: Wanted, network: Predictor, record: Preprocessing) -> None:
    """Whether the model can give what is wanted."""
    if wanted.probabilities and not isinstance(record.target, Classes):
        raise ValueError(
            "[--probabilities] the model predicts amounts; expected one that predicts "
            "classes; leave the option out"
        )
    if wanted.interval is None:
        return
    number("--interval", "level", wanted.interval, above=0, below=1)
    if network.conformal is None:
        raise ValueError(
            "[--interval] the model holds no calibration; expected one that was "
            "trained with rows kept for it; use nervure train --calibrate"
        )


def _columns(
    network: Predictor, record: Preprocessing, inputs: Array, wanted: Wanted
) -> Columns:
    """Predictions of every output; of several, named ``<output>_prediction``."""
    data = Data(network.arrays(inputs), scales=(record.scale,))
    names, outputs = network.graph.output_names, network.executor().outputs(data)
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
    p = outputs if outputs.shape[1] > 1 else np.hstack([1 - outputs, outputs])
    columns: Columns = {"prediction": record.decode_classes(p.argmax(axis=1))}
    labels = record.target.labels
    if wanted.probabilities:
        columns |= {f"probability_{label}": p[:, i] for i, label in enumerate(labels)}
    if scores is not None and wanted.interval:
        inside = scores.sets(as_probabilities(outputs), wanted.interval)
        columns |= {f"in_set_{label}": inside[:, i] for i, label in enumerate(labels)}
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
