# SPDX-License-Identifier: BSD-3-Clause
"""Sources as data sets, and as rows for a network that is trained already."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nervure.data._dataset import Dataset, make_dataset
from nervure.data._errors import DataError, fail, listing
from nervure.data._raw import (
    RECONSTRUCTION,
    Raw,
    raw_from_parts,
    raw_from_series,
    raw_from_table,
    raw_of_inputs,
)
from nervure.data.builtin import BUILTIN
from nervure.data.columns import Column, Table
from nervure.data.encodings import MOST_ONE_HOT, Categories, Encodings, Method
from nervure.data.meaning.labels import Labels
from nervure.data.meaning.understanding import apply_form
from nervure.data.opening import How, features_of, is_idx, is_table, open_source
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Classes, LetterInput, Reconstruction, Target
from nervure.data.series.parts import parts_in_time
from nervure.data.series.records import Series
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
    dates: Mapping[str, str] | None = None,
    labels: Labels = "as_written",
    header: bool | None = None,
    skip_bad: bool = False,
    series: Series | None = None,
) -> Dataset:
    """Read a source and encode it: numbers scaled, categories one-hot or as codes.

    Missing values are filled (median, or a level of their own) and flagged; constant
    and empty columns and text that looks like an identifier are dropped; dates count
    as seconds since 1970; ``.summary()`` of the result says what was done.

    A column of lists of numbers, or of lists of equally long lists, that is the only
    input becomes sequences (`nervure.Ragged`): reals are standardized, whole numbers,
    which may be codes, stay as they are unless ``columns`` says "standard".

    Args:
        source: "digits", "iris", "wine", "breast_cancer", "diabetes", "mnist",
            "fashion_mnist"; a folder of images, one sub-folder per class (or two such
            folders, train and test); a folder with IDX files; an ``.npz`` with X and y,
            or x_train, y_train (x_test, y_test); a CSV, TSV, Parquet or JSON file; a
            data frame or dict of columns; a tuple (X, y) or (X, y, X_test, y_test).
        target: column to predict (several for a regression); by default the last.
        query: SQL over a file, which is the table ``data`` in it.
        task: "classification" or "regression"; by default as the target suggests:
            text, booleans and integers of few values are classes. "reconstruction"
            takes rows as their own targets, and leaves a ``target`` out of them.
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
        dates: patterns of dates of single columns by name, as ``"%d/%m/%Y"``; by
            default found over all rows.
        labels: "merged" takes labels of a target that differ in case or blanks alone
            as one.
        header: whether a text file begins with the names of its columns; by default
            as its first row suggests.
        skip_bad: leave out images that cannot be read, with a warning that names them.
        series: takes the table as a series: rows become windows over it, targets what
            comes after them, and the latest are held out; see `nervure.data.Series`.

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
        columns=columns,
        dates=dates,
        labels=labels,
        header=header,
        skip_bad=skip_bad,
        series=series,
    )
    train_rows = held_out_rows = None
    if held_out and raw.origins is not None and raw.series is not None:
        parts = parts_in_time(raw.where, raw.origins, raw.series, validation=held_out)
        train_rows, held_out_rows = parts.train, parts.validation
    elif held_out:
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
    columns: Mapping[str, str] | None = None,
    dates: Mapping[str, str] | None = None,
    labels: Labels = "as_written",
    header: bool | None = None,
    skip_bad: bool = False,
    series: Series | None = None,
) -> Raw:
    """The rows of a source as they are, for `split` and `make_dataset`; see `load`."""
    names = [target] if isinstance(target, str) else [*(target or ())]
    how = How(
        query,
        task,
        image_size=image_size,
        uses=columns or {},
        dates=dates or {},
        header=header,
        spoken=frozenset([*names, *([weights] if weights else []), *_named(series)]),
        skip_bad=skip_bad,
    )
    found = open_source(source, how)
    if image_size is not None and (isinstance(found, Table) or not found.image_size):
        raise fail(
            found.where,
            f"image_size={list(image_size)} for a source without image files",
            "leave image_size out",
        )
    if isinstance(found, Table):
        if task == RECONSTRUCTION:
            raw = _own_target(found, target, weights, series)
        elif series is not None:
            raw = raw_from_series(found, series, target, task, weights)
        else:
            raw = raw_from_table(found, target, task, weights, labels)
        return replace(raw, query=query, header=found.header)
    for option, given in (("target", target), ("weights", weights), ("series", series)):
        if given is not None:
            raise fail(
                found.where,
                f"{option}={given!r} for a source without a table to choose from",
                f"leave {option} out",
            )
    return raw_from_parts(found, task)


