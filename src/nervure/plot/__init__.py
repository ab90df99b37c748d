# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of a run, of its answers, of its weights and of the graph.

All but `architecture` draw with Matplotlib (extra ``plot``), on axes that are given or
on those of a new figure, and return the axes.

>>> import nervure as nv
>>> net = nv.Network([nv.Input(2), nv.Dense(1)])
>>> nv.plot.architecture(net).svg.startswith("<svg")
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nervure.base.lazy import loader

if TYPE_CHECKING:
    from nervure.plot.answers import confusion, reliability
    from nervure.plot.drawing import Drawing, architecture
    from nervure.plot.training import (
        distributions,
        gradient_flow,
        history,
        learning_speed,
    )
    from nervure.plot.weights import embeddings, filters

__all__ = [
    "Drawing",
    "architecture",
    "confusion",
    "distributions",
    "embeddings",
    "filters",
    "gradient_flow",
    "history",
    "learning_speed",
    "reliability",
]

_HOMES = {
    "Drawing": ".drawing",
    "architecture": ".drawing",
    "confusion": ".answers",
    "distributions": ".training",
    "embeddings": ".weights",
    "filters": ".weights",
    "gradient_flow": ".training",
    "history": ".training",
    "learning_speed": ".training",
    "reliability": ".answers",
}

__getattr__ = loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
