# SPDX-License-Identifier: BSD-3-Clause
"""Divergence: which layer's numbers stopped being finite, and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np

from nervure.executors import Data, Executor
from nervure.training.run import Run


class DivergenceError(ArithmeticError):
    """Training whose numbers are no longer finite; ``run`` is what was reached."""

    def __init__(self, message: str, run: Run) -> None:
        super().__init__(message)
        self.run = run


def explain(executor: Executor, data: Data, rows: Any, rate: float) -> str:
    """The message for a batch whose cost is not finite under the present weights."""
    layer = _first_bad_layer(executor, data.take(rows))
    where = f"[{layer}] values" if layer else "[loss] cost"
    return (
        f"{where} became infinite or NaN at learning rate {rate:g}; expected finite "
        f"numbers; {remedy(rate)}"
    )


def remedy(rate: float) -> str:
    """What to do about numbers that grow."""
    smaller = f"try {rate / 10:.1g}" if rate > 0 else "lower it"
    return (
        f"lower the learning rate ({smaller}), clip the gradient (clip_norm=1) or "
        "scale the inputs"
    )


def _first_bad_layer(executor: Executor, batch: Data) -> str | None:
    with np.errstate(all="ignore"):
        values = executor.trace(batch, None).values
    for node, value in zip(executor.model.graph.nodes, values, strict=True):
        if not np.isfinite(value).all():
            return node.group
    return None
