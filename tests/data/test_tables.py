# SPDX-License-Identifier: BSD-3-Clause
"""Reading files and frames as tables: every way gives the same columns."""

from __future__ import annotations

import datetime
import decimal
import gzip
import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from nervure.data import DataError, load
from nervure.data import _errors as errors
from nervure.data.columns import Column, Table
from nervure.data.frames import column_of, table_from_frame, table_from_mapping
from nervure.data.meaning.understanding import understood
from nervure.data.tables import read_table

UTC = datetime.UTC
NOON = datetime.datetime(2020, 1, 1, 12, tzinfo=UTC)

COLUMNS = {
    "n": [1, 2, None, 4],
    "x": [0.5, None, 1e12, -2.0],
    "ok": [True, None, False, True],
    "s": ["b", "ä, ö", None, "b"],
    "day": [datetime.date(2020, 1, 1), None, datetime.date(1969, 12, 31), None],
    "at": [datetime.datetime(2020, 1, 1, 12), None, None, None],
}


def same(a: Column, b: Column) -> None:
    """Equal but for integers that became reals because some are missing (pandas)."""
    assert a.name == b.name
    kinds = {a.kind, b.kind}
    assert len(kinds) == 1 or kinds == {"integer", "real"}
    assert a.levels == b.levels
    values_a, values_b = a.floats(), b.floats()
    np.testing.assert_array_equal(values_a, values_b)


def same_tables(a: Table, b: Table) -> None:
    assert list(a.columns) == list(b.columns)
    assert a.rows == b.rows
    for name in a.columns:
        same(a[name], b[name])


FRAMES = {
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "pandas, nullable": lambda: pd.DataFrame(COLUMNS).convert_dtypes(),
    "pandas, arrow": lambda: pd.DataFrame(COLUMNS).convert_dtypes(
        dtype_backend="pyarrow"
    ),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "polars, lazy": lambda: pl.LazyFrame(COLUMNS),
    "arrow": lambda: pa.table(COLUMNS),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_frames_of_all_libraries_agree(frame):
    same_tables(table_from_frame(frame()), table_from_mapping(COLUMNS))


def test_kinds_and_values():
    table = table_from_mapping(COLUMNS)
    kinds = {name: column.kind for name, column in table.columns.items()}
    assert kinds == {
        "n": "integer",
        "x": "real",
        "ok": "boolean",
        "s": "text",
        "day": "date",
        "at": "date",
    }
    assert table["s"].levels == ("b", "ä, ö")
    assert table["day"].values[[0, 2]].tolist() == [1577836800.0, -86400.0]
    assert table["at"].values[0] == 1577880000.0


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (np.array([1, 2], np.uint8), "integer", [1, 2]),
        (np.array([2**64 - 1, 1], np.uint64), "real", [2.0**64, 1]),
        ([2**70, 1], "real", [2.0**70, 1]),
        ([decimal.Decimal("0.5"), 1], "real", [0.5, 1]),
        (["x", float("nan")], "text", [0, np.nan]),
        ([None, float("nan")], "empty", [np.nan, np.nan]),
        (np.array(["2020-01-02", "NaT"], "M8[D]"), "date", [1577923200, np.nan]),
        ([NOON, NOON.astimezone(datetime.timezone(datetime.timedelta(hours=5)))],
         "date", [1577880000] * 2),
        (pl.Series(["a", "b"], dtype=pl.Categorical), "text", [0, 1]),
        (pd.Series([3, 1], dtype="category"), "text", [1, 0]),
        (pl.Series([1, None], dtype=pl.UInt64), "integer", [1, np.nan]),
        (pl.Series([NOON, None]), "date", [1577880000, np.nan]),
        (pl.Series([float("nan"), 1.0, None]), "real", [np.nan, 1, np.nan]),
        (7, "integer", [7]),
        ("word", "text", [0]),
    ],
)  # fmt: skip
def test_columns(values, kind, expected):
    column = column_of("c", values)
    assert column.kind == kind
    np.testing.assert_array_equal(column.floats(), expected)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: column_of("c", [1, "a"]), "'c' holds int and str; expected numbers"),
        (lambda: column_of("c", [object()]), "'c' holds object; expected numbers"),
        (lambda: column_of("c", [True, 2]), "'c' holds bool and int"),
        (lambda: column_of("c", np.ones((2, 2))), r"'c' has shape \(2, 2\)"),
        (lambda: column_of("c", np.ones(2, complex)), "'c' holds complex128"),
        (
            lambda: table_from_frame(pl.DataFrame({"c": [["a"]]})),
            r"'c' holds List\(String",
        ),
        (
            lambda: table_from_mapping({"a": [1], "b": [1, 2]}),
            "columns differ in length .'a': 1, 'b': 2",
        ),
        (
            lambda: table_from_frame(pd.DataFrame([[1, 2]], columns=["a", "a"])),
            "[Uu]nique column names.*'a' 2 times; rename all but one",
        ),
    ],
)
def test_wrong_columns(make, text):
    with pytest.raises(DataError, match=text):
        make()


