# SPDX-License-Identifier: BSD-3-Clause
"""Sampler: the order of the rows in an epoch, a function of seed and epoch alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


def epoch_order(rows: Rows, seed: int, epoch: int, shuffle: bool = True) -> Rows:
    """The rows in the order of an epoch: a permutation keyed by (seed, epoch).

    >>> epoch_order(np.arange(8), seed=1, epoch=0).tolist() == list(range(8))
    False
    >>> sorted(epoch_order(np.arange(8), seed=1, epoch=0).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    if not shuffle:
        return rows
    key = np.array([seed % 2**64, epoch], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(rows)


def bootstrap(rows: Rows, seed: int) -> Rows:
    """As many rows, drawn with replacement: a function of the seed alone.

    Source: Efron, *Bootstrap methods* (1979).

    >>> drawn = bootstrap(np.arange(1000), seed=1)
    >>> len(drawn), 600 < len(set(drawn.tolist())) < 660  # 1 - 1/e of them
    (1000, True)
    """
    key = np.array([seed, 2**63], np.uint64)  # beyond the epochs of `epoch_order`
    generator = np.random.Generator(np.random.Philox(key=key))
    return rows[generator.integers(0, len(rows), len(rows))]
