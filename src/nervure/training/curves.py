# SPDX-License-Identifier: BSD-3-Clause
"""Curves of a run's history, drawn with Matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np

from nervure.base.extras import needed
from nervure.training.history import History
from nervure.training.table import HELD_OUT, short_name

NO_MEASURES = ("seconds",)


def plot(history: History, best_epoch: int, axes: Any = None) -> Any:
    """Draw a panel per measure: of the training rows and of those held out.

    A dashed line stands at the best epoch.

    Returns:
        The axes, in an array.
    """
    measures = list(
        dict.fromkeys(
            name.removeprefix(HELD_OUT) for name in history if name not in NO_MEASURES
        )
    )
    if axes is None:
        pyplot = needed("matplotlib.pyplot", "run.plot")
        size = (4.2 * len(measures), 3.2)
        options = {"figsize": size, "layout": "constrained", "squeeze": False}
        axes = pyplot.subplots(1, len(measures), **options)[1]
    panels = np.ravel(axes)
    if len(panels) != len(measures):
        raise ValueError(
            f"[run.plot] {len(panels)} axes for {len(measures)} measures "
            f"({', '.join(measures)}); expected one for each; leave axes out"
        )
    for panel, measure in zip(panels, measures, strict=True):
        _draw(panel, history, measure, best_epoch)
    return panels


def _draw(panel: Any, history: History, measure: str, best_epoch: int) -> None:
    epochs = np.arange(1, history.epochs + 1)
    mark = "o" if history.epochs < 2 else ""  # one point is no line
    for name in (measure, HELD_OUT + measure):
        if name in history:
            rows = "held out" if name.startswith(HELD_OUT) else "training"
            label = short_name(name) if name == "learning_rate" else rows
            panel.plot(epochs, history[name], marker=mark, label=label)
    if best_epoch >= 0:
        label = f"best, after {best_epoch + 1}"
        panel.axvline(best_epoch + 1, color="grey", linestyle="--", label=label)
    panel.set_xlabel("epochs")
    panel.set_ylabel(short_name(measure))
    panel.legend()
