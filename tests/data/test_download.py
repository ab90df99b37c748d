# SPDX-License-Identifier: BSD-3-Clause
"""The downloader against a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from nervure.data import DataError, cache_folder, load, prepare
from nervure.data import download as downloads
from nervure.data.idx import FILES


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; remembers what was asked for; can break off or fall silent."""

    asked: list[str]
    behaviour = "serve"

    def do_GET(self):
        type(self).asked.append(self.path.lstrip("/"))
        if self.behaviour == "serve":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 10)
        self.wfile.flush()
        if self.behaviour == "silent":
            self.server.released.wait(20)
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server(idx_folder: Path, tmp_path: Path, monkeypatch):
    """A mirror of a small data set called mnist, and an empty cache."""
    handler = type("Serving", (Handler,), {"asked": []})
    running = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(handler, directory=str(idx_folder))
    )
    running.released = threading.Event()
    thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{running.server_address[1]}/"
    sums = [hashlib.sha256((idx_folder / n).read_bytes()).hexdigest() for n in FILES]
    monkeypatch.setitem(
        downloads.MIRRORS, "mnist", downloads.Mirror((url,), tuple(sums))
    )
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running.handler, running.url = handler, url
    yield running
    running.released.set()
    running.shutdown()
    running.server_close()
    thread.join()


def cached(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache" / "mnist").iterdir())


def test_downloaded_once(server, tmp_path: Path):
    first = load("mnist")
    assert server.handler.asked == list(FILES)
    assert cached(tmp_path) == sorted(FILES)
    second = load("mnist")
    assert len(server.handler.asked) == 4
    np.testing.assert_array_equal(first.inputs, second.inputs)
    assert first.inputs.shape == (12, 4, 5, 1)
    assert first.test is not None
    inputs, targets = prepare("mnist", first.preprocessing, labelled=True)
    np.testing.assert_array_equal(inputs, first.test[0])
    np.testing.assert_array_equal(targets, first.test[1])


def test_only_what_is_missing_is_downloaded(server, tmp_path: Path, idx_folder: Path):
    folder = tmp_path / "cache" / "mnist"
    folder.mkdir(parents=True)
    (folder / FILES[1]).write_bytes((idx_folder / FILES[1]).read_bytes())
    load("mnist")
    assert server.handler.asked == [FILES[0], FILES[2], FILES[3]]


def test_fashion_has_names(idx_folder: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    idx_folder.rename(tmp_path / "cache" / "fashion_mnist")
    data = load("fashion_mnist")
    assert data.preprocessing.decode_classes(data.targets[:3]).tolist() == [
        *("T-shirt/top", "Trouser", "Pullover"),
    ]


def test_a_wrong_checksum_leaves_nothing(server, tmp_path: Path, idx_folder: Path):
    (idx_folder / FILES[0]).write_bytes(b"something else")
    with pytest.raises(
        DataError, match=r"SHA-256 \w{16}\.\.\.; expected \w{16}"
    ) as caught:
        load("mnist")
    assert str(tmp_path / "cache" / "mnist") in str(caught.value)
    assert cached(tmp_path) == []


def test_the_next_mirror_is_tried(server, monkeypatch):
    sums = downloads.MIRRORS["mnist"].sums
    urls = (f"{server.url}elsewhere/", server.url)
    monkeypatch.setitem(downloads.MIRRORS, "mnist", downloads.Mirror(urls, sums))
    assert load("mnist").rows == 12


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [("break off", "IncompleteRead|SHA-256"), ("silent", r"no answer \(timed out\)")],
)
def test_connections_that_fail(server, tmp_path: Path, monkeypatch, behaviour, text):
    server.handler.behaviour = behaviour
    monkeypatch.setattr(downloads, "fetch", partial(downloads.fetch, timeout=0.2))
    with pytest.raises(DataError, match=text):
        load("mnist")
    assert cached(tmp_path) == []


def test_endless_files_are_broken_off(server, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(downloads, "MOST_BYTES", 5)
    with pytest.raises(DataError, match="more than 0 MB or 900 s"):
        load("mnist")
    assert cached(tmp_path) == []


def test_offline_says_where_to_put_the_files(tmp_path: Path, monkeypatch):
    with socket.socket() as closed:  # a port where nobody listens
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    mirror = downloads.Mirror((url,), ("", "", "", ""))
    monkeypatch.setitem(downloads.MIRRORS, "mnist", mirror)
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    text = (
        r"\[mnist\] could not be downloaded: .*no answer .*; expected the files "
        r"train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
        rf"t10k-labels-idx1-ubyte \(or .gz\) in {tmp_path}/cache/mnist; put them there"
    )
    with pytest.raises(DataError, match=text):
        load("mnist")


def test_a_cache_that_cannot_be_made(tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path / "file"))
    with pytest.raises(
        DataError, match=r"cannot be made .*; set NERVURE_DATA to a folder"
    ):
        load("mnist")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "{home}/.cache/nervure"),
        ("linux", {"XDG_CACHE_HOME": "/big/cache"}, "/big/cache/nervure"),
        ("darwin", {}, "{home}/Library/Caches/nervure"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/nervure/Cache"),
        ("linux", {"NERVURE_DATA": "~/sets"}, "{home}/sets"),
    ],
)
def test_cache_folder(tmp_path: Path, monkeypatch, platform, variables, expected):
    for name in ("NERVURE_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert str(cache_folder()) == expected.format(home=tmp_path)


def test_published_checksums():
    """They are 64 hexadecimal digits, and no file has that of another."""
    sums = [s for mirror in downloads.MIRRORS.values() for s in mirror.sums]
    assert len(set(sums)) == 8
    assert all(len(s) == 64 and int(s, 16) for s in sums)