# -- files --------------------------------------------------------------------------


def write_files(folder: Path) -> dict[str, Path]:
    """The same table in every format."""
    frame = pl.DataFrame(COLUMNS)
    files = {name: folder / f"t.{name}" for name in ("csv", "tsv", "parquet", "jsonl")}
    frame.write_csv(files["csv"])
    frame.write_csv(files["tsv"], separator="\t")
    frame.write_parquet(files["parquet"])
    frame.write_ndjson(files["jsonl"])
    files["csv.gz"] = folder / "t2.csv.gz"
    files["csv.gz"].write_bytes(gzip.compress(files["csv"].read_bytes()))
    files["json"] = folder / "t.json"
    rows = [json.loads(line) for line in files["jsonl"].read_text().splitlines()]
    files["json"].write_text(json.dumps(rows))
    return files


@pytest.mark.parametrize("name", ["csv", "tsv", "parquet", "jsonl", "csv.gz", "json"])
def test_files_of_all_formats_agree(tmp_path: Path, name: str):
    table = read_table(write_files(tmp_path)[name])
    same_tables(table, table_from_mapping(COLUMNS))


def test_people(people: Path):
    table = read_table(people)
    assert table.rows == 5
    assert table["name"].levels[1:3] == ("Eve", "Zoë, née Ångström")
    assert table["city"].labels()[:2] == ["Zürich", 'San "Fran" cisco']
    assert [c.kind for c in table.columns.values()] == [
        *("text", "integer", "date", "boolean", "text", "real"),
    ]
    assert {n: int(c.missing.sum()) for n, c in table.columns.items()
            if c.missing is not None} == {
        "age": 1, "joined": 1, "member": 1, "city": 1, "income": 1,
    }  # fmt: skip


CSV = {
    "byte order mark": ("\ufeffa,b\n1,2\n", [1], [2]),
    "windows line ends": ("a,b\r\n1,2\r\n3,\r\n", [1, 3], [2, np.nan]),
    "semicolons": ("a;b\n1;2.5\n", [1], [2.5]),
    "decimal commas": ("a;b\n1;2,5\n3;-4,25\n", [1, 3], [2.5, -4.25]),
    "bars": ("a|b\n1|2\n", [1], [2]),
    "commas in quoted names": ('a,"b;;;"\n1,2\n', [1], [2]),
    "missing words": ("a,b\nNA,1\n?,null\n", [np.nan] * 2, [1, np.nan]),
    "blank lines": ("a,b\n1,2\n\n3,4\n", [1, 3], [2, 4]),
    "scientific": ("a,b\n1e3,-.5\n", [1000], [-0.5]),
}  # fmt: skip


@pytest.mark.parametrize(("content", "a", "b"), CSV.values(), ids=CSV)
def test_csv_dialects(tmp_path: Path, content, a, b):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode())
    first, second = understood(read_table(path)).columns.values()
    assert first.name == "a"
    np.testing.assert_array_equal(first.floats(), a)
    np.testing.assert_array_equal(second.floats(), b)


def test_a_type_that_shows_late_is_kept(tmp_path: Path):
    """Guessing types from the first 20,480 rows would round 1.5 to 2."""
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,1\n" * 30_000 + "1.5,x\n")
    table = read_table(path)
    assert table["a"].values[-1] == 1.5
    assert table["b"].levels == ("1", "x")


