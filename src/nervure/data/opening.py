# SPDX-License-Identifier: BSD-3-Clause
"""What a source may be, and how each kind is read.

A source is the name of a built-in data set, a folder of images, of IDX files or of
parts of a table, a file (``.npz``, CSV, Parquet, JSON, SQLite, ...), a data frame, or a
tuple of arrays.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, cast

from numpy.typing import NDArray

from nervure.base.words import unknown
from nervure.data._errors import DataError, fail, listing
from nervure.data._raw import RECONSTRUCTION, Parts, inputs_alone, parts_of
from nervure.data.builtin import BUILTIN, idx_images, idx_parts, read_builtin
from nervure.data.columns import Table
from nervure.data.encodings import AS_TEXT
from nervure.data.frames import is_frame, table_from_frame, table_from_mapping
from nervure.data.meaning.understanding import Wishes, understood
from nervure.data.records import (
    Amounts,
    Classes,
    Inputs,
    Numeric,
    Reconstruction,
    TableColumn,
    TableInput,
    Target,
    Text,
)

Array = NDArray[Any]


@dataclass(frozen=True)
class How:
    """How to read a source: what the user asks for, and what a trained net expects.

    ``uses`` and ``dates`` are what the user says of single columns, ``spoken`` others
    that the user names, ``header`` whether a text file begins with names, ``skip_bad``
    whether images that cannot be read are left out, ``as_text`` columns of a text file
    that stay as they stand in it.
    """

    query: str | None = None
    task: str | None = None
    inputs: Inputs | None = None
    target: Target | None = None
    image_size: tuple[int, int] | None = None
    uses: Mapping[str, str] = field(default_factory=dict[str, str])
    dates: Mapping[str, str] = field(default_factory=dict[str, str])
    header: bool | None = None
    spoken: frozenset[str] = frozenset()
    skip_bad: bool = False
    as_text: frozenset[str] = frozenset()

    @property
    def text(self) -> frozenset[str]:
        """Columns that a text file must give as text, whatever they look like."""
        names = {name for name, use in self.uses.items() if use in AS_TEXT}
        names |= {*self.dates, *self.as_text}
        if isinstance(self.inputs, TableInput):
            names |= {c.name for c in self.inputs.columns if _as_text(c)}
        target = self.target
        if isinstance(target, Classes) and isinstance(target.labels[0], str):
            names.add(target.name)
        if isinstance(target, Amounts) and target.written is not None:
            names |= set(target.names)
        return frozenset(names)

    @property
    def alone(self) -> bool:
        """Whether rows need no targets: they are their own."""
        wanted = isinstance(self.target, Reconstruction)
        return wanted or self.task == RECONSTRUCTION

    @property
    def known(self) -> frozenset[str]:
        """Names of columns that a trained net expects, or the user speaks of."""
        names = {*self.uses, *self.dates, *self.spoken}
        if isinstance(self.inputs, TableInput):
            names |= set(self.inputs.names)
        return frozenset(names)


def _as_text(column: TableColumn) -> bool:
    if isinstance(column, Numeric):
        return column.written is not None
    return isinstance(column, Text) or column.source == "text"


def open_source(source: Any, how: How) -> Table | Parts:
    """The table or the arrays that a source holds.

    Raises:
        DataError: it cannot be read, or is none.
    """
    found, typed = _open(source, how)
    if not isinstance(found, Table) or how.inputs is not None:
        return found
    uses = {name: use for name, use in how.uses.items() if name in found.columns}
    dropped = [name for name, use in uses.items() if use == "drop"]
    kept = found.without(dropped)
    read = understood(kept, Wishes(uses, how.dates, typed))
    columns = {n: read.columns.get(n, c) for n, c in found.columns.items()}
    return replace(read, columns=columns)


def _open(source: Any, how: How) -> tuple[Table | Parts, bool]:
    """What a source holds, and whether it tells numbers from texts by itself."""
    if isinstance(source, str | os.PathLike):
        return _open_named(cast("str | os.PathLike[str]", source), how)
    if how.query is not None:
        raise fail(
            "query", "a query over something that is no file", "give a table file"
        )
    if is_frame(source):
        return table_from_frame(source), True
    if isinstance(source, Mapping):
        return table_from_mapping(cast("Mapping[str, Any]", source)), True
    if isinstance(source, tuple) and len(cast("tuple[Any, ...]", source)) in (2, 4):
        inputs, targets, *test = cast("tuple[Any, ...]", source)
        pair = (test[0], test[1]) if test else None
        return parts_of(inputs, targets, task=how.task, test=pair), True
    raise fail(
        "source",
        f"a {type(cast(object, source)).__name__}; expected a name, a path, a data "
        "frame, a dict of columns or a tuple (X, y)",
        "see nervure.data.load",
    )


def _open_named(source: str | os.PathLike[str], how: How) -> tuple[Table | Parts, bool]:
    from nervure.data.archive import arrays_of, read_npy, read_npz
    from nervure.data.tables import TYPED, read_table, table_format

    if source in BUILTIN and how.query is None:
        return read_builtin(cast(str, source)), True
    path, part = _existing(source)
    if is_table(path):
        reading = _reading(how, part)
        form = table_format(path) if path.is_file() else "parts"
        return read_table(path, reading=reading), form in TYPED
    if how.query is not None:
        raise fail(path.name, "a query over a file without a table", _FILES)
    if is_idx(path):
        return idx_parts(path, path.name, labelled=not how.alone), True
    if how.alone and path.is_file() and "-ubyte" in path.name:
        return inputs_alone(idx_images(path), path.name), True
    if how.alone and path.suffix.lower() == ".npy":
        return inputs_alone(read_npy(path), path.name), True
    found = _images(path, how)
    if found is not None:
        return found, True
    if path.is_dir():
        _foreign_folder(path)
    if path.suffix.lower() == ".npz":
        arrays = arrays_of(read_npz(path), path.name, targets=not how.alone)
        inputs, targets, test = arrays.inputs, arrays.targets, arrays.test
        if targets is None:
            return inputs_alone(inputs, path.name), True
        return parts_of(inputs, targets, path.name, how.task, test), True
    raise fail(path.name, f"a {path.suffix or 'nameless'} file; expected data", _FILES)


def is_table(path: Path) -> bool:
    """Whether a path is a file, or a folder of files, that holds a table."""
    from nervure.data.tables import parts_of_folder, table_format

    if path.is_file():
        return table_format(path) is not None
    return path.is_dir() and bool(parts_of_folder(path))


def _reading(how: How, part: str | None) -> Any:
    from nervure.data.tables import Reading

    dropped = frozenset(name for name, use in how.uses.items() if use == "drop")
    return Reading(how.query, how.text, how.header, how.known, part, dropped)


def _images(path: Path, how: How) -> Parts | None:
    """The images at a path with their classes, or None where there are none."""
    from nervure.data.image_folders import find_images, image_parts, images_for

    found = find_images(path)
    if found is None:
        return None
    if how.inputs is None:
        labelled = not how.alone
        size, skip_bad = how.image_size, how.skip_bad
        return image_parts(found, size, skip_bad=skip_bad, labelled=labelled)
    pixels, labels = images_for(found, how.inputs, skip_bad=how.skip_bad)
    if how.alone:
        return Parts(found.name, pixels, ())
    if labels is None:
        raise fail(
            found.name,
            "images without a class; expected one sub-folder for each class",
            "use predict, or put them into such folders",
        )
    return Parts(found.name, pixels, (labels,))


_FILES = (
    "use .csv, .tsv, .parquet, .json, .jsonl, .feather, .xlsx, .db?table=NAME, .npz "
    "(packed or not), a folder of parts of a table, of images (one sub-folder per "
    "class) or of IDX files"
)


def _existing(source: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """The path of a source, and the table or sheet in it that is meant."""
    from nervure.data.tables import split_name

    plain, part = split_name(os.fspath(source))
    path = Path(plain).expanduser()
    if path.is_file() or path.is_dir():
        return path, part
    name = os.fspath(source)
    if path.exists():
        raise fail(
            name,
            "a pipe or device; expected a file or folder",
            "write what it gives to a file (- reads standard input)",
        )
    if "://" in name:
        raise fail(
            name, "an address; expected a file on this machine", "download it first"
        )
    if path.suffix or len(path.parts) > 1:
        raise fail(name, "there is no such file or folder", "check the path")
    raise DataError(unknown("source", "data set or file", name, BUILTIN))


def is_idx(folder: Path) -> bool:
    """Whether a folder holds IDX files."""
    from nervure.data.idx import idx_files

    return folder.is_dir() and bool(idx_files(folder))


def _foreign_folder(folder: Path) -> NoReturn:
    names = sorted(path.name for path in folder.iterdir())
    raise fail(
        folder.name,
        f"a folder with {listing(names, 5) or 'nothing in it'}; expected one "
        "sub-folder of JPEG or PNG images per class, or IDX files "
        "(train-images-idx3-ubyte, train-labels-idx1-ubyte, or .gz)",
        "give one of the files in it, or put such files there",
    )


def features_of(source: Any, how: How) -> Any:
    """What is encoded for prediction: a table, a frame, a dict, or an array of inputs.

    Targets are not needed.
    """
    if isinstance(source, str | os.PathLike) and source not in BUILTIN:
        path, _ = _existing(cast("str | os.PathLike[str]", source))
        array = None if how.query is not None else _array_file(path, how)
        if array is not None:
            return array
    elif not isinstance(source, str | tuple):
        if how.query is not None:
            raise fail("query", "a query over something that is no file", "give a file")
        return cast(Any, source)
    found = open_source(source, replace(how, task=None))
    if isinstance(found, Table):
        return found
    return found.test[0] if found.test else found.inputs


def _array_file(path: Path, how: How) -> Array | None:
    """The inputs in a file of arrays or images, or None for another kind of source."""
    from nervure.data.archive import arrays_of, read_npy, read_npz
    from nervure.data.idx import read_idx
    from nervure.data.image_folders import find_images, images_for

    if path.suffix.lower() == ".npy":
        return read_npy(path)
    if path.suffix.lower() == ".npz":
        arrays = arrays_of(read_npz(path), path.name, targets=False)
        return arrays.test[0] if arrays.test else arrays.inputs
    if path.is_file() and "-ubyte" in path.name:
        return read_idx(path)
    if how.inputs is None or is_idx(path) or is_table(path):
        return None
    found = find_images(path)
    if found is None:
        return None
    return images_for(found, how.inputs, skip_bad=how.skip_bad)[0]
