# SPDX-License-Identifier: BSD-3-Clause
"""Files that Keras saves: ``.keras`` archives and the older ``.h5``.

An archive holds ``config.json`` and ``model.weights.h5``; there a layer's variables are
called ``layers/<class>_<count>/vars/<number>``. An older file holds the configuration
as an attribute, ``model_config``, and arrays by the names of layers and variables.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nervure.base.memory import check_memory
from nervure.base.words import is_table, short
from nervure.exchange._hdf5 import Group, Hdf5, Numbers, open_hdf5, walked
from nervure.exchange.errors import ExchangeError, damaged_keras, in_one_line

MOST_CONFIG = 2**25
"""Bytes of a configuration: EfficientNet-B7 has half of one million."""

MOST_LIST = 2**22
"""Bytes of an archive's list of files."""

PIECE = 2**20
"""Bytes of an archive that are read at a time."""

MOST_PACKED = 1_100
"""How much larger than packed a file may be: what deflate can do at most."""

_ZIP_ERRORS = (
    *(zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, zlib.error),
    *(struct.error, EOFError, RuntimeError, OSError, KeyError),
)

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Label:
    """A layer's name, and what an archive calls it."""

    name: str
    stored: str


class Weights(Protocol):
    """Where the numbers of layers are."""

    def of(self, path: Sequence[Label], parts: Sequence[str]) -> list[Numbers]:
        """Those of a layer, by the labels of the models around it and its own.

        ``parts`` are the layers inside of it that have its numbers, in their order.
        """
        ...


@dataclass(frozen=True)
class KerasFile:
    """What a file holds: the model's configuration, its numbers, who wrote it."""

    where: str
    config: Config
    weights: Weights
    version: str
    close: Callable[[], None]

    @property
    def early(self) -> bool:
        """Whether Keras 2 wrote it, some of whose words mean something else."""
        return self.version[:2] in ("1.", "2.")


def open_keras(source: str | os.PathLike[str]) -> KerasFile:
    """The model of a file.

    Raises:
        ExchangeError: it cannot be read, is no model, or is damaged.
    """
    where = os.fspath(source)
    try:
        if os.path.exists(where) and not os.path.isfile(where):
            raise ExchangeError(
                f"[{where}] is a folder or device; expected a .keras or .h5 file; name "
                "the file"
            )
        with open(where, "rb") as file:
            start = file.read(4)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ExchangeError(
            f"[{where}] cannot be read: {reason}; expected a .keras or .h5 file; check "
            "the path"
        ) from error
    if start[:2] == b"PK":
        return _archive(where)
    return _legacy(open_hdf5(where, where))


# -- archives --------------------------------------------------------------------------


class _Bounded(io.FileIO):
    """A file from which an archive's list of files is read, if it has some bound."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > MOST_LIST:
            raise zipfile.BadZipFile(f"a list of files of {size:,} bytes")
        return super().read(size)


def _archive(where: str) -> KerasFile:
    try:
        with _Bounded(where) as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            config = _member(archive, "config.json", where, MOST_CONFIG)
            about = b"{}"
            if "metadata.json" in names:
                about = _member(archive, "metadata.json", where, MOST_CONFIG)
            if "model.weights.h5" not in names:
                raise ExchangeError(
                    f"[{where}] holds {short(', '.join(names[:5]))}; expected "
                    "config.json and model.weights.h5; save the model as one file"
                )
            data = _member(archive, "model.weights.h5", where, None)
    except ExchangeError:
        raise
    except _ZIP_ERRORS as error:
        fact = in_one_line(error, 120)
        raise damaged_keras(where, f"no sound archive ({fact})") from None
    hdf5 = open_hdf5(data, where)
    version = str(_json(about, where).get("keras_version", ""))[:20]
    return KerasFile(where, _json(config, where), _Tree(hdf5), version, hdf5.close)


def _member(archive: zipfile.ZipFile, name: str, where: str, most: int | None) -> bytes:
    """A file of an archive, whose size is judged before it is unpacked."""
    info = archive.getinfo(name)
    size, packed = info.file_size, info.compress_size
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise damaged_keras(where, f"{name} is packed in an unknown way")
    large = most is not None and size > most
    if large or size > MOST_PACKED * packed + 100:
        raise damaged_keras(where, f"{name} would be {size:,} bytes")
    check_memory(2 * size, where, name, "use a smaller model")
    with archive.open(info) as file:
        return b"".join(iter(lambda: file.read(PIECE), b""))


def _json(data: bytes | str, where: str) -> Config:
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damaged_keras(where, f"its configuration ({str(error)[:80]})") from None
    if not is_table(found):
        raise damaged_keras(where, f"its configuration is {short(found)}")
    return found


# -- where numbers are in archives -----------------------------------------------------


def counted_names(layers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What an archive calls layers, of which name and class are given.

    >>> counted_names([("a", "Dense"), ("b", "Conv2D"), ("c", "Dense")])
    {'a': 'dense', 'b': 'conv2d', 'c': 'dense_1'}
    """
    seen: Counter[str] = Counter()
    found: dict[str, str] = {}
    for name, kind in layers:
        word = _snake(kind)
        found[name] = f"{word}_{seen[word]}" if seen[word] else word
        seen[word] += 1
    return found


