# SPDX-License-Identifier: BSD-3-Clause
"""Weights of rows, and of the steps of rows that have a target at each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.labels import Labels
from nervure.data.ragged import Ragged, step_targets
from nervure.graph.objective import Objective
from nervure.losses import LossError, combine_weights

Floats = npt.NDArray[np.float64]


def weigh(
    objective: Objective,
    given: Sequence[Any],
    targets: Sequence[Any],
    sample_weight: Any = None,
    class_weight: Any = None,
) -> tuple[Floats | None, tuple[Ragged | None, ...]]:
    """Weights of the rows, and of the steps of each target; None where all weigh 1.

    ``sample_weight`` of two axes, or `Ragged`, weighs the steps of every target that
    has several; where a loss sees that there is no target, it weighs 0.

    Raises:
        LossError: weights that do not fit the targets, or nothing that counts.
    """
    _check_labels(targets[0], class_weight)
    missing = [
        None
        if cost.loss.aligns
        else cost.loss.missing(np.asarray(getattr(y, "values", y)))
        for cost, y in zip(objective.costs, given, strict=True)
    ]
    per_step = [isinstance(target, Ragged) for target in targets]
    steps = _of_steps(sample_weight, per_step)
    by_class = None if per_step[0] else class_weight
    weights = combine_weights(
        np.arange(len(targets[0])) if _several(targets[0]) else targets[0],
        None if steps is not None else sample_weight,
        by_class,
    )
    found: list[Ragged | None] = []
    for i, (target, mask) in enumerate(zip(targets, missing, strict=True)):
        if not isinstance(target, Ragged):
            if mask is not None and mask.any():
                weights = _left(len(target) if weights is None else weights, mask)
            found.append(None)
            continue
        own = class_weight if i == 0 else None
        found.append(_weights(target, mask, own, steps))
    return weights, tuple(found) if any(per_step) else ()


def _several(target: Any) -> bool:
    """Whether a row has several targets, of which none says what it weighs."""
    return isinstance(target, Ragged | Labels)


def _check_labels(target: Any, class_weight: Any) -> None:
    """Raise for weights of classes where rows have sequences of labels."""
    if class_weight is not None and isinstance(target, Labels):
        raise LossError(
            "[class_weight] the target of a row is a sequence of labels; expected one "
            "class; use sample_weight"
        )


def _of_steps(sample_weight: Any, per_step: Sequence[bool]) -> Ragged | None:
    """Sample weights, where they weigh single steps."""
    if sample_weight is None or not any(per_step):
        return None
    several = isinstance(sample_weight, Ragged) or np.ndim(_first(sample_weight)) > 0
    if not several:
        return None
    rows = step_targets(sample_weight, "sample_weight")
    if rows.values.ndim > 1 or rows.values.min() < 0:
        raise LossError(
            "[sample_weight] weights of steps that are negative or no numbers; "
            "expected a number of at least 0 for each step; use 0 where a step does "
            "not count"
        )
    return rows


def _first(weights: Any) -> Any:
    try:
        return weights[0]
    except (TypeError, KeyError, IndexError):
        return 0.0


def _weights(
    target: Ragged, mask: Any, class_weight: Any, steps: Ragged | None
) -> Ragged | None:
    """Weights of the steps of one target, those without a target weighing 0."""
    own: Floats | None = None
    if class_weight is not None:
        own = combine_weights(target.values, None, class_weight)
    if mask is not None and mask.any():
        own = _left(len(target.values) if own is None else own, mask.reshape(-1))
    if steps is None:
        found = None if own is None else target.with_values(own)
    else:
        found = _together(target, own, steps)
    if found is not None and not found.packed().any():
        raise LossError(
            "[weights] every step weighs 0; expected some that count; change "
            "sample_weight, or give targets other than ignore"
        )
    return found


def _together(target: Ragged, own: Floats | None, steps: Ragged) -> Ragged:
    wrong = np.flatnonzero(np.resize(steps.lengths, len(target)) != target.lengths)
    if len(steps) != len(target) or len(wrong):
        row = int(wrong[0]) if len(wrong) else len(target)
        raise LossError(
            f"[sample_weight] row {row} has not one weight for each step; expected "
            "weights of the shape of the targets; give (rows, time) or nv.Ragged"
        )
    packed = steps.packed().astype(np.float64)
    if own is not None:
        packed = packed * own[target.places()]
    return Ragged(packed, target.lengths)


def _left(weights: Floats | int, mask: Any) -> Floats:
    """The weights, 0 where nothing is known."""
    begin = np.ones(weights) if isinstance(weights, int) else weights
    return np.where(mask.reshape(-1), 0.0, begin)