def test_text_columns_can_be_asked_for(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text("zip,n\n1234,1\n")
    assert read_table(path)["zip"].kind == "integer"
    assert read_table(path, text=["zip", "other"])["zip"].levels == ("1234",)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("true false", "boolean"),
        ("True FALSE", "boolean"),
        ("yes no", "text"),
        ("t f", "text"),
        ("true no", "text"),
        ("1 0", "integer"),
    ],
)
def test_booleans_are_true_and_false(tmp_path: Path, words: str, kind: str):
    path = tmp_path / "t.csv"
    path.write_text('"a ""b""",n\n{},1\n{},2\nNA,3\n'.format(*words.split()))
    column = read_table(path)['a "b"']
    assert column.kind == kind
    if kind == "text":
        assert set(column.levels) == set(words.split())
    assert column.missing is not None
    assert column.missing.tolist() == [False, False, True]


def test_odd_paths(tmp_path: Path):
    path = tmp_path / "it's [1] *.csv"
    path.write_text("a,b\n1,2\n")
    (tmp_path / "other.csv").write_text("a,b\n3,4\n")
    assert read_table(path)["a"].values.tolist() == [1]


def test_types_of_parquet(tmp_path: Path):
    path = tmp_path / "t.parquet"
    duckdb.execute(
        f"""COPY (SELECT 1.25::DECIMAL(5, 2) d, 3::UTINYINT u, 2::UBIGINT w,
        uuid() i, TIMESTAMPTZ '2020-01-01 12:00:00+00' z, TIME '00:01' t,
        NULL e) TO '{path}'"""
    )
    table = read_table(path)
    assert {name: c.kind for name, c in table.columns.items()} == {
        "d": "real", "u": "integer", "w": "real", "i": "text", "z": "date", "t": "date",
        "e": "empty",
    }  # fmt: skip
    assert [table[n].values[0] for n in "dztu"] == [1.25, 1577880000.0, 60.0, 3]


def test_queries(people: Path):
    table = read_table(people, "SELECT city, age * 2 AS twice FROM data WHERE age > 30")
    assert list(table.columns) == ["city", "twice"]
    assert table["twice"].values.tolist() == [62, 90, 90]
    assert read_table(people, "FROM data LIMIT 2 -- as it is").rows == 2
    assert read_table(people, "WITH q AS (SELECT 1 AS a) SELECT a FROM q;").rows == 1


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT agee FROM data", 'failed: Binder Error: .*"agee".*correct the query'),
        ("SELEC 1", "failed: Parser Error: syntax error"),
        ("SELECT * FROM nothing", "failed: Catalog Error: Table with name nothing"),
        ("SELECT 1; SELECT 2", "expected one SELECT statement; write it like"),
        ("", "query ''; expected one SELECT statement"),
        ("COPY data TO '{other}'", "expected one SELECT statement"),
        ("INSTALL httpfs", "expected one SELECT statement"),
        ("LOAD httpfs", "expected one SELECT statement"),
        ("ATTACH '{other}'", "expected one SELECT statement"),
        ("SET threads = 8", "expected one SELECT statement"),
        ("DROP VIEW data", "expected one SELECT statement"),
        (
            "SELECT * FROM read_csv('{other}')",
            "failed: Permission Error: Cannot access",
        ),
        ("SELECT * FROM read_text('{other}')", "failed: Permission Error"),
        ("SELECT * FROM '{other}'", "failed: "),
        ("SELECT * FROM glob('/*')", "failed: Permission Error"),
        ("SELECT * FROM read_csv('http://127.0.0.1:9/a.csv')", "failed: "),
    ],
)
def test_queries_reach_nothing_else(people: Path, query: str, text: str):
    other = people.with_name("other.csv")
    other.write_text("secret\nyes\n")
    before = people.read_bytes()
    with pytest.raises(DataError, match=text) as caught:
        read_table(people, query.format(other=other))
    assert "[people.csv] query" in str(caught.value)
    assert people.read_bytes() == before
    assert sorted(p.name for p in people.parent.iterdir()) == [
        "other.csv",
        "people.csv",
    ]


