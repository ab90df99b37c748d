# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's checkpoints, read without PyTorch and without executing anything.

Since 1.6 a checkpoint is a zip archive, stored without compression: ``data.pkl`` holds
a pickle of the tensors' shapes, each file ``data/<key>`` the numbers of one storage.
Before, five pickles stood in a row (a magic number, a version, the machine, the
tensors' shapes, the keys of the storages), then each storage: its length in eight bytes
and its numbers. A tensor is a storage's elements from an offset on, at given strides.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import numpy as np
import numpy.typing as npt

from nervure.base.words import is_table, short
from nervure.exchange._pickle import (
    MOST_BYTES,
    CodeError,
    Global,
    Meaning,
    PickleError,
    read_pickle,
)
from nervure.exchange._types import OF_TORCH
from nervure.exchange.errors import CheckpointError, damaged

Array = npt.NDArray[Any]

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001

_ORDERED = Global("collections", "OrderedDict")
_SIZE = Global("torch", "Size")
_PARAMETER = Global("torch._utils", "_rebuild_parameter")
_TENSORS = (
    Global("torch._utils", "_rebuild_tensor"),  # before 0.4
    Global("torch._utils", "_rebuild_tensor_v2"),
)
_CALLS = (_ORDERED, _SIZE, _PARAMETER, *_TENSORS)
_MOST_AXES = 8
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError),
    *(struct.error, EOFError, RuntimeError),
)
"""What `zipfile` raises for archives that are damaged, encrypted or of another kind."""
_WRAPPERS = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True)
class Storage:
    """A stretch of numbers in the file: its key there, their type and number."""

    key: str
    dtype: np.dtype[Any]
    count: int
    offset: int = 0  # elements, where it is a part of another storage


@dataclass(frozen=True)
class Tensor:
    """Elements of a storage from ``offset`` on, at ``strides`` (in elements)."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view(self, numbers: Array) -> Array:
        """The tensor's view of its storage; its extents were checked."""
        size = numbers.dtype.itemsize
        first = numbers[self.storage.offset + self.offset :]
        strides = tuple(stride * size for stride in self.strides)
        return np.lib.stride_tricks.as_strided(
            first, self.shape, strides, writeable=False
        )


# -- the file --------------------------------------------------------------------------


def read_torch(where: str) -> dict[str, Array]:
    """Tensors by name of a file that ``torch.save`` wrote: views of the file.

    Raises:
        CheckpointError: it is no such file, is damaged, or holds code.
    """
    empty = os.path.getsize(where) == 0
    raw = np.zeros(0, np.uint8) if empty else np.memmap(where, np.uint8, "r")
    start = bytes(raw[:2])
    try:
        if start == b"PK":
            return _read_archive(raw, where)
        if start[:1] == b"\x80":
            return _read_row(raw, where)
    except CodeError as error:
        raise CheckpointError(
            f"[{where}] asks for the code {error}, which was not run; expected tensors "
            "by name alone; save model.state_dict() rather than the model, and do not "
            "open the file with torch.load unless you trust its source"
        ) from None
    except PickleError as error:
        raise damaged(where, str(error)) from None
    raise CheckpointError(
        f"[{where}] is no checkpoint: it begins with {start!r}; expected a file that "
        "torch.save wrote (since PyTorch 0.2), or .safetensors; check the path"
    )


