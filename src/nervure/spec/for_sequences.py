# SPDX-License-Identifier: BSD-3-Clause
"""The network and training for rows that are sequences, of any lengths.

Two layers of gated recurrent units, each in both directions (Schuster and Paliwal,
1997; Cho et al., 2014); the second gives its final states, whatever the length. Codes
are embedded first, amounts scaled and held within a few deviations, since a feature
that is nearly always the same has a tiny one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.base.words import many
from nervure.data import Dataset, Ragged
from nervure.data.meaning.understanding import key
from nervure.data.records import SequenceInput
from nervure.graph.node import Entry
from nervure.layers import (
    GRU,
    Bidirectional,
    Clip,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    Normalize,
)
from nervure.losses import MSE, CrossEntropy
from nervure.optimizers import AdamW
from nervure.optimizers.schedules import Cosine
from nervure.spec.stopping import EarlyStopping
from nervure.spec.tables import DataSpec, Spec, TrainingSpec

Array = NDArray[Any]

# Of 2,000 digits of MNIST, row by row where there is ink, a quarter held out (two
# runs): two layers of 48 named 96.5 %, one of 64 94.1 %, an LSTM of 64 and recurrent
# dropout no more; scikit-learn's digits 98.0 %, 97.3 %.
_UNITS, _DROPOUT, _LAST_DROPOUT = 48, 0.1, 0.3
_LONG, _LONG_UNITS = 10_000, 32
"""Steps from which one layer is all: what two keep of 10^6 steps is gigabytes."""

_WITHIN = 5.0
"""Deviations that scaled amounts are held within."""

MOST_CODES = 50_000
_SMOOTH = 0.5
_PER_CODE = 5

_ROWS_SEEN, _EPOCHS = 60_000, (12, 100)
_STEPS_SEEN, _FEWEST = 30_000_000, 5
"""Steps that training goes over, unless that is in fewer epochs than these."""

_BATCHES = ((300, 16), (20_000, 32), (200_000, 64))
_LARGEST_BATCH, _BATCH_STEPS = 128, 250_000
"""Rows of a batch, and steps unless one row has more: what is kept of so many are one
or two gigabytes."""


@dataclass(frozen=True)
class _Amounts:
    """Steps of amounts: what brings them to a common scale, if that is to be done."""

    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def layers(self) -> list[Layer]:
        scaling: list[Layer] = [Normalize(self.mean, self.scale)] if self.mean else []
        return [*scaling, Clip(-_WITHIN, _WITHIN)]


@dataclass(frozen=True)
class _Codes:
    """Steps of one code each, of so many."""

    count: int

    def layers(self) -> list[Layer]:
        # As many dimensions as fastai's rule for categories, up to what units take.
        dim = min(_UNITS, max(2, round(1.6 * self.count**0.56)))
        return [Embedding(self.count, dim)]


def sequence_spec(dataset: Dataset, data: DataSpec, seed: int = 0) -> Spec:
    """The network and training for the rows of a data set that are sequences."""
    record, rows = dataset.preprocessing, _rows(dataset)
    classes = record.task == "classification"
    layers = _layers(
        _entrance(dataset, data),
        rows.longest,
        record.outputs,
        "softmax" if classes else None,
    )
    epochs = _epochs(dataset.rows, rows.steps)
    training = TrainingSpec(
        loss=CrossEntropy() if classes else MSE(),
        optimizer=AdamW(Cosine(0.003), weight_decay=0.02, clip_norm=1.0),
        batch_size=_batch_size(dataset.rows, rows.longest),
        epochs=epochs,
        early_stopping=EarlyStopping(patience=epochs // 2) if data.validation else None,
        seed=seed,
    )
    return Spec(tuple(map(Entry, layers)), data, training)


def layers_for(rows: Ragged, outputs: int, activation: str | None) -> list[Layer]:
    """The layers behind the input, for sequences as they are.

    Args:
        rows: sequences to train on; each step an array.
        outputs: classes, labels or values.
        activation: of the outputs: "softmax", "logistic" or None.

    >>> rows = Ragged([[0.5], [0.1], [-0.2]], lengths=[2, 1])
    >>> [layer.kind for layer in layers_for(rows, 2, "softmax")][:3]
    ['normalize', 'clip', 'bidirectional']
    """
    values = rows.packed().reshape(rows.steps, -1)
    codes = codes_in(rows) if values.shape[1] == 1 else 0
    begin = _Codes(codes) if codes else _scaled(values)
    flat: list[Layer] = [] if rows.values.ndim == 2 else [Flatten()]
    return flat + _layers(begin, rows.longest, outputs, activation)


def told(dataset: Dataset, spec: Spec) -> str:
    """What was chosen for sequences, in a line for the user."""
    record = dataset.preprocessing.inputs
    assert isinstance(record, SequenceInput)
    first = spec.layers[0].layer
    if isinstance(first, Embedding):
        other = f"{key(record.name, 'standard')} takes them for amounts"
        what = f"embeds steps as {first.sizes[0]:,} codes ({other})"
    elif isinstance(first, Normalize):
        other = f"; {key(record.name, 'embedding')} takes them for codes"
        what = f"scales steps as amounts ({_whole(record, other)})"
    else:
        what = "takes steps as amounts"
    recurrent = [e.layer for e in spec.layers if isinstance(e.layer, Bidirectional)]
    units = getattr(recurrent[0].layer, "units", 0)
    return (
        f"network, since no spec says one: {what}, then {many(len(recurrent), 'layer')}"
        f" of {units} GRU units in both directions (--spec takes another)"
    )


def _whole(record: SequenceInput, other: str) -> str:
    """Why amounts are scaled by the network, and what changes it if they may be codes.

    Codes are single whole numbers.
    """
    return f"whole numbers{other}" if record.features == 1 else "whole numbers"


# -- codes or amounts -----------------------------------------------------------------


def codes_in(rows: Ragged) -> int:
    """How many codes the steps may have, if they are codes at all; else 0.

    Codes are single whole numbers from 0 on, few of them and each often, which jump
    from step to step as far as any two do. Amounts (a temperature, a count that grows)
    mostly change little. Two values alone are as good as amounts.

    >>> letters = Ragged([[7.0], [0], [4], [1], [7], [2], [0]] * 9, [63])
    >>> codes_in(letters), codes_in(Ragged(np.arange(63.0).reshape(-1, 1), [63]))
    (8, 0)
    """
    values = rows.packed().reshape(rows.steps, -1)[:, 0]
    if not _may_be_codes(values):
        return 0
    distinct, most = len(np.unique(values)), int(rows.values.max())
    few = distinct > 2 and distinct * _PER_CODE <= len(values)
    if not few or most >= MOST_CODES or _jumps(rows, values) < _SMOOTH:
        return 0
    return most + 1


def _may_be_codes(values: Array) -> bool:
    return bool((values >= 0).all() and (values == np.floor(values)).all())


def _jumps(rows: Ragged, values: Array) -> float:
    """How far a step is from the one before, beside how far any two are."""
    steps = np.abs(np.diff(values))
    within = np.ones(len(steps), np.bool_)
    within[rows.offsets[1:-1] - 1] = False
    if not within.any():
        return 1.0
    order = np.random.Generator(np.random.Philox(key=0)).permutation(len(values))
    any_two = np.abs(np.diff(values[order])).mean()
    return float(steps[within].mean() / any_two) if any_two else 1.0


def _entrance(dataset: Dataset, data: DataSpec) -> _Amounts | _Codes:
    """What the steps of a data set are taken for: as asked for, else as they look."""
    record, rows = dataset.preprocessing.inputs, _rows(dataset)
    assert isinstance(record, SequenceInput)
    if record.mean:
        return _Amounts()
    seen: Ragged = rows if dataset.train_rows is None else rows[dataset.train_rows]
    if (data.columns or {}).get(record.name) == "embedding":
        return _Codes(int(rows.values.max()) + 1)
    codes = codes_in(seen) if record.features == 1 else 0
    return _Codes(codes) if codes else _scaled(seen.packed())


def _rows(dataset: Dataset) -> Ragged:
    rows: Any = dataset.inputs
    assert isinstance(rows, Ragged)
    return rows


def _scaled(values: Array) -> _Amounts:
    """Amounts to be scaled by these steps, ``(steps, features)``."""
    values = values.astype(np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    deviation[deviation == 0] = 1.0
    return _Amounts(tuple(mean.tolist()), tuple(deviation.tolist()))


# -- size ------------------------------------------------------------------------------


def _layers(
    begin: _Amounts | _Codes, longest: int, outputs: int, activation: str | None
) -> list[Layer]:
    layers = begin.layers()
    if longest > _LONG:
        layers += [Bidirectional(GRU(_LONG_UNITS))]
    else:
        layers += [
            Bidirectional(GRU(_UNITS, return_sequences=True)),
            Dropout(_DROPOUT),
            Bidirectional(GRU(_UNITS)),
        ]
    return [*layers, Dropout(_LAST_DROPOUT), Dense(outputs, activation)]


def _epochs(rows: int, steps: int) -> int:
    fewest, most = _EPOCHS
    by_rows = max(fewest, min(round(_ROWS_SEEN / max(rows, 1)), most))
    return min(by_rows, max(_FEWEST, _STEPS_SEEN // max(steps, 1)))


def _batch_size(rows: int, longest: int) -> int:
    fitting = (size for most, size in _BATCHES if rows < most)
    return min(next(fitting, _LARGEST_BATCH), max(1, _BATCH_STEPS // longest))
