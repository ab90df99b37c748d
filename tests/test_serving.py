# SPDX-License-Identifier: BSD-3-Clause
"""Serving: the same answers as the command's, through shared calls, and bad requests."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import csv
import hashlib
import html
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

import nervure as nv
from nervure.cli.app import run
from nervure.serving.app import Door, make_app
from nervure.serving.batching import Batcher
from nervure.serving.metrics import Metrics
from nervure.serving.model import Served, open_served, together
from nervure.serving.page import page, policy
from nervure.serving.server import is_loopback, listen
from nervure.serving.service import Limits, Service

COMMAND = [sys.executable, "-m", "nervure"]
JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}
SEPAL, WIDTH, PETAL, PETAL_WIDTH = IRIS = (
    "sepal length (cm)",
    "sepal width (cm)",
    "petal length (cm)",
    "petal width (cm)",
)
ROW = dict(zip(IRIS, (5.1, 3.5, 1.4, 0.2), strict=True))


# -- models --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four models: flowers, digits, amounts of a table of all kinds, images."""
    here = tmp_path_factory.mktemp("serving")
    few = ["--set", "training.epochs=8", "-q"]
    assert run(["train", "iris", "--calibrate", *few, "--out", str(here / "iris")]) == 0
    assert run(["train", "digits", *few, "--out", str(here / "digits")]) == 0
    table = write_table(here / "houses.csv")
    houses = ["--calibrate", *few, "--out", str(here / "houses")]
    assert run(["train", str(table), "--target", "price", *houses]) == 0
    images = write_images(here / "images")
    assert run(["train", str(images), *few, "--out", str(here / "shapes")]) == 0
    return here


def write_table(path: Path) -> Path:
    rng = np.random.default_rng(3)
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["size", "town", "garden", "built", "price"])
        for i in range(120):
            size, town = rng.uniform(20, 200), ("Ulm", "Bonn", "Köln")[i % 3]
            day = f"20{i % 20:02}-{1 + i % 12:02}-{1 + i % 28:02}"
            price = 3 * size + 50 * (i % 3) + rng.normal()
            garden = "true" if i % 2 else "false"
            rows.writerow([f"{size:.2f}", town, garden, day, f"{price:.1f}"])
    return path


