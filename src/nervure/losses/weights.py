# SPDX-License-Identifier: BSD-3-Clause
"""Weights of rows: `sample_weight` times `class_weight`, and means under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.losses._loss import LossError

Floats = npt.NDArray[np.float64]
ClassWeight = str | Mapping[int, float] | Sequence[float] | Floats


def combine_weights(
    targets: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: ClassWeight | None = None,
) -> Floats | None:
    """Weight of every row, ``sample_weight * class_weight[class]``; None if both are.

    Shape:
        targets ``(batch,)`` classes, ``(batch, 1)`` of 0/1 or -1/1, or one-hot
        ``(batch, classes)``; sample_weight ``(batch,)``; result ``(batch,)`` float64.

    Raises:
        LossError: wrong shape, negative or non-finite weights, only zeros, or classes
            without a weight or weights without a class.

    >>> combine_weights([0, 1, 1], [1.0, 1.0, 2.0], {0: 3.0}).tolist()
    [3.0, 1.0, 2.0]
    """
    found = np.asarray(targets)
    weights = None
    if sample_weight is not None:
        weights = _checked_sample_weight(sample_weight, len(found))
    if class_weight is not None:
        classes = classes_of(found)
        by_class = class_weights(found, class_weight)
        if int(classes.max()) >= len(by_class):
            raise _fail(
                "class_weight",
                f"{len(by_class)} weights, but the target has class {classes.max()}",
                "give one weight per class",
            )
        own = by_class[classes]
        weights = own if weights is None else weights * own
    if weights is not None and not weights.any():
        raise _fail("weights", "every row weighs 0", "give some row a positive weight")
    return weights


def class_weights(targets: npt.ArrayLike, class_weight: ClassWeight) -> Floats:
    """One weight per class: to be made from training targets and used on validation.

    ``"balanced"`` is ``n / (K n_c)`` for K classes present; a class that a mapping
    leaves out weighs 1.

    Raises:
        LossError: see `combine_weights`.

    Source: King and Zeng, *Political Analysis* 9 (2001), as in scikit-learn.

    >>> class_weights([0, 1, 1, 1], "balanced").round(3).tolist()
    [2.0, 0.667]
    """
    found = np.asarray(targets)
    if isinstance(class_weight, str):
        weights = _balanced(classes_of(found), class_weight)
    elif isinstance(class_weight, Mapping):
        mapping = cast(Mapping[Any, float], class_weight)
        weights = _from_mapping(classes_of(found), _width(found), mapping)
    else:
        weights = _numbers("class_weight", class_weight, "give one number per class")
    if weights.ndim != 1 or not np.isfinite(weights).all() or (weights < 0).any():
        raise _fail(
            "class_weight",
            f"{weights.tolist()}, expected one finite weight >= 0 per class",
            'use "balanced", a mapping or a sequence',
        )
    return weights


def classes_of(targets: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Class of every row: integers, one column of 0/1 or -1/1, or one-hot rows.

    Raises:
        LossError: the targets are values, not classes.

    >>> classes_of(np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [1, 0]
    """
    if targets.ndim == 2 and targets.shape[1] > 1:
        binary = ((targets == 0) | (targets == 1)).all()
        if not (binary and (targets.sum(axis=1) == 1).all()):
            raise _no_classes("rows that are not one-hot")
        return targets.argmax(axis=1)
    column = targets.reshape(-1)
    if column.dtype.kind not in "biuf" or (column != np.floor(column)).any():
        raise _no_classes("values")
    if (column == -1).any() and np.isin(column, (-1, 1)).all():
        column = column > 0
    if column.size and column.min() < 0:
        raise _no_classes("negative numbers")
    return column.astype(np.int64)


def weighted_mean(costs: Any, weights: Any | None = None) -> Any:
    """``sum w c / sum w`` over the rows, or the plain mean; NumPy or JAX.

    >>> float(weighted_mean(np.array([1.0, 4.0]), np.array([2.0, 1.0])))
    2.0
    """
    if weights is None:
        return costs.mean()
    return (costs * weights).sum() / weights.sum()


def _checked_sample_weight(sample_weight: npt.ArrayLike, rows: int) -> Floats:
    weights = _numbers("sample_weight", sample_weight, "give one number per row")
    if weights.shape != (rows,):
        raise _fail(
            "sample_weight",
            f"shape {weights.shape}, expected ({rows},)",
            "give one weight per row",
        )
    good = np.isfinite(weights) & (weights >= 0)
    if not good.all():
        row = int(np.argmin(good))
        raise _fail(
            "sample_weight",
            f"row {row} weighs {weights[row]:g}, expected a finite number >= 0",
            "correct it, or use 0 to leave the row out",
        )
    return weights


def _balanced(classes: npt.NDArray[np.int64], word: str) -> Floats:
    if word != "balanced":
        raise _fail(
            "class_weight",
            f"{word!r}, expected 'balanced', a mapping or a sequence",
            'use "balanced"',
        )
    counts = np.bincount(classes)
    present = counts > 0
    weights = np.ones(len(counts))
    weights[present] = len(classes) / (present.sum() * counts[present])
    return weights


def _from_mapping(
    classes: npt.NDArray[np.int64], width: int, mapping: Mapping[Any, float]
) -> Floats:
    weights = np.ones(max(width, int(classes.max()) + 1))
    for key, weight in mapping.items():
        whole = isinstance(key, int | np.integer) and not isinstance(key, bool)
        if not whole or not 0 <= key < len(weights):
            raise _fail(
                "class_weight",
                f"a weight for {key!r}, but the classes are 0 to {len(weights) - 1}",
                "use class indices as keys",
            )
        weights[key] = _numbers("class_weight", weight, "give one number per class")
    return weights


def _numbers(where: str, given: Any, remedy: str) -> Floats:
    try:
        return np.asarray(given, np.float64)
    except (TypeError, ValueError):
        shown = repr(given)
        shown = shown if len(shown) <= 60 else f"{shown[:56]}..."
        raise _fail(where, f"{shown}, expected numbers", remedy) from None


def _width(targets: npt.NDArray[Any]) -> int:
    return targets.shape[1] if targets.ndim == 2 else 0


def _no_classes(found: str) -> LossError:
    return _fail(
        "class_weight",
        f"the target holds {found}, expected classes",
        "use sample_weight for regression",
    )


def _fail(where: str, fact: str, remedy: str) -> LossError:
    return LossError(f"[{where}] {fact}; {remedy}")
