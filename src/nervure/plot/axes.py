# SPDX-License-Identifier: BSD-3-Clause
"""Axes: those that are given, or those of a new figure; colours of layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nervure.base.extras import needed
from nervure.base.words import many

MOST_NAMED = 12
"""Lines that a legend names; of more the first, the last and some between."""


def one(where: str, ax: Any, size: tuple[float, float] = (5.2, 3.6)) -> Any:
    """The axes given, or new ones of so many inches.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    if ax is not None:
        return ax
    pyplot = needed("matplotlib.pyplot", where)
    return pyplot.subplots(figsize=size, layout="constrained")[1]


def several(where: str, axes: Any, count: int, size: tuple[float, float]) -> Any:
    """So many axes, in an array: those given, or new ones in a grid.

    Raises:
        ValueError: there are fewer or more.
    """
    if axes is None:
        pyplot = needed("matplotlib.pyplot", where)
        across = min(count, math.ceil(math.sqrt(count)) if count > 4 else count)
        down = -(-count // across)
        whole = (size[0] * across, size[1] * down)
        grid = {"figsize": whole, "layout": "constrained", "squeeze": False}
        found = pyplot.subplots(down, across, sharex=True, sharey=True, **grid)[1]
        for left in found.ravel()[count:]:
            left.remove()
        return found.ravel()[:count]
    panels = np.ravel(axes)
    if len(panels) != count:
        raise ValueError(
            f"[{where}] {len(panels)} axes for {many(count, 'panel')}; expected one "
            "for each; leave axes out"
        )
    return panels


def colours(count: int) -> list[Any]:
    """So many colours, dark for the first layers and light for the last ones."""
    viridis = needed("matplotlib", "plot").colormaps["viridis"]
    return [viridis(place) for place in np.linspace(0, 0.88, max(count, 2))[:count]]


def named(names: Sequence[str]) -> list[str]:
    """Labels of lines; Matplotlib's legends leave out those that begin with ``_``."""
    every = -(-len(names) // MOST_NAMED)
    last = len(names) - 1
    return [n if i % every == 0 or i == last else f"_{n}" for i, n in enumerate(names)]
