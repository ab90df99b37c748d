# SPDX-License-Identifier: BSD-3-Clause
"""CTC: a sequence of labels is said by a longer one of outputs, no matter when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count
from nervure.base.formulas import along_time, stop_gradient
from nervure.losses._loss import (
    AFFINE,
    TINY,
    Array,
    Loss,
    LossExample,
    log_softmax,
)

NEVER = -1e30
"""Stands for log 0: the derivative of a sum of infinities is none."""

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CTC(Loss):
    """Connectionist temporal classification, ``-log P(labels | outputs)`` of a row.

    The output says one class at each step, one of which is the ``blank``: no label. An
    alignment says the labels in their order, each for one or more steps, with any
    number of blanks around them; two equal labels in a row need a blank between them.
    ``P`` is the sum over all alignments of the product of the probabilities of what
    they say, so that nobody needs to know at which step a label is. It is computed
    forward and backward in logarithms, from log_softmax(z) on a softmax, a log_softmax
    or an output without activation, with ``dC/dz_t = softmax(z_t) - share of the
    alignments that say k at t``. The cost of a batch is the mean over its rows, however
    many labels they have (PyTorch divides each by their number first).

    Labels that are ``ignore`` are left out: with it, rows of an array can be filled up.
    A row may have no label at all. It has to have as many steps as labels, and one more
    for each label that equals the one before: what cannot be aligned is refused before
    the training (the engine's cost is infinite).

    Shape:
        output ``(batch, time, classes)``, target ``(batch, labels)`` filled up behind
        with the blank, costs ``(batch,)``. For `fit` the target is a list with the
        labels of each row, `nervure.Ragged`, or an array with ``ignore``.

    Raises:
        ValueError: ``blank`` is negative.
        LossError: the output layer gives no steps, or something else than probabilities
            or sums; a label is the blank, negative, or no class of the output.

    Source: Graves, Fernandez, Gomez, Schmidhuber, *Connectionist temporal
    classification* (ICML 2006), sec. 3.1 and 4.

    >>> import numpy as np
    >>> half = np.full((1, 2, 2), 0.5)                   # aa, a-, -a of four say "a"
    >>> CTC().formula(np, half, np.array([[1]])).round(4)
    array([0.2877])
    """

    kind: ClassVar[str] = "ctc"
    task: ClassVar[str] = "labelling"
    fuses: ClassVar[tuple[str, ...]] = ("softmax", "log_softmax")
    accepts: ClassVar[frozenset[str] | None] = AFFINE | {"softmax", "log_softmax"}
    strict: ClassVar[bool] = True
    expects: ClassVar[str] = "probabilities of classes at each step"
    remedy: ClassVar[str] = 'add activation="softmax" to the last layer'
    takes_shares: ClassVar[bool] = False
    aligns: ClassVar[bool] = True

    blank: int = 0
    ignore: int | None = None

    def __post_init__(self) -> None:
        count(self.kind, "blank", self.blank, least=0, most=2**31 - 1)
        if self.ignore is not None:
            count(self.kind, "ignore", self.ignore, least=-(2**31), most=2**31 - 1)

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        output = (((0.2, 0.5, 0.3), (0.6, 0.1, 0.3)), ((0.7, 0.1, 0.2),) * 2)
        return (
            LossExample(cls(), output, ((1, 2), (2, 0))),
            LossExample(cls(2, ignore=-1), output, ((1, 0), (2, 2))),
        )

    # -- costs ----------------------------------------------------------------------

    def formula(
        self, xp: Any, output: Array, target: Array, steps: Array | None = None
    ) -> Array:
        """Costs from probabilities; of each row so many ``steps``, all by default."""
        logs = xp.log(xp.maximum(output, TINY))
        return self._cost(xp, logs, target, steps)

    def logits_formula(
        self,
        xp: Any,
        z: Array,
        target: Array,
        activation: str = "",
        steps: Array | None = None,
    ) -> Array:
        flat = z.reshape(-1, z.shape[-1])
        return self._cost(xp, log_softmax(xp, flat).reshape(z.shape), target, steps)

    def aligned_costs(
        self, xp: Any, y: Array, target: Array, steps: Array, form: str
    ) -> Array:
        if form in self.fuses:
            return self.logits_formula(xp, y, target, form, steps)
        return self.formula(xp, y, target, steps)

    def _cost(self, xp: Any, logs: Array, target: Array, steps: Array | None) -> Array:
        """Forward along time over the labels with blanks around them (sec. 4.1)."""
        path = self._path(xp, target)
        leaps = (path[:, 2:] != self.blank) & (path[:, 2:] != path[:, :-2])
        leaps = xp.concatenate([xp.zeros_like(path[:, :2], bool), leaps], axis=1)
        said = xp.take_along_axis(logs, path[:, None, :], axis=2)

        def step(states: Any, log: Array) -> Any:
            (alpha,) = states
            by_one, by_two = _later(xp, alpha, 1), _later(xp, alpha, 2)
            ways = xp.stack([alpha, by_one, xp.where(leaps, by_two, NEVER)])
            return (_log_sum(xp, ways) + log,), ()

        before = xp.where(xp.arange(path.shape[1]) == 0, 0.0, NEVER)
        begin = xp.broadcast_to(before, path.shape).astype(logs.dtype)
        ((alpha,), _) = along_time(xp, step, (begin,), said, steps)
        return -self._ends(xp, alpha, target)

    def _path(self, xp: Any, target: Array) -> Array:
        """The labels with a blank before, between and behind them."""
        blanks = xp.full_like(target, self.blank)
        pairs = xp.stack([blanks, target], axis=2).reshape(len(target), -1)
        return xp.concatenate([pairs, blanks[:, :1]], axis=1)

    def _ends(self, xp: Any, alpha: Array, target: Array) -> Array:
        """Over the last label and the blank behind it."""
        last = 2 * (target != self.blank).sum(axis=1)[:, None]
        blank = xp.take_along_axis(alpha, last, axis=1)
        label = xp.take_along_axis(alpha, xp.maximum(last - 1, 0), axis=1)
        label = xp.where(last > 0, label, NEVER)
        return _log_sum(xp, xp.stack([blank, label]))[:, 0]

    # -- checks ---------------------------------------------------------------------

    def check_output(
        self, kind: str, function: str | None, size: int, *, name: str | None = None
    ) -> None:
        super().check_output(kind, function, size, name=name)
        if size <= max(1, self.blank):
            raise self.fail(
                f"output layer '{name or kind}' has {size} classes, with blank = "
                f"{self.blank}; expected at least {max(2, self.blank + 1)}",
                "give it one unit for each label and one for the blank, or change "
                "blank",
            )

    def check_labels(self, values: Whole, rows: Whole, size: int) -> None:
        bad = (values < 0) | (values >= size) | (values == self.blank)
        if not bad.any():
            return
        at = int(np.argmax(bad))
        row, label = int(rows[at]), int(values[at])
        where = f"label {at - int(np.searchsorted(rows, row))} of row {row}"
        if label == self.blank:
            raise self.fail(
                f"{where} is {label}, the blank; expected labels alone",
                "leave blanks out of y, or set blank= to a class that is no label "
                f"(rows that are filled up with {label}: ignore={label})",
            )
        raise self.fail(
            f"{where} is {label}; expected one of the {size} classes of the output, 0 "
            f"to {size - 1}",
            "recode the labels, give the last layer more units, or set ignore= where "
            "rows are filled up",
        )

    def fewest_steps(self, values: Whole, rows: Whole, count: int) -> Whole:
        """Steps that the labels of each of so many rows need."""
        again = (values[1:] == values[:-1]) & (rows[1:] == rows[:-1])
        repeats = np.bincount(rows[1:][again], minlength=count)
        return np.bincount(rows, minlength=count) + repeats

    def room(self, steps: int, labels: int) -> int:
        """Bytes that a row of so many steps and labels takes while it is aligned."""
        return 8 * (steps + 1) * (2 * labels + 1)


def _later(xp: Any, alpha: Array, by: int) -> Array:
    """Each state's value ``by`` states later; nothing comes before the first."""
    none = xp.full_like(alpha[:, :1], NEVER)
    return xp.concatenate([*[none] * by, alpha], axis=1)[:, : alpha.shape[1]]


def _log_sum(xp: Any, logs: Array) -> Array:
    """``log sum exp`` over the first axis."""
    top = stop_gradient(xp, logs).max(axis=0)
    return top + xp.log(xp.exp(logs - top).sum(axis=0))