def _snake(kind: str) -> str:
    """As Keras writes the name of a class in small letters."""
    word = re.sub(r"\W+", "", kind)
    word = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", word)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", word).lower()


class _Tree:
    """The numbers of an archive."""

    def __init__(self, hdf5: Hdf5) -> None:
        self.root = hdf5.root()
        self._by_name: dict[str, dict[str, Group]] = {}

    def of(self, path: Sequence[Label], parts: Sequence[str]) -> list[Numbers]:
        group: Group | None = self.root
        for label in path:
            group = group and self._layer(group, label)
        if group is None:
            return []
        below = [group.at(*part.split("/")) if part else group for part in parts]
        return [x for g in below if g is not None for x in _variables(g)]

    def _layer(self, group: Group, label: Label) -> Group | None:
        """By its name, where the file tells names; else by its class and count."""
        own = group.at("layers") or group.at("_layer_checkpoint_dependencies")
        if own is None:
            return None
        found = own.at(label.stored)
        if found is not None and _told(found) in (None, label.name):
            return found
        if own.path not in self._by_name:
            named = ((_told(other), other) for other in walked(own))
            self._by_name[own.path] = {name: other for name, other in named if name}
        return self._by_name[own.path].get(label.name)


def _told(group: Group) -> str | None:
    """The name that a file tells of a layer."""
    return (group.at("vars") or group).text("name")


def _variables(group: Group) -> Iterator[Numbers]:
    own = group.at("vars")
    if own is None:
        return
    for number in range(len(own.names())):
        found = own.member(str(number))
        if isinstance(found, Numbers):
            yield found


# -- older files -----------------------------------------------------------------------


def _legacy(hdf5: Hdf5) -> KerasFile:
    root = hdf5.root()
    text = root.text("model_config")
    if text is None:
        raise ExchangeError(
            f"[{hdf5.where}] holds no model_config; expected a whole model, weights "
            "alone do not say what they belong to; save it with model.save"
        )
    group = root.at("model_weights")
    version = (root.text("keras_version") or "")[:20]
    weights = _ByName(hdf5, group)
    config = _json(text, hdf5.where)
    return KerasFile(hdf5.where, config, weights, version, hdf5.close)


@dataclass
class _ByName:
    """The numbers of an older file: each layer lists the names of its own."""

    hdf5: Hdf5
    group: Group | None

    def of(self, path: Sequence[Label], parts: Sequence[str]) -> list[Numbers]:
        first, *inner = (label.name for label in path)
        outer = self._outer(first)
        if outer is None:
            return []
        names = outer.texts("weight_names") or []
        for label in inner:
            names = [name for name in names if label in name.split("/")[:-1]]
        return [self._numbers(outer, name) for name in names]

    def _outer(self, name: str) -> Group | None:
        """Of a layer; a slash in its name is a folder's."""
        names = [word for word in name.split("/") if word]
        return self.group.at(*names) if self.group is not None and names else None

    def _numbers(self, outer: Group, name: str) -> Numbers:
        *folders, last = name.split("/")
        group = outer.at(*folders)
        found = group and group.member(last)
        if not isinstance(found, Numbers):
            raise self.hdf5.damaged(f"{short(name)} is listed and not there")
        return found
