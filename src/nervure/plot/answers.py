# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of answers beside what is true: who is taken for whom, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.metrics import confusion_matrix
from nervure.plot import axes as places
from nervure.uncertainty.reliability import BINS, reliability_curve

MOST_NUMBERS = 20
"""Classes whose counts are written into the tiles."""


def confusion(
    y: npt.ArrayLike,
    output: npt.ArrayLike,
    ax: Any = None,
    *,
    labels: Sequence[object] | None = None,
) -> Any:
    """Draw the rows of every class by what they are taken for.

    Colours are shares of the row's class, numbers are counts.

    Args:
        y: classes by number ``(rows,)``, or one-hot rows.
        output: what the network gives, ``(rows, classes)``.
        labels: names of the classes; by default their numbers.

    Raises:
        ValueError: rows or labels that do not fit each other.

    >>> import nervure as nv
    >>> ax = nv.plot.confusion([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> [text.get_text() for text in ax.texts]
    ['1', '0', '1', '1']
    """
    table = confusion_matrix(y, output)
    count = len(table)
    names = [str(label) for label in (range(count) if labels is None else labels)]
    if len(names) != count:
        raise ValueError(
            f"[plot.confusion] {len(names)} labels for {count} classes; expected one "
            "for each; name all of them"
        )
    side = min(2.2 + 0.42 * count, 12.0)
    ax = places.one("plot.confusion", ax, (side + 0.6, side))
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ax.figure.colorbar(image, ax=ax, label="share of the true class", shrink=0.8)
    turned = max(map(len, names)) > 3
    ax.set_xticks(range(count), names, rotation=90 if turned else 0)
    ax.set_yticks(range(count), names)
    ax.set_xlabel("taken for")
    ax.set_ylabel("true class")
    for (i, j), value in np.ndenumerate(table if count <= MOST_NUMBERS else []):
        colour = "white" if shares[i, j] > 0.6 else "black"
        middle = {"ha": "center", "va": "center", "fontsize": "small"}
        ax.text(j, i, f"{value:g}", color=colour, **middle)
    return ax


def reliability(y: Any, probabilities: Any, ax: Any = None, *, bins: int = BINS) -> Any:
    """Draw how often answers are right beside how sure they were.

    On the diagonal the two agree; below it the network is too sure of itself. The area
    of a dot is the number of rows.

    Args:
        y, probabilities, bins: as for `nervure.uncertainty.reliability_curve`.
    """
    curve = reliability_curve(y, probabilities, bins=bins)
    ax = places.one("plot.reliability", ax, (4.2, 4.0))
    ax.plot([0, 1], [0, 1], color="grey", linestyle="--", label="as sure as right")
    gap = f"calibration error {curve.error:.3g}"
    ax.vlines(curve.confidence, curve.confidence, curve.accuracy, color="C1", label=gap)
    sizes = 12 + 250 * curve.rows / curve.rows.max()
    ax.scatter(curve.confidence, curve.accuracy, sizes, zorder=3, alpha=0.8)
    ax.set_xlim(0, 1.02)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel("confidence")
    ax.set_ylabel("share that is right")
    ax.legend(loc="best", fontsize="small")
    return ax
