# SPDX-License-Identifier: BSD-3-Clause
"""How raw rows become a network's inputs: a record that travels in the model file.

The record is data only. `nervure.data.fitting` makes it from training rows; here it is
checked, written, read, and applied.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nervure.data._errors import DataError, fail

Array = NDArray[Any]

MOST_COLUMNS = 100_000
MOST_FEATURES = 1_000_000  # after encoding
MOST_LABELS = 1_000_000
MOST_AXES = 8
LONGEST_NAME = 10_000  # characters
_DAMAGED = "the record is damaged: train again"
_STRICT: Any = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True)
class Numeric:
    """A column of numbers (or dates, in seconds since 1970): ``(x - mean) / scale``.

    Missing values become ``fill``; ``flag`` adds a column that is 1 where x is missing.
    """

    name: str
    mean: float = 0.0
    scale: float = 1.0
    fill: float = 0.0
    flag: bool = False
    date: bool = False
    kind: Literal["numeric"] = "numeric"
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not (_finite(self.mean, self.fill) and _positive(self.scale)):
            raise fail(
                f"column {self.name!r}",
                f"mean {self.mean}, scale {self.scale}, fill {self.fill}; expected "
                "finite numbers and a positive scale",
                _DAMAGED,
            )

    @property
    def width(self) -> int:
        """Number of inputs that the column becomes."""
        return 2 if self.flag else 1

    def features(self) -> list[str]:
        """Names of the inputs that the column becomes."""
        return [self.name] + ([f"{self.name} missing"] if self.flag else [])


@dataclass(frozen=True)
class Category:
    """A column of text or booleans, one input per level (one-hot).

    ``missing`` gives missing values a level of their own. What was not seen in
    training becomes zeros.
    """

    name: str
    levels: tuple[str, ...]
    missing: bool = False
    boolean: bool = False
    kind: Literal["category"] = "category"
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        _check_name(self.name)
        place = f"column {self.name!r}"
        _check_count(place, "levels", self.width, MOST_LABELS)
        if len(set(self.levels)) < len(self.levels):
            raise fail(place, "a level twice; expected each once", _DAMAGED)
        if self.boolean and not set(self.levels) <= {"False", "True"}:
            raise fail(place, "other levels than False and True", _DAMAGED)

    @property
    def width(self) -> int:
        """Number of inputs that the column becomes."""
        return len(self.levels) + self.missing

    def features(self) -> list[str]:
        """Names of the inputs that the column becomes."""
        named = [f"{self.name}={level}" for level in self.levels]
        return named + ([f"{self.name} missing"] if self.missing else [])


@dataclass(frozen=True)
class TableInput:
    """Columns by name. ``names`` are those of the raw table, dropped ones too."""

    names: tuple[str, ...]
    columns: tuple[Numeric | Category, ...]
    kind: Literal["table"] = "table"
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        _check_count("columns", "columns", len(self.names), MOST_COLUMNS)
        for name in self.names:
            _check_name(name)
        _check_count("columns", "inputs", self.width, MOST_FEATURES)
        encoded = [column.name for column in self.columns]
        if len(set(encoded)) < len(encoded) or not set(encoded) <= set(self.names):
            raise fail(
                "columns", "a column twice or unnamed; expected each once", _DAMAGED
            )

    @property
    def width(self) -> int:
        """Number of the network's inputs."""
        return sum(column.width for column in self.columns)


@dataclass(frozen=True)
class ArrayInput:
    """Arrays of one shape: ``x * scale``, or ``(x - mean) / deviation`` per feature.

    uint8 values stay as they are: the engine multiplies them by ``scale``.
    """

    shape: tuple[int, ...]
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    kind: Literal["array"] = "array"
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        place = "array inputs"
        _check_count(place, "axes", len(self.shape), MOST_AXES)
        if min(self.shape) < 1 or math.prod(self.shape) > 2**31:
            raise fail(
                place, f"shape {self.shape}; expected 1 to 2^31 values", _DAMAGED
            )
        lengths = (len(self.mean), len(self.deviation))
        if lengths != (0, 0) and (len(self.shape) > 1 or {*lengths} != {*self.shape}):
            raise fail(
                place,
                f"{len(self.mean)} means and {len(self.deviation)} deviations for "
                f"shape {self.shape}; expected one each per feature",
                _DAMAGED,
            )
        if not (_finite(*self.mean) and _positive(self.scale, *self.deviation)):
            raise fail(
                place,
                "a mean or scale that is not finite, or a scale that is not positive",
                _DAMAGED,
            )

    @property
    def width(self) -> int:
        """Number of the network's inputs."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Classes:
    """A target of classes: ``labels[i]`` is what class index i stands for."""

    name: str
    labels: tuple[str, ...] | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...]
    kind: Literal["classes"] = "classes"
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_count(f"target {self.name!r}", "classes", len(self.labels), MOST_LABELS)
        if len(set(self.labels)) < len(self.labels):
            raise fail(f"target {self.name!r}", "a class twice", _DAMAGED)


@dataclass(frozen=True)
class Amounts:
    """A target of one or more numbers, learned as ``(y - mean) / scale``."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    kind: Literal["amounts"] = "amounts"
    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        _check_count("targets", "targets", len(self.names), MOST_COLUMNS)
        for name in self.names:
            _check_name(name)
        if {len(self.mean), len(self.scale)} != {len(self.names)} or not (
            _finite(*self.mean) and _positive(*self.scale)
        ):
            raise fail(
                "targets",
                "expected one finite mean and one positive scale per target",
                _DAMAGED,
            )


