# SPDX-License-Identifier: BSD-3-Clause
"""What is refused before training begins."""

from __future__ import annotations

from nervure.graph import Graph
from nervure.layers import LayerError


def check_trainable(graph: Graph) -> None:
    """Raises `LayerError` where no gradient can pass to parameters below.

    A perceptron's step has derivative 0 wherever it has one.
    """
    learns = [bool(node.parameters) for node in graph.nodes]
    for i, node in enumerate(graph.nodes):
        learns[i] = learns[i] or any(learns[feed] for feed in node.inputs)
        reason = node.layer.untrainable
        if reason and any(learns[feed] for feed in node.inputs):
            raise LayerError(f"[{node.name}] {reason}")
