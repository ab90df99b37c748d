# SPDX-License-Identifier: BSD-3-Clause
"""What a graph says by itself: which layer follows which, and what bends anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nervure.base import plain
from nervure.graph.graph import Graph
from nervure.graph.node import Entry
from nervure.graph.objective import activation_of

PASSING = frozenset(
    {
        "dropout",
        "spatial_dropout",
        "flatten",
        "reshape",
        "stochastic_depth",
        "gaussian_noise",
    }
)
"""Layers that pass on what they read."""

LINEAR = PASSING | {
    *("input", "dense", "ensemble_dense", "ensemble_mean", "add", "concatenate"),
    *("slice", "normalize", "constant", "linear", "batch_norm", "embedding"),
    "embedding_bag",
    *(
        f"{kind}{n}d"
        for n in (1, 2, 3)
        for kind in ("conv", "average_pool", "cropping")
    ),
    *(f"{kind}{n}d" for n in (1, 2, 3) for kind in ("zero_padding", "up_sampling")),
    *(f"global_average_pool{n}d" for n in (1, 2, 3)),
    *(f"conv{n}d_transpose" for n in (1, 2, 3)),
    *(f"depthwise_conv{n}d" for n in (1, 2)),
}
"""Layers that are linear in what they read, once they are trained."""


def function_of(graph: Graph, node: int) -> str:
    """The activation of a node, else its kind."""
    return activation_of(graph.nodes[node].layer)


def output_function(graph: Graph) -> str:
    """The activation of the first output, else its kind."""
    node = graph.outputs[0]
    while function_of(graph, node) in PASSING and graph.nodes[node].inputs:
        node = graph.nodes[node].inputs[0]
    return function_of(graph, node)


def behind(
    graph: Graph, kinds: Sequence[str], read: Sequence[str]
) -> tuple[str, str] | None:
    """Names of a layer and of one of ``kinds`` that reads it, by dropout or not."""
    for i, node in enumerate(graph.nodes):
        if function_of(graph, i) not in kinds or len(node.inputs) != 1:
            continue
        below = node.inputs[0]
        while function_of(graph, below) in PASSING:
            below = graph.nodes[below].inputs[0]
        if function_of(graph, below) in read:
            return graph.nodes[below].group, node.group
    return None


def after_last_weights(graph: Graph, kinds: Sequence[str]) -> int | None:
    """A node of ``kinds`` between the last layer with weights and an output."""
    for output in graph.outputs:
        node = output
        while not graph.nodes[node].parameters and len(graph.nodes[node].inputs) == 1:
            if graph.nodes[node].layer.kind in kinds:
                return node
            node = graph.nodes[node].inputs[0]
    return None


def is_linear(graph: Graph) -> bool:
    """Whether nothing bends anything but the activations of the outputs."""
    ends = set(graph.outputs)
    for output in graph.outputs:
        node = output
        while not graph.nodes[node].parameters and len(graph.nodes[node].inputs) == 1:
            ends.add(node)
            node = graph.nodes[node].inputs[0]
    return all(
        i in ends or function_of(graph, i) in LINEAR for i in range(len(graph.nodes))
    )


def activation_key(entries: Sequence[Entry]) -> tuple[str, Any] | None:
    """Key and value of the last layer's activation, where it has such a field."""
    if not entries or not hasattr(entries[-1].layer, "activation"):
        return None
    value = plain.write(getattr(entries[-1].layer, "activation", None))
    return f"layer.{len(entries) - 1}.activation", value