@dataclass(frozen=True)
class Preprocessing:
    """Raw rows to network inputs, and network outputs to labels or amounts.

    >>> record = Preprocessing(
    ...     TableInput(("age",), (Numeric("age", mean=40.0, scale=10.0),)),
    ...     Classes("sick", (False, True)),
    ... )
    >>> record.encode({"age": [30, 50]}).tolist()
    [[-1.0], [1.0]]
    >>> record.decode_classes([1, 0]).tolist()
    [True, False]
    >>> Preprocessing.from_json(record.to_json()) == record
    True
    """

    inputs: TableInput | ArrayInput
    target: Classes | Amounts
    version: Literal[1] = 1
    __pydantic_config__ = _STRICT

    # -- what it describes ------------------------------------------------------

    @property
    def task(self) -> Literal["classification", "regression"]:
        """What the target calls for."""
        return "classification" if isinstance(self.target, Classes) else "regression"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one encoded row."""
        if isinstance(self.inputs, ArrayInput):
            return self.inputs.shape
        return (self.inputs.width,)

    @property
    def scale(self) -> float:
        """What uint8 inputs are to be multiplied with; 1 for all others."""
        return self.inputs.scale if isinstance(self.inputs, ArrayInput) else 1.0

    @property
    def outputs(self) -> int:
        """Number of classes, or of amounts."""
        target = self.target
        return len(target.labels if isinstance(target, Classes) else target.names)

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the target's columns."""
        target = self.target
        return (target.name,) if isinstance(target, Classes) else target.names

    def feature_names(self) -> list[str]:
        """Names of the encoded inputs, in order (tables only; else empty)."""
        if isinstance(self.inputs, ArrayInput):
            return []
        return [name for column in self.inputs.columns for name in column.features()]

    # -- rows and targets -------------------------------------------------------

    def encode(
        self,
        raw: Any,
        *,
        query: str | None = None,
        dtype: DTypeLike = np.float32,
        where: str | None = None,
    ) -> Array:
        """Network inputs ``(rows, ...)`` of raw rows, in their order.

        uint8 arrays stay uint8, to be multiplied with `scale`; everything else comes
        out ready as ``dtype``.

        Args:
            raw: a data frame, a dict of columns (or of single values: one row), a file
                (table, ``.npz``, ``.npy``, IDX), or an array of rows. Columns go by
                name: their order and further columns do not matter.
            query: SQL over a table file, named ``data`` in it.
            where: name used in errors.

        Raises:
            DataError: a missing column, a column of another kind, a wrong shape.

        Warns:
            UserWarning: categories that were not seen in training (they become zeros).
        """
        from nervure.data._encode import encode

        return encode(self, raw, query=query, dtype=np.dtype(dtype), where=where)

    def encode_targets(self, raw: Any, *, dtype: DTypeLike = np.float32) -> Array:
        """Class indices int32 ``(rows,)``, or float rows, of raw labels or amounts.

        ``raw`` is a list, array or series; with several targets a frame, a dict of
        columns, or an array ``(rows, targets)``.

        Raises:
            DataError: a label that was not there in training, a missing value.
        """
        from nervure.data._encode import encode_targets

        return encode_targets(self.target, raw, np.dtype(dtype))

    def decode_classes(self, indices: Any) -> Array:
        """The labels of class indices ``(rows,)``, in their own type."""
        if not isinstance(self.target, Classes):
            raise fail("target", "amounts, not classes", "use decode_targets")
        labels = np.array(self.target.labels)
        return labels[np.asarray(indices)]

    def decode_targets(self, outputs: Any) -> NDArray[np.float64]:
        """Amounts of network outputs ``(rows, targets)``: ``y * scale + mean``."""
        if not isinstance(self.target, Amounts):
            raise fail("target", "classes, not amounts", "use decode_classes")
        scaled = np.asarray(outputs, np.float64)
        return scaled * np.array(self.target.scale) + np.array(self.target.mean)

    # -- as data ----------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The record as plain dicts, lists, text and numbers."""
        return cast(dict[str, Any], json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_json(cls, record: Mapping[str, Any] | str | bytes) -> Preprocessing:
        """The record that `to_json` wrote, every value checked.

        Raises:
            DataError: something is missing, unknown, of the wrong type or too large.
        """
        from pydantic import ValidationError

        text = record if isinstance(record, str | bytes) else json.dumps(record)
        try:
            return _adapter().validate_json(text)
        except ValidationError as error:
            raise DataError(_all_faults(error)) from error


@functools.cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Preprocessing)


def _all_faults(error: Any) -> str:
    """Up to ten faults, each with its place, in one message."""
    faults: list[Any] = error.errors(include_url=False, include_input=False)
    lines = [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        for fault in faults[:10]
    ]
    return f"[preprocessing] {'; '.join(lines)}; the record is damaged: train again"


def _check_name(name: str) -> None:
    if len(name) > LONGEST_NAME:
        raise fail("columns", f"a name of {len(name):,} characters", "shorten it")


def _check_count(where: str, what: str, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise fail(
            where, f"{count:,} {what}; expected 1 to {most:,}", "use fewer, and some"
        )


def _finite(*numbers: float) -> bool:
    return all(map(math.isfinite, numbers))


def _positive(*numbers: float) -> bool:
    return all(math.isfinite(number) and number > 0 for number in numbers)
