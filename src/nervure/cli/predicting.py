# SPDX-License-Identifier: BSD-3-Clause
"""``nervure predict`` and ``nervure evaluate``: a saved network on other rows."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.words import many
from nervure.cli.standard_input import from_standard_input
from nervure.cli.writing import format_of, write
from nervure.data import prepare, row_names
from nervure.data.columns import Column
from nervure.data.preprocessing import Preprocessing
from nervure.data.sources import columns_beside, is_table_file
from nervure.forecasting.ahead import described, forecast, usual_level
from nervure.network.predicting import Predictor
from nervure.serving.answers import (
    Columns,
    Wanted,
    answers,
    as_csv,
    check_wanted,
    open_model,
    raw_outputs,
)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Wish:
    """How rows are read, and which columns of the source to ``keep``.

    ``exact`` asks for direct sums of convolutions.
    """

    query: str | None = None
    keep: tuple[str, ...] = ()
    skip_bad: bool = False
    exact: bool = False


def predict(
    model: Path, source: str, out: Path | None, wanted: Wanted, wish: Wish
) -> None:
    """Write predictions for the rows of a source, one row each."""
    kind = format_of(out)
    network, record = open_model(model)
    if wish.exact:
        network = network.exact()
    if record.series is not None:
        found = _forecast(network, source, wanted, wish)
        return _give(found, out, kind, "forecast")
    check_wanted(wanted, network, record)
    with from_standard_input(source) as place:
        inputs, _ = prepare(
            place,
            record,
            query=wish.query,
            dtype=network.dtype,
            skip_bad=wish.skip_bad,
        )
        names = row_names(place, skip_bad=wish.skip_bad)
        kept = _kept(place, record, wish.keep, wish.query)
    outputs = raw_outputs(network, record, inputs)
    columns = answers(network, record, outputs, wanted)
    if names is not None:
        kept = {"file": np.array(names), **kept}
    _check_names(wish.keep, columns)
    _give({**kept, **columns}, out, kind, "prediction")


def _give(columns: Columns, out: Path | None, kind: str, what: str) -> None:
    """Write columns to a file, or to the terminal."""
    if out is None:
        sys.stdout.write(as_csv(columns))
        sys.stdout.flush()  # here, so that a reader that left (head) is no error
        return
    write(columns, out, kind)
    count = len(next(iter(columns.values())))
    print(f"{many(count, what)} written to {out}")


def _forecast(network: Predictor, source: str, wanted: Wanted, wish: Wish) -> Columns:
    """What comes after the last value of each series of a source."""
    for option, given in (
        ("--probabilities", wanted.probabilities),
        ("--keep", wish.keep),
    ):
        if given:
            raise ValueError(
                f"[{option}] the model forecasts a series, whose rows are still to "
                "come; expected one that predicts for rows; leave the option out"
            )
    sure = network.conformal is not None or described(network)[0].quantiles
    if wanted.interval is not None and not sure:
        raise ValueError(
            "[--interval] the model holds no errors of origins held out; expected "
            "one trained with some; set data.validation or data.calibration"
        )
    level = usual_level(network) if wanted.interval is None else wanted.interval
    with from_standard_input(source) as place:
        return forecast(
            network, place, level=level, query=wish.query, strict=wanted.strict
        )


def _kept(
    source: str, record: Preprocessing, names: tuple[str, ...], query: str | None
) -> Columns:
    """Columns of a table file as they are; those of a CSV file letter by letter."""
    if not names:
        return {}
    if not is_table_file(source):
        raise ValueError(
            f"[--keep] {source} has no columns to keep; expected a CSV, TSV, Parquet "
            "or JSON file; leave --keep out"
        )
    found = columns_beside(source, record, names, query=query)
    return {column.name: _as_it_is(column) for column in found}


def _as_it_is(column: Column) -> Array:
    """The values, numbers as numbers; where some are missing as text, these empty."""
    values: Array = column.values
    if column.kind == "boolean" and column.missing is None:
        return values.astype(np.bool_)
    if column.kind in ("text", "boolean"):
        values = np.array([*column.levels, ""])[values]
    elif column.kind == "sequence":
        values = np.array([str(np.asarray(row).tolist()) for row in values])
    elif column.kind == "date":
        moments = np.where(np.isnan(values), 0, values * 1e6).astype("datetime64[us]")
        values = np.datetime_as_string(moments, unit="auto")
    if column.missing is None and column.kind != "empty":
        return values
    missing = True if column.missing is None else column.missing
    return np.where(missing, "", values.astype(str))


def _check_names(keep: tuple[str, ...], columns: Columns) -> None:
    """Raises where a column that is kept is called as one of predictions."""
    both = [name for name in keep if name in columns]
    if both:
        raise ValueError(
            f"[--keep] {both[0]!r} is the name of a column of predictions too; "
            "expected another; rename it with a query (SELECT ... AS ...)"
        )
