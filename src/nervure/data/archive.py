# SPDX-License-Identifier: BSD-3-Clause
"""Arrays from ``.npz`` and ``.npy`` files: data only, never a pickle."""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nervure.data._errors import DataError, check_growth, check_size, fail, oneline
from nervure.data.idx import MOST_COMPRESSION
from nervure.data.npy import read_header, read_values

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
        with open(path, "rb") as stream:
            header = read_header(stream)
        stored = path.stat().st_size - header.start
        if stored != header.size:
            raise ValueError(
                f"{stored:,} bytes of values, but declares {header.size:,}"
            )
        if header.size == 0:
            return np.empty(header.shape, header.dtype)
        order = "F" if header.fortran else "C"
        dtype, shape = header.dtype, header.shape
        return np.memmap(path, dtype, "r", header.start, shape, order)
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
            size = sum(member.file_size for member in members)
            check_size(path.name, size)
            arrays = {
                m.filename.removesuffix(".npy"): _member(archive, m) for m in members
            }
            check_growth(path.name, path.stat().st_size, size)
            return arrays
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
        header = read_header(stream)
        if header.size != member.file_size - header.start:
            raise ValueError(
                f"{member.filename} declares {header.size} bytes of values"
            )
        return read_values(stream, header)


_ROLES = {
    **dict.fromkeys(("x", "data", "features", "images", "inputs", "arr0"), "inputs"),
    **dict.fromkeys(
        ("y", "target", "targets", "label", "labels", "classes", "arr1"), "targets"
    ),
}
_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}


def _place(name: str) -> tuple[str, str]:
    """The part of a split and the role of an array, by its name; "" where unknown.

    >>> _place("train_labels"), _place("X"), _place("arr_1")
    (('train', 'targets'), ('', 'inputs'), ('', 'targets'))
    """
    words = re.findall(r"[a-z]+|\d+", name.lower())
    part = next((_PARTS[word] for word in words if word in _PARTS), "")
    rest = "".join(word for word in words if word not in _PARTS)
    return part, _ROLES.get(rest, "")


def arrays_of(named: dict[str, Array], where: str, *, targets: bool = True) -> Arrays:
    """Inputs and targets among named arrays, whatever the case.

    X and y, data and target, images and labels, arr_0 and arr_1; perhaps of parts
    (x_train, train_labels, X_test, ...). ``targets=False`` accepts inputs alone, and
    one array of any name as the inputs.
    """
    placed = {_place(name): array for name, array in named.items()}
    for train in ("train", ""):
        inputs = placed.get((train, "inputs"))
        answers = placed.get((train, "targets"))
        if inputs is None or (answers is None and targets):
            continue
        test: tuple[Array, Array] | None = None
        for part in ("test", "validation"):
            pair = placed.get((part, "inputs")), placed.get((part, "targets"))
            if test is None and pair[0] is not None and pair[1] is not None:
                test = pair[0], pair[1]
        return Arrays(inputs, answers, test)
    if not targets and len(named) == 1:
        return Arrays(next(iter(named.values())), None)
    found = ", ".join(sorted(named)) or "none"
    raise fail(
        where,
        f"arrays {found:.200}; expected X and y (or data and target, arr_0 and arr_1), "
        "or x_train and y_train (with x_test and y_test)",
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
