# SPDX-License-Identifier: BSD-3-Clause
"""How raw rows become a network's inputs: a record that travels in the model file.

The record is data only. `nervure.data.fitting` makes it from training rows; here it is
checked, written, read, and applied.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nervure.base import plain
from nervure.base.plain import Faults
from nervure.data._encode import codes_of, encode, encode_rows, encode_targets
from nervure.data._errors import DataError, fail
from nervure.data.records import (
    LONGEST_NAME,
    Amounts,
    ArrayInput,
    Classes,
    Inputs,
    Reconstruction,
    SequenceInput,
    TableInput,
    Target,
)
from nervure.data.scaling import DAMAGED
from nervure.data.series.records import SeriesRecord
from nervure.layers.entrance import Codes

Array = NDArray[Any]

MOST_TEXT = 32 << 20
"""Bytes of a record that is read."""

MOST_FAULTS = 10

Task = Literal["classification", "regression", "reconstruction"]
_TASKS: dict[str, Task] = {
    "classes": "classification",
    "amounts": "regression",
    "reconstruction": "reconstruction",
}
_HOLDS = {"classes": "classes", "amounts": "amounts", "reconstruction": "no target"}


@dataclass(frozen=True)
class Preprocessing:
    """Raw rows to network inputs, and network outputs to labels or amounts.

    ``query`` and ``header`` are how the training file was read, and others are. With
    ``series`` the rows are windows over a series (`nervure.data.Series`), and targets
    are in units of these: `nervure.forecast` gives values.

    >>> from nervure.data.records import Numeric
    >>> from nervure.data.scaling import Affine
    >>> record = Preprocessing(
    ...     TableInput(("age",), (Numeric("age", Affine(mean=40.0, scale=10.0)),)),
    ...     Classes("sick", (False, True)),
    ... )
    >>> record.encode({"age": [30, 50]}).tolist()
    [[-1.0], [1.0]]
    >>> record.decode_classes([1, 0]).tolist()
    [True, False]
    >>> Preprocessing.from_json(record.to_json()) == record
    True
    """

    inputs: Inputs
    target: Target
    version: Literal[1] = 1
    query: str | None = None
    header: bool | None = None
    series: SeriesRecord | None = None

    def __post_init__(self) -> None:
        if self.query is not None and len(self.query) > LONGEST_NAME:
            raise fail("query", f"{len(self.query):,} characters", DAMAGED)
        self._check_targets()

    def _check_targets(self) -> None:
        series = self.series
        if series is not None and series.outputs != self.outputs:
            several = len(series.targets) > 1
            each = f" of each of {len(series.targets):,}" if several else ""
            fact = f"{self.outputs:,} targets for a horizon of {series.horizon:,}{each}"
            raise fail("series", fact, DAMAGED)
        if series is None and self.quantiles and self.outputs > 1:
            raise fail(
                "targets",
                f"quantiles {self.quantiles} of {self.outputs:,} numbers; expected "
                "them of a single one",
                DAMAGED,
            )

    # -- what it describes ------------------------------------------------------

    @property
    def task(self) -> Task:
        """What the target calls for."""
        return _TASKS[self.target.kind]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one encoded row; of sequences that of a step."""
        if isinstance(self.inputs, TableInput):
            return (self.inputs.width,)
        return self.inputs.shape

    @property
    def input_shape(self) -> Any:
        """What an `Input` for these rows is told: None opens the axis of time."""
        sequences = isinstance(self.inputs, SequenceInput)
        return (None, *self.shape) if sequences else self.shape

    @property
    def scale(self) -> float:
        """What uint8 inputs are to be multiplied with; 1 for all others."""
        return self.inputs.scale if isinstance(self.inputs, ArrayInput) else 1.0

    def scale_of(self, inputs: Any) -> float:
        """What the network multiplies these encoded inputs with: bytes alone have
        their scale still before them, all others come out of `encode` scaled."""
        return self.scale if inputs.dtype == np.uint8 else 1.0

    @property
    def outputs(self) -> int:
        """Number of classes, of amounts, or of the inputs that are given again."""
        target = self.target
        if isinstance(target, Reconstruction):
            return math.prod(self.shape)
        return len(target.labels if isinstance(target, Classes) else target.names)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles that the network gives of each amount, in its order."""
        return self.target.quantiles if isinstance(self.target, Amounts) else ()

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the target's columns; none where rows are their own target."""
        target = self.target
        if isinstance(target, Reconstruction):
            return ()
        return (target.name,) if isinstance(target, Classes) else target.names

    def feature_names(self) -> list[str]:
        """Names of the encoded inputs, in order (tables only; else empty)."""
        table = self.inputs
        return table.feature_names() if isinstance(table, TableInput) else []

    @property
    def categories(self) -> tuple[Codes, ...]:
        """Numbers of codes of the last inputs, those that an embedding is to read."""
        table = self.inputs
        return codes_of(table) if isinstance(table, TableInput) else ()

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
                name: their order and further columns do not matter. For a network
                that reads letters: a text, or a list of them, which become sequences.
            query: SQL over a table file, named ``data`` in it.
            where: name used in errors.

        Raises:
            DataError: a missing column, a column of another kind, a wrong shape.

        Warns:
            UnknownCategoryWarning: categories that were not seen in training, one
                warning for each column. One-hot they become zeros, embedded the code 0.
        """
        return encode(self.inputs, raw, query=query, dtype=np.dtype(dtype), where=where)

    def unknown_categories(self, raw: Any) -> dict[str, int]:
        """Rows that hold categories not seen in training, by column.

        ``raw`` is as for `encode`, but for files; columns without such rows are left
        out.
        """
        if not isinstance(self.inputs, TableInput):
            return {}
        return encode_rows(self.inputs, raw, np.dtype(np.float32)).counts()

    def encode_targets(self, raw: Any, *, dtype: DTypeLike = np.float32) -> Array:
        """Class indices int32 ``(rows,)``, or float rows, of raw labels or amounts.

        ``raw`` is a list, array or series; with several targets a frame, a dict of
        columns, or an array ``(rows, targets)``.

        Raises:
            DataError: a label that was not there in training, a missing value.
        """
        if isinstance(self.target, Reconstruction):
            fact = "targets for a network that gives its inputs again"
            raise fail("targets", fact, "leave them out")
        return encode_targets(self.target, raw, np.dtype(dtype))

    def as_targets(self, inputs: Array, *, dtype: DTypeLike = np.float32) -> Array:
        """Encoded inputs as the targets ``(rows, features)`` of a reconstruction."""
        rows = inputs.reshape(len(inputs), -1)
        if rows.dtype == np.uint8:
            return rows * np.asarray(self.scale, dtype)
        return np.asarray(rows, dtype)

    def decode_classes(self, indices: Any) -> Array:
        """The labels of class indices ``(rows,)``, in their own type."""
        if not isinstance(self.target, Classes):
            raise fail("target", f"{self._holds}, not classes", "use decode_targets")
        labels = np.array(self.target.labels)
        return labels[np.asarray(indices)]

    def decode_targets(self, outputs: Any) -> NDArray[np.float64]:
        """Amounts of network outputs ``(rows, targets)``: ``y * scale + mean``.

        Where it gives quantiles these are ``(rows, targets quantiles)``, those of a
        target side by side.
        """
        if not isinstance(self.target, Amounts):
            raise fail("target", f"{self._holds}, not amounts", "use decode_classes")
        scaled = np.asarray(outputs, np.float64)
        scale, mean = np.array(self.target.scale), np.array(self.target.mean)
        each = len(self.quantiles)
        if each and len(mean) > 1 and scaled.shape[-1] == each * len(mean):
            scale, mean = np.repeat(scale, each), np.repeat(mean, each)
        return scaled * scale + mean

    @property
    def _holds(self) -> str:
        return _HOLDS[self.target.kind]

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
        faults = Faults("preprocessing")
        text = record if isinstance(record, str | bytes) else json.dumps(record)
        if len(text) > MOST_TEXT:
            raise fail(
                "preprocessing",
                f"{len(text):,} bytes; expected at most {MOST_TEXT:,}",
                DAMAGED,
            )
        try:
            tables: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise fail("preprocessing", f"no JSON ({error})", DAMAGED) from error
        found = plain.read(cls, tables, faults.at())
        if faults.lines:
            raise DataError("\n".join([*faults.lines[:MOST_FAULTS], DAMAGED]))
        return found
