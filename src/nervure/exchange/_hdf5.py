# SPDX-License-Identifier: BSD-3-Clause
"""HDF5 files of strangers: groups, attributes and arrays, nothing else.

Only hard links are followed, so that a file names no other; arrays whose numbers lie
elsewhere, or are made by filters that HDF5 would have to load, are refused. What an
array declares is compared with the file's size before any of it is read.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.extras import needed
from nervure.base.memory import check_memory
from nervure.base.words import short
from nervure.exchange._hdf5_heaps import checked_size
from nervure.exchange._types import BFLOAT16, as_floats
from nervure.exchange.errors import ExchangeError, damaged_keras, in_one_line

Array = npt.NDArray[Any]

MOST_MEMBERS = 20_000
"""Of a group."""

MOST_TEXT = 2**24
"""Bytes of an attribute."""

MOST_RATIO, ALWAYS = 64, 2**26
"""How much larger than the file all arrays together may be, besides some bytes."""

MOST_AXES = 8


@dataclass
class Hdf5:
    """An open file, and how many more bytes may be read of it."""

    where: str
    file: Any
    left: int

    def damaged(self, fact: str) -> ExchangeError:
        return damaged_keras(self.where, fact)

    def root(self) -> Group:
        return Group(self, self.file, "/")

    def close(self) -> None:
        """Gives back what the library holds of the file."""
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            self.file.close()


def open_hdf5(source: str | bytes, where: str) -> Hdf5:
    """An HDF5 file, by its path or its bytes.

    Raises:
        ExchangeError: it is none.
    """
    h5py = needed("h5py", where)
    try:
        size = checked_size(source)
        held = io.BytesIO(source) if isinstance(source, bytes) else source
        file = h5py.File(held, "r")
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise ExchangeError(
            f"[{where}] is no HDF5 file ({_told(error)}); expected a model that Keras "
            "saved; check the path"
        ) from None
    return Hdf5(where, file, MOST_RATIO * size + ALWAYS)


def _told(error: BaseException) -> str:
    return in_one_line(error, 120)


@dataclass(frozen=True)
class Group:
    """A group of a file."""

    owner: Hdf5
    group: Any
    path: str

    def names(self) -> list[str]:
        """Names of the members."""
        try:
            if len(self.group) > MOST_MEMBERS:
                raise self.owner.damaged(
                    f"{len(self.group):,} members of {short(self.path)}"
                )
            return [str(name) for name in self.group]
        except ExchangeError:
            raise
        except Exception as error:  # whatever HDF5 says of what is damaged
            raise self.owner.damaged(_told(error)) from None

    def member(self, name: str) -> Group | Numbers | None:
        """A member by its own name, or None where there is none."""
        h5py = needed("h5py", self.owner.where)
        path = f"{self.path.rstrip('/')}/{name}"
        if not name or "/" in name or name in (".", "..") or "\0" in name:
            raise self.owner.damaged(f"a member called {short(name)}")
        try:
            link = self.group.get(name, getlink=True)
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise ExchangeError(
                    f"[{self.owner.where}] {short(path)} is a link to another place; "
                    "expected numbers in the file itself; save the model again"
                )
            found = self.group.get(name)
        except ExchangeError:
            raise
        except Exception as error:
            raise self.owner.damaged(_told(error)) from None
        if isinstance(found, h5py.Group):
            return Group(self.owner, found, path)
        if isinstance(found, h5py.Dataset):
            return Numbers(self.owner, found, path)
        return None

    def at(self, *names: str) -> Group | None:
        """A group below, member by member."""
        found: Group | None = self
        for name in names:
            below = found.member(name)
            if not isinstance(below, Group):
                return None
            found = below
        return found

    def text(self, name: str) -> str | None:
        """An attribute that is a text."""
        value = self._attribute(name)
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> list[str] | None:
        """An attribute that is a list of texts, perhaps in several parts."""
        whole = self._list(name)
        if whole is not None:
            return whole
        parts: list[str] = []
        for number in range(MOST_MEMBERS):
            part = self._list(f"{name}{number}")
            if part is None:
                return parts if number else None
            parts += part
        return parts

    def _list(self, name: str) -> list[str] | None:
        value = self._attribute(name)
        if value is None or not hasattr(value, "reshape"):
            return None
        return [
            x.decode("utf-8", "replace") if isinstance(x, bytes) else str(x)
            for x in value.reshape(-1).tolist()
        ]

    def _attribute(self, name: str) -> Any:
        try:
            attributes = self.group.attrs
            if name not in attributes:
                return None
            stored = attributes.get_id(name)
            if stored.get_storage_size() > MOST_TEXT:
                raise self.owner.damaged(f"attribute {short(name)} is too long")
            return attributes[name]
        except ExchangeError:
            raise
        except Exception as error:
            raise self.owner.damaged(
                f"attribute {short(name)}: {_told(error)}"
            ) from None


@dataclass(frozen=True)
class Numbers:
    """An array of a file, not read yet."""

    owner: Hdf5
    data: Any
    path: str

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self.data.shape or ())

    def read(self) -> Array:
        """The numbers.

        Raises:
            ExchangeError: they are not in the file, are none, or too many.
        """
        try:
            self._check()
            array = np.asarray(self.data[()])
            return as_floats(array.view(BFLOAT16)) if array.dtype.kind == "V" else array
        except ExchangeError:
            raise
        except Exception as error:
            raise self.owner.damaged(f"{short(self.path)}: {_told(error)}") from None

    def _check(self) -> None:
        data, where, path = self.data, self.owner.where, short(self.path)
        if data.shape is None or len(data.shape) > MOST_AXES:
            raise self.owner.damaged(f"{path} has no shape")
        if data.external or data.is_virtual:
            raise ExchangeError(
                f"[{where}] the numbers of {path} are in another file; expected all of "
                "them in this one; save the model again"
            )
        kind, bits = data.dtype.kind, data.dtype.itemsize
        half = kind == "V" and bits == 2 and data.dtype.fields is None
        if not (kind in "fiu" and bits <= 8) and not half:
            raise ExchangeError(
                f"[{where}] {path} holds {short(str(data.dtype))}; expected "
                "floating-point numbers; save the model with a policy of float32"
            )
        self._check_size(math.prod(data.shape) * bits, bits, path)

    def _check_size(self, size: int, bits: int, path: str) -> None:
        data = self.data
        chunk = math.prod(data.chunks or ()) * bits
        if max(size, chunk) > self.owner.left:
            raise self.owner.damaged(
                f"{path} declares {max(size, chunk):,} bytes, too many for a file of "
                "this size"
            )
        if _filtered(data):
            raise self.owner.damaged(
                f"{path} is packed in a way that Keras does not use"
            )
        if size and not data.id.get_storage_size():
            raise self.owner.damaged(f"{path} has a shape and no numbers")
        check_memory(size, self.owner.where, "the weights", "use a smaller model")
        self.owner.left -= size


def _filtered(data: Any) -> bool:
    """Whether reading needs a filter that HDF5 does not bring itself."""
    properties = data.id.get_create_plist()
    own = {1, 2, 3, 32000}  # deflate, shuffle, checksum; h5py's lzf
    filters = range(properties.get_nfilters())
    return any(properties.get_filter(i)[0] not in own for i in filters)


def walked(group: Group) -> Iterator[Group]:
    """The groups right below."""
    for name in group.names():
        below = group.member(name)
        if isinstance(below, Group):
            yield below
