# SPDX-License-Identifier: BSD-3-Clause
"""The network and training for tables: good on many of them as they are.

An ensemble of small networks that share most weights (Gorishniy, Kotelnikov, Babenko,
*TabM*, ICLR 2025) on robustly scaled numbers and waves of them, trained as long as the
number of rows asks for (in the spirit of RealMLP: Holzmüller, Grinsztajn, Steinwart,
*Better by Default*, NeurIPS 2024). `benchmarks/tabular.py` measures it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from nervure.data import Dataset
from nervure.graph.node import Entry
from nervure.layers import (
    Dropout,
    EnsembleDense,
    EnsembleMean,
    Flatten,
    Layer,
    PeriodicEmbedding,
)
from nervure.layers.entrance import Codes, entrance
from nervure.losses import MSE, BinaryCrossEntropy, CrossEntropy, Loss
from nervure.optimizers import AdamW
from nervure.optimizers.schedules import Cosine
from nervure.spec.tables import DataSpec, Spec, TrainingSpec

# Chosen on the sets of CHOOSING in benchmarks/tabular.py, where its README says what
# was tried and lost.
MEMBERS = 16
UNITS = (64, 64)
DROPOUT = 0.1
WAVES = 4
MOST_WAVES = 256
"""Columns beyond which numbers enter as they are: waves would make the net too wide."""

# Of series of R's datasets (air passengers, carbon dioxide, gas, sunspots and others)
# forecasts by windows without waves had errors 4 % smaller on average.
_SHORT, _SHORT_BATCH = 300, 16
"""Windows of a series up to which a batch is that small."""

_BATCHES = ((3_000, 64), (20_000, 128), (200_000, 256))
_LARGEST_BATCH = 512
_LOSSES: dict[str | None, Loss] = {
    "softmax": CrossEntropy(),
    "logistic": BinaryCrossEntropy(),
    None: MSE(),
}
_ROWS_SEEN, _EPOCHS = 64_000, (20, 200)
"""Rows that training goes over, in at least and at most so many epochs."""


def table_spec(dataset: Dataset, data: DataSpec, members: int = MEMBERS) -> Spec:
    """The network and training for the rows of a data set."""
    record = dataset.preprocessing
    series = record.series is not None
    activation = "softmax" if record.task == "classification" else None
    layers = default_layers(
        math.prod(record.shape),
        record.outputs,
        activation,
        categories=record.categories,
        members=members,
        waves=0 if series else WAVES,
    )
    if len(record.shape) > 1:
        layers.insert(0, Flatten())
    training = default_training(dataset.rows, activation)
    if series and dataset.rows < _SHORT:
        training = replace(training, batch_size=_SHORT_BATCH)
    return Spec(tuple(map(Entry, layers)), data, training)


def default_layers(
    columns: int,
    outputs: int,
    activation: str | None,
    *,
    categories: Sequence[Codes] = (),
    members: int = MEMBERS,
    waves: int = WAVES,
) -> list[Layer]:
    """The layers behind the input, for rows of so many columns.

    Args:
        columns: inputs of the network.
        outputs: classes, labels or values.
        activation: of the outputs: "softmax", "logistic" or None.
        categories: numbers of codes of the last columns, which are embedded.
        members: networks of the ensemble.
        waves: of each number that enters, where none are embedded; 0 for the numbers
            as they are.
    """
    layers: list[Layer] = entrance((columns,), categories)[1:]
    if waves and columns <= MOST_WAVES and not categories:
        layers += [PeriodicEmbedding(waves), Flatten()]
    for units in UNITS:
        layers += [EnsembleDense(units, members, "silu"), Dropout(DROPOUT)]
    return [*layers, EnsembleDense(outputs, members, activation), EnsembleMean()]


def default_training(rows: int, activation: str | None) -> TrainingSpec:
    """How long, in which batches and at what rate: by the number of rows.

    ``activation`` is that of the outputs, which decides about the loss.
    """
    fitting = (size for most, size in _BATCHES if rows < most)
    fewest, most = _EPOCHS
    return TrainingSpec(
        loss=_LOSSES[activation],
        optimizer=AdamW(Cosine(0.003), weight_decay=0.02),
        batch_size=next(fitting, _LARGEST_BATCH),
        epochs=max(fewest, min(round(_ROWS_SEEN / max(rows, 1)), most)),
    )
