# SPDX-License-Identifier: BSD-3-Clause
"""MNIST and Fashion-MNIST: downloaded once into a cache, checked by SHA-256."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nervure.base.files import replacing
from nervure.data._errors import DataError, fail, oneline
from nervure.data.idx import FILES, idx_files

TIMEOUT = 30.0  # seconds of silence
DEADLINE = 900.0  # seconds for one file
MOST_BYTES = 64 << 20  # of one file; the largest has 26 MB


@dataclass(frozen=True)
class Mirror:
    """Where four files are, and their SHA-256 in the order of `FILES`."""

    urls: tuple[str, ...]
    sums: tuple[str, str, str, str]


MIRRORS: dict[str, Mirror] = {
    "mnist": Mirror(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/",),
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion_mnist": Mirror(
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}


def cache_folder() -> Path:
    """Where data sets are kept: ``NERVURE_DATA``, or the platform's cache folder."""
    chosen = os.environ.get("NERVURE_DATA")
    if chosen:
        return Path(chosen).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "nervure"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        caches = Path(local) if local else home / "AppData" / "Local"
        return caches / "nervure" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "nervure"


def downloaded(name: str) -> Path:
    """The folder with the IDX files of ``name``, downloading those that are missing.

    Files that lie there already, packed or not, are taken as they are.

    Raises:
        DataError: offline, a checksum that differs, or a folder that cannot be written.
    """
    folder = cache_folder() / name
    there = idx_files(folder) if folder.is_dir() else {}
    have = {path.name.removesuffix(".gz") for path in there.values()}
    mirror = MIRRORS[name]
    for file, expected in zip(FILES, mirror.sums, strict=True):
        if file.removesuffix(".gz") not in have:
            _make(name, folder)
            _from_mirrors(name, folder, file, mirror.urls, expected)
    return folder


def _make(name: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise fail(
            name,
            f"folder {folder} cannot be made ({error.strerror})",
            "set NERVURE_DATA to a folder that can be written",
        ) from error


def _from_mirrors(
    name: str, folder: Path, file: str, urls: tuple[str, ...], expected: str
) -> None:
    faults: list[str] = []
    for url in urls:
        try:
            return fetch(url + file, folder / file, expected)
        except DataError as error:
            faults.append(str(error))
    wanted = ", ".join(file.removesuffix(".gz") for file in FILES)
    raise fail(
        name,
        f"could not be downloaded: {' '.join(faults)}; expected the files {wanted} "
        f"(or .gz) in {folder}",
        "put them there by hand, or give the folder that holds them as the source",
    )


def fetch(url: str, path: Path, expected: str, *, timeout: float = TIMEOUT) -> None:
    """Download ``url`` to ``path`` if its SHA-256 is as expected; all or nothing.

    Raises:
        DataError: no connection, silence beyond ``timeout`` seconds, a wrong checksum.
        WriteError: the file cannot be written.
    """
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": "nervure"})
    try:
        response: Any = urllib.request.urlopen(request, timeout=timeout)
    except (OSError, ValueError) as error:
        raise _no_answer(url, error) from error
    with response, replacing(path) as temporary, open(temporary, "wb") as file:
        found = _copy(url, response, file)
        if found != expected:
            raise fail(
                url,
                f"SHA-256 {found[:16]}...; expected {expected[:16]}...",
                "the file is damaged or not the original",
            )


def _copy(url: str, response: Any, file: BinaryIO) -> str:
    """Write what comes and return its SHA-256."""
    digest = hashlib.sha256()
    end = time.monotonic() + DEADLINE
    total = 0
    while block := _next_block(url, response):
        total += len(block)
        if total > MOST_BYTES or time.monotonic() > end:
            raise fail(
                url,
                f"more than {MOST_BYTES >> 20} MB or {DEADLINE:.0f} s",
                "try another connection",
            )
        digest.update(block)
        file.write(block)
    return digest.hexdigest()


def _next_block(url: str, response: Any) -> bytes:
    import http.client

    try:
        return response.read(1 << 16)
    except (OSError, http.client.HTTPException) as error:
        raise _no_answer(url, error) from error


def _no_answer(url: str, error: Exception) -> DataError:
    reason = oneline(error).removeprefix("<urlopen error ").removesuffix(">")
    return fail(url, f"no answer ({reason})", "check the connection")