def _own_target(
    table: Table, target: Any, weights: str | None, series: Series | None
) -> Raw:
    if series is None:
        return raw_of_inputs(table, target, weights)
    raise fail(
        table.where,
        "a series whose windows are to be their own targets; expected rows",
        "leave series out, or forecast it",
    )


def _named(series: Series | None) -> list[str]:
    """Columns that the user names by saying what a series is."""
    if series is None:
        return []
    return [series.time, *([series.group] if series.group else []), *series.known]


def prepare(
    source: Any,
    preprocessing: Preprocessing,
    *,
    query: str | None = None,
    labelled: bool = False,
    dtype: DTypeLike = np.float32,
    skip_bad: bool = False,
) -> tuple[Array, Array | None]:
    """Inputs (and targets) of any source for a network that is trained already.

    Args:
        source: as in `load`; of a data set with a test part that part is taken.
        preprocessing: the record of the model file.
        query: SQL over a file, which is the table ``data`` in it; by default that of
            the training.
        labelled: also return encoded targets. Table rows without one are left out.
        dtype: "float32" or "float64" of encoded values.
        skip_bad: leave out images that cannot be read, with a warning.

    Raises:
        DataError: the source does not fit the record, or has no targets.
    """
    if preprocessing.series is not None:
        raise fail(
            str(source),
            "a source for a network that forecasts a series; expected its windows",
            "use nv.forecast(net, source), or nervure predict MODEL SOURCE",
        )
    if not labelled:
        rows = _opened(source, preprocessing, query, skip_bad, features_of)
        return preprocessing.encode(rows, dtype=np.dtype(dtype)), None
    found = with_targets(
        source, preprocessing, query=query, dtype=dtype, skip_bad=skip_bad
    )
    return found.inputs, found.targets


def rows_of(source: Any, preprocessing: Preprocessing) -> Any:
    """The rows of a source as `prepare` encodes them: a table, or an array.

    Raises:
        DataError: it cannot be read.
    """
    return _opened(source, preprocessing, None, False, features_of)


def _opened(
    source: Any,
    record: Preprocessing,
    query: str | None,
    skip_bad: bool,
    opener: Callable[[Any, How], Any],
    as_text: Sequence[str] = (),
) -> Any:
    """What a source holds, read as the training file was; its query, if none is given.

    Raises:
        DataError: it cannot be read; where the query is the model's own, that is said.
    """
    if isinstance(record.inputs, LetterInput):
        raise fail(
            str(source),
            "a source, and a network that reads texts letter by letter; expected texts",
            "use nervure generate MODEL --prompt, or net.predict([text]) in Python",
        )
    own = record.query if query is None and is_table_file(source) else None
    how = How(
        query or own,
        record.task,
        record.inputs,
        record.target,
        header=record.header,
        spoken=record.series.names if record.series else frozenset(),
        skip_bad=skip_bad,
        as_text=frozenset(as_text),
    )
    try:
        return opener(source, how)
    except DataError as error:
        if own is None:
            raise
        raise DataError(
            f"{error}; it is the query that the model was trained with: give another "
            'by --query, "FROM data" for the rows as they are'
        ) from error


def series_table(
    source: Any, preprocessing: Preprocessing, *, query: str | None = None
) -> Table:
    """The table of a source for a network that forecasts, read as in training.

    Raises:
        DataError: the source cannot be read, or is no table.
    """
    assert preprocessing.series is not None
    names = preprocessing.series.as_text
    found = _opened(source, preprocessing, query, False, open_source, sorted(names))
    if not isinstance(found, Table):
        raise fail(
            found.where,
            "no table; expected the columns of a series",
            "give a table file, a data frame or a dict of columns",
        )
    return found


@dataclass(frozen=True, eq=False)
class Labelled:
    """Encoded rows with their targets; ``test`` if they are a test part alone."""

    inputs: Array
    targets: Array
    test: bool = False


