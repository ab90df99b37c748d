# SPDX-License-Identifier: BSD-3-Clause
"""What was judged, in words."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np

from nervure.base.words import many
from nervure.cli.judging import LEVEL, Judgement
from nervure.forecasting.scoring import Score
from nervure.graph.summary import table
from nervure.metrics import shares
from nervure.network.network import Network
from nervure.network.predicting import Predictor
from nervure.uncertainty.temperature import temperature_of

MOST_SHOWN = 12
"""Classes up to which the whole confusion matrix is shown; of more, the worst."""

MOST_PAIRS, MOST_WORST = 5, 10
WIDTH = 80
"""Columns of a terminal."""

RARE, MISSED = 0.5, 0.5
"""A class is rare that has less than this part of an even share of the rows, and
missed if it is found in less than this part of its own."""

_LONGEST_LABEL = 24


def reports(found: Sequence[Judgement], name: str, weighted: bool = False) -> str:
    """The judgements of all outputs in lines (see `report`)."""
    names = [f"{name} {one.output}".rstrip() for one in found]
    pairs = zip(found, names, strict=True)
    return "\n".join(report(one, whose, weighted) for one, whose in pairs)


def report(found: Judgement, name: str, weighted: bool = False) -> str:
    """The judgement in lines; ``name`` is what the rows are to the network.

    ``weighted`` says that training has weighed the classes already.
    """
    if found.confusion is None:
        return "\n".join([_amounts(found, name), *_covered(found)])
    lines = [_accuracy(found, name), *_beside_accuracy(found), *_covered(found)]
    pairs = confused(found)
    if pairs:
        lines.append(f"most confused: {', '.join(pairs)}")
    lines += [] if weighted else _advice(found)
    wrapped = (textwrap.fill(one, WIDTH, subsequent_indent="  ") for one in lines)
    return "\n".join([*wrapped, "", *_by_class(found), ""])


def _amounts(found: Judgement, name: str) -> str:
    values = {k: v for k, v in found.values.items() if k not in ("coverage", "width")}
    words = {key: f"{key} {value:.4g}" for key, value in values.items()}
    words["loss"] += f" ({found.loss})" if found.loss else ""
    return f"{name}: {'  '.join(words.values())} ({many(found.rows, 'row')})"


def _accuracy(found: Judgement, name: str) -> str:
    """The accuracy, and that of saying the same class always."""
    assert found.confusion is not None
    right, total = int(np.trace(found.confusion)), int(found.confusion.sum())
    rows = found.confusion.sum(axis=1)
    largest = int(rows.argmax())
    always = f"always saying {_label(found, largest)}: {100 * rows.max() / total:.1f} %"
    return (
        f"{name} accuracy {100 * right / total:.1f} % ({right:,} of {total:,} rows); "
        f"{always}"
    )


_PERCENT = ("balanced accuracy", "calibration error")


def _beside_accuracy(found: Judgement) -> list[str]:
    """Values that see what accuracy does not, in one line or two."""
    values = found.values
    words = [
        f"{name} {100 * values[name]:.1f} %"
        if name in _PERCENT
        else f"{name} {values[name]:.4g}"
        for name in ("balanced accuracy", "log loss", "calibration error")
        if name in values
    ]
    lines = [", ".join(words)]
    if "average precision" in values:
        assert found.confusion is not None
        rows = found.confusion.sum(axis=1)
        rarer = int(rows.argmin())
        lines.append(
            f"ROC AUC {values['ROC AUC']:.4g}, average precision "
            f"{values['average precision']:.4g} of {_label(found, rarer)} "
            f"({100 * rows[rarer] / rows.sum():.1f} % of the rows)"
        )
    if found.loss:
        lines.append(f"loss of training {values['loss']:.4g} ({found.loss})")
    return lines


def _advice(found: Judgement) -> list[str]:
    """What to do where a rare class is missed."""
    assert found.confusion is not None
    rows, (recall, _) = found.confusion.sum(axis=1), shares(found.confusion)
    rare = (rows > 0) & (rows < RARE * rows.sum() / len(rows))
    missed = np.flatnonzero(rare & (recall < MISSED)).tolist()
    if not missed:
        return []
    shown = [
        f"{_label(found, i)} ({found.confusion[i, i]:,} of {rows[i]:,} found)"
        for i in missed[:MOST_PAIRS]
    ]
    more = ", ..." if len(missed) > MOST_PAIRS else ""
    return [
        f"rare and missed: {', '.join(shown)}{more}; to weigh rare classes more, "
        "train with: --set training.class_weight=balanced"
    ]


def _covered(found: Judgement) -> list[str]:
    """How often sets or intervals hold the truth, where the model gives them."""
    share = found.values.get("coverage")
    if share is None:
        return []
    what, size = "intervals", f"width {found.values.get('width', 0):.4g}"
    if "size" in found.values:
        what, size = "sets", f"{found.values['size']:.2f} classes"
    held = f"hold the truth of {100 * share:.1f} % of the rows"
    return [f"{100 * LEVEL:g} % {what} {held} ({size} on average)"]


def calibrated(network: Predictor) -> str:
    """What calibration found, in words."""
    scores = network.conformal
    assert scores is not None
    temperature = temperature_of(network) if isinstance(network, Network) else None
    words = f"calibrated on {scores.rows:,} rows kept for it ({scores.method})"
    return words + ("" if temperature is None else f", temperature {temperature:.3g}")


def told_scores(found: Sequence[Score], name: str) -> str:
    """How good forecasts of each target are, in words, and errors by step ahead."""
    several = len(found) > 1
    named = [f"{name}, {one.target!r}" if several else name for one in found]
    return "\n".join(map(told_score, found, named))


def told_score(found: Score, name: str) -> str:
    """How good forecasts are, in words, and their errors by step ahead."""
    origins, steps = many(found.rows, "origin"), len(found.mae)
    said = f"{name}, {origins} x {many(steps, 'step')} ahead: {found}"
    chosen = sorted({0, steps // 4, steps // 2, 3 * steps // 4, steps - 1})
    cells = [
        ["MAE", *(f"{found.mae[i]:.4g}" for i in chosen)],
        ["seasonal naive", *(f"{found.naive_mae[i]:.4g}" for i in chosen)],
    ]
    head = ["steps ahead", *(str(i + 1) for i in chosen)]
    lines = table(head, cells, numbers=len(chosen)) if steps > 1 else []
    if found.mae.mean() > found.naive_mae.mean():
        lines.append(
            "worse than the seasonal naive forecast: try another --season or --window, "
            "or give more of the past"
        )
    return "\n".join([textwrap.fill(said, WIDTH, subsequent_indent="  "), *lines])


def told_intervals(network: Predictor | None, level: float = LEVEL) -> str:
    """What the intervals of forecasts are made of, in words."""
    scores = None if network is None else network.conformal
    quantiles = _quantiles(network)
    if scores is None and quantiles:
        said = (
            f"intervals are the {quantiles} as learnt: no origins are held out to see "
            "how often they hold; data.validation or data.calibration keeps some"
        )
        return textwrap.fill(said, WIDTH, subsequent_indent="  ")
    if scores is None:
        return (
            "no intervals: no origins are held out; data.validation or "
            "data.calibration keeps some"
        )
    said = f"intervals by the errors of {many(scores.rows, 'origin')} held out"
    if quantiles:
        said = f"{said}, around the {quantiles}"
    if np.isfinite(scores.quantile(level)).all():
        return said
    least = math.ceil(level / (1 - level) - 1e-9)
    few = (
        f"{said}: too few for {100 * level:g} %, whose intervals are unbounded; "
        f"{least} are enough (more of the series: --set data.validation=0.3)"
    )
    return textwrap.fill(few, WIDTH, subsequent_indent="  ")


def _quantiles(network: Predictor | None) -> str:
    """The outer quantiles of a network, in words; nothing where it gives none."""
    record = None if network is None else network.preprocessing
    found = sorted(record.quantiles) if record is not None else []
    return f"quantiles {found[0]:g} and {found[-1]:g}" if len(found) > 1 else ""


def confused(found: Judgement) -> list[str]:
    """The pairs of classes that are taken for each other most often, in words.

    >>> confusion = np.array([[8, 2], [0, 5]])
    >>> confused(Judgement(15, {}, ("cat", "dog"), confusion))
    ['cat taken for dog (2 of 10)']
    """
    assert found.confusion is not None
    wrong = found.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
    places = [divmod(int(i), len(wrong)) for i in order]
    of = found.confusion.sum(axis=1)
    return [
        f"{_label(found, true)} taken for {_label(found, taken)} "
        f"({wrong[true, taken]:,} of {of[true]:,})"
        for true, taken in places
        if wrong[true, taken] > 0
    ]


def _label(found: Judgement, index: int) -> str:
    label = found.labels[index]
    return (
        label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 3]}..."
    )


def _by_class(found: Judgement) -> list[str]:
    """The confusion matrix with recall and precision, or these alone where it is wide.

    Of more classes than `MOST_SHOWN` those that are found least.
    """
    count = len(found.labels)
    if count <= MOST_SHOWN:
        lines = _matrix(found)
        if max(map(len, lines)) <= WIDTH:
            return lines
    assert found.confusion is not None
    rows, (recall, precision) = found.confusion.sum(axis=1), shares(found.confusion)
    order = np.arange(count)
    if count > MOST_SHOWN:
        order = np.argsort(np.nan_to_num(recall, nan=2.0), kind="stable")[:MOST_WORST]
    cells = [
        [_label(found, i), f"{rows[i]:,}", _percent(recall[i]), _percent(precision[i])]
        for i in order.tolist()
    ]
    lines = table(["class", "rows", "recall %", "precision %"], cells, numbers=3)
    if count > MOST_SHOWN:
        lines.append(f"(the {len(order)} of {count:,} classes that are found least)")
    return lines


def _matrix(found: Judgement) -> list[str]:
    assert found.confusion is not None
    recall, precision = shares(found.confusion)
    names = [_label(found, i) for i in range(len(found.labels))]
    rows = [
        [name, *(f"{count:,}" if count else "." for count in counts), _percent(share)]
        for name, counts, share in zip(
            names, found.confusion.tolist(), recall, strict=True
        )
    ]
    rows.append(["precision %", *map(_percent, precision), ""])
    head = ["true \\ predicted", *names, "recall %"]
    return table(head, rows, numbers=len(names) + 1)


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.0f}"
