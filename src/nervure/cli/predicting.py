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
from nervure.base.extras import needed
from nervure.base.files import replacing
from nervure.base.words import many
from nervure.data import prepare, row_names
from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import one_each
from nervure.data.records import Amounts, Classes
from nervure.executors import Data
from nervure.network.modelfile import ModelFileError
from nervure.network.predicting import Predictor
from nervure.network.targets import records_of
from nervure.uncertainty import Conformal
from nervure.uncertainty.outputs import as_probabilities

Array = npt.NDArray[Any]
Columns = dict[str, Array]

FORMATS = {".csv": "csv", ".parquet": "parquet", ".npz": "npz"}


def open_model(path: Path) -> tuple[Predictor, Preprocessing]:
    """The network or ensemble of a model file or run folder, with its preprocessing.

    Raises:
        ModelFileError: no model there, or one that was not trained on a source.
    """
    file = path / "model.safetensors" if path.is_dir() else path
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
    share ``interval`` of the rows.
    """

    probabilities: bool = False
    interval: float | None = None


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
    kind, wanted = _format(out), wanted or Wanted()
    network, record = open_model(model)
    _check(wanted, network, record)
    inputs, _ = prepare(
        source, record, query=query, dtype=network.dtype, skip_bad=skip_bad
    )
    columns = _columns(network, record, inputs, wanted)
    names = row_names(source, skip_bad=skip_bad)
    if names is not None:
        columns = {"file": np.array(names), **columns}
    if out is None:
        sys.stdout.write(_csv(columns))
        sys.stdout.flush()  # here, so that a reader that left (head) is no error
        return
    write(columns, out, kind)
    print(f"{many(len(inputs), 'prediction')} written to {out}")


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
    names = network.graph.output_names
    outputs = zip(
        names,
        records_of(network.graph, record),
        network.executor().outputs(data),
        strict=True,
    )
    columns: Columns = {}
    for name, own, y in outputs:
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


# -- files ----------------------------------------------------------------------------


def _format(out: Path | None) -> str:
    kind = "csv" if out is None else FORMATS.get(out.suffix.lower())
    if kind is None:
        raise ValueError(
            f"[{out}] ends in {out.suffix if out else ''!r}; expected one of "
            f"{', '.join(FORMATS)}; rename the file"
        )
    return kind


def write(columns: Columns, out: Path, kind: str) -> None:
    """Write columns to a file, atomically.

    Raises:
        WriteError: the file cannot be written; an earlier one is untouched.
    """
    with replacing(out) as temporary:
        if kind == "parquet":
            _copy(columns, temporary, out.name)
        elif kind == "npz":
            with open(temporary, "wb") as file:
                np.savez_compressed(file, **columns)  # pyright: ignore
        else:
            temporary.write_text(_csv(columns), encoding="utf-8", newline="")


def _copy(columns: Columns, path: Path, where: str) -> None:
    duckdb = needed("duckdb", where)
    quoted = str(path).replace("'", "''")
    with duckdb.connect() as connection:
        connection.register("columns", columns)
        try:
            connection.execute(f"COPY columns TO '{quoted}' (FORMAT parquet)")
        except duckdb.IOException as error:
            raise OSError(str(error)) from error


def _csv(columns: Columns) -> str:
    import csv
    import io

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