def with_targets(
    source: Any,
    preprocessing: Preprocessing,
    *,
    query: str | None = None,
    everything: bool = False,
    dtype: DTypeLike = np.float32,
    skip_bad: bool = False,
) -> Labelled:
    """Inputs and targets of any source for a network that is trained already.

    ``everything`` takes the rows beside the test part too; else see `prepare`.

    Raises:
        DataError: the source does not fit the record, or has no targets.
    """
    number, record = np.dtype(dtype), preprocessing
    found = _opened(source, record, query, skip_bad, open_source)
    own = isinstance(record.target, Reconstruction)
    if isinstance(found, Table):
        return Labelled(*_labelled_table(found, record, number))

    def encoded(inputs: Any, columns: tuple[Column, ...]) -> tuple[Array, Array]:
        if own:
            return _as_their_own(record, inputs, number, found.where)
        targets = columns[0] if len(columns) == 1 else _values(columns)
        x = record.encode(inputs, dtype=number, where=found.where)
        return x, record.encode_targets(targets, dtype=number)

    if found.test is None:
        return Labelled(*encoded(found.inputs, found.targets))
    if not everything:
        return Labelled(*encoded(*found.test), test=True)
    parts = [encoded(found.inputs, found.targets), encoded(*found.test)]
    inputs, targets = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Labelled(inputs, targets)


def columns_beside(
    source: Any,
    preprocessing: Preprocessing,
    names: Sequence[str],
    *,
    query: str | None = None,
) -> list[Column]:
    """Columns of a table file that `prepare` reads; those of text files as text.

    Raises:
        DataError: the source cannot be read or has no such column.
    """
    table: Table = _opened(source, preprocessing, query, False, open_source, names)
    return [table[name] for name in names]


def is_table_file(source: Any) -> bool:
    """Whether a source is a file, or a folder of files, that holds a table."""
    from nervure.data.tables import split_name

    if not isinstance(source, str | os.PathLike) or source in BUILTIN:
        return False
    path = Path(split_name(os.fspath(cast("str | os.PathLike[str]", source)))[0])
    return path.expanduser().exists() and is_table(path.expanduser())


def row_names(source: Any, *, skip_bad: bool = False) -> list[str] | None:
    """What each row of `prepare` is called: image files have names, others none."""
    from nervure.data.image_folders import find_images, image_names

    if not isinstance(source, str | os.PathLike) or source in BUILTIN:
        return None
    path = Path(cast("str | os.PathLike[str]", source)).expanduser()
    images = path.exists() and not is_idx(path) and not is_table(path)
    found = find_images(path) if images else None
    return None if found is None else image_names(found, skip_bad=skip_bad)


# -- targets ------------------------------------------------------------------------


def _labelled_table(
    table: Table, record: Preprocessing, dtype: np.dtype[Any]
) -> tuple[Array, Array]:
    if isinstance(record.target, Reconstruction):
        return _as_their_own(record, table, dtype, table.where)
    names = record.target_names
    absent = [name for name in names if name not in table.columns]
    if absent:
        raise fail(
            table.where,
            f"no target column {listing(absent)} (there are "
            f"{listing(list(table.columns))}); expected the target of training",
            "add or rename the column",
        )
    table = _with_numbers(table, record.target)
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
    inputs = record.encode(kept.without(names), dtype=dtype, where=table.where)
    if isinstance(record.target, Classes):
        return inputs, record.encode_targets(kept[names[0]], dtype=dtype)
    amounts = {name: _amount(kept[name], table.where) for name in names}
    return inputs, record.encode_targets(amounts, dtype=dtype)


def _as_their_own(
    record: Preprocessing, rows: Any, dtype: np.dtype[Any], where: str
) -> tuple[Array, Array]:
    inputs = record.encode(rows, dtype=dtype, where=where)
    return inputs, record.as_targets(inputs, dtype=dtype)


def _with_numbers(table: Table, target: Target) -> Table:
    """The table with targets of text as the numbers that they were in training."""
    if isinstance(target, Classes):
        labels_are_text = isinstance(target.labels[0], str | bool)
        names, written = (() if labels_are_text else (target.name,)), None
    elif isinstance(target, Reconstruction):
        return table
    else:
        names, written = target.names, target.written
    texts = [table[name] for name in names if table[name].kind == "text"]
    made = {column.name: apply_form(column, written, table) for column in texts}
    return replace(table, columns={**table.columns, **made})


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
