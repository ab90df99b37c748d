# SPDX-License-Identifier: BSD-3-Clause
"""Cutting rows into those to train on and those held out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.data._errors import fail

Rows = NDArray[np.int64]

_STREAM = 2**64 - 1  # second word of the key; epochs use 0, 1, 2, ...


def split(
    rows: int, fraction: float, targets: Any = None, seed: int = 0
) -> tuple[Rows, Rows]:
    """Row numbers to train on and to hold out, both ascending.

    The same arguments give the same rows on every machine: the order comes from
    Philox keyed by ``seed``. With class indices as ``targets`` every class keeps its
    share (largest remainders) and no class is held out entirely.

    Args:
        rows: number of rows, at least 2 unless ``fraction`` is 0.
        fraction: share to hold out, in [0, 1); at least one row if not 0.
        targets: class indices ``(rows,)`` to stratify by; anything else is ignored.
        seed: 0 to 2⁶⁴ - 1.

    Raises:
        DataError: a fraction outside [0, 1), or too few rows.

    >>> train, held_out = split(10, 0.2, seed=1)
    >>> len(train), len(held_out)
    (8, 2)
    """
    if not 0 <= fraction < 1:
        raise fail(
            "split",
            f"held-out fraction {fraction}; expected a fraction in [0, 1)",
            "use 0.1 for a tenth",
        )
    if fraction == 0:
        return np.arange(rows), np.empty(0, np.int64)
    if rows < 2:
        raise fail("split", f"{rows} rows; expected at least 2", "hold out nothing")
    count = min(max(1, round(fraction * rows)), rows - 1)
    key = np.array([seed % 2**64, _STREAM], np.uint64)
    order = np.random.Generator(np.random.Philox(key=key)).permutation(rows)
    classes = _classes(targets, rows)
    held_out = order[:count] if classes is None else _stratified(order, classes, count)
    mask = np.zeros(rows, np.bool_)
    mask[held_out] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _classes(targets: Any, rows: int) -> NDArray[Any] | None:
    if targets is None:
        return None
    classes = np.asarray(targets)
    if classes.dtype.kind not in "biu" or classes.ndim != 1:
        return None
    if len(classes) != rows:
        raise fail(
            "split", f"{len(classes)} targets for {rows} rows", "give one per row"
        )
    return classes


def _stratified(order: Rows, classes: NDArray[Any], count: int) -> Rows:
    """``count`` rows, of each class the share due to it by largest remainders."""
    _, index, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    due = count * sizes / len(classes)
    most = np.maximum(sizes - 1, 0)
    taken = np.minimum(np.floor(due).astype(np.int64), most)
    while taken.sum() < count and (taken < most).any():
        lacking = np.where(taken < most, due - taken, -np.inf)
        taken[np.argmax(lacking)] += 1
    ranked = order[np.argsort(index[order], kind="stable")]
    starts = np.cumsum(sizes) - sizes
    pieces = [ranked[s : s + t] for s, t in zip(starts, taken, strict=True)]
    return np.concatenate(pieces)