def write_images(folder: Path) -> Path:
    rng = np.random.default_rng(4)
    for name in ("dark", "light"):
        (folder / name).mkdir(parents=True)
        for i in range(20):
            low = 0 if name == "dark" else 150
            pixels = rng.integers(low, low + 100, (12, 12)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def iris(folder: Path) -> Served:
    return open_served(folder / "iris")


@pytest.fixture(scope="module")
def houses(folder: Path) -> Served:
    return open_served(folder / "houses")


@pytest.fixture(scope="module")
def digits(folder: Path) -> Served:
    return open_served(folder / "digits")


@pytest.fixture(scope="module")
def shapes(folder: Path) -> Served:
    return open_served(folder / "shapes")


def client(app: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://here")


def ask(
    what: Served | Service,
    path: str,
    method: str = "POST",
    door: Door | None = None,
    **how: Any,
) -> httpx.Response:
    """One request to an application in this process."""
    service = what if isinstance(what, Service) else Service(what)

    async def asked() -> httpx.Response:
        async with client(make_app(service, door)) as at:
            return await at.request(method, path, **how)

    return asyncio.run(asked())


def predicted(folder: Path, model: str, source: Path | str, *options: str) -> str:
    """What the command writes for a source."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert run(["predict", str(folder / model), str(source), *options]) == 0
    return out.getvalue()


def as_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def as_texts(rows: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Answers in JSON as the cells of CSV that they would be."""
    flags = {True: "true", False: "false"}
    return [
        {k: flags[v] if isinstance(v, bool) else str(v) for k, v in row.items()}
        for row in rows
    ]


# -- the same answers as the command ----------------------------------------------------


@pytest.fixture(scope="module")
def flowers(folder: Path) -> list[dict[str, float]]:
    """Some rows of iris, in a file too."""
    values = np.column_stack(
        [column.values for column in nv.data.read("iris").inputs.columns.values()]
    )[::7]
    with open(folder / "flowers.csv", "w", newline="") as file:
        csv.writer(file).writerows([IRIS, *values.tolist()])
    return [dict(zip(IRIS, row, strict=True)) for row in values.tolist()]


OPTIONS = ("--probabilities", "--interval", "0.8")
ADDRESS = "/predict?probabilities=true&interval=0.8"


def test_rows_by_name_and_in_order_get_what_the_command_predicts(
    folder: Path, iris: Served, flowers: list[dict[str, float]]
) -> None:
    wanted = predicted(folder, "iris", folder / "flowers.csv", *OPTIONS)
    backwards = [dict(reversed(row.items())) for row in flowers]
    for rows in (flowers, backwards, [list(row.values()) for row in flowers]):
        got = ask(iris, ADDRESS, json=rows)
        assert got.status_code == 200, got.text
        found = as_texts(got.json()["predictions"])
        assert found == [
            {k: str(float(v)) if k.startswith("prob") else v for k, v in row.items()}
            for row in as_rows(wanted)
        ]


def test_csv_gets_csv_letter_by_letter(
    folder: Path, iris: Served, flowers: list[dict[str, float]]
) -> None:
    body = (folder / "flowers.csv").read_bytes()
    got = ask(iris, ADDRESS, content=body, headers={**CSV, "Accept": "text/csv"})
    wanted = predicted(folder, "iris", folder / "flowers.csv", *OPTIONS)
    assert got.text == wanted
    assert got.headers["content-type"] == "text/csv; charset=utf-8"


def test_amounts_of_a_table_of_all_kinds(folder: Path, houses: Served) -> None:
    rows = [
        {"size": 80, "town": "Ulm", "garden": True, "built": "2003-04-05"},
        {"size": None, "town": "Bonn", "garden": False, "built": None, "price": 1.0},
    ]
    (folder / "two.csv").write_text(
        "size,town,garden,built\n80,Ulm,true,2003-04-05\n,Bonn,false,\n"
    )
    wanted = predicted(folder, "houses", folder / "two.csv", "--interval", "0.8")
    got = ask(houses, "/predict?interval=0.8", json=rows)
    assert as_texts(got.json()["predictions"]) == as_rows(wanted)


def test_one_object_is_one_row_and_unknown_categories_are_told(houses: Served) -> None:
    row = {"size": 80, "town": "Trier", "garden": True, "built": "2003-04-05"}
    got = ask(houses, "/predict", json=row).json()
    assert len(got["predictions"]) == 1
    (told,) = got["warnings"]
    assert told.startswith("[rows] column 'town': 1 rows hold categories")
    body = b"size,town,garden,built\n80,Trier,true,2003-04-05\n"
    got = ask(houses, "/predict", content=body, headers={**CSV, "Accept": "text/csv"})
    (told,) = json.loads(got.headers["nervure-warnings"])
    assert "('Trier')" in told


def test_an_interval_without_end_is_null(iris: Served, houses: Served) -> None:
    row = [80, "Ulm", True, "2003-04-05"]
    (got,) = ask(houses, "/predict?interval=0.999", json=[row]).json()["predictions"]
    assert got["low"] is None
    assert got["high"] is None


def test_arrays(folder: Path, digits: Served) -> None:
    images = nv.data.read("digits").inputs[:9, ..., 0]
    np.save(folder / "nine.npy", images)
    wanted = as_rows(
        predicted(folder, "digits", folder / "nine.npy", "--probabilities")
    )
    for rows in (images, images.reshape(9, 64), images.astype(float)):
        got = ask(digits, "/predict?probabilities", json=rows.tolist()).json()
        for found, row in zip(got["predictions"], wanted, strict=True):
            assert found["prediction"] == int(row["prediction"])
            shares = [float(v) for k, v in row.items() if k.startswith("prob")]
            assert [*found.values()][1:] == pytest.approx(shares, rel=1e-4)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_images(folder: Path, shapes: Served, kind: str) -> None:
    made = folder / f"one.{kind}"
    Image.open(folder / "images" / "light" / "3.png").resize((30, 20)).save(made)
    (wanted,) = as_rows(predicted(folder, "shapes", made, "--probabilities"))
    how = {"content": made.read_bytes(), "headers": {"Content-Type": f"image/{kind}"}}
    (got,) = ask(shapes, "/predict?probabilities", **how).json()["predictions"]
    assert got["prediction"] == wanted["prediction"] == "light"
    assert got["probability_dark"] == float(wanted["probability_dark"])


# -- bad rows ----------------------------------------------------------------------------

BAD = {
    "[row 0] no column 'petal width (cm)'; expected 'sepal length (cm)', 'sepal width "
    "(cm)', 'petal length (cm)', 'petal width (cm)'; add it, null where its value is "
    "not known": [{k: v for k, v in ROW.items() if k != PETAL_WIDTH}],
    "[row 1] unknown column 'petal widht (cm)'; did you mean 'petal width (cm)'": [
        ROW,
        {**ROW, "petal widht (cm)": 1},
    ],
    "[row 0] 3 values; expected 4, of the columns": [[1, 2, 3]],
    "[row 1] a list of 4; expected an object, as the first row is": [ROW, [1, 2, 3, 4]],
    "[row 1] a table; expected a list, as the first row is": [[1, 2, 3, 4], ROW],
    "[row 0] 1; expected a list, as the first row is; send rows of one kind": [1, 2],
    "[row 1] column 'sepal length (cm)' holds text '5.1'; expected a number, as in "
    "training; write it without quotes, or null if it is not known": [
        ROW,
        {**ROW, SEPAL: "5.1"},
    ],
    "[row 0] column 'sepal length (cm)' holds true; expected a number": [
        {**ROW, SEPAL: True}
    ],
    "[row 0] column 'sepal length (cm)' holds a list of 1; expected a number": [
        {**ROW, SEPAL: [5]}
    ],
    "[rows] column 'sepal length (cm)' is inf in row 0 (counted from 0); expected": (
        b'[{"sepal length (cm)": 1e999, "sepal width (cm)": 1, "petal length (cm)": 1,'
        b' "petal width (cm)": 1}]'
    ),
    "[rows] a whole number beyond 10^308; expected smaller ones; correct it": [
        {**ROW, SEPAL: 10**400}
    ],
    "[body] an empty list; expected a list of rows": [],
    "[body] text 'rows'; expected a list of rows, as": "rows",
    "[body] empty; expected JSON; send the rows in it": b" ",
    "[body] no JSON (Expecting": b"[[1, 2",
    "[body] no JSON ('utf-8' codec can't decode": b'["\xff"]',
    "[body] lists in lists in lists without end; expected": b"[" * 100_000,
    "[body] NaN, which is no number of JSON; expected numbers; send null": b"[[NaN]]",
    "[body] -Infinity, which is no number of JSON; expected": b"[[-Infinity]]",
    "[body] 'a' twice in one object; expected it once; leave one": b'{"a":1,"a":2}',
    "[body] no JSON (Exceeds the limit": b"[[" + b"9" * 10_000 + b"]]",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_rows_are_told(iris: Served, text: str) -> None:
    body = BAD[text]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    got = ask(iris, "/predict", content=content, headers=JSON)
    assert got.status_code == 400
    assert got.json()["error"].startswith(text)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ({"town": 3}, "column 'town' holds 3; expected text, as in training; write it"),
        (
            {"garden": "true"},
            "column 'garden' holds text 'true'; expected true or false",
        ),
        ({"built": 2003}, "column 'built' holds 2003; expected a date as text, as in"),
        ({"size": {}}, "column 'size' holds a table; expected a number"),
    ],
)
def test_cells_of_another_kind_are_told(
    houses: Served, cell: dict[str, Any], text: str
) -> None:
    row = {"size": 80, "town": "Ulm", "garden": True, "built": "2003-04-05", **cell}
    got = ask(houses, "/predict", json=[row])
    assert (got.status_code, got.json()["error"][: len(text) + 8]) == (
        400,
        f"[row 0] {text}",
    )


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([[1, 2, 3]], "[rows] rows of shape (3,); expected (8, 8, 1) or 64 values, as"),
        ([[["a"] * 8] * 8], "[rows] text; expected numbers"),
        ([[1] * 64, [1] * 63], "[rows] rows of different lengths or kinds"),
        ([1, 2], "[row 0] 1; expected a list of the numbers of shape (8, 8, 1); send"),
        ([{"a": 1}], "[row 0] a table; expected a list of the numbers of shape"),
        ([[[[[[[[[[[1]]]]]]]]]]], "[row 0] lists in more than 8 lists; expected shape"),
        ([[None] * 64], "[rows] NoneType None at rows[0, 0]; expected numbers"),
    ],
)
def test_bad_arrays_are_told(digits: Served, rows: Any, text: str) -> None:
    got = ask(digits, "/predict", json=rows)
    assert got.status_code == 400
    assert got.json()["error"].startswith(text)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "[body] empty; expected CSV; send the rows in it"),
        (b"a,b\n1,2\n", "[rows.csv] unknown column 'a'; Known: "),
        (b"\x00\xff\xfe" * 9, "[rows.csv] "),
        (
            ",".join(IRIS[:3]).encode() + b"\n1,2,3\n",
            "[rows] no column 'petal width (cm)' (there are 'sepal length (cm)', ",
        ),
        (
            ",".join(IRIS).encode() + b"\nabc,2,3,4\nabd,2,3,4\n",
            "[rows] column 'sepal length (cm)' holds text ('abc'); expected numbers, as",
        ),
    ],
)
def test_bad_csv_is_told(iris: Served, body: bytes, text: str) -> None:
    got = ask(iris, "/predict", content=body, headers=CSV)
    assert got.status_code == 400
    assert got.json()["error"].startswith(text)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            b"5,2,3,1\nabc,2,3,4\n6,2,3,4\n",
            "[rows.csv] column 'sepal length (cm)': 1 value is no numbers as the others "
            "are (first 'abc', line 3); expected rows without losses; correct them",
        ),
        (b"5,2,3,1\n5,2\n6,2,3,4\n" * 40, "[rows.csv] "),
    ],
)
def test_rows_of_csv_that_would_be_lost_are_errors(
    iris: Served, rows: bytes, text: str
) -> None:
    body = ",".join(IRIS).encode() + b"\n" + rows
    got = ask(iris, "/predict", content=body, headers=CSV)
    assert got.status_code == 400, got.text
    assert got.json()["error"].startswith(text)


