# SPDX-License-Identifier: BSD-3-Clause
"""The record: what it encodes, refuses, and how it travels."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nervure.data import DataError, Preprocessing, load
from nervure.data.records import (
    Amounts,
    ArrayInput,
    Category,
    Classes,
    Numeric,
    TableInput,
)
from nervure.data.scaling import Affine

RECORD = Preprocessing(
    TableInput(
        ("id", "age", "sex", "ok", "day"),
        (
            Numeric("age", Affine(40.0, 10.0), 35.0, flag=True),
            Category("sex", ("f", "m"), missing=True),
            Category("ok", ("False", "True"), source="boolean"),
            Numeric("day", Affine(86400.0, 2.0), 0.0, date=True),
        ),
    ),
    Classes("class", ("no", "yes")),
)
DAYS = np.array(["1970-01-02", "1970-01-01"], "M8[D]")
ROWS = {"age": [50, None], "sex": ["m", None], "ok": [True, False], "day": DAYS}
ENCODED = [[1, 0, 0, 1, 0, 0, 1, 0], [-0.5, 1, 0, 0, 1, 1, 0, -43200]]


def frames():
    columns = {**ROWS, "day": DAYS.astype("M8[us]")}
    yield "dict", ROWS
    yield "pandas", pd.DataFrame(columns)
    yield "polars", pl.DataFrame({**columns, "day": DAYS.tolist()})
    yield "arrow", pa.table({**ROWS, "day": DAYS.tolist()})
    yield (
        "reordered, more",
        pd.DataFrame({"new": [0, 0], **columns})[["day", "new", "ok", "sex", "age"]],
    )


@pytest.mark.parametrize("rows", [f for _, f in frames()], ids=[n for n, _ in frames()])
def test_rows_of_any_kind_become_the_same(rows):
    encoded = RECORD.encode(rows)
    assert encoded.dtype == np.float32
    assert encoded.tolist() == ENCODED


def test_files_too(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("sex,age,ok,day\nm,50,true,1970-01-02\n,,false,1970-01-01\n")
    assert RECORD.encode(path).tolist() == ENCODED
    assert RECORD.encode(str(path), query="FROM data LIMIT 1").tolist() == ENCODED[:1]


def test_one_row_of_single_values():
    row = {"age": 50, "sex": "m", "ok": True, "day": np.datetime64("1970-01-02")}
    assert RECORD.encode(row).tolist() == ENCODED[:1]


def test_arrays_go_by_position():
    table = TableInput(
        ("a", "b", "c"), (Numeric("c", Affine(1.0, 2.0)), Numeric("a", Affine()))
    )
    record = replace(RECORD, inputs=table)
    assert record.encode(np.array([[1, 9, 5]])).tolist() == [[2.0, 1.0]]
    assert record.encode([[1, "x", None]]).tolist() == [[-0.5, 1.0]]
    with pytest.raises(
        DataError, match=r"shape \(1, 2\); expected \(rows, 3\) with the"
    ):
        record.encode([[1, 2]])


def test_what_it_says_about_itself():
    assert RECORD.shape == (8,)
    assert RECORD.outputs == 2
    assert RECORD.task == "classification"
    assert RECORD.target_names == ("class",)
    assert RECORD.feature_names() == [
        *("age", "age missing", "sex=f", "sex=m", "sex missing"),
        *("ok=False", "ok=True", "day"),
    ]


def test_unseen_categories_become_zeros_with_a_warning():
    rows = {**ROWS, "sex": ["x", "f"]}
    text = (
        r"\[rows\] column 'sex': 1 rows hold categories that were not seen in training "
        r"\('x'\); they become zeros"
    )
    with pytest.warns(UserWarning, match=text):
        encoded = RECORD.encode(rows)
    assert encoded[:, 2:5].tolist() == [[0, 0, 0], [1, 0, 0]]


def test_missing_without_a_level_of_its_own_becomes_zeros():
    encoded = RECORD.encode({**ROWS, "ok": [None, None]})
    assert encoded[:, 5:7].tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"age": None}, r"\[rows\] no column 'age' \(there are .*add or rename"),
        (
            {"age": ["a", "b"]},
            r"'age' holds text \('a'\); expected numbers, as in train",
        ),
        ({"age": [True, False]}, "'age' holds booleans; expected numbers"),
        ({"age": [1.0, np.inf]}, r"'age' is inf in row 1 \(counted from 0\)"),
        ({"sex": [1, 2]}, "'sex' holds integers; expected text"),
        ({"ok": ["true", "false"]}, r"'ok' holds text \('true'\); expected booleans"),
        ({"day": [1, 2]}, "'day' holds integers; expected dates"),
    ],
)
def test_changed_columns(change, text):
    rows = {k: v for k, v in {**ROWS, **change}.items() if v is not None}
    with pytest.raises(DataError, match=text):
        RECORD.encode(rows)


# -- arrays -------------------------------------------------------------------------


BYTES = Preprocessing(ArrayInput((2, 2, 1), 1 / 255), Classes("y", (0, 1)))
IMAGES = np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1) * 30


@pytest.mark.parametrize("shape", [(2, 2, 2, 1), (2, 2, 2), (2, 4)])
def test_bytes_stay_bytes_of_any_fitting_shape(shape):
    encoded = BYTES.encode(IMAGES.reshape(shape))
    assert encoded.dtype == np.uint8
    np.testing.assert_array_equal(encoded, IMAGES)


@pytest.mark.parametrize(
    "rows",
    [
        IMAGES.astype(np.float64),
        IMAGES.astype(int).tolist(),
        pd.DataFrame(IMAGES.reshape(2, 4)),
    ],
    ids=["floats", "lists", "a frame"],
)
def test_other_numbers_are_scaled(rows):
    encoded = BYTES.encode(rows)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, IMAGES / 255, rtol=1e-6)


def test_standardized_features():
    inputs = ArrayInput((2,), 1.0, (1.0, 2.0), (2.0, 4.0))
    record = replace(BYTES, inputs=inputs)
    assert record.encode([[3.0, 6.0]]).tolist() == [[1.0, 1.0]]
    assert record.encode(np.array([[3, 6]], np.uint8)).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            np.zeros((3, 2, 3)),
            r"rows of shape \(2, 3\); expected \(2, 2, 1\) or 4 values",
        ),
        (np.zeros(4), r"shape \(4,\); expected rows first"),
        ([[1, 2, 3, np.nan]], r"nan at rows\[0, 3\]"),
        (pd.DataFrame({"a": [1]}), "1 columns; expected 4, one for each value"),
        (
            pd.DataFrame([[1, 2, 3, "x"]], columns=list("abcd")),
            r"column 'd' holds text \('x'\); expected numbers",
        ),
    ],
)
def test_arrays_that_do_not_fit(rows, text):
    with pytest.raises(DataError, match=text):
        BYTES.encode(rows)


# -- targets ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "given"),
    [
        (("a", "b"), ["b", "a"]),
        ((3, 7), [7, 3]),
        ((3, 7), np.array([7.0, 3.0])),
        ((False, True), pd.Series([True, False])),
        ((0.5, 1.5), pl.Series([1.5, 0.5])),
        (("a", "b"), pd.DataFrame({"other": [1, 2], "y": ["b", "a"]})),
        (("a", "b"), {"y": ["b", "a"]}),
    ],
)
def test_classes_there_and_back(labels, given):
    record = replace(BYTES, target=Classes("y", labels))
    encoded = record.encode_targets(given)
    assert encoded.dtype == np.int32
    assert encoded.tolist() == [1, 0]
    assert record.decode_classes(encoded).tolist() == list(labels)[::-1]


def test_amounts_there_and_back():
    record = replace(BYTES, target=Amounts(("a", "b"), (1.0, 10.0), (2.0, 5.0)))
    given = np.array([[3.0, 0.0], [1.0, 20.0]])
    encoded = record.encode_targets(given)
    assert encoded.tolist() == [[1.0, -2.0], [0.0, 2.0]]
    np.testing.assert_array_equal(record.decode_targets(encoded), given)
    assert record.task == "regression"
    assert record.outputs == 2
    assert record.encode_targets({"b": [0], "a": [3]}).tolist() == [[1.0, -2.0]]


@pytest.mark.parametrize(
    ("target", "given", "text"),
    [
        (
            Classes("y", ("a", "b")),
            ["a", "c"],
            r"class 'c' in row 1 .*expected 'a', 'b'",
        ),
        (Classes("y", ("a", "b")), ["a", None], "target 'y' is missing in row 1"),
        (Classes("y", ("a", "b")), [0, 1], "class 0 in row 0"),
        (
            Amounts(("y",), (0.0,), (1.0,)),
            ["a"],
            r"'y' holds text \('a'\); expected num",
        ),
        (Amounts(("y",), (0.0,), (1.0,)), [1.0, np.inf], r"inf at targets\[1, 0\]"),
        (
            Amounts(("y",), (0.0,), (1.0,)),
            [[1, 2]],
            r"shape \(1, 2\); expected \(rows, 1",
        ),
    ],
)
def test_wrong_targets(target, given, text):
    with pytest.raises(DataError, match=text):
        replace(BYTES, target=target).encode_targets(given)


def test_each_kind_of_target_has_its_own_way_back():
    with pytest.raises(DataError, match="classes, not amounts; use decode_classes"):
        BYTES.decode_targets([[0.0]])
    amounts = replace(BYTES, target=Amounts(("y",), (0.0,), (1.0,)))
    with pytest.raises(DataError, match="amounts, not classes; use decode_targets"):
        amounts.decode_classes([0])


# -- as data ------------------------------------------------------------------------


RECORDS = [
    RECORD,
    BYTES,
    replace(BYTES, inputs=ArrayInput((2,), 1.0, (0.1, 1e-300), (1e300, 0.3))),
    replace(BYTES, target=Amounts(("y",), (0.1,), (3.0,))),
    *(
        replace(BYTES, target=Classes("y", k))
        for k in [(True, False), (1.0, 2.0), (2, 1)]
    ),
]


@pytest.mark.parametrize("record", RECORDS)
def test_json_there_and_back(record: Preprocessing):
    plain = record.to_json()
    text = json.dumps(plain, allow_nan=False)
    for form in (plain, text, text.encode()):
        back = Preprocessing.from_json(form)
        assert back == record
        assert repr(back) == repr(record)  # True and 1 are equal, but not the same


def _with(path: str, value: object) -> dict:
    """The record's JSON with one value replaced, or removed if it is `...`."""
    plain = RECORD.to_json()
    *parents, last = path.split(".")
    place = plain
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return plain


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("version", 2, "version: unknown value 2; Known: 1"),
        ("version", ..., None),
        ("extra", 1, "extra: unknown key"),
        ("target", ..., "target: missing; expected a table"),
        ("target.labels", [], r"0 classes; expected 1 to 1,000,000"),
        ("target.labels", ["a", "a"], "a class twice"),
        ("target.labels", ["a", 1], "labels"),
        ("target.labels", "ab", "target.labels: found text 'ab'; expected a list"),
        ("inputs.kind", "pickle", "inputs: found a table"),
        (
            "inputs.columns.0.scaling.scale",
            0.0,
            r"inputs.columns.0..scaling: .*positive scale",
        ),
        ("inputs.columns.0.scaling.scale", -1.0, "positive scale"),
        (
            "inputs.columns.0.scaling.mean",
            "1",
            "mean: found text '1'; expected a number",
        ),
        ("inputs.columns.0.scaling.mean", float("inf"), "mean.*finite"),
        ("inputs.columns.0.scaling.mean", float("nan"), "mean.*finite"),
        ("inputs.columns.0.flag", 1, "flag: found 1; expected true or false"),
        ("inputs.columns.0.name", "x" * 20_000, "a name of 20,000 characters"),
        ("inputs.columns.0.name", "sex", "a column twice or unnamed"),
        ("inputs.columns.1.levels", ["f", "f"], "a level twice"),
        ("inputs.columns.2.levels", ["f"], "other levels than False and True"),
        ("inputs.columns", [], "0 inputs; expected 1 to 1,000,000"),
        (
            "inputs.names",
            [str(i) for i in range(100_001)],
            "100,001 columns; expected 1",
        ),
        (
            "inputs",
            {"kind": "array", "shape": [0]},
            r"shape \(0,\); expected 1 to 2\^31",
        ),
        ("inputs", {"kind": "array", "shape": [2**20, 2**20]}, r"expected 1 to 2\^31"),
        ("inputs", {"kind": "array", "shape": [2] * 9}, "9 axes; expected 1 to 8"),
        (
            "inputs",
            {"kind": "array", "shape": [2], "mean": [1.0]},
            "1 means and 0 devia",
        ),
        ("inputs", {"kind": "array", "shape": [2], "scale": 0}, "not positive"),
        (
            "target",
            {"kind": "amounts", "names": ["y"], "mean": [0.0], "scale": []},
            "one finite mean and one positive scale per target",
        ),
    ],
)
def test_records_from_strangers(path, value, text):
    record = _with(path, value)
    if text is None:
        assert Preprocessing.from_json(record) == RECORD
        return
    with pytest.raises(DataError, match=text) as caught:
        Preprocessing.from_json(record)
    assert str(caught.value).startswith("[preprocessing] ")
    assert len(str(caught.value)) < 3000


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000])
def test_json_that_is_none(text: str):
    with pytest.raises(DataError, match=r"^\[preprocessing\] "):
        Preprocessing.from_json(text)


def test_another_process_takes_raw_rows(people: Path, tmp_path: Path):
    """A record made here encodes a file of raw rows there, with columns moved about."""
    data = load(people, target="income", query="SELECT * EXCLUDE (name) FROM data")
    (tmp_path / "record.json").write_text(json.dumps(data.preprocessing.to_json()))
    moved = "income,city,member,age,joined\n,Zürich,true,31,2020-01-01\n"
    (tmp_path / "new.csv").write_text(moved, encoding="utf-8")
    program = (
        "from nervure.data import Preprocessing\n"
        "record = Preprocessing.from_json(open('record.json').read())\n"
        "print(record.encode('new.csv').tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == data.inputs[:1].tolist()
