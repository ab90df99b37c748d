# SPDX-License-Identifier: BSD-3-Clause
"""Each error of a table says what to do, and doing it leads out."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from nervure.cli.app import run
from nervure.data import DataError, load
from nervure.spec.reading import apply_sets
from nervure.spec.rows import load_data
from nervure.spec.tables import DataSpec

RANDOM = np.random.default_rng(2)


def table(path: Path, rows: int, target, header: str = "a,b,y") -> Path:
    """A file of two columns of numbers and a target made of the row's number."""
    body = "".join(
        f"{RANDOM.normal():.3f},{RANDOM.normal():.3f},{target(i)}\n"
        for i in range(rows)
    )
    path.write_text(f"{header}\n{body}")
    return path


def error_of(*words: str, capsys) -> str:
    assert run(list(words)) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: [")
    return told


def sets_in(text: str) -> list[str]:
    """The settings that a message names, as words of a command line."""
    return [
        word for found in re.findall(r"--set (\S+)", text) for word in ("--set", found)
    ]


FEW = [(2, 2), (3, 3), (15, 15), (24, 20)]


@pytest.mark.parametrize(("rows", "kinds"), FEW)
def test_too_few_rows_to_hold_some_out(tmp_path: Path, capsys, rows, kinds) -> None:
    path = table(tmp_path / "few.csv", rows, lambda i: f"c{i % kinds}")
    words = ["train", str(path), "--quiet", "--out", str(tmp_path / "run")]
    told = error_of(*words, capsys=capsys)
    assert f"[few.csv] {rows} rows are too few to hold some out" in told
    asked = [*words, "--set", "training.epochs=1", *sets_in(told)]
    assert run(asked) == 0


@pytest.mark.parametrize("rows", [2, 3])
def test_too_few_rows_of_amounts(rows: int) -> None:
    source = {"a": list(range(rows)), "y": [0.5 * i for i in range(rows)]}
    spec = DataSpec(test=0.15, validation=0.1)
    from nervure.data import read

    raw = read(source)
    if rows == 2:
        with pytest.raises(DataError, match="rows are too few to hold some out"):
            load_data(spec, raw=raw)
    assert load_data(DataSpec(), raw=raw).rows == rows


def test_whole_numbers_in_a_wrong_task_lead_to_the_right_one(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", 300, lambda i: i)
    with pytest.raises(
        DataError, match=r"300 classes .*or task='regression' for numbers"
    ):
        load(path, task="classification")
    assert load(path, task="regression").task == "regression"


def test_text_is_never_led_from_one_task_to_the_other(tmp_path: Path) -> None:
    """299 different texts are no classes, and no numbers either."""
    path = table(tmp_path / "t.csv", 299, lambda i: f"w{i}")
    with pytest.raises(DataError) as classes:
        load(path, task="classification")
    assert "regression" not in str(classes.value)
    with pytest.raises(DataError) as amounts:
        load(path, task="regression")
    assert "classification" not in str(amounts.value)
    assert str(amounts.value).endswith("choose another target")
    few = table(tmp_path / "few.csv", 90, lambda i: f"w{i % 3}")
    with pytest.raises(DataError, match="or task='classification'"):
        load(few, task="regression")
    assert load(few, task="classification").task == "classification"


def test_names_with_blanks_between_are_columns(tmp_path: Path) -> None:
    """It was: unknown target column 'price'; Known: area  rooms  city  price."""
    path = tmp_path / "t.csv"
    rows = "".join(f"{i}  {i % 5}  x{i % 3}  {i * 1.5}\n" for i in range(60))
    path.write_text("area  rooms  city  price\n" + rows)
    assert load(path, target="price").preprocessing.target_names == ("price",)


def test_a_name_that_is_nearly_right(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", 60, lambda i: i % 3, "a,b,Price")
    with pytest.raises(DataError, match="did you mean 'Price'"):
        load(path, target="price")
    assert load(path, target="Price").rows == 60


def test_the_second_of_two_names(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", 60, lambda i: i % 3, "a,y,y")
    with pytest.raises(DataError, match="choose 'y_1', the second"):
        load(path, target="y")
    assert load(path, target="y_1").rows == 60


def test_a_column_that_is_left_out_comes_back_by_its_key(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,y\n" + "".join(f"{i},{i % 9}.5\n" for i in range(60)))
    with pytest.raises(DataError, match="no column is left to learn from") as caught:
        load(path)
    (key,) = re.findall(r'data\.columns\.\S+ = "\w+"', str(caught.value))
    tables = apply_sets({}, [key.replace(" = ", "=").replace('"', "")])
    assert load(path, columns=tables["data"]["columns"]).rows == 60


def test_a_query_that_a_model_was_trained_with(tmp_path: Path, capsys) -> None:
    """It is kept for other files; where it does not fit them, --query is the way."""
    path = table(tmp_path / "t.csv", 120, lambda i: f"{i % 5}.5")
    query = "SELECT a, a * b AS ab, y FROM data WHERE y > 1"
    out = str(tmp_path / "run")
    short = ["--set", "training.epochs=1", "--quiet"]
    assert run(["train", str(path), "--query", query, "--out", out, *short]) == 0
    assert run(["evaluate", out, str(path), "--all"]) == 0
    assert f"({sum(i % 5 > 0 for i in range(120))} rows)" in capsys.readouterr().out
    assert run(["predict", out, str(path)]) == 0
    assert capsys.readouterr().out.count("\n") == 97
    bare = tmp_path / "new.csv"
    bare.write_text("a,b\n1,2\n3,4\n")
    told = error_of("predict", out, str(bare), capsys=capsys)
    assert "it is the query that the model was trained with" in told
    own = "SELECT a, a * b AS ab FROM data"
    assert run(["predict", out, str(bare), "--query", own]) == 0
    assert capsys.readouterr().out.count("\n") == 3


def test_a_file_without_names_of_columns(tmp_path: Path, capsys) -> None:
    """The model knows that its files have none."""
    path = tmp_path / "t.csv"
    rows = "".join(f"w{i % 3},{RANDOM.normal():.2f},c{i % 2}\n" for i in range(90))
    path.write_text(rows)
    out = str(tmp_path / "run")
    words = ["train", str(path), "--no-header", "--out", out, "--quiet"]
    assert run([*words, "--set", "training.epochs=1"]) == 0
    assert "[t.csv]" not in capsys.readouterr().err
    assert run(["evaluate", out, str(path), "--all"]) == 0
    assert "all 90 rows" in capsys.readouterr().out


def test_a_cut_message_is_whole(tmp_path: Path) -> None:
    """What DuckDB says of a query ends where it ends."""
    path = table(tmp_path / "t.csv", 30, lambda i: i % 3)
    with pytest.raises(DataError, match=r"correct the query \(the file is the table"):
        load(path, query="SELECT nothing FROM data")


def test_a_word_among_labels_that_are_numbers(tmp_path: Path, capsys) -> None:
    """It is lost in training with a warning, and in the same way afterwards."""
    path = table(tmp_path / "t.csv", 90, lambda i: "abc" if i == 40 else i % 3)
    out = str(tmp_path / "run")
    words = ["train", str(path), "--out", out, "--quiet", "--set", "training.epochs=1"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(words) == 0
    assert "column 'y': 1 value is no numbers as the others" in capsys.readouterr().err
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run(["evaluate", out, str(path), "--all"]) == 0
    assert "all 89 rows" in capsys.readouterr().out
    kept = load(path, columns={"y": "one_hot"})
    assert kept.preprocessing.target.labels == ("0", "1", "2", "abc")
