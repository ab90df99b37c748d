# SPDX-License-Identifier: BSD-3-Clause
"""What a source may be, and how each kind is read.

A source is the name of a built-in data set, a folder of images or of IDX files, a file
(``.npz``, CSV, TSV, Parquet, JSON), a data frame, or a tuple of arrays.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nervure._names import unknown
from nervure.data._dataset import Dataset, make_dataset
from nervure.data._encode import encode, text_columns
from nervure.data._errors import DataError, fail, listing
from nervure.data._raw import Parts, Raw, parts_of, raw_from_parts, raw_from_table
from nervure.data.arrays import is_frame
from nervure.data.builtin import BUILTIN, idx_parts, read_builtin
from nervure.data.columns import Column, Table, table_from_frame, table_from_mapping
from nervure.data.encodings import MOST_ONE_HOT, Categories, Encodings, Method
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Classes
from nervure.data.splitting import split

Array = NDArray[Any]


def load(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    query: str | None = None,
    task: str | None = None,
    weights: str | None = None,
    image_size: tuple[int, int] | None = None,
    held_out: float = 0.0,
    seed: int = 0,
    dtype: DTypeLike = np.float32,
    numbers: Method = "standard",
    categories: Categories = "auto",
    columns: Mapping[str, str] | None = None,
    most_one_hot: int = MOST_ONE_HOT,
    standardize_target: bool = True,
) -> Dataset:
    """Read a source and encode it: numbers scaled, categories one-hot or as codes.

    Missing values are filled (median, or a level of their own) and flagged; constant
    and empty columns and text that looks like an identifier are dropped; dates count
    as seconds since 1970; ``.summary()`` of the result says what was done.

    Args:
        source: "digits", "iris", "wine", "breast_cancer", "diabetes", "mnist",
            "fashion_mnist"; a folder of images, one sub-folder per class (or two such
            folders, train and test); a folder with IDX files; an ``.npz`` with X and y,
            or x_train, y_train (x_test, y_test); a CSV, TSV, Parquet or JSON file; a
            data frame or dict of columns; a tuple (X, y) or (X, y, X_test, y_test).
        target: column to predict (several for a regression); by default the last.
        query: SQL over a file, which is the table ``data`` in it.
        task: "classification" or "regression"; by default as the target suggests:
            text, booleans and integers of few values are classes.
        weights: column with the rows' weights.
        image_size: height and width that image files are resized to; by default
            their medians, at most 64.
        held_out: share of rows in [0, 1) to keep from the statistics; see
            ``Dataset.held_out_rows``. Classes keep their shares.
        seed: which rows are held out.
        dtype: "float32" or "float64" of encoded values; uint8 images stay uint8.
        numbers: how numbers and dates are encoded: "standard", "robust", "quantile" or
            "piecewise"; see `nervure.data.Encodings`.
        categories: "one_hot", "embedding" or "auto": an embedding for columns of more
            than ``most_one_hot`` categories. Codes for an embedding come last; see
            `Dataset.entrance`.
        columns: encodings of single columns by name, as above or "drop".
        most_one_hot: see ``categories``.
        standardize_target: learn a regression's target as ``(y - mean) / scale``.

    Raises:
        DataError: the source cannot be read or used; the message says why.

    >>> iris = load("iris")
    >>> iris.inputs.shape, iris.preprocessing.decode_classes(iris.targets[:1]).tolist()
    ((150, 4), ['setosa'])
    """
    raw = read(
        source,
        target=target,
        query=query,
        task=task,
        weights=weights,
        image_size=image_size,
    )
    train_rows = held_out_rows = None
    if held_out:
        train_rows, held_out_rows = split(raw.rows, held_out, raw.strata(), seed)
    return make_dataset(
        raw,
        train_rows,
        held_out_rows,
        dtype=dtype,
        encodings=Encodings(numbers, categories, columns or {}, most_one_hot),
        standardize_target=standardize_target,
    )


def read(
    source: Any,
    *,
    target: str | Sequence[str] | None = None,
    query: str | None = None,
    task: str | None = None,
    weights: str | None = None,
    image_size: tuple[int, int] | None = None,
) -> Raw:
    """The rows of a source as they are, for `split` and `make_dataset`; see `load`."""
    found = _open(source, _How(query, task, image_size=image_size))
    if image_size is not None and (isinstance(found, Table) or not found.image_size):
        raise fail(
            found.where,
            f"image_size={list(image_size)} for a source without image files",
            "leave image_size out",
        )
    if isinstance(found, Table):
        return raw_from_table(found, target, task, weights)
    for option, given in (("target", target), ("weights", weights)):
        if given is not None:
            raise fail(
                found.where,
                f"{option}={given!r} for a source without a table to choose from",
                f"leave {option} out",
            )
    return raw_from_parts(found, task)


def prepare(
    source: Any,
    preprocessing: Preprocessing,
    *,
    query: str | None = None,
    labelled: bool = False,
    dtype: DTypeLike = np.float32,
) -> tuple[Array, Array | None]:
    """Inputs (and targets) of any source for a network that is trained already.

    Args:
        source: as in `load`; of a data set with a test part that part is taken.
        preprocessing: the record of the model file.
        query: SQL over a file, which is the table ``data`` in it.
        labelled: also return encoded targets. Table rows without one are left out.
        dtype: "float32" or "float64" of encoded values.

    Raises:
        DataError: the source does not fit the record, or has no targets.
    """
    number = np.dtype(dtype)
    how = _How(query, preprocessing.task, preprocessing)
    if not labelled:
        return encode(preprocessing, _features(source, how), dtype=number), None
    found = _open(source, how)
    if isinstance(found, Table):
        return _labelled_table(found, preprocessing, number)
    inputs, columns = found.test or (found.inputs, found.targets)
    encoded = encode(preprocessing, inputs, dtype=number, where=found.where)
    targets = columns[0] if len(columns) == 1 else _values(columns)
    return encoded, preprocessing.encode_targets(targets, dtype=number)


def read_features(
    path: str | Path, record: Preprocessing, *, query: str | None = None
) -> Table | Array:
    """Rows to predict for, from a file or a folder; targets are not needed."""
    return _features(os.fspath(path), _How(query, record=record))


def row_names(source: Any) -> list[str] | None:
    """What each row of `prepare` is called: image files have names, others none."""
    from nervure.data.image_folders import find_images, image_names

    if not isinstance(source, str | os.PathLike) or source in BUILTIN:
        return None
    path = Path(cast("str | os.PathLike[str]", source)).expanduser()
    found = find_images(path) if path.exists() and not _is_idx(path) else None
    return None if found is None else image_names(found)


# -- opening ------------------------------------------------------------------------


@dataclass(frozen=True)
class _How:
    """How to read a source: what the user asks for, and what a trained net expects."""

    query: str | None = None
    task: str | None = None
    record: Preprocessing | None = None
    image_size: tuple[int, int] | None = None

    @property
    def text(self) -> set[str]:
        """Columns that are text whatever they look like."""
        return text_columns(self.record) if self.record else set()


def _open(source: Any, how: _How) -> Table | Parts:
    if isinstance(source, str | os.PathLike):
        return _open_named(cast("str | os.PathLike[str]", source), how)
    if how.query is not None:
        raise fail(
            "query", "a query over something that is no file", "give a table file"
        )
    if is_frame(source):
        return table_from_frame(source)
    if isinstance(source, Mapping):
        return table_from_mapping(cast("Mapping[str, Any]", source))
    if isinstance(source, tuple) and len(cast("tuple[Any, ...]", source)) in (2, 4):
        inputs, targets, *test = cast("tuple[Any, ...]", source)
        pair = (test[0], test[1]) if test else None
        return parts_of(inputs, targets, task=how.task, test=pair)
    raise fail(
        "source",
        f"a {type(cast(object, source)).__name__}; expected a name, a path, a data "
        "frame, a dict of columns or a tuple (X, y)",
        "see nervure.data.load",
    )


def _open_named(source: str | os.PathLike[str], how: _How) -> Table | Parts:
    from nervure.data.archive import arrays_of, read_npz
    from nervure.data.tables import read_table, table_format

    if source in BUILTIN and how.query is None:
        return read_builtin(cast(str, source))
    path = _existing(source)
    if path.is_file() and table_format(path):
        return read_table(path, how.query, how.text)
    if how.query is not None:
        raise fail(path.name, "a query over a file without a table", _FILES)
    if _is_idx(path):
        return idx_parts(path, path.name)
    found = _images(path, how)
    if found is not None:
        return found
    if path.is_dir():
        _foreign_folder(path)
    if path.suffix.lower() == ".npz":
        arrays = arrays_of(read_npz(path), path.name)
        inputs, targets, test = arrays.inputs, arrays.targets, arrays.test
        return parts_of(inputs, targets, path.name, how.task, test)
    raise fail(path.name, f"a {path.suffix or 'nameless'} file; expected data", _FILES)


def _images(path: Path, how: _How) -> Parts | None:
    """The images at a path with their classes, or None where there are none."""
    from nervure.data.image_folders import find_images, image_parts, images_for

    found = find_images(path)
    if found is None:
        return None
    if how.record is None:
        return image_parts(found, how.image_size)
    pixels, labels = images_for(found, how.record)
    if labels is None:
        raise fail(
            found.name,
            "images without a class; expected one sub-folder for each class",
            "use predict, or put them into such folders",
        )
    return Parts(found.name, pixels, (labels,))


_FILES = (
    "use .csv, .tsv, .parquet, .json, .jsonl, .npz, or a folder of images (one "
    "sub-folder per class) or of IDX files"
)


def _existing(source: str | os.PathLike[str]) -> Path:
    path = Path(source).expanduser()
    if path.exists():
        return path
    name = os.fspath(source)
    if "://" in name:
        raise fail(
            name, "an address; expected a file on this machine", "download it first"
        )
    if path.suffix or len(path.parts) > 1:
        raise fail(name, "there is no such file or folder", "check the path")
    raise DataError(unknown("source", "data set or file", name, BUILTIN))


def _is_idx(folder: Path) -> bool:
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


def _features(source: Any, how: _How) -> Any:
    """What `encode` takes: a table, a frame, a dict, or an array of inputs."""
    if isinstance(source, str | os.PathLike) and source not in BUILTIN:
        path = _existing(cast("str | os.PathLike[str]", source))
        array = None if how.query is not None else _array_file(path, how.record)
        if array is not None:
            return array
    elif not isinstance(source, str | tuple):
        if how.query is not None:
            raise fail("query", "a query over something that is no file", "give a file")
        return cast(Any, source)
    found = _open(source, replace(how, task=None))
    if isinstance(found, Table):
        return found
    return found.test[0] if found.test else found.inputs


def _array_file(path: Path, record: Preprocessing | None) -> Array | None:
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
    if record is None or _is_idx(path):
        return None
    found = find_images(path)
    return None if found is None else images_for(found, record)[0]


# -- targets ------------------------------------------------------------------------


def _labelled_table(
    table: Table, record: Preprocessing, dtype: np.dtype[Any]
) -> tuple[Array, Array]:
    names = record.target_names
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise fail(
            table.where,
            f"no target column {listing(absent)} (there are "
            f"{listing(list(table.columns))}); expected the target of training",
            "add or rename the column",
        )
    lost = np.zeros(table.rows, np.bool_)
    for name in names:
        missing = table[name].missing
        lost |= False if missing is None else missing
    if lost.all():
        raise fail(
            table.where,
            f"target {listing(list(names))} is missing in every row",
            "add it",
        )
    kept = table.take(~lost) if lost.any() else table
    inputs = encode(record, kept.without(names), dtype=dtype, where=table.where)
    if isinstance(record.target, Classes):
        return inputs, record.encode_targets(kept[names[0]], dtype=dtype)
    amounts = {name: _amount(kept[name], table.where) for name in names}
    return inputs, record.encode_targets(amounts, dtype=dtype)


def _amount(column: Column, where: str) -> Array:
    if column.kind not in ("integer", "real", "boolean"):
        raise fail(
            where,
            f"target {column.name!r} holds {column.found()}; expected numbers",
            "convert the column",
        )
    return column.floats()


def _values(columns: tuple[Column, ...]) -> Array:
    return np.column_stack([column.floats() for column in columns])
