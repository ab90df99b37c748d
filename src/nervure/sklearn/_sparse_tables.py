# SPDX-License-Identifier: BSD-3-Clause
# pyright: basic, reportMissingImports=false, reportMissingTypeStubs=false
# SciPy has no types.
"""Columns of sparse matrices as inputs: scaled, but with every 0 where it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from scipy.sparse import csr_matrix

from nervure.data.records import Numeric, TableInput
from nervure.data.scaling import SMOOTH_CLIP, Affine
from nervure.data.sparse import Sparse


def sparse_record(X: Any, names: Sequence[str], *, clip: bool) -> TableInput:
    """The record of columns, each divided by the root mean square of its entries."""
    rows, width = Sparse.of(X), len(names)
    squares = np.bincount(rows.columns, rows.values.astype(float) ** 2, width)
    counts = np.bincount(rows.columns, rows.values != 0, width)
    scales = np.sqrt(squares / np.maximum(counts, 1))
    scales[scales == 0] = 1.0
    most = SMOOTH_CLIP if clip else None
    columns = (
        Numeric(name, Affine(0.0, scale, most))
        for name, scale in zip(names, scales.tolist(), strict=True)
    )
    return TableInput(tuple(names), tuple(columns))


def keeps_zeros(record: TableInput) -> bool:
    """Whether 0 becomes 0 in every column, each being one input."""
    return len(record.columns) == len(record.names) and all(
        isinstance(column, Numeric)
        and not column.flag
        and isinstance(column.scaling, Affine)
        and column.scaling.mean == 0
        for column in record.columns
    )


def scaled(X: Any, record: TableInput, dtype: str) -> Any:
    """A sparse matrix of inputs, of the columns of a record that keeps zeros."""
    rows = Sparse.of(X)
    scalings = [cast(Affine, cast(Numeric, one).scaling) for one in record.columns]
    z = rows.values / np.array([scaling.scale for scaling in scalings])[rows.columns]
    clip = scalings[0].clip
    if clip is not None:
        z = z / np.hypot(1.0, z / clip)
    parts = (z.astype(dtype), rows.columns, rows.starts)
    return csr_matrix(parts, shape=rows.shape)
