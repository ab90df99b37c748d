# SPDX-License-Identifier: BSD-3-Clause
"""Sampler: the order of the rows in an epoch, a function of seed and epoch alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]

STRETCH = 32
"""Batches among whose rows those of similar length are put together."""


def epoch_order(
    rows: Rows,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    lengths: Rows | None = None,
    batch_size: int = 1,
) -> Rows:
    """The rows in the order of an epoch: a permutation keyed by (seed, epoch).

    Sequences of different ``lengths`` are then sorted by length within stretches of
    `STRETCH` batches, and the whole batches are shuffled: rows of a batch are about as
    long as each other, which rows they are still changes from epoch to epoch.

    >>> epoch_order(np.arange(8), seed=1, epoch=0).tolist() == list(range(8))
    False
    >>> sorted(epoch_order(np.arange(8), seed=1, epoch=0).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    if not shuffle:
        return rows
    key = np.array([seed % 2**64, epoch], np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    order = generator.permutation(rows)
    if lengths is None or np.ptp(lengths[order]) == 0:
        return order
    whole = len(order) // batch_size * batch_size
    step = STRETCH * batch_size
    for begin in range(0, whole, step):
        part = order[begin : min(begin + step, whole)]
        part[:] = part[np.argsort(lengths[part], kind="stable")]
    batches = generator.permutation(order[:whole].reshape(-1, batch_size))
    return np.concatenate([batches.reshape(-1), order[whole:]])


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
