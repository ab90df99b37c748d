# SPDX-License-Identifier: BSD-3-Clause
"""Columns and tables as read: one kind per column, missing values marked."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from nervure._names import unknown
from nervure.data._errors import DataError, fail

Kind = Literal["integer", "real", "boolean", "text", "date", "empty"]

KIND_WORDS: dict[str, str] = {
    "integer": "integers",
    "real": "numbers",
    "boolean": "booleans",
    "text": "text",
    "date": "dates",
    "empty": "nothing but missing values",
}


@dataclass(frozen=True, eq=False)
class Column:
    """Values of one kind, shape ``(rows,)``.

    ``values`` is int64 (integer), float64 (real; date: seconds since 1970-01-01 UTC)
    or int32 codes into ``levels`` (text; boolean with the levels "False", "True").
    ``missing`` marks missing rows, whose values mean nothing; None: there are none.
    """

    name: str
    kind: Kind
    values: NDArray[Any]
    missing: NDArray[np.bool_] | None = None
    levels: tuple[str, ...] = ()

    def take(self, rows: NDArray[Any]) -> Column:
        """The column at these rows (indices or a mask)."""
        missing = None if self.missing is None else self.missing[rows]
        return _column(self.name, self.kind, self.values[rows], missing, self.levels)

    def found(self) -> str:
        """What the column holds, in words, for errors."""
        if self.kind == "text" and len(self.values):
            present = (
                self.values if self.missing is None else self.values[~self.missing]
            )
            return f"text ({self.levels[present[0]]!r:.40})"
        return KIND_WORDS[self.kind]

    def floats(self) -> NDArray[np.float64]:
        """The values as float64 with NaN where missing (not for text)."""
        floats = self.values.astype(np.float64)
        if self.missing is not None:
            floats[self.missing] = np.nan
        return floats

    def labels(self) -> list[Any]:
        """The values as str, int, bool or float; only for columns without missing."""
        if self.kind == "boolean":
            return [bool(code) for code in self.values]
        if self.kind == "text":
            return [self.levels[code] for code in self.values]
        return self.values.tolist()


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, in order. ``series``: it was one column only."""

    columns: dict[str, Column]
    rows: int
    where: str = "data"
    series: bool = False

    def __getitem__(self, name: str) -> Column:
        if name not in self.columns:
            raise DataError(unknown(self.where, "column", name, self.columns))
        return self.columns[name]

    def take(self, rows: NDArray[Any]) -> Table:
        """The table at these rows (indices or a mask)."""
        columns = {name: c.take(rows) for name, c in self.columns.items()}
        count = int(rows.sum()) if rows.dtype == np.bool_ else len(rows)
        return Table(columns, count, self.where)

    def without(self, names: Iterable[str]) -> Table:
        """The table less some columns."""
        left = {k: c for k, c in self.columns.items() if k not in set(names)}
        return Table(left, self.rows, self.where)


def table_of(columns: Iterable[Column], where: str, *, series: bool = False) -> Table:
    """A table of columns, which must be of equal length and different names."""
    named: dict[str, Column] = {}
    for column in columns:
        if column.name in named:
            raise fail(
                where,
                f"two columns are named {column.name!r}; expected unique names",
                "rename one of them",
            )
        named[column.name] = column
    lengths = {len(column.values) for column in named.values()}
    if len(lengths) > 1:
        sizes = ", ".join(f"{n!r}: {len(c.values)}" for n, c in named.items())
        raise fail(where, f"columns differ in length ({sizes:.200})", "make them equal")
    return Table(named, lengths.pop() if lengths else 0, where, series)


Wanted = Iterable[str] | None
"""Names of columns that are wanted: where all of them are there, no other is read."""


def table_from_mapping(
    columns: Mapping[str, Any], where: str = "data", wanted: Wanted = None
) -> Table:
    """A table of a dict of columns: lists, arrays, series, or one value each.

    >>> table_from_mapping({"a": [1, None], "b": ["x", "y"]}).columns["a"].kind
    'integer'
    """
    pairs = [(str(name), values) for name, values in columns.items()]
    chosen = _chosen(pairs, wanted)
    return table_of((column_of(name, values, where) for name, values in chosen), where)


def _chosen(pairs: list[tuple[str, Any]], wanted: Wanted) -> list[tuple[str, Any]]:
    names: set[str] = set() if wanted is None else set(wanted)
    if not names or not names <= {name for name, _ in pairs}:
        return pairs
    return [(name, values) for name, values in pairs if name in names]


