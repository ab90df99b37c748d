# SPDX-License-Identifier: BSD-3-Clause
"""The part of a network that training has to run: all of it, or what a trunk leaves.

A trunk is the beginning of a network that gives the same for a row in every step:
frozen or without parameters, and nothing in it random. Its outputs, the features, are
computed once, and the rest is trained on them. That rest is a graph of its own whose
parameters lie where they always lay, so that weights, slots and checkpoints are those
of the whole network.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nervure.data.ragged import Ragged
from nervure.executors import Data, Executor, Model, count_of, make_executor
from nervure.graph.graph import Graph, leading_to
from nervure.graph.node import Entry
from nervure.graph.objective import Objective
from nervure.graph.parameters import Layout
from nervure.layers import Input
from nervure.layers._layer import Further
from nervure.network.network import Network
from nervure.training.prepare import Prepared

FEATURE_BYTES = 2**30
"""Features of more rows than fit into this are not kept: the trunk runs every time."""


@dataclass(frozen=True)
class Learner:
    """What training runs.

    Attributes:
        executor: of the whole network, or of what a trunk leaves.
        objective: its losses.
        data, validation: all rows as it takes them.
        cached: whether these are features of a trunk.
    """

    executor: Executor
    objective: Objective
    data: Data
    validation: Data | None
    cached: bool = False


def learner_of(
    net: Network,
    prepared: Prepared,
    objective: Objective,
    executor: str,
    *,
    changing: bool = False,
) -> Learner:
    """What training of ``net`` has to run, features computed if there is a trunk.

    ``changing`` says that rows are changed at random before the network sees them.
    """
    whole = net.executor(executor)
    data, validation = prepared.data, prepared.validation
    trunk = set[int]() if changing else trunk_of(whole.model)
    ends = _ends(net.graph, trunk)
    held = [each for each in (data, validation) if each is not None]
    if not _worth_it(net, trunk, ends, objective, held):
        return Learner(whole, objective, data, validation)
    below = make_executor(executor, _below(whole.model, trunk, ends))
    above, places = _above(whole.model, trunk, ends)
    moved = Objective(
        tuple(dataclasses.replace(c, node=places[c.node]) for c in objective.costs)
    )
    return Learner(
        make_executor(executor, above),
        moved,
        _features(below, data),
        None if validation is None else _features(below, validation),
        cached=True,
    )


def trunk_of(model: Model) -> set[int]:
    """Nodes whose values for a row are the same in every step of training.

    None where weights are tied or a layer has several outputs: what is cut in two there
    is not one graph less the other.
    """
    shared = any(segment.others for segment in model.layout.segments)
    if shared or any(isinstance(n.layer, Further) for n in model.graph.nodes):
        return set()
    learning, found = {*model.trainable_nodes}, set[int]()
    for i, node in enumerate(model.graph.nodes):
        layer = node.layer
        couples = layer.couples_rows and not model.is_still(i)
        same = i not in learning and not couples and not layer.random
        if same and found.issuperset(node.inputs):
            found.add(i)
    return found


def _ends(graph: Graph, trunk: set[int]) -> list[int]:
    """Nodes of the trunk that others read."""
    others = (node for i, node in enumerate(graph.nodes) if i not in trunk)
    return sorted({feed for node in others for feed in node.inputs} & trunk)


def _worth_it(
    net: Network,
    trunk: set[int],
    ends: list[int],
    objective: Objective,
    held: Sequence[Data],
) -> bool:
    """Whether the trunk computes anything, ends before the outputs, and is kept."""
    nodes = net.graph.nodes
    work = sum(nodes[i].flops for i in trunk)
    outside = not trunk & {*net.graph.outputs, *objective.nodes}
    # A constant has one row for all; its values are computed each time.
    plain = all(nodes[i].inputs or isinstance(nodes[i].layer, Input) for i in ends)
    kept = sum(
        math.prod(nodes[i].shape) * sum(count_of(net.graph, data, i) for data in held)
        for i in ends
    )
    size = kept * net.values.itemsize
    return work > 0 and outside and plain and size <= FEATURE_BYTES


def _below(model: Model, trunk: set[int], ends: Sequence[int]) -> Model:
    """The trunk, ending in what others read of it."""
    graph = model.graph
    names = [graph.nodes[i].name for i in ends]
    inputs = [graph.nodes[i].name for i in graph.inputs]  # every one, used or not
    entries = [graph.entry(i) for i in sorted(trunk)]
    return _part(model, Graph.of(leading_to(entries, [*names, *inputs]), names))


def _above(
    model: Model, trunk: set[int], ends: Sequence[int]
) -> tuple[Model, dict[int, int]]:
    """The rest of the network, fed by the features; places of its nodes in it."""
    graph = model.graph
    inputs = [
        Entry(Input(n.shape, n.clock is not None), n.name)
        for n in (graph.nodes[i] for i in ends)
    ]
    rest = [i for i in range(len(graph.nodes)) if i not in trunk]
    outputs = [graph.nodes[i].name for i in graph.outputs]
    made = Graph.of([*inputs, *map(graph.entry, rest)], outputs)
    return _part(model, made), {i: made.index[graph.nodes[i].name] for i in rest}


def _part(model: Model, graph: Graph) -> Model:
    """A model of some nodes, whose parameters stay where they are."""
    segments = tuple(
        dataclasses.replace(s, node=graph.index[model.graph.nodes[s.node].name])
        for s in model.layout.segments
        if model.graph.nodes[s.node].name in graph.index
    )
    return dataclasses.replace(
        model, graph=graph, layout=Layout(segments, model.layout.size)
    )


def _features(trunk: Executor, data: Data) -> Data:
    features = trunk.outputs(Data(data.inputs, scales=data.scales))
    ones = tuple(1.0 for _ in features)
    kept = tuple(
        y if isinstance(y, Ragged) else np.ascontiguousarray(y) for y in features
    )
    return dataclasses.replace(data, inputs=kept, scales=ones)