def test_bad_images_are_told(iris: Served, shapes: Served) -> None:
    png = {"Content-Type": "image/png"}
    for served, body, text in (
        (shapes, b"", "[body] empty; expected an image; send a PNG or JPEG file"),
        (shapes, b"no image", "[image] not an image that can be read (JPEG, PNG"),
        (iris, b"x", "[image] images for a network of 4 inputs that are not images"),
    ):
        got = ask(served, "/predict", content=body, headers=png)
        assert got.status_code == 400
        assert got.json()["error"].startswith(text)


@pytest.mark.parametrize(
    ("path", "headers", "status", "text"),
    [
        (
            "/predict",
            {"Content-Type": "text/plain"},
            415,
            "[content-type] 'text/plain'",
        ),
        ("/predict", {}, 415, "[content-type] ''; expected application/json, text/csv"),
        ("/predict", {**JSON, "Content-Encoding": "gzip"}, 415, "[content-encoding] "),
        (
            "/predict?probability=1",
            JSON,
            400,
            "[address] unknown option 'probability'; did",
        ),
        (
            "/predict?probabilities=perhaps",
            JSON,
            400,
            "[probabilities] 'perhaps'; expected",
        ),
        ("/predict?interval=high", JSON, 400, "[interval] 'high'; expected a number"),
        (
            "/predict?interval=nan",
            JSON,
            400,
            "[interval] level = nan; expected a finite",
        ),
        (
            "/predict?interval=2",
            JSON,
            400,
            "[interval] level = 2.0; expected a finite num",
        ),
        (
            "/v2/models/iris/infer",
            CSV,
            415,
            "[content-type] 'text/csv'; expected applic",
        ),
        (
            "/v2/models/other/infer",
            JSON,
            404,
            "[models] no model 'other' of version '1'",
        ),
        ("/nowhere", JSON, 404, "[/nowhere] no such address; expected GET /, /model"),
        ("/metrics", JSON, 405, "[/metrics] no POST here; expected GET"),
    ],
)
def test_bad_requests_are_told(
    iris: Served, path: str, headers: dict[str, str], status: int, text: str
) -> None:
    got = ask(iris, path, content=json.dumps([ROW]), headers=headers)
    assert got.status_code == status
    assert got.json()["error"].startswith(text), got.text


