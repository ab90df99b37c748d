# SPDX-License-Identifier: BSD-3-Clause
"""The order in which a user's function takes target and output.

One order for losses and metrics: ``(target, output)``, that of scikit-learn and Keras.
A function whose parameters are named the other way round is called as it asks for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

_TARGETS = {
    *("target", "targets", "label", "labels", "truth", "true", "expected"),
    *("y", "t", "y_true", "ytrue", "true_y", "y_target"),
}
_OUTPUTS = {
    *("output", "outputs", "prediction", "predictions", "predicted", "pred", "preds"),
    *("o", "p", "y_pred", "ypred", "pred_y", "y_hat", "yhat", "y_output", "score"),
    *("scores", "logits", "probabilities"),
}


def positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Parameters that may be given by position; none where a callable tells nothing."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    return [one for one in parameters if one.kind in kinds]


def target_comes_first(function: Callable[..., Any]) -> bool | None:
    """Whether the first parameter is the target; None if the names do not tell.

    >>> target_comes_first(lambda y_true, y_pred: 0.0)
    True
    >>> target_comes_first(lambda output, target: 0.0)
    False
    >>> target_comes_first(lambda a, b: 0.0) is None
    True
    """
    names = [one.name.lower().strip("_") for one in positional(function)[:2]]
    if len(names) < 2:
        return None
    first, second = names
    forward = first in _TARGETS or second in _OUTPUTS
    backward = first in _OUTPUTS or second in _TARGETS
    return None if forward == backward else forward
