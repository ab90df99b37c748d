# SPDX-License-Identifier: BSD-3-Clause
"""Conformal intervals and sets of any model: score held-out rows, then predict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data import Dataset
from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import one_each
from nervure.ensemble.ensemble import Ensemble
from nervure.network.conformal import Conformal, ConformalError, Method
from nervure.network.network import Network
from nervure.network.predicting import ready
from nervure.uncertainty.outputs import (
    Floats,
    as_probabilities,
    classes_of,
    is_classifier,
    predictions_of,
    probabilities_of,
    same_rows,
)
from nervure.uncertainty.temperature import at_temperature, has_probabilities

Spread = Callable[[Any], Any]
"""From rows to how hard each of them is, above 0."""


def conformalize(
    model: Any,
    X: Any,
    y: Any,
    *,
    method: Method | None = None,
    spread: Spread | None = None,
    seed: int | None = None,
) -> Conformal:
    """Score a model's predictions for rows that training did not see.

    The result goes to `predict_interval` or `predict_set`. ``net.conformal = ...`` of
    a `Network` puts it into the model file.

    Args:
        model: anything with ``predict_proba`` or ``predict``.
        X, y: rows as ``predict`` takes them, and their labels or amounts: of the same
            kind as those to come, and used for nothing else.
        method: see `Conformal`; by default ``lac`` for classes, ``absolute`` for
            amounts.
        spread: for ``normalized``, a function of rows that gives positive numbers.
        seed: randomizes ``aps``.

    Raises:
        ConformalError, ValueError: a method, rows or targets that do not fit.

    >>> import nervure as nv
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=500).fit(X[::2], y[::2])
    >>> scores = nv.uncertainty.conformalize(model, X[1::2], y[1::2])
    >>> nv.uncertainty.predict_set(model, X[:1], scores).tolist()
    [[True, False, False]]
    """
    if method is None:
        method = "lac" if is_classifier(model) else "absolute"
    if method in ("lac", "aps"):
        p = probabilities_of(model, X)
        same_rows("conformal", len(p), y)
        classes = classes_of(model, y, p.shape[1])
        return Conformal.of_classes(classes, p, method=method, seed=seed)
    found = predictions_of(model, X)
    same_rows("conformal", len(found), y)
    hard = None if spread is None else spread(X)
    return Conformal.of_amounts(y, found, method=method, spread=hard)


def calibrate(network: Network | Ensemble, dataset: Dataset) -> Network | Ensemble:
    """A copy of a trained network or ensemble that knows how sure it may be.

    The temperature comes from the rows that early stopping looked at, the conformal
    scores from those kept for them (``[data] calibration`` of a spec), which nothing
    else has seen: ``lac`` for classes, ``absolute`` for amounts, ``cqr`` for
    quantiles. The members of an ensemble keep their temperatures: it is their average
    that is scored.

    Args:
        network: trained on the data set, with one output.
        dataset: as `nervure.runs.training.load_data` gives it.

    Raises:
        ConformalError: the data set keeps no rows for calibration, or the network has
            several outputs.
    """
    if dataset.calibration is None or len(network.graph.outputs) > 1:
        fact = (
            "no rows are kept for calibration"
            if dataset.calibration is None
            else f"the network has {len(network.graph.outputs)} outputs"
        )
        raise ConformalError(
            f"[calibrate] {fact}; expected a fraction of the rows and one output; set "
            "data.calibration = 0.1, or calibrate in Python with conformalize"
        )
    made = _tempered(network, dataset)
    inputs, targets = dataset.calibration
    (y,) = made.executor().outputs(ready(made, dataset.preprocessing, inputs))
    rows = one_each(y, "calibrate").reshape(len(y), -1)
    record = made.preprocessing or dataset.preprocessing
    made.conformal = _scores(record, rows, targets)
    return made


def _tempered(network: Network | Ensemble, dataset: Dataset) -> Network | Ensemble:
    """A copy, at the temperature that is best for the rows held out."""
    if isinstance(network, Ensemble):
        return Ensemble(network.members)
    rows = dataset.held_out_rows
    if rows is None or not has_probabilities(network):
        return network.copy()
    held = ready(network, dataset.preprocessing, dataset.inputs[rows])
    return at_temperature(network, held, dataset.targets[rows])


def _scores(record: Preprocessing, outputs: Any, targets: Any) -> Conformal:
    """The scores of encoded rows, amounts in their units."""
    if record.task == "classification":
        return Conformal.of_classes(targets, as_probabilities(outputs))
    y, a = record.decode_targets(targets), record.decode_targets(outputs)
    quantiles = a.shape[1] > y.shape[1]
    if quantiles and y.shape[1] > 1:
        a = a.reshape(*y.shape, -1)
    return Conformal.of_amounts(y, a, method="cqr" if quantiles else "absolute")


def predict_interval(
    model: Any,
    X: Any,
    conformal: Conformal | None = None,
    *,
    level: float = 0.9,
    spread: Spread | None = None,
) -> Floats:
    """Intervals that hold the truth of at least ``level`` of the rows.

    Args:
        model: the one that was calibrated.
        X: rows as ``predict`` takes them.
        conformal: what `conformalize` gave; by default that of the network.
        level: in (0, 1).
        spread: for ``normalized``, the same function.

    Returns:
        Lower and upper ends, ``(rows, 2)`` or ``(rows, targets, 2)``.
    """
    scores = _known(model, conformal)
    hard = None if spread is None else spread(X)
    return scores.intervals(predictions_of(model, X), level, spread=hard)


def predict_set(
    model: Any, X: Any, conformal: Conformal | None = None, *, level: float = 0.9
) -> npt.NDArray[np.bool_]:
    """Sets of classes that hold the right one for at least ``level`` of the rows.

    Arguments as for `predict_interval`.

    Returns:
        Which classes are in the set, ``(rows, classes)``, in the order of the
        probabilities.
    """
    scores = _known(model, conformal)
    return scores.sets(probabilities_of(model, X), level)


def _known(model: Any, conformal: Conformal | None) -> Conformal:
    found = getattr(model, "conformal", None) if conformal is None else conformal
    if not isinstance(found, Conformal):
        raise ConformalError(
            "[conformal] the model is not calibrated; expected scores of rows that "
            "training did not see; pass what conformalize(model, X, y) gives, or train "
            "with nervure train --calibrate"
        )
    return found