def test_what_the_model_does_not_give_is_told(houses: Served, digits: Served) -> None:
    got = ask(houses, "/predict?probabilities=1", json=[])
    assert got.json()["error"].startswith("[probabilities] the model predicts amounts;")
    got = ask(digits, "/predict?interval=0.9", json=[])
    assert got.json()["error"].startswith("[interval] the model holds no calibration;")


def test_predictions_that_are_no_numbers_are_errors(digits: Served) -> None:
    def call(inputs: np.ndarray) -> list[np.ndarray]:
        return [np.full((len(inputs), 10), np.nan, np.float32)]

    got = ask(Service(digits, call=call), "/predict", json=[[0] * 64])
    assert got.status_code == 400
    assert got.json()["error"].startswith("[predict] 1 of 1 predictions is not finite")


def test_a_fault_of_the_program_tells_the_caller_nothing_of_it(
    digits: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(inputs: np.ndarray) -> list[np.ndarray]:
        raise KeyError("secret")

    got = ask(Service(digits, call=call), "/predict", json=[[0] * 64])
    assert got.status_code == 500
    assert "secret" not in got.text
    assert "KeyError: 'secret'" in capsys.readouterr().err


# -- limits ------------------------------------------------------------------------------


async def endless(ended: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    """A body that never ends: at once, or of which nothing more comes."""
    while True:
        yield b"[" * 100
        await (asyncio.sleep(0) if ended is None else ended.wait())


@pytest.mark.parametrize("told", [True, False])
def test_bodies_that_are_too_large_are_refused(iris: Served, told: bool) -> None:
    service = Service(iris, Limits(body=1000))
    how = {"content": b"[" * 1001} if told else {"content": endless()}
    got = ask(service, "/predict", headers=JSON, **how)
    assert got.status_code == 413
    text = "[body] more than 1,000 bytes; expected at most so many; send fewer rows at once"
    assert got.json() == {"error": text}
    assert got.headers["connection"] == "close"
    assert ask(service, "/predict", json=[ROW]).status_code == 200


def test_bodies_that_do_not_come_are_not_waited_for(iris: Served) -> None:
    async def asked() -> httpx.Response:
        service = Service(iris, Limits(seconds=0.05))
        async with client(make_app(service)) as at:
            body = endless(asyncio.Event())
            return await at.post("/predict", content=body, headers=JSON)

    got = asyncio.run(asked())
    assert got.status_code == 408
    assert got.json()["error"].startswith("[body] not whole within 0.05 s; expected it")


def test_answers_that_take_too_long_are_given_up(digits: Served) -> None:
    go_on = threading.Event()

    def call(inputs: np.ndarray) -> list[np.ndarray]:
        go_on.wait()
        return digits.outputs(inputs)

    async def asked() -> httpx.Response:
        service = Service(digits, Limits(seconds=0.1), call)
        async with client(make_app(service)) as at:
            try:
                return await at.post("/predict", json=[[0] * 64])
            finally:
                go_on.set()

    got = asyncio.run(asked())
    assert got.status_code == 503
    assert got.headers["retry-after"] == "1"
    assert got.json()["error"].startswith("[server] no answer within 0.1 s; expected")


def test_too_many_requests_at_once_are_refused(digits: Served) -> None:
    go_on = threading.Event()

    def call(inputs: np.ndarray) -> list[np.ndarray]:
        go_on.wait()
        return digits.outputs(inputs)

    async def asked() -> list[int]:
        service = Service(digits, Limits(requests=3), call)
        async with client(make_app(service)) as at:
            posts = [
                asyncio.create_task(at.post("/predict", json=[[0] * 64]))
                for _ in range(5)
            ]
            done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
            while len(done) < 2:
                done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
            go_on.set()
            return sorted(got.status_code for got in await asyncio.gather(*posts))

    assert asyncio.run(asked()) == [200, 200, 200, 503, 503]


# -- who may ask -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer secret", 200),
        ("bearer secret", 200),
        ("Bearer other", 401),
        ("Bearer sécret", 401),
        ("Basic secret", 401),
        ("secret", 401),
        ("", 401),
    ],
)
def test_a_token_is_asked_for(iris: Served, given: str, status: int) -> None:
    headers = {"Authorization": given.encode()} if given else {}
    got = ask(iris, "/predict", door=Door("secret"), json=[ROW], headers=headers)
    assert got.status_code == status
    if status == 401:
        assert got.headers["www-authenticate"] == "Bearer"
        assert got.json()["error"].startswith("[authorization] no token, or another;")


@pytest.mark.parametrize("path", ["/model", "/metrics", "/v2", "/v2/models/iris"])
def test_health_and_the_bare_page_alone_are_open(iris: Served, path: str) -> None:
    door = Door("secret")
    assert ask(iris, path, "GET", door).status_code == 401
    for other in ("/", "/v2/health/live", "/v2/health/ready"):
        assert ask(iris, other, "GET", door).status_code == 200


def test_another_name_for_this_machine_is_refused(iris: Served) -> None:
    door = Door(hosts=("127.0.0.1", "localhost", "::1"))
    for host, status in (
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("localhost.evil.example:8000", 421),
    ):
        for path in ("/", "/model", "/v2/health/live"):
            got = ask(iris, path, "GET", door, headers={"Host": host})
            assert got.status_code == status
    assert got.json()["error"].startswith("[host] 'localhost.evil.example'; expected 1")