class _Bounded(io.FileIO):
    """A file from which an archive's list of files is read, if it has some bound."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MOST_BYTES:
            raise zipfile.BadZipFile(f"a list of files of {size:,} bytes")
        return super().read(size)


def _read_archive(raw: Array, where: str) -> dict[str, Array]:
    try:
        with _Bounded(where) as file, zipfile.ZipFile(file) as archive:
            files = {info.filename: info for info in archive.infolist()}
    except _ZIP_ERRORS as error:
        raise damaged(where, f"{error}".lower()[:200]) from None
    main = next((name for name in files if name.endswith("data.pkl")), None)
    if main is None:
        raise damaged(where, "the archive has no data.pkl")
    folder = main.removesuffix("data.pkl")

    def content(name: str) -> Array:
        if folder + name not in files:
            raise damaged(where, f"the archive has no {short(folder + name)}")
        return _stored(raw, files[folder + name], where)

    order = folder + "byteorder"
    if order in files and bytes(content("byteorder")) == b"big":
        raise _big_endian(where)
    described = content("data.pkl")
    if len(described) > MOST_BYTES:
        raise damaged(where, f"data.pkl has {len(described):,} bytes")
    tensors = _named(read_pickle(io.BytesIO(described.tobytes()), _MEANING), where)
    keys = dict.fromkeys(tensor.storage.key for tensor in tensors.values())
    storages = {key: content(f"data/{key}") for key in keys}
    return _views(tensors, storages, where)


def _stored(raw: Array, info: zipfile.ZipInfo, where: str) -> Array:
    """The bytes of a file of the archive, which must not be compressed."""
    header = bytes(raw[info.header_offset : info.header_offset + 30])
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise damaged(where, f"{short(info.filename)} has no header")
    names = int.from_bytes(header[26:28], "little")
    extra = int.from_bytes(header[28:30], "little")
    begin = info.header_offset + 30 + names + extra
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise damaged(where, f"{short(info.filename)} is compressed or encrypted")
    if begin + info.file_size > len(raw):
        raise damaged(where, f"{short(info.filename)} goes beyond the end of the file")
    return raw[begin : begin + info.file_size]


def _read_row(raw: Array, where: str) -> dict[str, Array]:
    """The format before 1.6."""
    file = io.BytesIO(raw[:MOST_BYTES].tobytes())
    if read_pickle(file, _MEANING) != MAGIC or read_pickle(file, _MEANING) != VERSION:
        raise CheckpointError(
            f"[{where}] is a pickle, but no checkpoint; expected a file that "
            "torch.save wrote; check the path"
        )
    machine = read_pickle(file, _MEANING)
    if is_table(machine) and machine.get("little_endian") is False:
        raise _big_endian(where)
    tensors = _named(read_pickle(file, _MEANING), where)
    keys = read_pickle(file, _MEANING)
    if not isinstance(keys, list):
        raise damaged(where, "its storages are not listed")
    types = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    storages: dict[str, Array] = {}
    at = file.tell()
    for key in map(str, cast(list[Any], keys)):
        if key not in types:
            raise damaged(where, f"storage {short(key)} is used by no tensor")
        storages[key] = _in_row(raw, at, types[key], where)
        at += 8 + len(storages[key])
    return _views(tensors, storages, where)


def _in_row(raw: Array, at: int, storage: Storage, where: str) -> Array:
    """The bytes of a storage: its length stands before them."""
    length = raw[at : at + 8]
    size = int(length.view("<i8")[0]) if len(length) == 8 else -1
    size *= storage.dtype.itemsize
    if not 0 <= size <= len(raw) - at - 8:
        fact = f"storage {short(storage.key)} goes beyond the end of the file"
        raise damaged(where, fact)
    return raw[at + 8 : at + 8 + size]


def _views(
    tensors: Mapping[str, Tensor], storages: Mapping[str, Array], where: str
) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, tensor in tensors.items():
        storage = tensor.storage
        try:
            numbers = storages[storage.key].view(storage.dtype)
        except (KeyError, ValueError):
            raise damaged(where, f"{short(name)} has no whole storage") from None
        last = sum(
            (n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True)
        )
        end = storage.offset + tensor.offset + (last + 1 if all(tensor.shape) else 0)
        if end > len(numbers) or math.prod(tensor.shape) > len(numbers):
            raise damaged(where, f"{short(name)} goes beyond its storage")
        try:
            found[name] = tensor.view(numbers)
        except ValueError:  # no elements, but more than addresses can count
            raise damaged(where, f"{short(name)} has no shape of an array") from None
    return found


def _big_endian(where: str) -> CheckpointError:
    return CheckpointError(
        f"[{where}] was saved on a big-endian machine; expected little-endian numbers; "
        "save it again with torch.save on another machine"
    )


# -- what its pickle means -------------------------------------------------------------


def _known(name: Global) -> bool:
    storage = name.module == "torch" and name.name in OF_TORCH
    return storage or name in _CALLS


def _call(function: Global, arguments: tuple[Any, ...]) -> object:
    """The value of one of the few calls that tensors by name are written with."""
    first = arguments[0] if arguments else None
    if function == _ORDERED and len(arguments) < 2:
        return _pairs(first)
    if function == _SIZE and _is_shape(first):
        return first
    if function == _PARAMETER and isinstance(first, Tensor):
        return first
    if function in _TENSORS and len(arguments) >= 4:
        storage, offset, shape, strides = arguments[:4]
        whole = _is_shape(shape) and _is_shape(strides) and len(shape) == len(strides)
        if isinstance(storage, Storage) and whole and _is_shape((offset,)):
            return Tensor(storage, offset, shape, strides)
    raise PickleError(f"a call of {function} with other arguments than torch.save's")


def _pairs(items: Any) -> dict[str, Any]:
    """A dictionary as Python 2 wrote it: a list of pairs; None is an empty one."""
    found: dict[str, Any] = {}
    for pair in items or ():
        key, value = pair
        if not isinstance(key, str):
            raise PickleError(f"a key that is a {type(key).__name__}")
        found[key] = value
    return found


def _is_shape(value: Any) -> TypeGuard[tuple[int, ...]]:
    """Whether a value is a tuple of a few numbers that can be extents."""
    if not isinstance(value, tuple):
        return False
    items = cast(tuple[Any, ...], value)
    return len(items) <= _MOST_AXES and all(
        type(item) is int and 0 <= item < 2**48 for item in items
    )


def _persistent(reference: Any) -> Storage:
    """``("storage", type, key, place, elements)``, perhaps the part of a storage."""
    if isinstance(reference, tuple):
        parts = cast(tuple[Any, ...], reference)
        if len(parts) in (5, 6) and isinstance(parts[1], Global):
            word, kind, key, _, elements = parts[:5]
            offset = _part(parts[5]) if len(parts) == 6 else 0
            sized = _is_shape((elements, offset)) and isinstance(key, str)
            if word == "storage" and kind.name in OF_TORCH and sized:
                return Storage(key, OF_TORCH[kind.name], elements, offset)
    raise PickleError("a reference that is no storage of numbers")


_MEANING = Meaning(_known, _call, _persistent)


def _part(view: Any) -> Any:
    """The offset of ``(key, offset, elements)``, a part of a storage; None is all."""
    return cast(tuple[Any, ...], view)[1] if isinstance(view, tuple) else 0


def _named(value: Any, where: str) -> dict[str, Tensor]:
    """The tensors by name: of a state dict, or one inside of a training checkpoint."""
    for wrapper in _WRAPPERS:
        if is_table(value) and is_table(value.get(wrapper)):
            value = value[wrapper]
    if not is_table(value):
        raise damaged(where, f"holds a {type(value).__name__}, no tensors by name")
    found: dict[str, Tensor] = {}
    for name, tensor in value.items():
        if not isinstance(tensor, Tensor):
            raise damaged(where, f"{short(name)} is no tensor")
        found[str(name)] = tensor
    prefix = "module."
    if found and all(name.startswith(prefix) for name in found):
        return {name.removeprefix(prefix): t for name, t in found.items()}
    return found