def test_python_variables_are_no_tables(people: Path):
    hidden = pl.DataFrame({"a": [1]})
    with pytest.raises(DataError, match="Table with name hidden does not exist"):
        read_table(people, "SELECT * FROM hidden")
    assert hidden.height == 1


def test_a_query_beyond_memory(people: Path, monkeypatch):
    monkeypatch.setattr("nervure.data.files.duck.memory_limit", lambda: 60 << 20)
    with pytest.raises(DataError, match="does not fit into memory; expected rows of"):
        read_table(people, "SELECT random() AS r FROM range(100000000)")


def test_a_table_beyond_memory(people: Path, monkeypatch):
    monkeypatch.setattr(errors, "memory_limit", lambda: 100)
    with pytest.raises(
        DataError, match=r"\[people.csv\] takes 240 bytes; expected at most"
    ):
        read_table(people)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", r"\[t.csv\] the file is empty; expected a header line and rows"),
        (b"\n\n", "the file is empty"),
        (
            b"a,b\n1,2\n3\n",
            "line 3 has 1 fields; expected 2, as many as the header line; correct the line",
        ),
        (b"a,b\n1,2\n4,5,6\n", "line 3 has 3 fields; expected 2"),
        (b'a,b\n1,"2\n3,4\n', "after line 3: unexpected end of data"),
    ],
)
def test_broken_csv(tmp_path: Path, content: bytes, text: str):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=text):
        read_table(path)


def test_a_truncated_gzip(tmp_path: Path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1000)[:-12])
    with pytest.raises(DataError, match=r"\[t.csv.gz\] "):
        read_table(path)


@pytest.mark.parametrize("name", ["t.parquet", "t.json"])
def test_foreign_files(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(b"PAR1 but no more" * 10)
    kind = name.removeprefix("t.")
    with pytest.raises(DataError, match=rf"\[{name}\] cannot be read as {kind} \("):
        read_table(path)


def test_nested_columns(tmp_path: Path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": ["1", "2"], "b": 1}\n')
    with pytest.raises(DataError, match=r"column 'a' holds VARCHAR\[\].*with a query"):
        read_table(path)
    assert read_table(path, "SELECT a[1] AS first, b FROM data").rows == 1


def test_a_query_that_does_not_end(people: Path, monkeypatch):
    monkeypatch.setenv("NERVURE_QUERY_SECONDS", "0.2")
    endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t"
    with pytest.raises(DataError, match=r"took more than 0.2 seconds; .*QUERY_SECONDS"):
        read_table(people, endless)
    monkeypatch.setenv("NERVURE_QUERY_SECONDS", "soon")
    with pytest.raises(DataError, match="'soon'; expected seconds above 0"):
        read_table(people, "FROM data")


def test_columns_are_dropped_before_their_type_is_judged(tmp_path: Path):
    path = tmp_path / "t.jsonl"
    path.write_text(
        "".join(f'{{"a": [1, 2], "b": {i}, "y": {i}.5}}\n' for i in range(40))
    )
    with pytest.raises(DataError, match="column 'a' holds sequences, beside 'b'"):
        load(path)
    data = load(path, columns={"a": "drop"})
    assert data.preprocessing.feature_names() == ["b"]
    assert "a (as asked for)" in data.summary()


def calls_of_reading(path: Path, columns: int) -> int:
    """How many functions are called while so many columns are read."""
    names = [f"c{i}" for i in range(columns)]
    rows = [[f"{(i * j) % 17 / 16:.3f}" for j in range(columns)] for i in range(20)]
    lines = [
        ",".join([*names, "y"]),
        *(f"{','.join(r)},{i % 2}" for i, r in enumerate(rows)),
    ]
    path.write_text("\n".join(lines) + "\n")
    found = 0

    def count(frame: object, event: str, given: object) -> None:
        nonlocal found
        found += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        load(path, target="y")
    finally:
        sys.setprofile(None)
    return found


def test_the_work_for_a_wide_table_grows_as_its_columns_do(tmp_path: Path):
    """5,000 columns took 11 seconds, 10,000 took 63."""
    path = tmp_path / "wide.csv"
    calls_of_reading(path, 20)  # what is imported and cached once
    few, many = (calls_of_reading(path, columns) for columns in (300, 1200))
    assert many < 4.4 * few