@pytest.mark.parametrize(
    ("host", "own"),
    [
        *((name, True) for name in ("127.0.0.1", "127.9.9.9", "localhost", "::1")),
        *((name, False) for name in ("0.0.0.0", "::", "", "10.0.0.1", "example.org")),
    ],
)
def test_what_only_this_machine_reaches(host: str, own: bool) -> None:
    assert is_loopback(host) is own


# -- the protocol ------------------------------------------------------------------------

INFER = "/v2/models/iris/infer"


def tensors(*rows: tuple[float, ...], datatype: str = "FP64") -> list[dict[str, Any]]:
    columns = zip(IRIS, zip(*rows, strict=True), strict=True)
    return [
        {"name": name, "datatype": datatype, "shape": [len(rows)], "data": list(values)}
        for name, values in columns
    ]


def test_health_and_metadata(iris: Served, digits: Served) -> None:
    def got(path: str, served: Served = iris) -> Any:
        answer = ask(served, path, "GET")
        assert answer.status_code == 200
        return answer.json()

    assert got("/v2/health/live") == {"live": True}
    assert got("/v2/health/ready") == {"ready": True}
    server = {"name": "nervure", "version": nv.__version__, "extensions": []}
    assert got("/v2") == server
    for version in ("", "/versions/1"):
        ready = {"name": "iris", "ready": True}
        assert got(f"/v2/models/iris{version}/ready") == ready
        model = got(f"/v2/models/iris{version}")
        assert (model["name"], model["versions"]) == ("iris", ["1"])
        assert model["inputs"][0] == {"name": SEPAL, "datatype": "FP64", "shape": [-1]}
        label, probabilities = model["outputs"]
        assert label == {"name": "prediction", "datatype": "BYTES", "shape": [-1]}
        assert probabilities["shape"] == [-1, 3]
        assert probabilities["parameters"] == {
            "labels": ["setosa", "versicolor", "virginica"]
        }
    (one,) = got("/v2/models/digits", digits)["inputs"]
    assert (one["datatype"], one["shape"]) == ("FP32", [-1, 8, 8, 1])


def test_tensors_get_the_answers_of_rows(
    iris: Served, flowers: list[dict[str, float]]
) -> None:
    rows = [tuple(row.values()) for row in flowers]
    wanted = ask(iris, ADDRESS, json=flowers).json()["predictions"]
    asked = {"id": "42", "parameters": {"interval": 0.8}, "inputs": tensors(*rows)}
    got = ask(iris, INFER, json=asked).json()
    assert (got["model_name"], got["model_version"], got["id"]) == ("iris", "1", "42")
    named = {one["name"]: one for one in got["outputs"]}
    assert named["prediction"]["data"] == [row["prediction"] for row in wanted]
    for tensor, start in (("probabilities", "probability"), ("in_set", "in_set")):
        flat = [row[f"{start}_{c}"] for row in wanted for c in iris.labels]
        assert named[tensor]["data"] == flat
        assert named[tensor]["shape"] == [len(rows), 3]


def test_tensors_of_all_types(houses: Served, digits: Served) -> None:
    def one(name: str, datatype: str, data: Any, shape: list[int]) -> dict[str, Any]:
        return {"name": name, "datatype": datatype, "shape": shape, "data": data}

    inputs = [
        one("size", "INT64", [80, None], [2]),
        one("town", "BYTES", [["Ulm"], ["Bonn"]], [2, 1]),
        one("garden", "BOOL", [True, False], [2]),
        one("built", "BYTES", ["2003-04-05", None], [2, 1]),
    ]
    got = ask(houses, "/v2/models/houses/infer", json={"inputs": inputs}).json()
    rows = [[80, "Ulm", True, "2003-04-05"], [None, "Bonn", False, None]]
    wanted = ask(houses, "/predict", json=rows).json()["predictions"]
    (output,) = got["outputs"]
    assert output == one("prediction", "FP64", [r["prediction"] for r in wanted], [2])
    image = nv.data.read("digits").inputs[:1]
    name = digits.network.graph.nodes[0].name
    for datatype, data in (
        ("FP32", image.tolist()),
        ("FP64", image.reshape(-1).tolist()),
        ("INT64", image.astype(int).reshape(-1).tolist()),
    ):
        asked = {
            "inputs": [one(name, datatype, data, [1, 8, 8, 1])],
            "outputs": [{"name": "prediction"}],
        }
        got = ask(digits, "/v2/models/digits/infer", json=asked).json()
        assert got["outputs"] == [one("prediction", "INT64", [0], [1])]


def changed(**keys: Any) -> dict[str, Any]:
    first, *others = tensors((5.1, 3.5, 1.4, 0.2))
    first = {k: v for k, v in {**first, **keys}.items() if v is not ...}
    return {"inputs": [first, *others]}


