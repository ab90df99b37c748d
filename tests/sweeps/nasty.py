# SPDX-License-Identifier: BSD-3-Clause
"""Tables as they break readers: ``python tests/sweeps/nasty.py``.

Writes each file itself, trains on it, predicts and evaluates by the command line, and
compares what is said with what should be. Ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import json
import re
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from tables import tried

ROWS = 120


@dataclass(frozen=True)
class Case:
    """A file, the options with it, and what is to be said: by the training, or in the
    error that refuses it."""

    name: str
    content: bytes | Callable[[Path], str]
    says: str = ""
    refused: str = ""
    options: tuple[str, ...] = ()


def rows(
    make: Callable[[int, float], str], header: str = "a,b,y", end: str = "\n"
) -> bytes:
    """A CSV file of rows that ``make`` writes of a number and a random value."""
    rng = np.random.default_rng(1)
    lines = [make(i, float(rng.normal())) for i in range(ROWS)]
    return (end.join([header, *lines]) + end).encode()


def plain(i: int, x: float) -> str:
    return f"{x:.3f},{i % 7},{x * 2 + i % 7:.3f}"


BASE = rows(plain)


def cells(column: Callable[[int, float], str], header: str = "a,b,y") -> bytes:
    """A file whose first column is written in a peculiar way."""
    return rows(lambda i, x: f"{column(i, x)},{i % 7},{x:.3f}", header)


def few(count: int, kinds: int) -> bytes:
    """A file of few rows and about as many classes."""
    whole = rows(lambda i, x: f"{x:.3f},{i},c{i % kinds}")
    return b"\n".join(whole.split(b"\n")[: count + 1]) + b"\n"


def wide() -> bytes:
    """A file of 3,000 columns."""
    lines = [",".join(f"x{i}" for i in range(3000))]
    lines += [",".join(str((r * c) % 97) for c in range(3000)) for r in range(1, 60)]
    return ("\n".join(lines) + "\n").encode()


def sqlite(folder: Path) -> str:
    path = folder / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (a REAL, b INTEGER, y REAL)")
        values = [(i * 0.5, i % 7, i * 0.25) for i in range(ROWS)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", values)
    connection.close()
    return f"{path}?table=orders"


def packed(end: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        path = folder / f"t.csv.{end}"
        if end == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("t.csv", BASE)
                archive.writestr("__MACOSX/._t.csv", b"x")
        else:
            path.write_bytes({"gz": gzip, "bz2": bz2}[end].compress(BASE))
        return str(path)

    return write


def parts(folder: Path) -> str:
    (folder / "parts").mkdir()
    for i in range(3):
        (folder / "parts" / f"part-{i}.csv").write_bytes(BASE)
    return str(folder / "parts")


def written(name: str, content: bytes) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return str(folder / name)

    return write


def shape(orient: str) -> Callable[[Path], str]:
    table = {"a": [i * 0.5 for i in range(ROWS)], "y": [i * 0.25 for i in range(ROWS)]}
    forms = {
        "columns": {
            k: {str(i): v for i, v in enumerate(vs)} for k, vs in table.items()
        },
        "split": {
            "columns": ["a", "y"],
            "index": list(range(ROWS)),
            "data": [list(pair) for pair in zip(*table.values(), strict=True)],
        },
        "index": {
            str(i): {"a": a, "y": y}
            for i, (a, y) in enumerate(zip(*table.values(), strict=True))
        },
    }
    return written("t.json", json.dumps(forms[orient]).encode())


def numpy_archive(folder: Path) -> str:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 3))
    np.savez(folder / "t.npz", data=X, target=X[:, 0] > 0)
    return str(folder / "t.npz")


NUMBERED = "numbers the rows"
CASES = [
    # 14. Row numbers.
    Case("R's row numbers", rows(lambda i, x: f'"{i + 1}",{plain(i, x)}', '"",a,b,y'), NUMBERED),
    Case("pandas' index", rows(lambda i, x: f"{i},{plain(i, x)}", "Unnamed: 0,a,b,y"), NUMBERED),
    Case("id", rows(lambda i, x: f"{i + 1},{plain(i, x)}", "id,a,b,y"), NUMBERED),
    Case("names of rows", rows(lambda i, x: f"r{i},{plain(i, x)}", ",a,b,y"), "names the rows"),
    Case("write.table", rows(lambda i, x: f'"{i + 1}" {x:.3f} {i % 7} {x:.3f}', "a b y"), NUMBERED),
    Case("a trend", rows(lambda i, x: f"{i},{plain(i, x)}", "time,a,b,y"), "kept, though it counts"),
    # 15. Dates.
    Case("day first", cells(lambda i, x: f"{1 + i % 28:02}/0{1 + i % 9}/2020"), "%d/%m/%Y"),
    Case("names of months", cells(lambda i, x: f"{1 + i % 28:02} Jan {1990 + i % 30}"), "%d %b %Y"),
    Case("quarters", cells(lambda i, x: f"{1990 + i // 4}Q{1 + i % 4}"), "%YQ%q"),
    Case("in doubt", cells(lambda i, x: f"0{1 + i % 9}/0{1 + i % 9}/20{10 + i % 9}")),
    Case("weekdays", cells(lambda i, x: ["Monday", "Tuesday", "Friday"][i % 3]), "one-hot"),
    # 16. Numbers.
    Case("markers", cells(lambda i, x: "-" if i == 7 else f"{x:.3f}"), "filled and flagged: a"),
    Case("blanks", cells(lambda i, x: " " if i == 7 else f"{x:.3f}"), "filled and flagged: a"),
    Case("thousands", cells(lambda i, x: f'"{1000 + i * 37:,}"'), "numbers written like '1,0"),
    Case("dollars", cells(lambda i, x: f"${i}.50"), "numbers written like '\\$"),
    Case("percent", cells(lambda i, x: f"{i} %"), "numbers written like"),
    Case("units", cells(lambda i, x: f"{i} kg"), "numbers written like"),
    Case("plus", cells(lambda i, x: f"{x:+.3f}")),
    Case("bounds", cells(lambda i, x: "<100" if i == 3 else f"{i}"), "read as 100"),
    Case("one word", cells(lambda i, x: "abc" if i == 7 else f"{x:.3f}"), "filled and flagged: a"),
    Case("decimal commas", rows(lambda i, x: plain(i, x).replace(",", ";").replace(".", ","), "a;b;y")),
    Case("units row", BASE.replace(b"a,b,y\n", b"a,b,y\nkg,m,s\n")),
    Case("header again", BASE + BASE),
    Case("a total", rows(lambda i, x: f"g{i % 3},{plain(i, x)}", "g,a,b,y") + b"Total,1,2,3\n"),
    Case("inf", cells(lambda i, x: "inf" if i == 0 else f"{x:.3f}"), refused="'a' is inf in row 0"),
    Case("inf alone", cells(lambda i, x: "inf"), refused="'a' is inf in row 0"),
    # 17. Labels.
    Case("labels in cases", rows(lambda i, x: f"{x:.3f},{i % 7},{['Yes', 'YES', 'no', 'No '][i % 4]}"), "target 'y': 4 classes"),
    Case("float labels", rows(lambda i, x: f"{x:.3f},{i % 7},{i % 2}.0"), "target 'y': 2 classes"),
    Case("signs", rows(lambda i, x: f"{x:.3f},{i % 7},{1 - 2 * (i % 2)}.0"), "target 'y': 2 classes"),
    Case("incomes", rows(lambda i, x: f"{x:.3f},{i % 7},{20000 + 5000 * (i % 4)}"), "taken as amounts"),
    Case("counts", rows(lambda i, x: f"{x:.3f},{i % 7},{int(abs(x) * 3)}", "a,b,n_visits"), "taken as amounts"),
    # 18. Few rows.
    *(
        Case(f"{n} rows", few(n, k), refused=r"rows are too few|has one class")
        for n, k in ((1, 1), (2, 2), (3, 3), (15, 15), (24, 20))
    ),
    Case("no rows", b"a,b,y\n", refused="no rows"),
    Case("nothing", b"", refused="the file is empty"),
    Case("no text", b"\0\x05\x16\x07\0Mac OS X\tx\n1\t2\n", refused="holds zero bytes"),
    # 19. Headers.
    Case("no header", rows(lambda i, x: f"{x:.3f},w{i % 3},{i % 7}.5").split(b"\n", 1)[1], "no header line"),
    Case("a name twice", rows(plain, "a,y,y"), refused="two columns are named 'y'", options=("--target", "y")),
    Case("years", rows(plain, "1990,1991,1992")),
    # 20. Reading.
    Case("mixed ends", BASE.replace(b"\n", b"\r\n", 30)),
    Case("old mac", BASE.replace(b"\n", b"\r")),
    Case("comments", b"# by hand\n\n" + BASE),
    Case("sep=", b"sep=;\n" + BASE.replace(b",", b";")),
    Case("blanks between", BASE.replace(b",", b"   ")),
    Case("cp1252", rows(lambda i, x: f"Zürich{i % 3},{plain(i, x)}", "stadt,a,b,y").decode().encode("cp1252"), "text read as cp1252"),
    Case("utf-16", BASE.decode().encode("utf-16"), "text read as utf-16"),
    Case("a mark", b"\xef\xbb\xbf" + BASE),
    Case("backslashes", rows(lambda i, x: f'"say \\"{i % 3}\\", so",{plain(i, x)}', "w,a,b,y")),
    Case("a long row", BASE + b"1,2,3,4\n", refused="line 122 has 4 fields; expected 3"),
    Case("an open quote", BASE + b'"1,2,3\n', refused="expected quotes in pairs"),
    Case("gz", packed("gz")), Case("bz2", packed("bz2")), Case("zip", packed("zip")),
    Case("parts", parts), Case("sqlite", sqlite), Case("npz", numpy_archive),
    Case("json by columns", shape("columns")), Case("json split", shape("split")),
    Case("json by rows", shape("index")),
    Case("no json", written("t.json", b'{"a": 1'), refused="no whole JSON"),
    Case("no parquet", written("t.parquet", b"PAR1"), refused="cannot be read as parquet"),
    Case("a query", BASE, options=("--query", "SELECT a, b, y FROM data WHERE b > 1")),
    Case("dropped", cells(lambda i, x: "inf"), options=("--set", "data.columns.a=drop")),
    # 21. Names.
    Case("blanks in names", BASE.replace(b"a,b,y", b" a , b , y "), options=("--target", "y")),
    Case("dots in names", rows(plain, "Sepal.Length,b,y"), options=("--set", "data.columns.Sepal.Length=drop")),
    # 22. Wide.
    Case("wide", wide()),
]  # fmt: skip


def fault(case: Case) -> str:
    """How a case differs from what should be, or nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if isinstance(case.content, bytes):
            (folder / "t.csv").write_bytes(case.content)
            source = str(folder / "t.csv")
        else:
            source = case.content(folder)
        found = tried(Path(source), *case.options)
        if found.faults:
            return "; ".join(found.faults)
        if case.refused:
            right = re.search(case.refused, found.error)
            return "" if right else f"not refused so: {found.error or found.decided}"
        if found.error:
            return f"refused: {found.error}"
        right = re.search(case.says, found.told)
        return "" if right else f"{case.says!r} is not said in: {found.told}"


def main() -> int:
    """Go through all cases, or those whose name holds a word."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("word", nargs="?", default="")
    asked = parser.parse_args()
    cases = [case for case in CASES if asked.word in case.name]
    bad = 0
    for case in cases:
        wrong = fault(case)
        bad += bool(wrong)
        print(
            f"{'FAULT' if wrong else 'ok':6}{case.name}{': ' + wrong if wrong else ''}",
            flush=True,
        )
    print(f"{len(cases):,} files, {bad:,} with faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
