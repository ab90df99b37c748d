# SPDX-License-Identifier: BSD-3-Clause
"""Metric: a function of targets and outputs, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
Weights = npt.NDArray[np.float64] | None
Function = Callable[..., Any]


@dataclass(frozen=True)
class Metric:
    """A number computed from targets and outputs, and which way is better.

    ``function(target, output, weights)``; with ``uses_threshold`` also ``threshold=``,
    the output above which a single output says yes; with ``uses_answers`` also
    ``answers=``, whether rows answer several yes-or-no questions, one each output,
    instead of naming one class. That is known by the loss; None leaves it to what the
    target looks like. With ``of_labels`` rows of the target are sequences of labels,
    those of the output sequences of steps, and it is also given ``blank=``, the class
    that is no label; another function is then given an object array of arrays of each.

    Raises:
        ValueError: when called, if the function returns something else than a number.

    >>> from nervure.metrics import METRICS
    >>> METRICS["accuracy"](np.array([0, 1]), np.array([[0.9, 0.1], [0.6, 0.4]]))
    0.5
    """

    name: str
    function: Function = field(repr=False)
    larger_is_better: bool = True
    uses_threshold: bool = False
    threshold: float = 0.5
    uses_answers: bool = False
    answers: bool | None = None
    of_labels: bool = False
    blank: int = 0

    def __call__(
        self, target: npt.ArrayLike, output: npt.ArrayLike, weights: Any = None
    ) -> float:
        arrays: tuple[Any, Any] = (target, output)
        keywords: dict[str, Any] = {}
        if self.of_labels:
            keywords["blank"] = self.blank
        else:
            arrays = aligned(self.name, target, output)
        if self.uses_threshold:
            keywords["threshold"] = self.threshold
        if self.uses_answers:
            keywords["answers"] = self.answers
        found = self.function(*arrays, weights, **keywords)
        if np.size(found) != 1 or np.asarray(found).dtype.kind not in "biuf":
            raise ValueError(
                f"[metric '{self.name}'] the function returned {found!r}; expected one "
                f"number; return a float"
            )
        return float(np.asarray(found).item())

    def better(self, new: float, best: float) -> bool:
        """Whether ``new`` improves on ``best``; NaN never does.

        >>> from nervure.metrics import METRICS
        >>> METRICS["mse"].better(0.1, 0.2), METRICS["accuracy"].better(0.1, 0.2)
        (True, False)
        """
        if math.isnan(best):
            return not math.isnan(new)
        return new > best if self.larger_is_better else new < best


def aligned(
    name: str, target: npt.ArrayLike, output: npt.ArrayLike
) -> tuple[Values, Values]:
    """Both with one row per sample; a 1-D output is one column."""
    known, given = np.asarray(target), np.asarray(output)
    if known.ndim == 0 or given.ndim == 0 or len(known) != len(given) or not len(known):
        raise ValueError(
            f"[metric '{name}'] target of shape {known.shape} and output of shape "
            f"{given.shape}; expected the same number of rows, at least one; give one "
            f"target per prediction"
        )
    if known.dtype == object:  # labels of each row
        return known, given
    if known.ndim > 1:
        known = known.reshape(len(known), -1)
    return known, given.reshape(len(given), -1)


def mean(values: Values, weights: Weights) -> float:
    """Weighted mean over the rows, of their means over the outputs."""
    per_row = values if values.ndim == 1 else values.mean(axis=1, dtype=np.float64)
    return float(np.average(per_row, weights=weights))
