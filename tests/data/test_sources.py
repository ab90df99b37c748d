# SPDX-License-Identifier: BSD-3-Clause
"""Loading: from any source to encoded rows, statistics from training rows alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nervure.data import BUILTIN, DataError, load, make_dataset, prepare, read, split
from nervure.data.records import Category, Classes, Numeric, TableInput

RANDOM = np.random.default_rng(3)


def table(rows: int = 60) -> dict[str, object]:
    """Columns of every kind, with a target of two classes."""
    i = np.arange(rows)
    return {
        "id": [f"row {n}" for n in i],
        "size": np.where(i % 7 == 0, np.nan, i * 1.5),
        "count": i % 5,
        "colour": [("red", "green", None)[n % 3] for n in i],
        "late": i % 2 == 0,
        "day": np.datetime64("2020-01-01", "us") + i * np.timedelta64(1, "D"),
        "same": np.ones(rows),
        "none": [None] * rows,
        "class": [("no", "yes")[n % 2] for n in i],
    }


# -- built in -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "outputs", "task"),
    [
        ("digits", (1797, 8, 8, 1), 10, "classification"),
        ("iris", (150, 4), 3, "classification"),
        ("wine", (178, 13), 3, "classification"),
        ("breast_cancer", (569, 30), 2, "classification"),
        ("diabetes", (442, 10), 1, "regression"),
    ],
)
def test_built_in(name, shape, outputs, task):
    data = load(name)
    assert data.inputs.shape == shape
    assert data.preprocessing.outputs == outputs
    assert data.task == task
    assert data.source == name
    assert data.summary().startswith(f"{name}: {shape[0]:,} rows, ")
    assert np.isfinite(data.inputs).all()
    inputs, targets = prepare(name, data.preprocessing, labelled=True)
    np.testing.assert_array_equal(inputs, data.inputs)
    np.testing.assert_array_equal(targets, data.targets)


def test_digits_stay_bytes():
    data = load("digits")
    assert data.inputs.dtype == np.uint8
    assert data.inputs.max() * data.preprocessing.scale == 1
    assert data.preprocessing.decode_classes(data.targets[:3]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("packaged", [True, False])
def test_digits_are_those_of_scikit_learn(monkeypatch, packaged):
    from sklearn.datasets import load_digits

    if not packaged:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    data, loaded = load("digits"), load_digits()
    assert np.array_equal(data.inputs[..., 0], loaded["images"])
    assert np.array_equal(data.targets, loaded["target"])


def test_iris_against_scikit_learn():
    from sklearn.datasets import load_iris
    from sklearn.preprocessing import StandardScaler

    loaded = load_iris()
    data = load("iris", dtype="float64")
    expected = StandardScaler().fit_transform(loaded.data)
    np.testing.assert_allclose(data.inputs, expected, rtol=1e-12, atol=1e-12)
    labels = data.preprocessing.decode_classes(data.targets)
    assert labels.tolist() == loaded.target_names[loaded.target].tolist()
    first_rows = data.preprocessing.encode(loaded.data[:2], dtype="float64")
    np.testing.assert_array_equal(first_rows, data.inputs[:2])


def test_diabetes_is_decoded():
    data = load("diabetes", dtype="float64")
    decoded = data.preprocessing.decode_targets(data.targets)
    assert decoded[:3].ravel().tolist() == pytest.approx([151, 75, 141])
    assert data.targets.std() == pytest.approx(1)
    plain = load("diabetes", standardize_target=False)
    assert plain.targets[:3].ravel().tolist() == [151, 75, 141]


# -- tables -------------------------------------------------------------------------


def test_the_rules():
    data = load(table())
    record = data.preprocessing
    assert isinstance(record.inputs, TableInput)
    assert [(c.name, c.width) for c in record.inputs.columns] == [
        *(("size", 2), ("count", 1), ("colour", 3), ("late", 2), ("day", 1)),
    ]
    size, _, colour, late, day = record.inputs.columns
    present = np.array([n * 1.5 for n in range(60) if n % 7])
    assert isinstance(size, Numeric)
    assert size.fill == np.median(present)
    assert size.flag
    assert isinstance(colour, Category)
    assert (colour.levels, colour.missing) == (("green", "red"), True)
    assert isinstance(late, Category)
    assert (late.levels, late.source) == (("False", "True"), "boolean")
    assert isinstance(day, Numeric)
    assert day.date
    assert data.inputs.shape == (60, 9)
    assert data.inputs.dtype == np.float32
    assert data.inputs[:, 1].tolist() == [float(n % 7 == 0) for n in range(60)]
    np.testing.assert_allclose(data.inputs[:, [0, 2, 8]].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.inputs[:, [0, 2, 8]].std(axis=0), 1, rtol=1e-6)
    assert (data.inputs[:, 3:6].sum(axis=1) == 1).all()
    assert data.targets.tolist() == [0, 1] * 30


def test_the_summary():
    assert load(table()).summary().splitlines() == [
        "data: 60 rows, 8 columns -> 9 inputs",
        "target 'class': 2 classes (no, yes)",
        "numbers, standardized: size, count, day",
        "categories, one-hot: colour (2), late (2)",
        "missing values, filled and flagged: size (9 of 60, by the median 45), "
        "colour (20 of 60, a level of its own)",
        "dropped: id (60 different texts in 60 rows: looks like an identifier; "
        'data.columns.id = "text" takes its words), '
        "same (constant), none (empty)",
    ]


FORMS = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "arrow": lambda columns: pa.table({k: pa.array(v) for k, v in columns.items()}),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_frame_is_encoded_alike(form):
    columns = {k: v if isinstance(v, list) else np.array(v) for k, v in table().items()}
    data, expected = load(form(columns)), load(table())
    np.testing.assert_array_equal(data.inputs, expected.inputs)
    np.testing.assert_array_equal(data.targets, expected.targets)
    assert data.preprocessing == expected.preprocessing


@pytest.mark.parametrize("end", ["csv", "parquet", "jsonl"])
def test_every_file_is_encoded_alike(tmp_path: Path, end: str):
    path = tmp_path / f"t.{end}"
    frame = pl.DataFrame(table())
    {
        "csv": frame.write_csv,
        "parquet": frame.write_parquet,
        "jsonl": frame.write_ndjson,
    }[end](path)
    data, expected = load(path), load(table())
    np.testing.assert_array_equal(data.inputs, expected.inputs)
    assert data.preprocessing == expected.preprocessing
    assert data.source == path.name


def test_people(people: Path):
    data = load(people, query="SELECT * EXCLUDE (name) FROM data")
    assert data.task == "regression"
    assert data.description[1] == "dropped 1 of 5 rows: target 'income' is missing"
    assert data.preprocessing.feature_names() == [
        *("age", "age missing", "joined", "member=False", "member=True"),
        *("member missing", "city=San \"Fran\" cisco", "city=Zürich", "city=北京"),
        "city missing",
    ]  # fmt: skip
    assert data.preprocessing.decode_targets(data.targets).ravel().tolist() == (
        pytest.approx([51.5, 42.25, 77.125, 61])
    )


def test_target_by_name_and_several_targets():
    data = load(table(), target="colour")
    assert data.preprocessing.target_names == ("colour",)
    assert data.rows == 40
    both = load({**table(), "w": np.arange(60.0)}, target=["size", "w"])
    assert both.targets.shape == (51, 2)
    assert both.task == "regression"


def test_weights():
    data = load({"w": np.arange(60.0), **table()}, weights="w")
    assert data.weights is not None
    assert data.weights.tolist() == list(range(60))
    assert "w" not in data.preprocessing.feature_names()
    last = load({"x": [1, 2, 3], "y": ["a", "b", "a"], "w": [1, 1, 0]}, weights="w")
    assert last.preprocessing.target_names == ("y",)


# -- classification or regression ---------------------------------------------------


@pytest.mark.parametrize(
    ("values", "task", "labels"),
    [
        (["b", "a"] * 10, "classification", ("a", "b")),
        ([True, False] * 10, "classification", (False, True)),
        ([3, 1, 2, 1] * 5, "classification", (1, 2, 3)),
        (list(range(20)), "regression", None),
        (list(range(40)) * 3, "regression", None),
        (list(range(40)) * 10, "classification", tuple(range(40))),
        (list(range(18, 90)) * 20, "regression", None),
        ([0.5, 1.5] * 10, "regression", None),
        ([1.0, 2.0] * 10, "classification", (1.0, 2.0)),
    ],
)
def test_the_task_follows_from_the_target(values, task, labels):
    data = load({"x": np.arange(len(values)), "y": values})
    assert data.task == task
    if labels is not None:
        assert isinstance(data.preprocessing.target, Classes)
        assert repr(data.preprocessing.target.labels) == repr(labels)


def test_the_task_may_be_given():
    columns = {"x": np.arange(20), "y": [1.0, 2.0] * 10}
    data = load(columns, task="classification")
    assert data.targets.tolist() == [0, 1] * 10
    assert load({**columns, "y": [1, 2] * 10}, task="regression").targets.dtype == "f4"
    digits = load("digits", task="regression")
    assert digits.targets.shape == (1797, 1)
    assert digits.preprocessing.scale == 1 / 16


@pytest.mark.parametrize(
    ("columns", "options", "text"),
    [
        (
            {"y": ["a"] * 3},
            {},
            r"target 'y' has one class \('a'\); expected at least 2",
        ),
        ({"y": [None] * 3}, {}, "target 'y' is missing in every row"),
        ({"y": [1.5] * 3}, {}, "target 'y' is 1.5 in every row"),
        ({"y": [1.0, np.inf, 2.0]}, {}, "target 'y' is inf in row 1"),
        (
            {"y": np.array(["2020"] * 3, "M8[D]")},
            {},
            "'y' holds dates; expected numbers",
        ),
        ({"y": ["a", "b", "c"]}, {"task": "regression"}, r"'y' holds text \('a'\)"),
        ({"y": ["a", "b", "c"]}, {"task": "guess"}, "task 'guess'; expected classifi"),
        ({"y": [1, 2, 1]}, {"target": "z"}, "unknown target column 'z'.*Known: x, y"),
        ({"y": [1, 2, 1]}, {"weights": "v"}, "unknown column 'v'"),
        ({"y": [1, 2, 1]}, {"weights": "y"}, None),
        (
            {"y": [1, 2, 1], "v": [1, -1, 1]},
            {"target": "y", "weights": "v"},
            "negative",
        ),
        (
            {"y": [1, 2, 1], "v": [0, 0, 0]},
            {"target": "y", "weights": "v"},
            "are all 0",
        ),
        ({"y": [1, 2, 1]}, {"query": "FROM data"}, "a query over something that is no"),
    ],
)
def test_wrong_targets_and_options(columns, options, text):
    given = {"x": [1, 2, 3], **columns}
    text = text or "no column besides the target 'x'"
    with pytest.raises(DataError, match=text):
        load(given, **options)


def test_too_many_classes():
    texts = [f"name {i}" for i in range(100)]
    with pytest.raises(DataError, match="'y' has 100 classes in 100 rows; expected at"):
        load({"x": np.arange(100), "y": texts})


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (
            {"x": [1, 1, 1]},
            r"no column is left to learn from \(dropped: x \(constant\)\)",
        ),
        ({"x": [None, None, None]}, r"dropped: x \(empty\)"),
        ({"x": [1.0, -np.inf, 1]}, r"column 'x' is -inf in row 1 \(counted from 0\)"),
        ({}, "no column besides the target 'y'; expected at least 1"),
        ({"x": []}, "columns differ in length"),
    ],
)
def test_wrong_columns(columns, text):
    with pytest.raises(DataError, match=text):
        load({**columns, "y": ["a", "b", "a"]})


def test_no_rows():
    with pytest.raises(DataError, match=r"\[data\] no rows; expected at least 2"):
        load(pd.DataFrame({"x": [], "y": []}))


def test_huge_and_tiny_numbers():
    data = load({"big": [1e308, -1e308, 0], "tiny": [1e-300, 2e-300, 3e-300],
                 "y": ["a", "b", "a"]})  # fmt: skip
    assert np.isfinite(data.inputs).all()
    np.testing.assert_allclose(data.inputs.std(axis=0), 1, rtol=1e-6)


def test_more_than_the_memory_is_refused(monkeypatch):
    raw = read(table())
    monkeypatch.setattr("nervure.data._errors.memory_limit", lambda: 1000)
    with pytest.raises(
        DataError, match=r"\[data\] takes 2,160 bytes; expected at most 1,000"
    ):
        make_dataset(raw)


def test_many_categories_become_codes():
    names = [f"n{i}" for i in range(30)] * 4
    columns = {"name": names, "x": np.arange(120), "y": ["a", "b"] * 60}
    data = load(columns)
    assert data.inputs.shape == (120, 2)
    assert data.preprocessing.categories == (31,)
    assert data.inputs[:, 1].tolist() == [
        1 + sorted(set(names)).index(n) for n in names
    ]
    assert "categories, embedded: name (30)" in data.summary()
    assert load(columns, most_one_hot=30).inputs.shape == (120, 31)
    assert load(columns, categories="one_hot").inputs.shape == (120, 31)


# -- held out -----------------------------------------------------------------------


def test_held_out_rows_have_no_say():
    """Spoiling the held-out rows leaves the statistics as they were."""
    data = load(table(), held_out=0.25, seed=4)
    assert data.train_rows is not None
    assert data.held_out_rows is not None
    assert len(data.held_out_rows) == 15
    spoiled = table()
    size, colour = np.array(spoiled["size"]), np.array(spoiled["colour"], object)
    size[data.held_out_rows] = 1e9
    colour[data.held_out_rows] = "unseen"
    again = load({**spoiled, "size": size, "colour": colour}, held_out=0.25, seed=4)
    assert "categories in held-out rows alone: colour (15 rows)" in again.summary()
    assert again.preprocessing == data.preprocessing
    np.testing.assert_array_equal(again.held_out_rows, data.held_out_rows)
    rows = data.train_rows
    np.testing.assert_allclose(data.inputs[rows, 0].mean(), 0, atol=1e-6)
    assert abs(data.inputs[:, 0].mean()) > 1e-6


def test_arrays_take_statistics_from_training_rows():
    x, y = RANDOM.normal(5, 3, (40, 2)), np.arange(40) % 2
    raw = read((x, y))
    train, held_out = split(raw.rows, 0.5, raw.strata(), seed=1)
    data = make_dataset(raw, train, held_out, dtype="float64")
    expected = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    np.testing.assert_allclose(data.inputs, expected, rtol=1e-12, atol=1e-12)


def test_held_out_classes_keep_their_shares():
    data = load("iris", held_out=0.2, seed=0)
    assert data.held_out_rows is not None
    assert np.bincount(data.targets[data.held_out_rows]).tolist() == [10, 10, 10]


# -- arrays -------------------------------------------------------------------------


def test_tuples_of_arrays():
    x, y = RANDOM.normal(size=(30, 2)), np.array(["no", "yes"] * 15)
    data = load((x, y, x[:4], y[:4]))
    assert data.preprocessing.decode_classes(data.targets[:2]).tolist() == ["no", "yes"]
    assert data.test is not None
    np.testing.assert_array_equal(data.test[0], data.inputs[:4])
    np.testing.assert_array_equal(data.test[1], data.targets[:4])


def test_targets_of_two_axes():
    x = RANDOM.normal(size=(30, 2))
    one_hot = np.eye(3)[np.arange(30) % 3]
    assert load((x, one_hot)).targets.tolist() == [0, 1, 2] * 10
    assert load((x, one_hot), task="regression").targets.shape == (30, 3)
    data = load((x, x * 3 + 1, x[:2], x[:2] * 3 + 1))
    assert data.targets.shape == (30, 2)
    assert data.test is not None
    np.testing.assert_allclose(data.targets[:2], data.test[1])


def test_a_frame_and_its_target():
    frame = pd.DataFrame({"a": [1, 2, 3, 4], "s": ["x", "y", "x", "y"]})
    data = load((frame, pd.Series(["no", "yes", "no", "no"])))
    assert data.preprocessing.feature_names() == ["a", "s=x", "s=y"]
    assert data.targets.tolist() == [0, 1, 0, 0]


def test_images_of_floats_are_left_alone(tmp_path: Path):
    images = RANDOM.random((20, 3, 3, 1)).astype(np.float32)
    np.save(tmp_path / "x.npy", images)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    data = load((mapped, np.arange(20) % 2))
    assert np.shares_memory(data.inputs, mapped)


def test_bytes_of_few_levels():
    x = RANDOM.integers(0, 2, (20, 6), dtype=np.uint8)
    x[0, 0] = 1
    data = load((x, np.arange(20) % 2))
    assert data.inputs.dtype == np.uint8
    assert data.preprocessing.scale == 1.0


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ((np.ones((4, 2)), [0, 1] * 2), "every feature is constant"),
        ((np.zeros((4, 2), np.uint8), [0, 1] * 2), "all values are 0"),
        ((np.eye(4), [0, 1]), "2 targets for 4 rows of inputs; give exactly one"),
        ((np.eye(4), [0, 1, np.nan, 1]), r"no value at y\[2\] .*; drop the row"),
        ((np.eye(4), [0, 0, 0, 0]), r"target 'y' has one class \(0\)"),
        ((np.eye(4) * np.nan, [0, 1] * 2), r"nan at X\[0, 0\]"),
        (
            (np.eye(4), [0, 1] * 2, np.eye(3), [0] * 3),
            r"\[X_test\] rows of shape \(3,\)",
        ),
        ((np.eye(4), [0, 1] * 2, np.eye(4), [0] * 3), "3 targets for 4 rows"),
        ((np.eye(4), [0, 1] * 2, np.eye(4), [0, 1, 2, 1]), "class 2 in row 2"),
        ((np.eye(4), [0, 1] * 2, 3), "a tuple; expected a name, a path, a data frame"),
        (42, "a int; expected a name, a path"),
    ],
)
def test_wrong_arrays(source, text):
    with pytest.raises(DataError, match=text):
        load(source)


# -- names and paths ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("iriss", r"\[source\] unknown data set or file 'iriss'; did you mean 'iris'"),
        ("nothing.csv", r"\[nothing.csv\] there is no such file or folder; check"),
        ("a/b", r"\[a/b\] there is no such file or folder"),
        ("https://example.org/a.csv", "an address; expected a file on this machine"),
    ],
)
def test_names_that_are_not_there(source, text):
    with pytest.raises(DataError, match=text):
        load(source)


def test_every_built_in_name_is_listed():
    with pytest.raises(DataError) as caught:
        load("what")
    assert all(name in str(caught.value) for name in BUILTIN)


def test_foreign_files_and_folders(tmp_path: Path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.pdf").write_bytes(b"")
    (tmp_path / "a.pdf").write_bytes(b"")
    (tmp_path / "plain").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"a folder with '1.pdf'; expected one sub-folder of"
    ):
        load(tmp_path / "cat")
    with pytest.raises(DataError, match=r"\[a.pdf\] a .pdf file; expected data; use"):
        load(tmp_path / "a.pdf")
    with pytest.raises(DataError, match="a nameless file"):
        load(tmp_path / "plain")
    with pytest.raises(DataError, match="a query over a file without a table"):
        load(tmp_path / "a.pdf", query="FROM data")


def test_options_that_do_not_apply(idx_folder: Path):
    with pytest.raises(DataError, match=r"\[small\] target='x' for a source without"):
        load(idx_folder, target="x")


# -- for trained networks -----------------------------------------------------------


def test_prepare_rows_with_and_without_targets(tmp_path: Path):
    data = load(table())
    frame = pl.DataFrame(table()).with_columns(
        pl.when(pl.col("count") == 1)
        .then(None)
        .otherwise(pl.col("class"))
        .alias("class")
    )
    frame.write_csv(tmp_path / "t.csv")
    inputs, nothing = prepare(tmp_path / "t.csv", data.preprocessing)
    assert nothing is None
    np.testing.assert_array_equal(inputs, data.inputs)
    inputs, targets = prepare(tmp_path / "t.csv", data.preprocessing, labelled=True)
    kept = [i for i in range(60) if i % 5 != 1]
    np.testing.assert_array_equal(inputs, data.inputs[kept])
    np.testing.assert_array_equal(targets, data.targets[kept])
    frame.drop("class").write_csv(tmp_path / "u.csv")
    with pytest.raises(DataError, match=r"\[u.csv\] no target column 'class' \(there"):
        prepare(tmp_path / "u.csv", data.preprocessing, labelled=True)


def test_one_class_is_enough_to_evaluate():
    data = load(table())
    yes = pl.DataFrame(table()).filter(pl.col("class") == "yes")
    _, targets = prepare(yes, data.preprocessing, labelled=True)
    assert targets is not None
    assert set(targets.tolist()) == {1}
    x = RANDOM.normal(size=(20, 2))
    pair = load((x, np.arange(20) % 2)).preprocessing
    _, targets = prepare((x[:3], [1, 1, 1]), pair, labelled=True)
    assert targets.tolist() == [1, 1, 1]


def test_text_that_looks_like_numbers_stays_text(tmp_path: Path):
    (tmp_path / "a.csv").write_text("zip,y\nA1,u\n02,v\nA1,u\n02,7\n")
    data = load(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("zip,y\n02,7\n")
    inputs, targets = prepare(tmp_path / "b.csv", data.preprocessing, labelled=True)
    np.testing.assert_array_equal(inputs, data.inputs[3:])
    np.testing.assert_array_equal(targets, data.targets[3:])


def test_prepare_images(idx_folder: Path, tmp_path: Path):
    data = load(idx_folder)
    assert data.test is not None
    inputs, targets = prepare(idx_folder, data.preprocessing, labelled=True)
    np.testing.assert_array_equal(inputs, data.test[0])
    np.testing.assert_array_equal(targets, data.test[1])
    file = idx_folder / "train-images-idx3-ubyte.gz"
    np.testing.assert_array_equal(prepare(file, data.preprocessing)[0], data.inputs)
    np.save(tmp_path / "x.npy", data.inputs)
    np.savez(tmp_path / "x.npz", anything=data.inputs)
    for name in ("x.npy", "x.npz"):
        inputs, _ = prepare(tmp_path / name, data.preprocessing)
        np.testing.assert_array_equal(inputs, data.inputs)


def test_importing_is_cheap():
    """`nervure.data` and its array helpers need NumPy only."""
    program = (
        "import sys; from nervure.data import as_inputs; as_inputs([[1.0]]);"
        "heavy = {'duckdb', 'narwhals', 'sklearn', 'pandas', 'scipy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_target_that_is_named_twice() -> None:
    columns = {"a": [1.0, 2.0], "y": [3.0, 4.0]}
    text = r"target 'y' is named twice; expected different columns; name it once"
    with pytest.raises(DataError, match=text):
        load(columns, target=["y", "y"])