GOOD = tensors((5.1, 3.5, 1.4, 0.2))
BAD_TENSORS = {
    "[request] a list of 0; expected an object; see the protocol": [],
    "[inputs] nothing; expected a list; see the protocol": {},
    "[inputs[0]] 3; expected an object": {"inputs": [3]},
    "[inputs[0].name] nothing; expected text": changed(name=...),
    "[inputs[0]] unknown datatype 'FP16'; did you mean 'FP": changed(datatype="FP16"),
    "[inputs[0]] shape [-1]; expected 1 to 9 whole numbers (> 0)": changed(shape=[-1]),
    "[inputs[0]] shape [True]; expected 1 to 9 whole numbers": changed(shape=[True]),
    "[inputs[0]] 1 value for shape [2]; expected as many as it": changed(shape=[2]),
    "[inputs[0]] 1 value for shape [1000000000, 1000000000": changed(shape=[10**9] * 9),
    "[inputs[0].data] value 0 is text 'x'; expected a number (FP64)": changed(
        data=["x"]
    ),
    "[inputs[0].data] value 0 is 300; expected a whole number within the type (UINT8)": (
        changed(datatype="UINT8", data=[300])
    ),
    "[inputs[0].data] value 0 is 0.5; expected a whole number": changed(
        datatype="INT64", data=[0.5]
    ),
    "[inputs[0]] lists beside values; expected one of both": changed(data=[[1], 2]),
    "[inputs[0]] lists in lists without end; expected flat": changed(
        data=[[[[[[[[[[[[1]]]]]]]]]]]]
    ),
    "[row 0] column 'sepal length (cm)' holds text 'x'; expected a number": changed(
        datatype="BYTES", data=["x"]
    ),
    "[rows] column 'sepal length (cm)' is inf in row 0": changed(
        datatype="FP32", data=[1e300]
    ),
    "[inputs] tensors of 1, 2 rows; expected as many in all": changed(
        shape=[2], data=[1, 2]
    ),
    "[input 'sepal length (cm)'] shape [1, 2]; expected [rows] or [rows, 1]": changed(
        shape=[1, 2], data=[1, 2]
    ),
    "[row 0] no column 'petal width (cm)'": {"inputs": GOOD[:3]},
    "[row 0] unknown column 'x'; Known": {"inputs": [*GOOD, {**GOOD[0], "name": "x"}]},
    "[inputs] a name twice; expected each once": {"inputs": [*GOOD, GOOD[0]]},
    "[id] 3; expected text; leave it out": {"id": 3, "inputs": GOOD},
    "[outputs] unknown output 'label'; Known: prediction, prob": {
        "inputs": GOOD,
        "outputs": [{"name": "label"}],
    },
    "[parameters] 3; expected an object": {"inputs": GOOD, "parameters": 3},
    "[interval] level = 'x'; expected a finite number": {
        "inputs": GOOD,
        "parameters": {"interval": "x"},
    },
}


@pytest.mark.parametrize("text", BAD_TENSORS)
def test_bad_tensors_are_told(iris: Served, text: str) -> None:
    got = ask(iris, INFER, json=BAD_TENSORS[text])
    assert got.status_code == 400, got.text
    assert got.json()["error"].startswith(text), got.text


def test_a_tensor_of_another_name_is_told(digits: Served) -> None:
    body = {"inputs": [{**GOOD[0], "name": "pixels"}]}
    got = ask(digits, "/v2/models/digits/infer", json=body)
    assert got.json()["error"].startswith("[inputs] unknown tensor 'pixels'; Known: ")


# -- batches -----------------------------------------------------------------------------


class Recorder:
    """A model of twice the input, whose first call waits until it is told to go on."""

    def __init__(self, refuses: float | None = None) -> None:
        self.calls: list[int] = []
        self.go_on = threading.Event()
        self.refuses = refuses

    def __call__(self, inputs: np.ndarray) -> list[np.ndarray]:
        self.go_on.wait()
        self.calls.append(len(inputs))
        if self.refuses is not None and (inputs == self.refuses).any():
            raise ValueError("refused")
        return [inputs * 2.0]


def rows_of(*values: float, dtype: str = "float32") -> np.ndarray:
    return np.array(values, dtype).reshape(-1, 1)


async def answered(batcher: Batcher, call: Recorder, *jobs: np.ndarray) -> list[Any]:
    """Answers, or errors, of jobs that come while the first of them is at work."""
    tasks = [asyncio.create_task(batcher.outputs(job)) for job in jobs[:1]]
    await asyncio.sleep(0)  # the first job is taken by itself
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(batcher.outputs(job)) for job in jobs[1:]]
    await asyncio.sleep(0)
    call.go_on.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_rows_that_wait_go_together_and_get_their_own_answers() -> None:
    call, told = Recorder(), list[int]()
    jobs = [rows_of(1), rows_of(2), rows_of(3, 4), rows_of(5)]
    found = asyncio.run(answered(Batcher(call, 64, told.append), call, *jobs))
    assert call.calls == told == [1, 4]
    for job, (y,) in zip(jobs, found, strict=True):
        np.testing.assert_array_equal(y, job * 2)


def test_batches_end_where_rows_are_too_many_or_of_another_kind() -> None:
    call = Recorder()
    jobs = [rows_of(0), rows_of(1, 2, 3), rows_of(4), rows_of(5), rows_of(*range(9))]
    jobs += [rows_of(6), rows_of(7, dtype="uint8"), rows_of(8, dtype="uint8")]
    found = asyncio.run(answered(Batcher(call, 4), call, *jobs))
    assert call.calls == [1, 4, 1, 9, 1, 2]
    for job, (y,) in zip(jobs, found, strict=True):
        np.testing.assert_array_equal(y, job * 2.0)


def test_who_is_refused_is_refused_alone() -> None:
    call = Recorder(refuses=3)
    jobs = [rows_of(1), rows_of(2), rows_of(3), rows_of(4)]
    found = asyncio.run(answered(Batcher(call, 64), call, *jobs))
    assert [type(one).__name__ for one in found] == [
        "list",
        "list",
        "ValueError",
        "list",
    ]
    np.testing.assert_array_equal(found[3][0], rows_of(8))


