# SPDX-License-Identifier: BSD-3-Clause
"""The IDX format of the MNIST files, plain or gzip.

Two zero bytes, one byte for the type, one for the number of axes, then the lengths of
the axes and the values, all big-endian.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nervure.data._errors import DataError, check_growth, check_size, fail, oneline

TYPES: dict[int, str] = {
    0x08: ">u1",
    0x09: ">i1",
    0x0B: ">i2",
    0x0C: ">i4",
    0x0D: ">f4",
    0x0E: ">f8",
}
MOST_AXES = 8
MOST_COMPRESSION = 1032  # deflate cannot do better; a larger claim is a lie

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
"""The names of the four files of MNIST and its kin."""

_NAME = re.compile(
    r"(?:.*-)?(train|t10k|test)-(images|labels)[-.]idx\d-ubyte(?:\.gz)?", re.IGNORECASE
)


def read_idx(path: str | Path) -> NDArray[Any]:
    """The array of an IDX file, in the machine's byte order.

    The size that the file declares is compared with the file and with the memory
    before anything is allocated; a ``.gz`` is unpacked no further than that size.

    Raises:
        DataError: the file is missing, truncated, too long, or not IDX.

    Source: Y. LeCun, C. Cortes, C. Burges, *The MNIST database*.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        opener: Any = gzip.open if packed else open
        with opener(path, "rb") as stream:
            return _read(path, cast(BinaryIO, stream), packed)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _broken(path, oneline(error).lower().rstrip(".")) from error
    except OSError as error:
        reason = error.strerror or oneline(error)
        raise fail(path.name, f"cannot be read ({reason})", "check the file") from error


def _read(path: Path, stream: BinaryIO, packed: bool) -> NDArray[Any]:
    dtype, shape = _header(path, stream)
    count = math.prod(shape)
    size = count * dtype.itemsize
    _check_claim(path, size, packed)
    array = np.empty(count, dtype)
    view = memoryview(cast(Any, array.view(np.uint8)))
    filled = 0
    while filled < size:
        got = cast(Any, stream).readinto(view[filled : filled + (1 << 20)])
        if not got:
            raise _broken(path, f"{filled:,} of {size:,} bytes of values")
        filled += got
    if stream.read(1):
        raise _broken(path, f"more than the {size:,} bytes of values it declares")
    return array.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _header(path: Path, stream: BinaryIO) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    known = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in TYPES
    if not known or not 1 <= magic[3] <= MOST_AXES:
        raise fail(
            path.name,
            f"begins with {magic.hex(' ') or 'nothing'}; expected the IDX format "
            "(00 00, a type, a number of axes)",
            "check that this is the right file",
        )
    lengths = stream.read(4 * magic[3])
    if len(lengths) < 4 * magic[3]:
        raise _broken(path, "an incomplete header")
    return np.dtype(TYPES[magic[2]]), struct.unpack(f">{magic[3]}I", lengths)


def _check_claim(path: Path, size: int, packed: bool) -> None:
    stored = path.stat().st_size
    check_size(path.name, size)
    if size > stored * (MOST_COMPRESSION if packed else 1):
        raise _broken(path, f"{stored:,} bytes, but declares {size:,} bytes of values")
    check_growth(path.name, stored, size)


def _broken(path: Path, fact: str) -> DataError:
    return fail(
        path.name,
        f"truncated or damaged: {fact}; expected exactly the values that the header "
        "declares",
        "get the file again",
    )


# -- folders ------------------------------------------------------------------------


def idx_files(folder: Path) -> dict[str, Path]:
    """IDX files of a folder by part: "train images", "test labels", ...

    Packed and plain files may lie side by side: the plain one is taken. Two sets
    (EMNIST keeps several in one folder) are an error.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            continue
        part = "train" if match[1].lower() == "train" else "test"
        key = f"{part} {match[2].lower()}"
        other = found.get(key)
        if other is not None and path.stem != other.name and path.name != other.stem:
            raise fail(
                folder.name,
                f"two files of {key}: {other.name} and {path.name}; expected one set",
                "keep one set of IDX files per folder",
            )
        if other is None or other.suffix == ".gz":
            found[key] = path
    return found


Pair = tuple[NDArray[Any], NDArray[Any]]


def read_idx_folder(folder: str | Path) -> tuple[Pair, Pair | None]:
    """Training (images, labels) of a folder, and its test pair if it has one.

    Raises:
        DataError: a file is missing or broken, or images and labels do not match.
    """
    folder = Path(folder)
    files = idx_files(folder)
    train = _read_pair(folder, files, "train")
    has_test = any(key.startswith("test") for key in files)
    test = _read_pair(folder, files, "test") if has_test else None
    if test is not None and test[0].shape[1:] != train[0].shape[1:]:
        raise _uneven(folder, train[0], test[0])
    return train, test


def idx_images_of(folder: str | Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Training images of a folder, and those of its test part, labelled or not.

    Raises:
        DataError: a file is missing or broken, or the parts differ in shape.
    """
    folder = Path(folder)
    files = idx_files(folder)
    if "train images" not in files:
        return read_idx_folder(folder)[0][0], None  # raises, and says what is missing
    train = read_idx(files["train images"])
    test = read_idx(files["test images"]) if "test images" in files else None
    if test is not None and test.shape[1:] != train.shape[1:]:
        raise _uneven(folder, train, test)
    return train, test


def _uneven(folder: Path, train: NDArray[Any], test: NDArray[Any]) -> DataError:
    return fail(
        folder.name,
        f"training images {train.shape[1:]}, test images {test.shape[1:]}",
        "keep files of one data set together",
    )


def _read_pair(folder: Path, files: dict[str, Path], part: str) -> Pair:
    for what in ("images", "labels"):
        if f"{part} {what}" not in files:
            name = FILES[(part == "test") * 2 + (what == "labels")]
            there = ", ".join(path.name for path in files.values()) or "no IDX file"
            raise fail(
                folder.name,
                f"no {part} {what} ({there}); expected {name.removesuffix('.gz')} "
                "or the same with .gz",
                "put the file there",
            )
    images = read_idx(files[f"{part} images"])
    labels = read_idx(files[f"{part} labels"])
    name = files[f"{part} labels"].name
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise fail(
            name, f"labels of shape {labels.shape}, {labels.dtype}", "use an idx1 file"
        )
    if len(images) != len(labels):
        raise fail(
            name,
            f"{len(labels)} labels for {len(images)} images; expected one per image",
            "keep files of one data set together",
        )
    return images, labels