def table_from_frame(frame: Any, where: str = "data", wanted: Wanted = None) -> Table:
    """A table of a pandas, polars, Arrow (or other narwhals) data frame or series."""
    import narwhals as nw

    try:
        native: Any = nw.from_native(frame, allow_series=True)
    except TypeError as error:
        raise fail(
            where,
            f"a {type(frame).__name__}; expected a data frame",
            "pass a data frame",
        ) from error
    except ValueError as error:  # two columns of the same name
        found = " ".join(str(error).split())
        raise fail(where, found, "rename all but one of them") from error
    if isinstance(native, nw.LazyFrame):
        native = native.collect()
    if isinstance(native, nw.Series):
        named = cast(Any, native)
        return table_of(
            [_from_series(named, str(named.name), where)], where, series=True
        )
    names: Iterable[str] = map(str, native.columns)
    pairs = list(zip(names, native.iter_columns(), strict=True))
    chosen = _chosen(cast(Any, pairs), wanted)
    return table_of((_from_series(s, name, where) for name, s in chosen), where)


def column_of(name: str, values: Any, where: str = "data") -> Column:
    """A column of an array, a list, a series, or a single value."""
    from nervure.data.arrays import is_frame

    if is_frame(values):
        (column,) = table_from_frame(values, where).columns.values()
        return Column(name, column.kind, column.values, column.missing, column.levels)
    if isinstance(values, np.ndarray):
        array: NDArray[Any] = np.atleast_1d(cast("NDArray[Any]", values))
    else:
        scalar = isinstance(values, str) or not isinstance(values, Sequence)
        items: list[Any] = [values] if scalar else list(cast("Sequence[Any]", values))
        array = np.empty(len(items), object)
        array[:] = items
    if array.ndim != 1:
        raise fail(
            where,
            f"column {name!r} has shape {array.shape}; expected one axis",
            "give one list of values per column",
        )
    return _from_array(name, array, where)


# -- by kind ------------------------------------------------------------------------


def _column(
    name: str,
    kind: Kind,
    values: NDArray[Any],
    missing: NDArray[np.bool_] | None = None,
    levels: tuple[str, ...] = (),
) -> Column:
    """A column without an idle mask; "empty" if all is missing."""
    if missing is not None and not missing.any():
        missing = None
    if missing is not None and missing.all():
        kind, levels = "empty", ()
    return Column(name, kind, values, missing, levels)


def reals(name: str, values: NDArray[Any], missing: Any = None) -> Column:
    """Numbers; NaN is missing."""
    floats = np.ascontiguousarray(values, np.float64)
    nan = np.isnan(floats)
    return _column(name, "real", floats, nan if missing is None else nan | missing)


def integers(name: str, values: NDArray[Any], missing: Any = None) -> Column:
    """Integers; those beyond 64 bits become reals."""
    if values.dtype.kind == "u" and values.size and values.max() > np.iinfo("i8").max:
        return reals(name, values, missing)
    return _column(name, "integer", values.astype(np.int64), missing)


def booleans(name: str, values: NDArray[Any], missing: Any = None) -> Column:
    """Truth values as codes into the levels "False" and "True"."""
    return _column(name, "boolean", values.astype(np.int32), missing, ("False", "True"))


def dates(name: str, seconds: NDArray[Any], missing: Any = None) -> Column:
    """Times in seconds since 1970-01-01 UTC; NaN is missing."""
    column = reals(name, seconds, missing)
    kind: Kind = "empty" if column.kind == "empty" else "date"
    return Column(name, kind, column.values, column.missing)


def texts(name: str, values: Sequence[Any] | NDArray[Any]) -> Column:
    """Texts as codes into their sorted levels; None and NaN are missing."""
    levels = [str(v) for v in sorted({v for v in values if isinstance(v, str)})]
    code_of = {level: code for code, level in enumerate(levels)}
    codes = np.fromiter((code_of.get(v, -1) for v in values), np.int32, len(values))
    return _column(name, "text", np.maximum(codes, 0), codes < 0, tuple(levels))


def as_integers(column: Column) -> Column | None:
    """Numbers without fractions as integers (frames hold them as floats where one is
    missing); None if some are not whole or too large."""
    if column.kind == "integer":
        return column
    values = column.floats()
    values[np.isnan(values)] = 0
    if not (np.abs(values) < 2**53).all() or (values != np.floor(values)).any():
        return None
    return integers(column.name, values.astype(np.int64), column.missing)


def as_texts(column: Column) -> Column:
    """Integers as texts, in their order as numbers."""
    levels, codes = np.unique(column.values, return_inverse=True)
    words = tuple(map(str, levels.tolist()))
    return _column(column.name, "text", codes.astype(np.int32), column.missing, words)