def test_who_gave_up_is_not_predicted_for() -> None:
    call = Recorder()

    async def given_up() -> None:
        batcher = Batcher(call, 64)
        first = asyncio.create_task(batcher.outputs(rows_of(1)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = asyncio.create_task(batcher.outputs(rows_of(2)))
        third = asyncio.create_task(batcher.outputs(rows_of(3)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        call.go_on.set()
        await asyncio.gather(first, third)

    asyncio.run(given_up())
    assert call.calls == [1, 1]


def test_concurrent_requests_get_the_bits_of_single_ones(digits: Served) -> None:
    images = nv.data.read("digits").inputs[:40].reshape(40, 64).tolist()
    service = Service(digits)
    single = [ask(digits, "/predict?probabilities", json=[x]).json() for x in images]

    async def all_at_once() -> list[Any]:
        async with client(make_app(service)) as at:
            posts = (at.post("/predict?probabilities", json=[x]) for x in images)
            return [got.json() for got in await asyncio.gather(*posts)]

    assert asyncio.run(all_at_once()) == single
    assert "nervure_rows_total 40\n" in service.metrics.text()


@pytest.mark.parametrize("units", [16, 512, 2048])
def test_as_many_rows_go_together_as_change_no_bit(iris: Served, units: int) -> None:
    layers = [nv.Input(4), nv.Dense(units), nv.Dense(units), nv.Dense(3)]
    net = nv.Network([*layers, nv.Softmax()])
    served = Served("net", net, iris.record)
    size = together(served)
    assert size > 1
    rows = np.random.default_rng(8).normal(size=(size, 4)).astype(np.float32)
    (all_at_once,) = served.outputs(rows)
    one_by_one = [served.outputs(rows[i : i + 1])[0][0] for i in range(size)]
    np.testing.assert_array_equal(all_at_once, one_by_one)


# -- what is counted ---------------------------------------------------------------------


def test_metrics_are_prometheus_text() -> None:
    metrics = Metrics()
    metrics.answered("predict", 200, 0.002)
    metrics.answered("predict", 400, 0.2)
    metrics.answered("infer", 200, 100.0)
    metrics.called(3)
    metrics.called(1)
    lines = metrics.text().splitlines()
    names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    sample = re.compile(r'(nervure_\w+?)(_bucket|_sum|_count)?(\{[\w=".,+]*\})? [\d.]+')
    for line in lines:
        if not line.startswith("#"):
            found = sample.fullmatch(line)
            assert found, line
            assert found[1] in names or f"{found[1]}{found[2]}" in names
    for line in (
        'nervure_requests_total{endpoint="predict",status="400"} 1',
        'nervure_errors_total{endpoint="predict"} 1',
        'nervure_errors_total{endpoint="infer"} 0',
        "nervure_rows_total 4",
        'nervure_batch_rows_bucket{le="1"} 1',
        'nervure_batch_rows_bucket{le="4"} 2',
        "nervure_batch_rows_sum 4",
        'nervure_request_seconds_bucket{endpoint="predict",le="0.0025"} 1',
        'nervure_request_seconds_bucket{endpoint="predict",le="+Inf"} 2',
        'nervure_request_seconds_bucket{endpoint="infer",le="10"} 0',
        'nervure_request_seconds_count{endpoint="infer"} 1',
    ):
        assert line in lines


# -- the page ----------------------------------------------------------------------------


def test_the_page_needs_nothing_else_and_lets_nothing_in(iris: Served) -> None:
    got = ask(iris, "/", "GET")
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    rules = got.headers["content-security-policy"]
    assert rules == policy()
    assert rules.startswith("default-src 'none'; ")
    assert "unsafe" not in rules
    for kind in ("style", "script"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", got.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in rules
    assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacent|eval\(", page())
    assert not re.search(r"""\s(style|on\w+)=["']""", page())  # no rule lets it in


def test_the_page_is_told_of_columns_and_images(
    iris: Served, houses: Served, shapes: Served, digits: Served
) -> None:
    def got(served: Served) -> Any:
        return ask(served, "/model", "GET").json()

    assert [c["name"] for c in got(iris)["columns"]] == list(IRIS)
    assert got(iris)["interval"] is True
    size, town, garden, built = got(houses)["columns"]
    assert (size["kind"], built["kind"]) == ("number", "date")
    assert (town["levels"], garden["kind"]) == (["Bonn", "Köln", "Ulm"], "boolean")
    assert (got(shapes)["image"], got(digits)["image"]) == (True, False)
    assert (got(digits)["shape"], got(digits)["most"]) == ([8, 8, 1], 16)


# -- real processes ----------------------------------------------------------------------


class Server:
    """``nervure serve`` in a process of its own, on any port that is free."""

    def __init__(self, model: Path, *options: str, token: str | None = None) -> None:
        words = [*COMMAND, "serve", str(model), "--port", "0", *options]
        environment = {k: v for k, v in os.environ.items() if k != "NERVURE_TOKEN"}
        environment |= {"NERVURE_TOKEN": token} if token else {}
        self.process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        self.told = self.process.stdout.readline()
        found = re.search(r"http://\S+:(\d+)", self.told)
        assert found, self.process.communicate()
        self.url, self.port = found[0], int(found[1])

    def end(self, with_signal: int) -> tuple[int, str, str]:
        self.process.send_signal(with_signal)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with Server(folder / "iris") as running:
        yield running


def test_a_process_answers_many_at_once(
    server: Server, iris: Served, flowers: list[dict[str, float]]
) -> None:
    wanted = [ask(iris, ADDRESS, json=[row]).json() for row in flowers]

    async def all_at_once() -> list[Any]:
        async with httpx.AsyncClient(base_url=server.url) as at:
            posts = (at.post(ADDRESS, json=[row]) for row in flowers)
            return [got.json() for got in await asyncio.gather(*posts)]

    assert asyncio.run(all_at_once()) == wanted
    counted = httpx.get(f"{server.url}/metrics").text
    assert f"nervure_rows_total {len(flowers)}\n" in counted


def test_answers_are_sent_at_once() -> None:
    async def delays() -> int:
        """Whether asyncio leaves Nagle's algorithm on for a connection."""
        found = asyncio.get_running_loop().create_future()

        class Told(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                sock = transport.get_extra_info("socket")
                found.set_result(
                    sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                )
                transport.close()

        with listen("127.0.0.1", 0) as listening:
            loop = asyncio.get_running_loop()
            async with await loop.create_server(Told, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                writer.close()
                return await found

    assert asyncio.run(delays()) != 0


def test_the_address_is_of_this_machine_alone(server: Server) -> None:
    assert server.told == f"iris at http://127.0.0.1:{server.port} (Ctrl-C ends)\n"
    got = httpx.get(f"{server.url}/model", headers={"Host": "evil.example"})
    assert got.status_code == 421


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order(folder: Path, number: int) -> None:
    with Server(folder / "iris") as server:
        with httpx.Client(base_url=server.url) as at:
            assert at.post("/predict", json=[ROW]).status_code == 200
        assert server.end(number) == (0, "ended\n", "")


def test_connections_on_which_no_request_comes_are_ended(folder: Path) -> None:
    with Server(folder / "iris", "--time-limit", "0.2") as server:
        for beginning in (b"", b"POST /predict HTTP/1.1\r\nHost: 127.0"):
            with socket.create_connection(("127.0.0.1", server.port), 30) as lazy:
                lazy.sendall(beginning)
                assert lazy.recv(1000) == b""
        with socket.create_connection(("127.0.0.1", server.port), 30) as lazy:
            head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n"
            lazy.sendall(f"{head}Content-Type: application/json\r\n\r\n[".encode())
            got = b""
            while part := lazy.recv(1000):
                got += part
            assert got.startswith(b"HTTP/1.1 408 ")


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><b>",
    "__proto__",
    "\"'`${x}",
    "&lt;",
]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_a_field_for_each_column_as_text(tmp_path: Path) -> None:
    columns: dict[str, Any] = {name: [0.5, 1.5] * 10 for name in HOSTILE}
    columns["<i>choice</i>"] = ["<u>one</u>", "two&amp;"] * 10
    data = nv.data.load({**columns, "<h2>target</h2>": [1.5, 2.5] * 10})
    net = nv.Network([nv.Input(data.inputs.shape[1]), nv.Dense(1)])
    net.preprocessing = data.preprocessing
    net.save(tmp_path / "hostile.safetensors")
    with Server(tmp_path / "hostile.safetensors") as server:
        options = ["--headless", "--no-sandbox", "--virtual-time-budget=5000"]
        options += [f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom"]
        words = [str(CHROMIUM), *options, server.url]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    form = done.stdout.partition("</style>")[2].partition("<script>")[0]
    labels = re.findall(r"<label>(.*?)<(?:input|select)", form)
    assert [html.unescape(one) for one in labels][1:] == list(columns)
    assert re.findall(r"<option[^>]*>(.*?)</option>", form)[:2] == [
        "&lt;u&gt;one&lt;/u&gt;",
        "two&amp;amp;",
    ]
    assert "Predicts: &lt;h2&gt;target" in form
    assert not re.search(r"<(img|b|i|u|h2>t)\b", form)


def test_a_token_of_the_environment(folder: Path) -> None:
    with Server(folder / "iris", "--name", "flowers", token="secret") as server:
        assert server.told.startswith("flowers at ")
        headers = {"Authorization": "Bearer secret"}
        url = f"{server.url}/v2/models/flowers"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers=headers).json()["name"] == "flowers"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--host", "0.0.0.0"], "[--host] 0.0.0.0 is open to other machines; expected"),
        (
            ["--host", ""],
            "[--host] all addresses is open to other machines; expected a",
        ),
        (["--token", "a b"], "[--token] empty or with blanks; expected a word; take"),
        (["--token", "ü"], "[--token] other letters than those of a header; expected"),
        (
            ["--port", "70000"],
            "[--port] port = 70000; expected a whole number (>= 0) and",
        ),
        (
            ["--body-limit", "0"],
            "[--body-limit] megabytes = 0.0; expected a finite num",
        ),
        (["--time-limit", "nan"], "[--time-limit] seconds = nan; expected a finite"),
    ],
)
def test_what_cannot_be_served_is_told(
    folder: Path,
    options: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NERVURE_TOKEN", raising=False)
    assert run(["serve", str(folder / "iris"), *options]) == 2
    assert capsys.readouterr().err.startswith(f"error: {text}")


def test_a_port_that_is_taken_is_told(
    folder: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", str(folder / "iris"), "--port", str(server.port)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        f"error: [--port] 127.0.0.1:{server.port} cannot be listened"
    )


def test_models_of_texts_and_nothing_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", str(tmp_path / "none")]) == 2
    net = nv.Network([nv.Input((None,)), nv.Embedding(3, 4), nv.LSTM(4), nv.Dense(3)])
    net.preprocessing = nv.data.letters("abc")
    net.save(tmp_path / "letters.safetensors")
    capsys.readouterr()
    assert run(["serve", str(tmp_path / "letters.safetensors")]) == 2
    assert (
        "reads sequences; expected a model of rows; use nervure"
        in capsys.readouterr().err
    )


def test_predictions_alone_need_no_server() -> None:
    code = (
        "import sys, nervure, nervure.cli.predicting; "
        "print({'starlette', 'uvicorn', 'h11'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
