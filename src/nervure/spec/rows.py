# SPDX-License-Identifier: BSD-3-Clause
"""The rows that a spec names."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data import DataError, Dataset, Raw, make_dataset, read, split
from nervure.data.series.parts import Parts, parts_in_time
from nervure.spec.autoencoders import default_autoencoder
from nervure.spec.defaults import TEST, VALIDATION, default_spec
from nervure.spec.for_sequences import told
from nervure.spec.tables import AutoencoderSpec, DataSpec, Spec, SpecError

Rows = npt.NDArray[np.int64]


def default_for(
    data: DataSpec,
    seed: int = 0,
    dtype: str = "float32",
    autoencoder: AutoencoderSpec | None = None,
) -> tuple[Spec, Dataset]:
    """The spec that is chosen for a source, and its rows, some of them held out.

    ``autoencoder`` asks for one, on rows that are their own target.

    Raises:
        SpecError, DataError: see `read_data`.
    """
    raw = read_data(data)
    data = dataclasses.replace(held_apart(data, raw), image_size=raw.image_size)
    table = not isinstance(raw.inputs, np.ndarray)
    if table and data.numbers is None and autoencoder is None:
        data = dataclasses.replace(data, numbers="robust")
    dataset = load_data(data, seed, dtype, raw)
    if autoencoder is not None:
        return default_autoencoder(dataset, data, autoencoder, seed), dataset
    spec = default_spec(dataset, data, seed)
    if dataset.preprocessing.inputs.kind == "sequences":
        lines = (*dataset.description, told(dataset, spec))
        dataset = dataclasses.replace(dataset, description=lines)
    return spec, dataset


def held_apart(data: DataSpec, raw: Raw) -> DataSpec:
    """The split of a source's rows: the usual shares where none are said.

    A source that brings a test part of its own is not divided again.
    """
    usual = 0.0 if raw.test is not None else TEST
    test = usual if data.test is None else data.test
    validation = VALIDATION if data.validation is None else data.validation
    return dataclasses.replace(data, test=test, validation=validation)


def read_data(data: DataSpec) -> Raw:
    """The source of a spec, read but not yet encoded.

    Raises:
        SpecError: no source.
        DataError: the source cannot be read or used.
    """
    if data.source is None:
        raise SpecError(
            "[data] no source; expected a data set, a file or a folder; add "
            'source = "..." under [data]'
        )
    target = data.target if isinstance(data.target, str | None) else list(data.target)
    return read(
        data.source,
        target=target,
        query=data.query,
        task=data.task,
        weights=data.weights,
        image_size=data.image_size,
        columns=data.columns,
        dates=data.dates,
        labels=data.labels,
        header=data.header,
        skip_bad=data.skip_bad,
        series=data.series,
    )


def _check_enough(raw: Raw, rows: int, strata: Any, fraction: float, part: str) -> None:
    """Raise where rows are too few for a part to be held out of them."""
    kinds = 0 if strata is None else len(np.unique(strata))
    if fraction == 0 or rows > max(1, kinds):
        return
    of, least = "", "at least 2"
    if kinds:
        of, least = f" of {kinds:,} classes", "a class with two rows or more"
    raise DataError(
        f"[{raw.where}] {raw.rows:,} rows are too few to hold some out: {part} would "
        f"take some of {rows:,} rows{of}; expected {least}; add rows, or hold out "
        "nothing: --set data.test=0 --set data.validation=0 --set data.calibration=0"
    )


def load_data(
    data: DataSpec, seed: int = 0, dtype: str = "float32", raw: Raw | None = None
) -> Dataset:
    """The data set of a spec; training never sees ``test`` and ``calibration``.

    Statistics are those of the rows that are trained on. Where ``data.test`` is 0 the
    test part is the source's own, if it has one. ``raw`` is the source where it was
    read already.

    Raises:
        SpecError, DataError: see `read_data`.
    """
    raw = read_data(data) if raw is None else raw
    return dataset_of(raw, data, seed, dtype)


def dataset_of(
    raw: Raw, data: DataSpec, seed: int = 0, dtype: str = "float32"
) -> Dataset:
    """`load_data` of a source that was read."""
    return _made(raw, _parts(raw, data, seed), data, dtype)


def _parts(raw: Raw, data: DataSpec, seed: int) -> Parts:
    """The rows of each part: drawn by the seed, or of a series the latest."""
    if raw.series is not None and raw.origins is not None:
        return parts_in_time(
            raw.where,
            raw.origins,
            raw.series,
            validation=data.validation or 0.0,
            calibration=data.calibration,
            test=data.test or 0.0,
        )
    strata = raw.strata()

    def apart(rows: Rows, part: str) -> tuple[Rows, Rows]:
        fraction = getattr(data, part) or 0.0
        of_rows = None if strata is None else strata[rows]
        _check_enough(raw, len(rows), of_rows, fraction, part)
        kept, aside = split(len(rows), fraction, of_rows, seed)
        return rows[kept], rows[aside]

    rest, test = apart(np.arange(raw.rows), "test")
    rest, calibration = apart(rest, "calibration")
    train, held_out = apart(rest, "validation")
    return Parts(train, held_out, calibration, test)


def _made(raw: Raw, parts: Parts, data: DataSpec, dtype: str) -> Dataset:
    """The rows encoded, and taken apart."""
    train, held_out = parts.train, parts.validation
    if len(train) == raw.rows:
        return make_dataset(raw, dtype=dtype, encodings=data.encodings)
    made = make_dataset(raw, train, held_out, dtype=dtype, encodings=data.encodings)
    rest = np.sort(np.concatenate([train, held_out]))
    if len(rest) == raw.rows:
        return made

    def part(rows: Rows) -> tuple[Any, Any] | None:
        return (made.inputs[rows], made.targets[rows]) if len(rows) else None

    origins = made.origins
    return dataclasses.replace(
        made,
        inputs=made.inputs[rest],
        targets=made.targets[rest],
        weights=None if made.weights is None else made.weights[rest],
        test=part(parts.test) or made.test,
        calibration=part(parts.calibration),
        train_rows=np.searchsorted(rest, train) if len(held_out) else None,
        held_out_rows=np.searchsorted(rest, held_out) if len(held_out) else None,
        origins=None if origins is None else origins.take(rest),
        test_origins=None if origins is None else origins.take(parts.test),
    )
