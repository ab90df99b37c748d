# SPDX-License-Identifier: BSD-3-Clause
"""A saved model that answers requests: rows in, columns out, and what it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.image_folders import image_shape
from nervure.data.preprocessing import DataError, Preprocessing
from nervure.data.records import (
    Category,
    Classes,
    LetterInput,
    TableColumn,
    TableInput,
    Text,
)
from nervure.layers.entrance import width_of
from nervure.network.modelfile import ModelFileError
from nervure.network.predicting import Predictor
from nervure.serving.answers import (
    Columns,
    Wanted,
    answers,
    check_wanted,
    open_model,
    raw_outputs,
)
from nervure.serving.faults import fault, heard

Array = npt.NDArray[Any]

MOST_TOGETHER = 64
"""Rows of different requests that one call may hold."""

PROBE_FLOPS = 10**10
"""Work at the start to find out how many rows may go together."""

MOST_LEVELS = 200
"""Categories that a form lists; of more a text is asked for."""


@dataclass(frozen=True, eq=False)
class Served:
    """A network with its preprocessing under a name.

    ``together`` is how many rows may share a call without another bit in any answer.
    """

    name: str
    network: Predictor
    record: Preprocessing
    together: int = 1

    def encode(self, rows: Any, where: str = "rows") -> tuple[Array, list[str]]:
        """Rows as the network takes them, and what there is to say of them.

        Raises:
            DataError: they do not fit.
            RequestError: some of their values cannot be read.
        """
        dtype = self.network.dtype
        try:
            with heard() as warned:
                inputs = self.record.encode(rows, dtype=dtype, where=where)
        except OverflowError:
            fact = "a whole number beyond 10^308; expected smaller ones"
            raise fault(where, f"{fact}; correct it") from None
        return inputs, warned

    def outputs(self, inputs: Array) -> list[Array]:
        """What the network gives for encoded rows."""
        return [np.asarray(y) for y in raw_outputs(self.network, self.record, inputs)]

    def check(self, wanted: Wanted) -> None:
        """Raises `ValueError` where the model cannot give what is wanted."""
        check_wanted(wanted, self.network, self.record, mark="")

    def columns(self, outputs: Sequence[Array], wanted: Wanted) -> Columns:
        """The answers, as ``nervure predict`` writes them.

        Raises:
            NotFiniteError: one of them is no number.
        """
        return answers(self.network, self.record, outputs, wanted)

    @property
    def labels(self) -> list[Any]:
        """The classes that are told apart; none where amounts are predicted."""
        target = self.record.target
        return list(target.labels) if isinstance(target, Classes) else []


def open_served(path: Path, name: str | None = None) -> Served:
    """The model of a file or run folder, ready to be served.

    Raises:
        ModelFileError: no model there, or one that reads texts, sequences or series.
    """
    network, record = open_model(path)
    if record.series is not None:
        raise ModelFileError(
            f"[{path}] forecasts a series, from all rows before; expected a model of "
            "rows; use nervure predict, or nv.forecast in Python"
        )
    if isinstance(record.inputs, LetterInput) or network.graph.clocks:
        raise ModelFileError(
            f"[{path}] reads sequences; expected a model of rows; use nervure "
            "generate, or net.predict in Python"
        )
    stem = path.resolve().name.removesuffix(".safetensors")
    own = name or re.sub(r"[^\w.-]+", "-", stem) or "model"
    served = Served(own, network, record)
    return replace(served, together=together(served))


def together(served: Served, most: int = MOST_TOGETHER) -> int:
    """How many rows may share a call so that each gives what it gives alone.

    Products of many rows take another way through the engine than those of few, and
    their last bits differ; here it is looked where that begins.
    """
    flops = max(1, served.network.graph.flops)
    most = min(most, max(1, PROBE_FLOPS // (3 * flops)))
    rows = probe(served, most)
    alone = [served.outputs(rows[i : i + 1]) for i in range(most)]
    size = 1
    while 2 * size <= most and _same(served.outputs(rows[: 2 * size]), alone):
        size *= 2
    return size


def _same(found: Sequence[Array], alone: Sequence[Sequence[Array]]) -> bool:
    return all(
        np.array_equal(y[i], alone[i][port][0], equal_nan=True)
        for port, y in enumerate(found)
        for i in range(len(y))
    )


def probe(served: Served, rows: int) -> Array:
    """Rows of random numbers as the network takes them; 0 where it takes codes."""
    record, rng = served.record, np.random.default_rng(0)
    if record.scale != 1.0:
        return rng.integers(0, 256, (rows, *record.shape), np.uint8)
    drawn = rng.normal(size=(rows, *record.shape)).astype(served.network.dtype)
    if record.categories:
        drawn[:, -width_of(record.categories) :] = 0
    return drawn


# -- what it is, for the page ---------------------------------------------------------


def described(served: Served) -> dict[str, Any]:
    """What the page needs to know of a model, as plain data."""
    record = served.record
    table = record.inputs if isinstance(record.inputs, TableInput) else None
    return {
        "name": served.name,
        "task": record.task,
        "target": list(record.target_names),
        "labels": served.labels[:MOST_LEVELS],
        "interval": served.network.conformal is not None,
        "columns": [_column(one) for one in table.columns] if table else [],
        "shape": [] if table else list(record.shape),
        "most": None if table else _most(record),
        "image": _takes_images(record),
    }


def _column(column: TableColumn) -> dict[str, Any]:
    if isinstance(column, Text):
        return {"name": column.name, "kind": "text", "levels": [], "long": True}
    if isinstance(column, Category):
        few = len(column.levels) <= MOST_LEVELS
        levels = list(column.levels) if few else []
        return {"name": column.name, "kind": column.source, "levels": levels}
    if column.date:
        return {"name": column.name, "kind": "date"}
    kind = "number" if column.written is None else "written"
    return {"name": column.name, "kind": kind, "typical": column.fill}


def _most(record: Preprocessing) -> float:
    """The value that a network of an array takes for white."""
    return 1.0 if record.scale == 1.0 else 1 / record.scale


def _takes_images(record: Preprocessing) -> bool:
    try:
        image_shape(record.inputs, "image")
    except DataError:
        return False
    return True
