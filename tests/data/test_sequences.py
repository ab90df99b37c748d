# SPDX-License-Identifier: BSD-3-Clause
"""A column of lists of a frame or a Parquet file as the only input."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nervure as nv
from nervure.data import DataError, load
from nervure.data.preprocessing import Preprocessing
from nervure.sklearn import TableEncoder

ROWS = 120
SPEC = """
[training]
epochs = 12
batch_size = 16
optimizer = {type = "adam", learning_rate = 0.02}
[[layer]]
type = "lstm"
units = 6
[[layer]]
type = "dense"
units = 2
activation = "softmax"
"""


def sequences() -> list[list[list[float]]]:
    rng = np.random.default_rng(0)
    counts = rng.integers(2, 9, ROWS)
    return [rng.normal(3, 2, size=(n, 2)).tolist() for n in counts]


def columns(**others: Any) -> dict[str, Any]:
    rows = sequences()
    y = ["above" if row[0][0] > 3 else "below" for row in rows]
    return {"steps": rows, **others, "y": y}


def written(folder: Path, table: dict[str, Any]) -> Path:
    path = folder / "rows.parquet"
    pq.write_table(pa.table(table), path)
    return path


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("sequences"), columns())


FORMS = {
    "parquet": lambda path: path,
    "pandas": pd.read_parquet,
    "polars": pl.read_parquet,
    "arrow": pq.read_table,
    "a dict": lambda path: columns(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_source_gives_the_same(form: str, parquet: Path) -> None:
    found = load(FORMS[form](parquet), target="y", held_out=0.25)
    assert isinstance(found.inputs, nv.Ragged)
    rows = sequences()
    assert found.inputs.lengths.tolist() == list(map(len, rows))
    assert found.inputs.dtype == np.float32
    trained = np.concatenate([rows[i] for i in found.train_rows])
    wanted = (np.concatenate(rows) - trained.mean(axis=0)) / trained.std(axis=0)
    np.testing.assert_allclose(found.inputs.values, wanted, rtol=1e-5, atol=1e-5)
    assert "sequences: 'steps', 2 to 8 steps of 2 numbers each" in found.summary()
    assert "120 rows, sequences with steps of 2 numbers" in found.summary()
    (begin,) = found.entrance()
    assert isinstance(begin, nv.Input)
    assert begin.time
    assert begin.shape == (2,)


@pytest.mark.parametrize("ending", ["feather", "jsonl"])
def test_other_files(ending: str, parquet: Path, tmp_path: Path) -> None:
    frame, path = pl.read_parquet(parquet), tmp_path / f"rows.{ending}"
    (frame.write_ipc if ending == "feather" else frame.write_ndjson)(path)
    wanted = load(parquet, target="y").inputs.values
    np.testing.assert_array_equal(load(path, target="y").inputs.values, wanted)


def test_whole_numbers_stay_codes_unless_scaled() -> None:
    words = {"words": [[1, 2], [3], [0, 3, 1], [2]], "y": [0, 1, 1, 0]}
    found = load(words, target="y")
    assert found.inputs.values[:, 0].tolist() == [1, 2, 3, 0, 3, 1, 2]
    assert 'data.columns.words = "standard" scales them' in found.summary()
    scaled = load(words, target="y", columns={"words": "standard"})
    assert abs(scaled.inputs.values.mean()) < 1e-6


def test_columns_beside_are_dropped_when_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, columns(age=list(range(ROWS)), name=["x"] * ROWS))
    text = (
        r"column 'steps' holds sequences, beside 'age', 'name'; expected sequences as "
        r"the only input; leave the others out \(columns=\{'age': \"drop\"\}\)"
    )
    with pytest.raises(DataError, match=text):
        load(path, target="y")
    found = load(path, target="y", columns={"age": "drop", "name": "drop"})
    assert "dropped: age (as asked for), name (as asked for)" in found.summary()
    assert isinstance(found.inputs, nv.Ragged)


def test_a_model_reads_raw_rows(parquet: Path, tmp_path: Path) -> None:
    found = load(parquet, target="y")
    layers = [*found.entrance(), nv.LSTM(4), nv.Dense(2, activation="softmax")]
    net = nv.Network(layers, seed=0)
    nv.fit(net, found, epochs=2)
    net.save(tmp_path / "net.safetensors")
    again = nv.load(tmp_path / "net.safetensors")
    assert again.preprocessing == found.preprocessing
    wanted = net.predict(parquet)
    rows = sequences()
    frame = pd.read_parquet(parquet)
    given = (frame, frame["steps"], {"steps": rows}, rows, nv.Ragged.of(rows))
    for raw in given:
        np.testing.assert_array_equal(again.predict(raw), wanted)
    np.testing.assert_allclose(again.predict(rows[:1]), wanted[:1], rtol=1e-5)


def test_the_record_is_checked(parquet: Path) -> None:
    record = load(parquet, target="y").preprocessing
    document = record.to_json()
    assert Preprocessing.from_json(document) == record
    document["inputs"]["mean"] = [1.0]
    with pytest.raises(DataError, match="expected a mean for each number"):
        Preprocessing.from_json(document)
    document["inputs"] |= {"mean": [], "deviation": [], "features": 10**9}
    with pytest.raises(DataError, match=r"1,000,000,000 numbers of a step"):
        Preprocessing.from_json(document)


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nervure", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_line_trains_evaluates_and_predicts(
    parquet: Path, tmp_path: Path
) -> None:
    (tmp_path / "lstm.toml").write_text(SPEC)
    spec, folder = tmp_path / "lstm.toml", tmp_path / "run"
    done = run("train", parquet, "--spec", spec, "--target", "y", "--out", folder)
    assert done.returncode == 0, done.stderr
    assert "sequences: 'steps', 2 to 8 steps of 2 numbers each" in done.stdout
    scored = run("evaluate", folder, parquet)
    assert "held-out accuracy" in scored.stdout
    told = run("predict", folder, parquet).stdout.splitlines()
    assert told[0] == "prediction"
    labels = nv.load(folder / "model.safetensors").predict_classes(parquet)
    assert told[1:] == labels.tolist()
    assert "sequences of 'steps', steps of 2" in run("inspect", folder).stdout


def test_sequences_beside_predictions(parquet: Path, tmp_path: Path) -> None:
    found = load(parquet, target="y")
    layers = [*found.entrance(), nv.LSTM(2), nv.Dense(2, activation="softmax")]
    net = nv.Network(layers, seed=0)
    nv.fit(net, found, epochs=1)
    net.save(tmp_path / "net.safetensors")
    done = run("predict", tmp_path / "net.safetensors", parquet, "--keep", "steps")
    kept = pd.read_csv(io.StringIO(done.stdout))["steps"]
    assert json.loads(kept[0]) == sequences()[0]


def test_an_input_of_one_shape_is_refused(parquet: Path) -> None:
    net = nv.Network([nv.Input((5, 2)), nv.LSTM(2), nv.Dense(2, activation="softmax")])
    text = (
        r"^\[input\] sequences of 2 to 8 steps; expected rows of shape \(5, 2\); begin "
        r"with nv.Input\(\(None, 2\)\), whose axis of time is open"
    )
    with pytest.raises(ValueError, match=text):
        nv.fit(net, load(parquet, target="y"), epochs=1)


def changed(place: int, row: Any) -> dict[str, Any]:
    table = columns()
    table["steps"][place] = row
    return table


WRONG = {
    "a gap": (
        [[1.0, 2.0], [1.0, None]],
        r"\[rows.parquet: steps\] nan in row 7, step 1; expected finite numbers",
    ),
    "no row": (None, r"\[rows.parquet: steps\] row 7 is None; expected a sequence"),
    "a step missing": ([[1.0, 2.0], None], r"row 7 has steps of different numbers"),
    "features": ([[1.0, 2.0], [1.0]], r"row 7 has steps of different numbers of feat"),
    "no steps": ([], r"\[ragged\] row 7 has 0 steps; expected at least 1"),
    "other features": ([[1.0]], r"row 7 has steps of shape \(1,\), row 0 of shape"),
}


@pytest.mark.parametrize("name", WRONG)
def test_rows_that_are_refused(name: str, tmp_path: Path) -> None:
    row, text = WRONG[name]
    with pytest.raises(DataError, match=text):
        load(written(tmp_path, changed(7, row)), target="y")


def test_what_cannot_be_made_of_sequences(parquet: Path) -> None:
    with pytest.raises(DataError, match=r"target 'steps' holds sequences; expected a"):
        load(parquet, target="steps")
    with pytest.raises(DataError, match=r"of sequences as 'one_hot'; expected 'stand"):
        load(parquet, target="y", columns={"steps": "one_hot"})
    with pytest.raises(DataError, match=r"unknown column 'stps'; did you mean 'steps'"):
        load(parquet, target="y", columns={"stps": "drop"})
    deep = {"s": [[[[1.0]]], [[[2.0]]]], "y": [0, 1]}
    with pytest.raises(DataError, match=r"steps of shape \(1, 1\); expected numbers"):
        load(deep, target="y")
    frame = pd.DataFrame({"s": [[1.0], [2.0, 3.0]], "age": [1, 2]})
    with pytest.raises(DataError, match=r"column 's' holds sequences; expected numb"):
        TableEncoder().fit(frame)


PREDICT = {
    "no column": ({"other": [[1.0]]}, r"no column 'steps' \(there are 'other'\)"),
    "text": ({"steps": ["a"]}, r"column 'steps' holds text \('a'\); expected seq"),
    "features": ({"steps": [[1.0]]}, r"steps of 1 number; expected 2, as in training"),
}


@pytest.mark.parametrize("name", PREDICT)
def test_rows_to_predict_for(name: str, parquet: Path) -> None:
    raw, text = PREDICT[name]
    with pytest.raises(DataError, match=text):
        load(parquet, target="y").preprocessing.encode(raw)


def test_sequences_for_a_model_of_columns() -> None:
    record = load({"a": [1.0, 2.0, 4.0], "y": [1.5, 2.5, 9.0]}).preprocessing
    with pytest.raises(DataError, match="column 'a' holds sequences; expected numbers"):
        record.encode({"a": [[1.0], [2.0, 3.0]]})
