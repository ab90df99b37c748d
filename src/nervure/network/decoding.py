# SPDX-License-Identifier: BSD-3-Clause
"""From the outputs of steps to sequences of labels, for nets trained with `CTC`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count
from nervure.base.words import many
from nervure.data.ragged import Ragged
from nervure.losses import LossError
from nervure.metrics import best_path

Array = npt.NDArray[Any]
Labels = npt.NDArray[np.int64]


def ctc_decode(
    outputs: Any,
    lengths: Any = None,
    *,
    blank: int = 0,
    beam: int | None = None,
    logits: bool = False,
) -> list[Labels]:
    """The labels that are read from what a network gives at each step.

    Without ``beam`` those of the most probable class of each step: equal ones that
    follow each other are one, blanks are dropped (best path). That need not be the most
    probable sequence of labels, which many alignments say together. A prefix beam
    search of width ``beam`` adds them up and keeps that many beginnings at each step;
    if it keeps all, it finds the most probable sequence. 10 to 100 are usual; the work
    grows with it.

    Args:
        outputs: of `Network.predict`: ``(rows, time, classes)``, `nervure.Ragged`, or a
            list of arrays ``(time, classes)``.
        lengths: steps of each row where an array is filled up behind.
        blank: the class that is no label, as in `nervure.losses.CTC`.
        beam: beginnings that are kept, at least 1; None for the best path.
        logits: whether outputs are log-probabilities, or sums without an activation;
            else they are probabilities. The best path is the same.

    Returns:
        The labels of each row, int64 ``(labels,)``.

    Raises:
        LossError: outputs of another shape, or of which the search would make no sense.

    Source: Graves et al. (ICML 2006), sec. 3.2; beam search: Hannun, Maas, Jurafsky, Ng
    (arXiv:1408.2873), algorithm 1, without a language model.

    >>> p = np.array([[[0.6, 0.4], [0.6, 0.4]]])         # "": 0.36, "1": 0.64
    >>> [found.tolist() for found in ctc_decode(p)]
    [[]]
    >>> [found.tolist() for found in ctc_decode(p, beam=4)]
    [[1]]
    """
    rows = _rows(outputs, lengths)
    count("ctc_decode", "blank", blank, least=0, most=rows[0].shape[1] - 1)
    if beam is None:
        return [best_path(row, blank) for row in rows]
    count("ctc_decode", "beam", beam, least=1)
    logs = [_logs(row, i, logits) for i, row in enumerate(rows)]
    return [beam_search(row, beam, blank)[0][0] for row in logs]


def beam_search(logs: Array, beam: int, blank: int = 0) -> list[tuple[Labels, float]]:
    """Sequences of labels of a row and log P of each, the most probable one first.

    ``logs`` are log-probabilities ``(time, classes)``; ``beam`` beginnings are kept
    after each step.

    >>> half = np.log(np.full((2, 2), 0.5))
    >>> [(s.tolist(), round(p, 4)) for s, p in beam_search(half, 4)]
    [([1], -0.2877), ([], -1.3863)]
    """
    kept = _Beginnings([()], np.zeros(1), np.full(1, -np.inf))
    for log in logs:
        kept = kept.after(log, beam, blank)
    totals = kept.totals
    return [
        (np.array(kept.labels[i], np.int64), float(totals[i]))
        for i in np.argsort(-totals, kind="stable")
    ]


@dataclass(frozen=True)
class _Beginnings:
    """What may have been said so far: log P of it, ending with a blank or a label."""

    labels: list[tuple[int, ...]]
    blank: Array
    label: Array

    @property
    def totals(self) -> Array:
        return np.logaddexp(self.blank, self.label)

    def after(self, log: Array, beam: int, blank: int) -> _Beginnings:
        """The best after one more step."""
        totals = self.totals
        last = np.array([own[-1] if own else blank for own in self.labels])
        again = np.where(last == blank, -np.inf, self.label + log[last])
        longer = totals[:, None] + log
        some = np.flatnonzero(last != blank)  # the same label again needs a blank
        longer[some, last[some]] = self.blank[some] + log[last[some]]
        longer[:, blank] = -np.inf
        self._merge(again, longer)
        return self._best(totals + log[blank], again, longer, beam)

    def _merge(self, again: Array, longer: Array) -> None:
        """A longer one that is there already is one with it."""
        index = {own: i for i, own in enumerate(self.labels)}
        for i, own in enumerate(self.labels):
            j = index.get(own[:-1]) if own else None
            if j is not None:
                again[i] = np.logaddexp(again[i], longer[j, own[-1]])
                longer[j, own[-1]] = -np.inf

    def _best(
        self, silent: Array, again: Array, longer: Array, beam: int
    ) -> _Beginnings:
        count, classes = len(longer), int(longer.shape[1])
        scores = np.concatenate([np.logaddexp(silent, again), longer.reshape(-1)])
        best = np.argsort(-scores, kind="stable")[:beam]
        best = best[scores[best] > -np.inf]
        same, new = best[best < count], best[best >= count] - count
        labels = [self.labels[int(i)] for i in same]
        labels += [(*self.labels[int(i) // classes], int(i) % classes) for i in new]
        return _Beginnings(
            labels,
            np.concatenate([silent[same], np.full(len(new), -np.inf)]),
            np.concatenate([again[same], longer.reshape(-1)[new]]),
        )


def _rows(outputs: Any, lengths: Any) -> list[Array]:
    rows = [np.asarray(row) for row in outputs] if hasattr(outputs, "__len__") else []
    if not rows or any(
        row.ndim != 2 or row.shape[1:] != rows[0].shape[1:] or row.dtype.kind != "f"
        for row in rows
    ):
        shape = outputs.shape if hasattr(outputs, "shape") else f"{len(rows)} rows"
        raise _fail(
            f"outputs of {shape}; expected (rows, time, classes)",
            "give what net.predict gives, for one row net.predict(X)[:1]",
        )
    if lengths is None or isinstance(outputs, Ragged):
        return rows
    steps = np.asarray(lengths)
    fits = steps.shape == (len(rows),) and steps.dtype.kind in "iu"
    if not fits or any(not 1 <= n <= len(x) for n, x in zip(steps, rows, strict=True)):
        raise _fail(
            f"lengths do not go with {many(len(rows), 'row')} of "
            f"{many(len(rows[0]), 'step')}; expected a number of steps for each row",
            "give as many as there are rows, from 1 on",
        )
    return [row[:n] for row, n in zip(rows, steps, strict=True)]


def _logs(row: Array, i: int, logits: bool) -> Array:
    """Logarithms of the probabilities of a row, in double."""
    y = row.astype(np.float64)
    if logits:
        shifted = y - y.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    wrong = (y < 0).any(axis=1) | ~(np.abs(y.sum(axis=1) - 1) <= 1e-3)
    if wrong.any():
        step = int(np.argmax(wrong))
        raise _fail(
            f"row {i}, step {step} sums to {y[step].sum():.4g}; expected probabilities",
            "use logits=True for log_softmax or an output without activation",
        )
    with np.errstate(divide="ignore"):
        return np.log(y)


def _fail(fact: str, remedy: str) -> LossError:
    return LossError(f"[ctc_decode] {fact}; {remedy}")
