# SPDX-License-Identifier: BSD-3-Clause
"""Raw rows to a network's inputs as ONNX operators: what a `Preprocessing` does.

A table has one input for each column, ``(batch, 1)``, by its name: numbers and dates
(seconds since 1970) are doubles whose NaN is missing; text is strings whose "" is
missing; integers and booleans that are categories are what they are, or doubles where
some were missing in training. Each kind of record has one function, listed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from nervure.data.preprocessing import Preprocessing
from nervure.data.records import ArrayInput, Category, Numeric, TableInput
from nervure.data.scaling import Affine, Bins, Quantiles
from nervure.exchange._normal import normal_score
from nervure.exchange._writer import Value, Writer
from nervure.exchange.errors import ExchangeError

DOUBLE = np.dtype(np.float64)


@dataclass(frozen=True)
class RawInput:
    """An input of the model: its name, what it holds, and the shape of one row."""

    name: str
    dtype: Any
    shape: tuple[int | str, ...]
    holds: str


@dataclass(frozen=True)
class Block:
    """Some inputs of the network, ``(batch, len(places))``, and where they belong."""

    name: str
    places: tuple[int, ...]


@dataclass(frozen=True)
class Rows:
    """How records of one kind are written.

    ``inputs(record, dtype, resize)`` are the inputs of the model,
    ``write(writer, record, resize)`` is what the network reads.
    """

    inputs: Callable[[Any, np.dtype[Any], bool], list[RawInput]]
    write: Callable[[Writer, Any, bool], Value]


def raw_inputs(
    record: Preprocessing, dtype: np.dtype[Any], resize: bool
) -> list[RawInput]:
    """The inputs of a model that takes raw rows.

    Raises:
        ExchangeError: images are to be resized where there are none.
    """
    return INPUTS[type(record.inputs)].inputs(record.inputs, dtype, resize)


def write_rows(writer: Writer, record: Preprocessing, resize: bool) -> Value:
    """What the network reads of the raw inputs."""
    return INPUTS[type(record.inputs)].write(writer, record.inputs, resize)


def check_rows(record: Preprocessing) -> None:
    """Raises for what cannot be written, all of it named."""
    inputs: Any = record.inputs
    bad = [] if type(inputs) in INPUTS else [_words(inputs, "inputs")]
    bad += [] if record.series is None else ["windows over a series"]
    for column in getattr(inputs, "columns", ()):
        scaling = getattr(column, "scaling", None)
        if type(column) not in COLUMNS:
            bad.append(_words(column, f"column {column.name!r}"))
        elif scaling is not None and type(scaling) not in SCALINGS:
            bad.append(_words(scaling, f"column {column.name!r}"))
    if bad:
        raise ExchangeError(
            f"[export] ONNX cannot hold the preprocessing of {'; '.join(bad)}; "
            "expected numbers, dates, categories or arrays; use preprocessing=False "
            "(nervure export --no-raw) and encode rows with net.preprocessing.encode"
        )


def _words(record: Any, where: str) -> str:
    return f"{where} ({getattr(record, 'kind', type(record).__name__)})"


# -- tables ----------------------------------------------------------------------------


def _columns(record: TableInput, dtype: np.dtype[Any], resize: bool) -> list[RawInput]:
    if resize:
        raise _no_image("a table")
    return [_raw_column(column) for column in record.columns]


def _table(writer: Writer, record: TableInput, resize: bool) -> Value:
    """Columns of one kind are written together; then all are put in order."""
    starts = np.cumsum([0, *(column.width for column in record.columns)]).tolist()
    blocks: list[Block] = []
    for kind, write in COLUMNS.items():
        some = [
            (column, start)
            for column, start in zip(record.columns, starts, strict=False)
            if type(column) is kind
        ]
        blocks += write(writer, some) if some else []
    return Value(_in_order(writer, blocks), (record.width,))


def _raw_column(column: Any) -> RawInput:
    if isinstance(column, Numeric):
        return RawInput(column.name, DOUBLE, (1,), "date" if column.date else "number")
    holds = column.source
    kinds: dict[str, Any] = {"text": np.str_, "integer": np.int64, "boolean": np.bool_}
    lacking = column.missing and holds != "text"
    return RawInput(column.name, DOUBLE if lacking else kinds[holds], (1,), holds)


def _in_order(writer: Writer, blocks: Sequence[Block]) -> str:
    names = [block.name for block in blocks]
    name = names[0]
    if len(names) > 1:
        name = writer.node("Concat", names, "raw.inputs", axis=1)
    places = [place for block in blocks for place in block.places]
    if places == sorted(places):
        return name
    order = writer.integers(np.argsort(places).tolist(), "raw.order")
    return writer.node("Gather", [name, order], "raw.in_order", axis=1)


# -- numbers ---------------------------------------------------------------------------


def _numbers(writer: Writer, some: Sequence[tuple[Numeric, int]]) -> list[Block]:
    """Missing values filled, then scaled, by kinds of scalings, in double."""
    columns = [column for column, _ in some]
    names = [column.name for column in columns]
    x = names[0]
    if len(names) > 1:
        x = writer.node("Concat", names, "raw.numbers", axis=1)
    missing = writer.node("IsNaN", [x], "raw.missing")
    fill = writer.constant([[c.fill for c in columns]], "raw.fill", DOUBLE)
    filled = writer.node("Where", [missing, fill, x], "raw.filled")
    blocks = [
        _scaled(writer, filled, kind, write, some) for kind, write in SCALINGS.items()
    ]
    flags = [i for i, column in enumerate(columns) if column.flag]
    if flags:
        lost = _columns_at(writer, missing, flags, len(columns), "raw.flagged")
        name = writer.cast(lost, writer.dtype, "raw.flags")
        places = tuple(some[i][1] + columns[i].width - 1 for i in flags)
        blocks.append(Block(name, places))
    return [block for block in blocks if block is not None]


def _scaled(
    writer: Writer, x: str, kind: type, write: Any, some: Sequence[tuple[Numeric, int]]
) -> Block | None:
    """The columns with scalings of one kind."""
    own = [i for i, (column, _) in enumerate(some) if type(column.scaling) is kind]
    if not own:
        return None
    word = f"raw.{kind.__name__.lower()}"
    chosen = _columns_at(writer, x, own, len(some), f"{word}.columns")
    scaled = write(writer, chosen, [some[i][0].scaling for i in own])
    name = scaled
    if writer.dtype != DOUBLE:
        name = writer.cast(scaled, writer.dtype, word)
    places = [some[i][1] + j for i in own for j in range(some[i][0].scaling.width)]
    return Block(name, tuple(places))


def _columns_at(
    writer: Writer, x: str, which: Sequence[int], count: int, name: str
) -> str:
    if list(which) == list(range(count)):
        return x
    return writer.node(
        "Gather", [x, writer.integers(which, f"{name}.places")], name, axis=1
    )


def _affine(writer: Writer, x: str, scalings: Sequence[Affine]) -> str:
    """``(x - mean) / scale``, then ``z / sqrt(1 + (z / clip)^2)`` where one clips."""

    def row(numbers: Sequence[float], word: str) -> str:
        return writer.constant([numbers], f"raw.{word}", DOUBLE)

    mean = row([s.mean for s in scalings], "mean")
    scale = row([s.scale for s in scalings], "scale")
    less = writer.node("Sub", [x, mean], "raw.less")
    z = writer.node("Div", [less, scale], "raw.z")
    if not any(s.clip for s in scalings):
        return z
    inverse = row([1 / s.clip if s.clip else 0.0 for s in scalings], "clip")
    share = writer.node("Mul", [z, inverse], "raw.share")
    square = writer.node("Mul", [share, share], "raw.share.square")
    one = writer.constant(1.0, "raw.one", DOUBLE)
    above = writer.node("Add", [square, one], "raw.share.above")
    root = writer.node("Sqrt", [above], "raw.share.root")
    return writer.node("Div", [z, root], "raw.clipped")


def _quantiles(writer: Writer, x: str, scalings: Sequence[Quantiles]) -> str:
    """Ranks column by column, their normal scores together."""
    ranks: list[str] = []
    for i, scaling in enumerate(scalings):
        own = _columns_at(writer, x, [i], len(scalings), f"raw.ranked_{i}")
        ranks.append(_rank(writer, own, np.array(scaling.points), f"raw.rank_{i}"))
    rank = ranks[0]
    if len(ranks) > 1:
        rank = writer.node("Concat", ranks, "raw.ranks", axis=1)
    return normal_score(writer, rank, "raw.score")


def _rank(writer: Writer, x: str, points: Any, name: str) -> str:
    """The distribution function of one column: a sum over the steps between points.

    Between two points it rises by as much as x has come through; where they coincide it
    jumps, and is half of the jump at the place itself.
    """
    rise = 1 / (len(points) - 1)
    lows, widths = points[:-1], np.diff(points)
    parts: list[str] = []
    for word, some, share in (
        ("slopes", widths > 0, _come_through),
        ("jumps", widths == 0, _jumped),
    ):
        if some.any():
            through = share(writer, x, lows[some], widths[some], f"{name}.{word}")
            weights = np.full((int(some.sum()), 1), rise)
            weight = writer.constant(weights, f"{name}.{word}.rise", DOUBLE)
            parts.append(writer.node("MatMul", [through, weight], f"{name}.{word}"))
    return parts[0] if len(parts) == 1 else writer.node("Add", parts, name)


def _come_through(writer: Writer, x: str, lows: Any, widths: Any, name: str) -> str:
    low = writer.constant(lows[None], f"{name}.low", DOUBLE)
    width = writer.constant(widths[None], f"{name}.width", DOUBLE)
    less = writer.node("Sub", [x, low], f"{name}.less")
    share = writer.node("Div", [less, width], f"{name}.share")
    ends = [writer.constant(end, f"{name}.{end:g}", DOUBLE) for end in (0.0, 1.0)]
    return writer.node("Clip", [share, *ends], f"{name}.clipped")


def _jumped(writer: Writer, x: str, lows: Any, widths: Any, name: str) -> str:
    low = writer.constant(lows[None], f"{name}.low", DOUBLE)
    sides: list[str] = []
    for operator in ("GreaterOrEqual", "Greater"):
        beyond = writer.node(operator, [x, low], f"{name}.{operator.lower()}")
        sides.append(writer.cast(beyond, DOUBLE, f"{name}.side"))
    both = writer.node("Add", sides, f"{name}.both")
    half = writer.constant(0.5, f"{name}.half", DOUBLE)
    return writer.node("Mul", [both, half], f"{name}.share")


def _bins(writer: Writer, x: str, scalings: Sequence[Bins]) -> str:
    """All bins side by side, each reading its own column."""
    column = [i for i, s in enumerate(scalings) for _ in range(s.width)]
    pairs = [pair for s in scalings for pair in pairwise(s.edges)]
    low = np.array([[low for low, _ in pairs]])
    width = np.array([[high - low for low, high in pairs]])
    least = [-np.inf if t == 0 else 0.0 for s in scalings for t in range(s.width)]
    most = [
        np.inf if t == s.width - 1 else 1.0 for s in scalings for t in range(s.width)
    ]
    wide = _columns_at(writer, x, column, -1, "raw.bins.columns")

    def row(numbers: Any, word: str) -> str:
        return writer.constant(numbers, f"raw.bins.{word}", DOUBLE)

    less = writer.node("Sub", [wide, row(low, "low")], "raw.bins.less")
    share = writer.node("Div", [less, row(width, "width")], "raw.bins.share")
    above = writer.node("Max", [share, row([least], "least")], "raw.bins.above")
    return writer.node("Min", [above, row([most], "most")], "raw.bins.inside")


# -- categories ------------------------------------------------------------------------


def _categories(writer: Writer, some: Sequence[tuple[Category, int]]) -> list[Block]:
    blocks: list[Block] = []
    for column, start in some:
        name, places = f"raw.{column.name}", range(start, start + column.width)
        codes = _codes(writer, column, name)
        if column.embedded:
            one = writer.constant(1, f"{name}.one", np.int64)
            found = writer.node("Add", [codes, one], f"{name}.code")
        else:
            levels = np.arange(column.width)[None]
            each = writer.constant(levels, f"{name}.levels", np.int64)
            found = writer.node("Equal", [codes, each], f"{name}.is")
        cast = writer.cast(found, writer.dtype, f"{name}.inputs")
        blocks.append(Block(cast, tuple(places)))
    return blocks


def _codes(writer: Writer, column: Category, name: str) -> str:
    """int64 ``(batch, 1)``: the place among the levels, -1 for what is not known."""
    lost = len(column.levels) if column.missing else -1
    codes = list(range(len(column.levels)))
    if column.source == "text":
        keys = list(column.levels)
        if "" not in keys:
            keys, codes = [*keys, ""], [*codes, lost]
        return _encoded(writer, column.name, name, keys_strings=keys, codes=codes)
    words = {"False": 0, "True": 1}
    keys = [words[x] if x in words else int(x) for x in column.levels]
    if not column.missing:
        x = column.name
        if column.source == "boolean":
            x = writer.cast(x, np.int64, f"{name}.number")
        return _encoded(writer, x, name, keys_int64s=keys, codes=codes)
    return _codes_of_doubles(writer, column.name, keys, lost, name)


def _codes_of_doubles(
    writer: Writer, x: str, keys: Sequence[int], lost: int, name: str
) -> str:
    """NaN is missing, and what is not whole not known."""
    missing = writer.node("IsNaN", [x], f"{name}.missing")
    zero = writer.constant(0.0, f"{name}.zero", DOUBLE)
    number = writer.node("Where", [missing, zero, x], f"{name}.number")
    floor = writer.node("Floor", [number], f"{name}.floor")
    whole = writer.node("Equal", [number, floor], f"{name}.whole")
    integer = writer.cast(number, np.int64, f"{name}.integer")
    codes = list(range(len(keys)))
    code = _encoded(writer, integer, name, keys_int64s=list(keys), codes=codes)
    none, own = (
        writer.constant(value, f"{name}.{word}", np.int64)
        for word, value in (("unknown", -1), ("lost", lost))
    )
    known = writer.node("Where", [whole, code, none], f"{name}.known")
    return writer.node("Where", [missing, own, known], f"{name}.codes")


def _encoded(
    writer: Writer, x: str, name: str, *, codes: Sequence[int], **keys: Any
) -> str:
    return writer.node(
        "LabelEncoder",
        [x],
        f"{name}.encoded",
        values_int64s=list(codes),
        default_int64=-1,
        **keys,
    )


# -- arrays and images -----------------------------------------------------------------


def _one_array(
    record: ArrayInput, dtype: np.dtype[Any], resize: bool
) -> list[RawInput]:
    if record.mean:
        dtype = DOUBLE
    elif record.scale != 1:
        dtype = np.dtype(np.uint8)
    image = len(record.shape) == 3 and dtype == np.uint8
    if resize and not image:
        raise _no_image(f"arrays of shape {record.shape}")
    shape: tuple[int | str, ...] = record.shape
    if resize:
        shape = ("height", "width", record.shape[-1])
    return [RawInput("X", dtype, shape, "pixels" if image else "numbers")]


def _array(writer: Writer, record: ArrayInput, resize: bool) -> Value:
    """Bytes times their scale, doubles standardized, other numbers as they are."""
    x = Value("X", record.shape)
    return _scaled_array(writer, _resized(writer, x) if resize else x, record)


def _scaled_array(writer: Writer, x: Value, record: ArrayInput) -> Value:
    name = x.name
    if record.mean:
        names = [
            writer.constant(numbers, f"raw.{word}", DOUBLE)
            for word, numbers in (
                ("mean", record.mean),
                ("deviation", record.deviation),
            )
        ]
        less = writer.node("Sub", [name, names[0]], "raw.less")
        name = writer.node("Div", [less, names[1]], "raw.standardized")
        if writer.dtype != DOUBLE:
            name = writer.cast(name, writer.dtype, "raw.inputs")
    elif record.scale != 1:
        cast = writer.cast(name, writer.dtype, "raw.numbers")
        scale = writer.constant(record.scale, "raw.scale")
        name = writer.node("Mul", [cast, scale], "raw.inputs")
    return Value(name, x.shape, x.first)


def _resized(writer: Writer, x: Value) -> Value:
    """Of any height and width to those of the network, as image files are read: linear
    over all the pixels that fall into one."""
    if writer.opset < 18:
        raise ExchangeError(
            f"[export] resize=True with opset {writer.opset}; expected at least 18, "
            "whose Resize does not skip pixels; use opset=18"
        )
    height, width, channels = x.shape
    axes = [0, 3, 1, 2]
    first = writer.node("Transpose", [x.name], "raw.channels_first", perm=axes)
    cast = writer.cast(first, np.float32, "raw.pixels")
    start = writer.node("Shape", [cast], "raw.extents", start=0, end=2)
    wanted = writer.integers([height, width], "raw.size")
    sizes = writer.node("Concat", [start, wanted], "raw.sizes", axis=0)
    resized = writer.node(
        "Resize",
        [cast, "", "", sizes],
        "raw.resized",
        mode="linear",
        antialias=1,
        exclude_outside=1,
        coordinate_transformation_mode="half_pixel",
    )
    whole = writer.node("Round", [resized], "raw.whole")
    return Value(whole, (height, width, channels), first=True)


def _no_image(found: str) -> ExchangeError:
    return ExchangeError(
        f"[export] resize=True for a network of {found}; expected images of bytes "
        "(height, width, channels); leave resize out"
    )


# -- what is known ---------------------------------------------------------------------

INPUTS: dict[type, Rows] = {
    TableInput: Rows(_columns, _table),
    ArrayInput: Rows(_one_array, _array),
}

COLUMNS: dict[type, Callable[..., list[Block]]] = {
    Numeric: _numbers,
    Category: _categories,
}
"""``(writer, [(column, first place)])``: blocks of the network's inputs."""

SCALINGS: dict[type, Callable[..., str]] = {
    Affine: _affine,
    Quantiles: _quantiles,
    Bins: _bins,
}
"""``(writer, doubles (batch, columns), scalings)``: doubles, side by side."""
