# SPDX-License-Identifier: BSD-3-Clause
"""Arrays from ``.npz`` and ``.npy`` files: data only, never a pickle."""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nervure.data._errors import DataError, check_size, fail, oneline
from nervure.data.idx import MOST_COMPRESSION

MOST_ARRAYS = 1000
_NOT_WHOLE = (EOFError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError)

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Arrays:
    """What an archive or a tuple of arrays gives: inputs, targets, perhaps a test."""

    inputs: Array
    targets: Array | None
    test: tuple[Array, Array] | None = None


def read_npy(path: str | Path) -> Array:
    """The array of a ``.npy`` file, memory-mapped: rows are read when they are used.

    Raises:
        DataError: not a ``.npy`` file, truncated, or an array of Python objects.
    """
    path = Path(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except _NOT_WHOLE as error:
        raise _broken(path, error) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def read_npz(path: str | Path) -> dict[str, Array]:
    """All arrays of an ``.npz`` file by name.

    Sizes that the file declares are checked before anything is unpacked.

    Raises:
        DataError: not an archive of arrays, truncated, or arrays of Python objects.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MOST_ARRAYS:
                raise fail(
                    path.name,
                    f"{len(members)} members; expected at most {MOST_ARRAYS} arrays",
                    "check that this is the right file",
                )
            check_size(path.name, sum(member.file_size for member in members))
            return {
                m.filename.removesuffix(".npy"): _member(archive, m) for m in members
            }
    except DataError:
        raise
    except _NOT_WHOLE as error:
        raise _broken(path, error) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    if member.file_size > max(1, member.compress_size) * MOST_COMPRESSION:
        raise ValueError(f"{member.filename} declares an impossible size")
    with archive.open(member) as opened:
        stream = cast(BinaryIO, opened)
        size, start = _declared(stream)
        if size != member.file_size - start:
            raise ValueError(f"{member.filename} declares {size} bytes of values")
    with archive.open(member) as opened:
        return np.lib.format.read_array(cast(BinaryIO, opened), allow_pickle=False)


def _declared(stream: BinaryIO) -> tuple[int, int]:
    """Bytes of values that a ``.npy`` header declares, and bytes before them."""
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f".npy version {version}")
    shape, _, dtype = read[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return math.prod(shape) * dtype.itemsize, stream.tell()


def arrays_of(named: dict[str, Array], where: str, *, targets: bool = True) -> Arrays:
    """Inputs and targets among named arrays, whatever the case.

    X and y; or x_train, y_train and perhaps x_test, y_test. ``targets=False`` accepts
    inputs alone, and one array of any name as the inputs.
    """
    lower = {name.lower(): array for name, array in named.items()}
    if {"x_train", "y_train"} <= lower.keys():
        test = None
        if {"x_test", "y_test"} <= lower.keys():
            test = (lower["x_test"], lower["y_test"])
        return Arrays(lower["x_train"], lower["y_train"], test)
    if {"x", "y"} <= lower.keys():
        return Arrays(lower["x"], lower["y"])
    if not targets and "x" in lower:
        return Arrays(lower["x"], None)
    if not targets and len(lower) == 1:
        return Arrays(next(iter(lower.values())), None)
    found = ", ".join(sorted(named)) or "none"
    raise fail(
        where,
        f"arrays {found:.200}; expected X and y, or x_train and y_train "
        "(with x_test and y_test)",
        "save them so: np.savez(file, X=X, y=y)",
    )


def _broken(path: Path, error: Exception) -> DataError:
    kind = path.suffix.lower()
    reason = oneline(error)
    if "pickle" in reason.lower() or "python objects" in reason.lower():
        reason = "it holds Python objects or is another kind of file"
    return fail(
        path.name,
        f"not a whole {kind} file of plain arrays ({reason}); expected numbers",
        "save it again with np.savez or np.save, without objects",
    )


def _unreadable(path: Path, error: OSError) -> DataError:
    reason = error.strerror or oneline(error)
    return fail(path.name, f"cannot be read ({reason})", "check the file")
