# SPDX-License-Identifier: BSD-3-Clause
"""Tables and columns of what people hold in memory: frames, series, arrays, lists."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nervure.data._errors import fail
from nervure.data.columns import (
    Column,
    Kind,
    Table,
    booleans,
    dates,
    integers,
    made,
    reals,
    sequences,
    table_of,
    texts,
)

FRAME_LIBRARIES = ("pandas", "polars", "pyarrow", "modin", "cudf", "narwhals")


def is_frame(value: object) -> bool:
    """Whether ``value`` is a data frame or series of a library that narwhals knows."""
    kind = type(value)
    if kind.__module__.partition(".")[0] not in FRAME_LIBRARIES:
        return False
    several = hasattr(kind, "__len__") or hasattr(kind, "collect")  # no Timestamp
    # Arrow's plain arrays are no columns to narwhals; NumPy reads them.
    return several and not any(base.__name__ == "Array" for base in kind.__mro__)


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


def named_columns(raw: Any, where: str, wanted: Wanted = None) -> Table | None:
    """A table of what has names of columns, or None."""
    if is_frame(raw):
        return table_from_frame(raw, where, wanted)
    if isinstance(raw, Mapping):
        return table_from_mapping(cast("Mapping[str, Any]", raw), where, wanted)
    return raw if isinstance(raw, Table) else None


def column_of(name: str, values: Any, where: str = "data") -> Column:
    """A column of an array, a list, a series, or a single value."""
    if is_frame(values):
        (column,) = table_from_frame(values, where).columns.values()
        return Column(name, column.kind, column.values, column.missing, column.levels)
    if isinstance(values, np.ndarray):
        array: NDArray[Any] = np.atleast_1d(cast("NDArray[Any]", values))
    else:
        scalar = isinstance(values, str) or not isinstance(values, Sequence)
        items: list[Any] = [values] if scalar else list(cast("Sequence[Any]", values))
        array = np.fromiter(items, object, len(items))
    if array.ndim != 1:
        raise fail(
            where,
            f"column {name!r} has shape {array.shape}; expected one axis",
            "give one list of values per column",
        )
    return _from_array(name, array, where)


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
    if present and all(isinstance(v, list | tuple | np.ndarray) for v in present):
        lost = missing.tolist()
        pairs = zip(array, lost, strict=True)
        return sequences(name, (None if gone else row for row, gone in pairs))
    if not present:
        return made(name, "empty", np.zeros(len(array)), missing)
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
    if _of_numbers(dtype):
        return sequences(name, series.to_list())
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


def _of_numbers(dtype: Any) -> bool:
    """Whether a type is a list of numbers, or a list of lists of them."""
    import narwhals as nw

    inner = dtype
    while inner in (nw.List, nw.Array):
        inner = inner.inner
    return inner is not dtype and bool(inner.is_numeric())


def _micros(series: Any, missing: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Microseconds since 1970 (UTC for aware times), NaT's number where missing."""
    stamps = series.dt.timestamp("us")
    filled = stamps.fill_null(0).to_numpy().astype(np.int64)
    filled[missing] = np.iinfo(np.int64).min
    return filled
