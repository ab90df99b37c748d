# SPDX-License-Identifier: BSD-3-Clause
"""Packed files (gz, bz2, xz, zst, a zip of one file) as plain ones, bounded in size."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from nervure.data._errors import (
    MOST_BYTES,
    DataError,
    check_growth,
    fail,
    memory_limit,
    oneline,
)

SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
"""Ends of names of packed files."""

_CHUNK = 1 << 20


def inner_name(path: Path) -> str:
    """The name that a file has once it is unpacked.

    >>> inner_name(Path("a/rows.csv.gz"))
    'rows.csv'
    """
    if path.suffix.lower() == ".zip" and path.is_file():
        return Path(_only_member(path).filename).name
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


@contextmanager
def plain_file(path: Path) -> Generator[Path]:
    """The file itself, or where it is packed a plain copy that lives as long as this.

    Raises:
        DataError: damaged, encrypted, of several files, or larger than may be.

    Warns:
        DataWarning: it grows to more than a hundred times its size.
    """
    if path.suffix.lower() not in SUFFIXES:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="nervure-") as folder:
        plain = Path(folder, inner_name(path) or "data")
        try:
            with _opened(path) as source:
                _copy(path, source, plain)
        except DataError:
            raise
        except _DAMAGE as error:
            raise fail(
                path.name,
                f"truncated or damaged ({oneline(error)}); expected a whole "
                f"{path.suffix.lower()} file",
                "get the file again",
            ) from error
        except OSError as error:
            reason = error.strerror or oneline(error)
            raise fail(
                path.name, f"cannot be unpacked ({reason})", "check the file and disk"
            ) from error
        yield plain


_DAMAGE = (
    *(EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, zipfile.BadZipFile),
    *(ValueError, NotImplementedError, RuntimeError),
)


def _copy(path: Path, source: BinaryIO, plain: Path) -> None:
    """Unpack within the limit; the first bytes over it end it."""
    limit, size = memory_limit(), 0
    with open(plain, "wb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise fail(
                    path.name,
                    f"{path.stat().st_size:,} bytes that unpack to more than "
                    f"{limit:,}; expected fewer",
                    f"raise {MOST_BYTES} if the file can be trusted",
                )
            file.write(chunk)
    check_growth(path.name, path.stat().st_size, size)


@contextmanager
def _opened(path: Path) -> Generator[BinaryIO]:
    openers: dict[str, Callable[[Path], Any]] = {
        ".gz": gzip.open,
        ".bz2": bz2.open,
        ".xz": lzma.open,
        ".zst": _open_zst,
    }
    suffix = path.suffix.lower()
    if suffix != ".zip":
        with openers[suffix](path) as stream:
            yield cast(BinaryIO, stream)
        return
    with zipfile.ZipFile(path) as archive, archive.open(_only_member(path)) as stream:
        yield cast(BinaryIO, stream)


def _open_zst(path: Path) -> Any:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name).open(path, "rb")
        except ModuleNotFoundError:
            continue
    raise fail(
        path.name,
        "packed with zstd, which this Python cannot read; expected the package "
        "backports.zstd",
        f'run: pip install "nervure[tables]", or unpack the file: unzstd {path.name}',
    )


def _only_member(path: Path) -> zipfile.ZipInfo:
    """The one file of an archive, beside what systems add."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                m
                for m in archive.infolist()
                if not m.is_dir()
                and not m.filename.startswith("__MACOSX/")
                and not Path(m.filename).name.startswith(".")
            ]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise fail(
            path.name, f"no whole zip file ({oneline(error)})", "get the file again"
        ) from error
    if len(members) == 1 and not members[0].flag_bits & 1:
        return members[0]
    found = "is encrypted" if len(members) == 1 else f"holds {len(members):,} files"
    raise fail(
        path.name, f"{found}; expected one plain file in it", "unpack it by yourself"
    )
