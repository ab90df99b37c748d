# SPDX-License-Identifier: BSD-3-Clause
"""How well an autoencoder gives rows again, measured and in words."""

from __future__ import annotations

import math
import textwrap
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.words import many
from nervure.cli.telling import WIDTH
from nervure.data import Dataset
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Reconstruction
from nervure.network.predicting import Predictor
from nervure.network.scoring import (
    Rebuilt,
    codes_and_scores,
    explained_by_pca,
    rebuilt,
)

Array = npt.NDArray[Any]


def judge_codes(
    network: Predictor, record: Preprocessing, inputs: Array, rows: Array
) -> Rebuilt:
    """The errors of encoded rows; ``network`` gives codes and errors (`scored`).

    ``rows`` are the inputs as numbers ``(rows, features)``.
    """
    assert isinstance(record.target, Reconstruction)
    _, scores = codes_and_scores(network, record, inputs)
    return rebuilt(scores, rows, record.target.threshold)


def beside_pca(
    found: Rebuilt, network: Predictor, dataset: Dataset, rows: Array
) -> Rebuilt:
    """With what as many principal components of the training rows explain of rows."""
    chosen = dataset.train_rows
    known = dataset.targets if chosen is None else dataset.targets[chosen]
    components = math.prod(network.graph.output_shapes[0])
    return replace(found, by_pca=explained_by_pca(known, rows, components))


def told_rebuilt(
    found: Rebuilt, network: Predictor, record: Preprocessing, name: str
) -> str:
    """The error, the share of the variance, and what PCA explains, in lines."""
    units = math.prod(network.graph.output_shapes[0])
    lines = [
        f"{name}: mean squared error {found.error:.4g}{_explained(found)} "
        f"({many(found.rows, 'row')}, code of {many(units, 'number')})",
        *_pca(found, units),
        *_anomalies(found, record, name),
    ]
    wrapped = (textwrap.fill(one, WIDTH, subsequent_indent="  ") for one in lines)
    return "\n".join(wrapped)


def _explained(found: Rebuilt) -> str:
    if not np.isfinite(found.explained):
        return ""
    return f", {100 * found.explained:.1f} % of the variance explained"


def _pca(found: Rebuilt, units: int) -> list[str]:
    share = found.by_pca
    if share is None or not np.isfinite(share):
        return []
    said = f"PCA with {many(units, 'component')} explains {100 * share:.1f} %"
    if share < found.explained:
        return [said]
    return [
        f"{said}: the network is not worth it as it is; train it longer or wider, or "
        "use PCA"
    ]


def _anomalies(found: Rebuilt, record: Preprocessing, name: str) -> list[str]:
    target = record.target
    if not isinstance(target, Reconstruction) or target.threshold is None:
        return []
    share = f"{100 * (found.above or 0):.1f} % of the {name} rows lie above"
    return [
        f"anomalies have an error above {target.threshold:.4g}: "
        f"{100 * target.quantile:g} % of the {target.rows} rows lie below it "
        f"(autoencoder.quantile), {share}"
    ]


def values_of(found: Rebuilt) -> dict[str, float]:
    """What there is to record of the errors."""
    values = {
        "mean squared error": found.error,
        "variance explained": found.explained,
        "variance explained by PCA": found.by_pca,
        "anomalies": found.above,
    }
    return {k: v for k, v in values.items() if v is not None and np.isfinite(v)}
