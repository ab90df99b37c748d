# SPDX-License-Identifier: BSD-3-Clause
"""Columns that number the rows are found, left out, and said with the key that keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nervure import fit_spec, load_spec
from nervure.cli.app import run
from nervure.data import load
from nervure.data.frames import table_from_mapping
from nervure.data.meaning.row_numbers import counts_rows, row_numbers
from nervure.spec.reading import apply_sets

ROWS = 40
RANDOM = np.random.default_rng(3)
NOISE = RANDOM.normal(size=ROWS)
UP, DOWN = np.arange(ROWS), np.arange(ROWS)[::-1].copy()
WORDS = [f"car {i:03}" for i in RANDOM.permutation(ROWS)]

LEFT_OUT = {
    "R, from 1": ("rownames", UP + 1),
    "pandas, from 0": ("Unnamed: 0", UP),
    "readr": ("...1", UP + 1),
    "no name": ("", UP),
    "id": ("id", UP + 1),
    "of floats": ("ID", UP + 1.0),
    "with marks": ("Row No.", UP + 1),
    "X of write.csv": ("X", UP + 1),
    "index of a filtered frame": ("Unnamed: 0", np.sort(UP * 3 + (NOISE > 0))),
    "names of rows": ("", WORDS),
    "identifiers": ("user_id", RANDOM.permutation(ROWS) * 7 + 1000),
    "camel": ("PassengerId", RANDOM.permutation(ROWS)),
}
KEPT = {
    "time": ("time", UP),
    "a year": ("year", UP + 1900),
    "rising": ("x", np.sort(NOISE)),
    "falling": ("id", None),
    "ids that come again": ("user_id", UP // 2),
    "with a gap": ("rownames", [None, *UP[1:].tolist()]),
    "an end in id": ("solid", DOWN + 50),
    "few": ("user_id", None),
}


@pytest.mark.parametrize(("name", "values"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_left_out(name: str, values) -> None:
    table = table_from_mapping({name: values, "a": NOISE, "y": NOISE})
    assert list(row_numbers(table)) == [name]
    data = load(dict(table_from_frame_values(name, values)), target="y")
    assert data.preprocessing.feature_names() == ["a"]
    key = f'data.columns."{name}"' if not name.isalnum() else f"data.columns.{name}"
    text = data.summary()
    assert f"({row_numbers(table)[name]}; " in text
    if name.isalnum():
        assert f'{key} = "standard" keeps it)' in text


def table_from_frame_values(name: str, values):
    return {name: values, "a": NOISE, "y": NOISE}


@pytest.mark.parametrize(("name", "values"), KEPT.values(), ids=KEPT)
def test_kept(name: str, values) -> None:
    if values is None:  # few rows, in no order
        values = [3, 1, 2, 5]
    table = table_from_mapping({name: values})
    assert row_numbers(table) == {}


def test_a_time_that_counts_the_rows_is_kept_and_said() -> None:
    data = load({"time": UP, "a": NOISE, "y": NOISE}, target="y")
    assert data.preprocessing.feature_names() == ["time", "a"]
    line = 'kept, though it counts the rows: time (data.columns.time = "drop" drops it)'
    assert line in data.summary()


def test_counting_is_by_one_from_zero_or_one() -> None:
    columns = table_from_mapping({"a": UP, "b": UP + 1, "c": UP + 2, "d": DOWN})
    found = [counts_rows(column) for column in columns.columns.values()]
    assert found == [True, True, False, False]


def test_the_key_that_is_said_keeps_it() -> None:
    source = {"row id": UP, "a": NOISE, "y": NOISE}
    kept = load(source, target="y", columns={"row id": "standard"})
    assert kept.preprocessing.feature_names() == ["row id", "a"]


def test_keys_of_columns_with_dots_and_blanks() -> None:
    sets = ["data.columns.Sepal.Length=drop", 'data.columns."row id"=standard']
    assert apply_sets({}, sets) == {
        "data": {"columns": {"Sepal.Length": "drop", "row id": "standard"}}
    }


def write_csv(path: Path, first: int) -> Path:
    x = RANDOM.normal(size=200)
    rows = "".join(f'"{first + i}",{v:.3f},{v * 2:.3f}\n' for i, v in enumerate(x))
    path.write_text('"","x","y"\n' + rows)
    return path


def test_on_the_command_line(tmp_path: Path, capsys) -> None:
    """R's file: the row number is said, left out, and not asked for afterwards."""
    train = write_csv(tmp_path / "train.csv", 1)
    out, sets = tmp_path / "run", ["--set", "training.epochs=2"]
    assert run(["train", str(train), "--out", str(out), "--quiet", *sets]) == 0
    assert "(numbers the rows; data.columns." in capsys.readouterr().out
    other = write_csv(tmp_path / "other.csv", 5001)
    assert run(["evaluate", str(out), str(other)]) == 0
    spec = load_spec(out / "spec.toml")
    trained = fit_spec(spec, directory=tmp_path / "again", progress=False)
    assert trained.network.preprocessing.shape == (1,)
