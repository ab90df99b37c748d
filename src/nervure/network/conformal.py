# SPDX-License-Identifier: BSD-3-Clause
"""Split conformal prediction: intervals and sets that hold the truth as often as said.

Legend: n rows that training did not see, each with a score s_i that is the larger the
worse the prediction was. With q the ceil((n + 1) level)-th smallest of them, a new row
of the same kind has a score of at most q with probability at least ``level``, and at
most ``level + 1 / (n + 1)`` where no two scores are equal, whatever the model.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nervure import random
from nervure.base.checks import number
from nervure.base.words import unknown

Floats = npt.NDArray[np.float64]

Method = Literal["absolute", "normalized", "cqr", "lac", "aps"]
METHODS: tuple[str, ...] = typing.get_args(Method)
OF_CLASSES = ("lac", "aps")
_SCALED, _TARGETS = "normalized", 2


class ConformalError(ValueError):
    """Scores, predictions or a level that do not fit each other."""


@dataclass(frozen=True, eq=False)
class Conformal:
    """The scores of calibration rows, and the intervals and sets that follow.

    For amounts, with the prediction ``a`` and the truth ``y``:

    - ``absolute``: ``s = |y - a|``; intervals of one width. Lei et al. (2018),
      algorithm 2.
    - ``normalized``: ``s = |y - a| / spread``, for any positive estimate of how hard a
      row is (an ensemble's or MC dropout's deviation). Lei et al. (2018), sec. 5.2.
    - ``cqr``: ``s = max(a_low - y, y - a_high)`` of two predicted quantiles. Romano,
      Patterson, Candès, *Conformalized Quantile Regression* (2019), eq. 6.

    For classes, with probabilities ``p``:

    - ``lac``: ``s = 1 - p_y``; the smallest sets on average. Sadinle, Lei, Wasserman
      (2019); Angelopoulos, Bates (2021), sec. 1.
    - ``aps``: ``s`` is the sum of p over the classes at least as likely as y; with
      ``seed`` less ``u p_y``, u uniform in [0, 1). Sets grow with the difficulty of a
      row. Romano, Sesia, Candès (2020), eq. 7.

    A set always holds the most probable class, so that none is empty.

    Attributes:
        method: how rows are scored.
        scores: ascending ``(rows,)``, or ``(rows, targets)`` for several amounts, each
            of which is covered on its own.
        seed: of ``aps``'s randomization; None for none.

    >>> scores = Conformal.of_amounts([1.0, 2.0, 3.0, 4.0], [1.5, 2.1, 2.8, 4.4])
    >>> scores.intervals([10.0], level=0.8).round(2).tolist()
    [[9.5, 10.5]]
    """

    method: Method
    scores: Floats
    seed: int | None = None

    # -- from predictions for rows that training did not see ------------------------

    @classmethod
    def of_amounts(
        cls,
        y: Any,
        predictions: Any,
        *,
        method: Method = "absolute",
        spread: Any = None,
    ) -> Conformal:
        """Scores of predicted amounts.

        Args:
            y: the truth, ``(rows,)`` or ``(rows, targets)``.
            predictions: as ``y``; for ``cqr`` the quantiles ``(rows, quantiles)``, or
                ``(rows, targets, quantiles)``, of which the outer two count.
            spread: for ``normalized``, how hard each row is, above 0.

        Raises:
            ConformalError: shapes that do not fit, or no finite numbers.
        """
        _known(method, [m for m in METHODS if m not in OF_CLASSES])
        wanted = _columns(y)
        if method == "cqr":
            low, high = _outer(predictions)
            _same_shape(low, wanted)
            return cls._of(method, np.maximum(low - wanted, wanted - high))
        a = _columns(predictions)
        _same_shape(a, wanted)
        return cls._of(method, np.abs(wanted - a) / _spread(method, spread, len(a)))

    @classmethod
    def of_classes(
        cls,
        y: Any,
        probabilities: Any,
        *,
        method: Method = "lac",
        seed: int | None = None,
    ) -> Conformal:
        """Scores of predicted probabilities.

        Args:
            y: classes by number ``(rows,)``.
            probabilities: ``(rows, classes)``.
            seed: randomizes ``aps``.
        """
        _known(method, OF_CLASSES)
        p = _columns(probabilities)
        scores = _class_scores(method, p, seed, step=0)
        own = np.take_along_axis(scores, np.asarray(y).reshape(-1, 1), axis=1)
        return cls._of(method, own, seed if method == "aps" else None)

    @classmethod
    def _of(cls, method: Method, scores: Floats, seed: int | None = None) -> Conformal:
        if not len(scores) or not np.isfinite(scores).all():
            raise ConformalError(
                f"[conformal] scores of {len(scores)} rows, not all finite; expected "
                "at least one row and finite numbers; check y and the predictions"
            )
        ordered = np.sort(scores, axis=0)
        return cls(method, ordered[:, 0] if ordered.shape[1] == 1 else ordered, seed)

    # -- for new rows ---------------------------------------------------------------

    @property
    def rows(self) -> int:
        """Calibration rows."""
        return len(self.scores)

    @property
    def gives_sets(self) -> bool:
        """Whether there are sets of classes rather than intervals."""
        return self.method in OF_CLASSES

    def quantile(self, level: float) -> Floats:
        """The score that ``level`` of new rows stay below, ``(targets,)``.

        Infinite where there are fewer than ``level / (1 - level)`` calibration rows.
        """
        number("conformal", "level", level, above=0, below=1)
        rank = math.ceil((self.rows + 1) * level - 1e-9)
        columns = self.scores.reshape(self.rows, -1)
        if rank > self.rows:
            return np.full(columns.shape[1], np.inf)
        return columns[rank - 1]

    def intervals(
        self, predictions: Any, level: float = 0.9, *, spread: Any = None
    ) -> Floats:
        """Lower and upper ends, ``(rows, 2)`` or ``(rows, targets, 2)``.

        Args:
            predictions: as those that the scores were made of.
            level: share of rows that shall lie within, in (0, 1).
            spread: for ``normalized``, as in `of_amounts`.

        Raises:
            ConformalError: the scores are of classes, or shapes do not fit.
        """
        _known(self.method, [m for m in METHODS if m not in OF_CLASSES])
        q, cqr = self.quantile(level), self.method == "cqr"
        low, high = _outer(predictions) if cqr else (_columns(predictions),) * 2
        if low.shape[1] != len(q):
            raise ConformalError(
                f"[conformal] {low.shape[1]} predictions per row, but scores of "
                f"{len(q)} targets; expected as many; use the calibrated model"
            )
        reach = q * _spread(self.method, spread, len(low))
        # Where quantiles were too wide, q < 0 may pull the ends past each other.
        middle = (low + high) / 2
        ends = np.minimum(low - reach, middle), np.maximum(high + reach, middle)
        found = np.stack(ends, axis=-1)
        return found[:, 0] if len(q) == 1 else found

    def sets(self, probabilities: Any, level: float = 0.9) -> npt.NDArray[np.bool_]:
        """Which classes are in the set of each row, ``(rows, classes)``.

        Args:
            probabilities: ``(rows, classes)``.
            level: share of rows whose class shall be in the set, in (0, 1).

        Raises:
            ConformalError: the scores are of amounts.
        """
        _known(self.method, OF_CLASSES)
        p = _columns(probabilities)
        found = _class_scores(self.method, p, self.seed, step=1) <= self.quantile(level)
        found[np.arange(len(p)), p.argmax(axis=1)] = True
        return found

    # -- as data --------------------------------------------------------------------

    def to_data(self) -> dict[str, Any]:
        """All but the scores, as plain data."""
        return {"method": self.method, "seed": self.seed}

    @classmethod
    def from_data(cls, data: object, scores: Any) -> Conformal:
        """What `to_data` and the scores describe, every value checked.

        Raises:
            ConformalError: the data is not of that kind.
        """
        table: Mapping[str, Any] = data if isinstance(data, Mapping) else {}  # pyright: ignore
        method, seed = table.get("method"), table.get("seed")
        if method not in METHODS:
            raise ConformalError(unknown("conformal", "method", method, METHODS))
        array = np.asarray(scores)
        whole = array.dtype == np.float64 and array.ndim in (1, _TARGETS) and array.size
        if (
            not whole
            or not np.isfinite(array).all()
            or (np.diff(array, axis=0) < 0).any()
        ):
            raise ConformalError(
                f"[conformal] scores {array.dtype} {array.shape}; expected finite "
                "float64 numbers in ascending order; calibrate again"
            )
        if seed is not None and (type(seed) is not int or not 0 <= seed < 2**64):
            raise ConformalError(
                f"[conformal] seed = {seed!r:.40}; expected a whole number below 2^64; "
                "calibrate again"
            )
        return cls(method, array, seed)


def _known(method: str, candidates: typing.Sequence[str]) -> None:
    if method in candidates:
        return
    if method not in METHODS:
        raise ConformalError(unknown("conformal", "method", method, METHODS))
    what, other = (
        ("classes", "amounts") if method in OF_CLASSES else ("amounts", "classes")
    )
    raise ConformalError(
        f"[conformal] {method!r} is a method for {what}; expected one for {other}; use "
        f"{' or '.join(candidates)}"
    )


def _columns(values: Any) -> Floats:
    array = np.asarray(values, np.float64)
    return array.reshape(len(array), -1) if array.size else array.reshape(0, 1)


def _same_shape(predictions: Floats, wanted: Floats) -> None:
    if predictions.shape != wanted.shape:
        raise ConformalError(
            f"[conformal] predictions {predictions.shape} for targets {wanted.shape}; "
            "expected as many; give one prediction per target"
        )


def _outer(predictions: Any) -> tuple[Floats, Floats]:
    """The lowest and the highest of predicted quantiles, ``(rows, targets)``."""
    array = np.asarray(predictions, np.float64)
    quantiles = array if array.ndim == 3 else _columns(array)[:, None, :]
    if quantiles.shape[2] < 2:
        raise ConformalError(
            "[conformal] one prediction per row; expected at least two quantiles for "
            "cqr; train with loss=nv.losses.Pinball((0.05, 0.95))"
        )
    return quantiles.min(axis=2), quantiles.max(axis=2)


def _spread(method: str, spread: Any, rows: int) -> Any:
    """What residuals are divided by."""
    if method != _SCALED:
        return 1.0
    found = np.ones(0) if spread is None else _columns(spread)
    if len(found) != rows or not (found > 0).all() or not np.isfinite(found).all():
        raise ConformalError(
            f"[conformal] spread of {len(found)} rows for {rows} predictions; expected "
            "a positive number for each; pass spread="
        )
    return found


def _class_scores(method: str, p: Floats, seed: int | None, step: int) -> Floats:
    """The score of every class of every row."""
    if method == "lac":
        return 1 - p
    order = np.argsort(-p, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(p, order, axis=1), axis=1)
    scores = np.empty_like(p)
    np.put_along_axis(scores, order, sums, axis=1)
    if seed is None:
        return scores
    u = random.uniform(np, seed, step, 0, len(p)).astype(np.float64)
    return scores - u[:, None] * p
