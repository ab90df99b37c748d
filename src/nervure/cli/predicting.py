# SPDX-License-Identifier: BSD-3-Clause
"""``nervure predict`` and ``nervure evaluate``: a saved network on other rows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import nervure as nv
from nervure._atomic import replacing
from nervure._heads import records_of
from nervure.cli.judging import judge, reports
from nervure.data import prepare, row_names
from nervure.data.preprocessing import Amounts, Classes, Preprocessing
from nervure.executors import Data
from nervure.modelfile import ModelFileError
from nervure.predicting import Predictor

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


def predict(
    model: Path,
    source: str,
    out: Path | None,
    *,
    probabilities: bool = False,
    query: str | None = None,
) -> None:
    """Write predictions for the rows of a source, one row each."""
    kind = _format(out)
    network, record = open_model(model)
    if probabilities and not isinstance(record.target, Classes):
        raise ValueError(
            "[--probabilities] the model predicts amounts; expected one that predicts "
            "classes; leave the option out"
        )
    inputs, _ = prepare(source, record, query=query, dtype=network.dtype)
    columns = _columns(network, record, inputs, probabilities)
    names = row_names(source)
    if names is not None:
        columns = {"file": np.array(names), **columns}
    if out is None:
        sys.stdout.write(_csv(columns))
        sys.stdout.flush()  # here, so that a reader that left (head) is no error
        return
    write(columns, out, kind)
    print(f"{len(inputs):,} predictions written to {out}")


def evaluate(model: Path, source: str, *, query: str | None = None) -> None:
    """Print how well the network predicts the targets of a source."""
    network, record = open_model(model)
    inputs, targets = prepare(
        source, record, query=query, labelled=True, dtype=network.dtype
    )
    assert targets is not None
    print(reports(judge(network, inputs, targets), source))


def _columns(
    network: Predictor, record: Preprocessing, inputs: Array, probabilities: bool
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
        found = predictions(own, y.reshape(len(y), -1), probabilities=probabilities)
        prefix = f"{name}_" if len(names) > 1 else ""
        columns |= {f"{prefix}{key}": column for key, column in found.items()}
    return columns


def predictions(
    record: Preprocessing, outputs: Array, *, probabilities: bool = False
) -> Columns:
    """Columns of predictions: a label, or an amount for each target."""
    if isinstance(record.target, Amounts):
        amounts = record.decode_targets(outputs)
        names = record.target.names
        single = len(names) == 1
        keys = ["prediction"] if single else [f"prediction_{name}" for name in names]
        return {key: amounts[:, i] for i, key in enumerate(keys)}
    p = outputs if outputs.shape[1] > 1 else np.hstack([1 - outputs, outputs])
    columns: Columns = {"prediction": record.decode_classes(p.argmax(axis=1))}
    if probabilities:
        labels = record.target.labels
        columns |= {f"probability_{label}": p[:, i] for i, label in enumerate(labels)}
    return columns


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
        if kind == "npz":
            with open(temporary, "wb") as file:
                np.savez_compressed(file, **columns)  # pyright: ignore
        else:
            _copy(columns, temporary, kind)


def _copy(columns: Columns, path: Path, kind: str) -> None:
    import duckdb

    options = "FORMAT csv, HEADER" if kind == "csv" else "FORMAT parquet"
    quoted = str(path).replace("'", "''")
    with duckdb.connect() as connection:
        connection.register("columns", columns)
        try:
            connection.execute(f"COPY columns TO '{quoted}' ({options})")
        except duckdb.IOException as error:
            raise OSError(str(error)) from error


def _csv(columns: Columns) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    lists = (column.tolist() for column in columns.values())
    writer.writerows(zip(*lists, strict=True))
    return text.getvalue()