def _from_array(name: str, array: NDArray[Any], where: str) -> Column:
    kind = array.dtype.kind
    if kind == "b":
        return booleans(name, array)
    if kind in "iu":
        return integers(name, array)
    if kind == "f":
        return reals(name, array)
    if kind in "UT":
        return texts(name, array.tolist())
    if kind == "M":
        return dates(name, _seconds(array))
    if kind == "O":
        return _from_objects(name, array, where)
    raise fail(
        where,
        f"column {name!r} holds {array.dtype}; expected numbers, text, booleans "
        "or dates",
        "convert or drop the column",
    )


def _seconds(moments: NDArray[Any]) -> NDArray[np.float64]:
    micros = moments.astype("datetime64[us]")
    seconds = micros.astype(np.int64) / 1e6
    seconds[np.isnat(micros)] = np.nan
    return seconds


def _is_missing(value: Any) -> bool:
    return (
        value is None
        or type(value).__name__ in ("NAType", "NaTType")
        or (isinstance(value, float | np.floating) and bool(value != value))
    )


def _from_objects(name: str, array: NDArray[Any], where: str) -> Column:
    missing = np.fromiter((_is_missing(v) for v in array), np.bool_, len(array))
    present: list[Any] = list(array[~missing])
    if not present:
        return _column(name, "empty", np.zeros(len(array)), missing)
    kinds = {_object_kind(value) for value in present}
    if kinds == {"integer", "real"}:
        kinds = {"real"}
    if len(kinds) > 1 or None in kinds:
        types = sorted({type(value).__name__ for value in present})
        raise fail(
            where,
            f"column {name!r} holds {' and '.join(types)}; expected numbers, text, "
            "booleans or dates, one kind per column",
            "convert the column to one kind or drop it",
        )
    kind = kinds.pop()
    if kind == "text":
        return texts(name, array)
    if kind == "date":
        return dates(name, _fill(array, missing, "NaT", "datetime64[us]", _moment))
    try:
        if kind == "boolean":
            return booleans(name, _fill(array, missing, False, np.bool_), missing)
        if kind == "integer":
            return integers(name, _fill(array, missing, 0, np.int64), missing)
    except OverflowError:
        pass  # an integer beyond 64 bits: a real
    return reals(name, _fill(array, missing, np.nan, np.float64))


def _fill(
    array: NDArray[Any],
    missing: NDArray[Any],
    filler: Any,
    dtype: Any,
    convert: Any = None,
) -> NDArray[Any]:
    present = array[~missing]
    converted = [convert(value) for value in present] if convert else list(present)
    filled = np.full(len(array), filler, dtype)
    filled[~missing] = np.array(converted, dtype)
    return _seconds(filled) if filled.dtype.kind == "M" else filled


def _moment(value: Any) -> Any:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")


def _object_kind(value: object) -> Kind | None:
    if isinstance(value, bool | np.bool_):
        return "boolean"
    if isinstance(value, int | np.integer):
        return "integer"
    if isinstance(value, float | np.floating | decimal.Decimal):
        return "real"
    if isinstance(value, str):
        return "text"
    if isinstance(value, datetime.date | np.datetime64):
        return "date"
    return None


def _from_series(series: Any, name: str, where: str) -> Column:
    import narwhals as nw

    dtype = series.dtype
    if dtype == nw.String:
        return texts(name, series.to_list())
    if dtype in (nw.Categorical, nw.Enum):
        values = [None if _is_missing(v) else str(v) for v in series.to_list()]
        return texts(name, values)
    if dtype == nw.Object or dtype == nw.Unknown:
        return column_of(name, series.to_list(), where)
    missing = series.is_null().to_numpy().astype(np.bool_)
    if dtype.is_integer():
        return integers(name, series.fill_null(0).to_numpy(), missing)
    if dtype.is_numeric():
        floats = series.cast(nw.Float64).fill_null(float("nan")).to_numpy()
        return reals(name, floats, missing)
    if dtype == nw.Boolean:
        return booleans(name, series.fill_null(False).to_numpy(), missing)
    if dtype in (nw.Date, nw.Datetime):
        return column_of(
            name, np.array(_micros(series, missing), "datetime64[us]"), where
        )
    raise fail(
        where,
        f"column {name!r} holds {dtype}; expected numbers, text, booleans or dates",
        "convert or drop the column",
    )


def _micros(series: Any, missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Microseconds since 1970 (UTC for aware times), NaT's number where missing."""
    stamps = series.dt.timestamp("us")
    filled = stamps.fill_null(0).to_numpy().astype(np.int64)
    filled[missing] = np.iinfo(np.int64).min
    return filled
