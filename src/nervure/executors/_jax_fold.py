# SPDX-License-Identifier: BSD-3-Clause
"""What the JAX executor computes: a graph folded over its layers' formulas.

All functions here are pure and traced by `jax.jit`; parameters go by their names in the
layout (``dense.weight``), values by the positions of their nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np

from nervure.base.extras import needed
from nervure.data.labels import Labels
from nervure.data.ragged import Ragged
from nervure.executors._executor import Data, Model
from nervure.executors._jax_sequences import (
    Packed,
    Packing,
    Size,
    Sizes,
    Steps,
    sizes_of,
    steps_of,
    taken,
)
from nervure.graph.graph import Graph
from nervure.graph.node import Node
from nervure.graph.objective import Cost, Objective
from nervure.graph.parameters import Layout
from nervure.layers import Layer, Pass
from nervure.layers._layer import Further
from nervure.losses import CustomLoss

Array = Any
"""An array of JAX, traced or on the device."""

Arrays = Mapping[str, Array]


class Batch(NamedTuple):
    """Inputs and targets of rows, their weights or None; weights of steps, and scales.

    Of a data set, sequences are `Steps`; of a batch, `Packed`. Labels that a loss
    aligns are filled up with its blank.
    """

    inputs: tuple[Any, ...]
    targets: tuple[Any, ...]
    weights: Array | None
    step_weights: tuple[Any, ...]
    step_scales: tuple[Array, ...]


class Room(NamedTuple):
    """Room for the steps of a batch: of its inputs, and of its targets."""

    inputs: Sizes
    targets: Sizes

    @classmethod
    def of(cls, data: Data, count: int) -> Room:
        """For any ``count`` rows of the data."""
        return cls(sizes_of(data.inputs, count), sizes_of(data.targets, count))


def load_jax() -> Any:
    """The module ``jax``.

    Raises:
        ImportError: it is not installed.
    """
    return needed("jax", 'executor="jax"')


@contextmanager
def precision(jax: Any, dtype: np.dtype[Any]) -> Generator[None]:
    """Trace and run in the network's precision, whatever the process has set.

    Accelerators would else round the factors of float32 products to 10 bits.
    """
    with ExitStack() as stack:
        enable_x64 = getattr(jax, "enable_x64", None)
        if enable_x64 is None:  # JAX before 0.8
            from jax.experimental import enable_x64  # type: ignore[no-redef]
        stack.enter_context(cast(Any, enable_x64)(dtype == np.float64))
        stack.enter_context(jax.default_matmul_precision("highest"))
        yield


def upload(jax: Any, array: Array) -> Array:
    """A copy on the device: JAX may else read the host's memory later on."""
    return jax.numpy.array(array, copy=True)


def refuse_custom(objective: Objective) -> None:
    """Raises `LossError` for a loss that is a Python function of NumPy arrays."""
    for cost in objective.costs:
        if isinstance(cost.loss, CustomLoss):
            raise cost.loss.fail(
                "a Python function of NumPy arrays cannot be compiled by JAX",
                'use executor="native" or a built-in loss',
            )


# -- parameters ------------------------------------------------------------------


def learning(model: Model) -> tuple[str, ...]:
    """Names of the parameters that an optimizer moves."""
    return tuple(s.name for s in model.learning)


def storing(model: Model) -> tuple[str, ...]:
    """Names of the parameters that training moves without an optimizer."""
    return tuple(
        name
        for i, node in enumerate(model.graph.nodes)
        if type(node.layer).state_updates is not Layer.state_updates
        and not model.is_still(i)
        for name, parameter in zip(node.parameter_names, node.parameters, strict=True)
        if not parameter.trainable
    )


def split(layout: Layout, flat: Array) -> dict[str, Array]:
    """The parameters of a flat array by name."""
    return {
        s.name: flat[s.offset : s.offset + s.size].reshape(s.shape)
        for s in layout.segments
    }


def join(layout: Layout, flat: Array, parts: Arrays) -> Array:
    """The flat array with these parts written over; the rest keeps its bits."""
    for s in layout.segments:
        if s.name in parts:
            part = parts[s.name].reshape(-1).astype(flat.dtype)
            flat = flat.at[s.offset : s.offset + s.size].set(part)
    return flat


# -- forward ---------------------------------------------------------------------


class Sequences:
    """The clocks of a batch: how the steps of each lie side by side."""

    def __init__(
        self, xp: Any, graph: Graph, inputs: Sequence[Array | Packed], sizes: Sizes
    ) -> None:
        self._graph = graph
        self.packings = {
            node: Packing(xp, x.lengths, size)
            for node, x, size in zip(graph.inputs, inputs, sizes, strict=True)
            if isinstance(x, Packed) and size is not None
        }

    def of(self, node: Node) -> Packing | None:
        """Of the clock of a node."""
        return None if node.clock is None else self.packings[node.clock]

    def at(self, node: int) -> Packing | None:
        """Of the clock of the node at this place of the graph."""
        return self.of(self._graph.nodes[node])

    def count(self, node: Node, inputs: Sequence[Array]) -> int:
        """Values of a node: one for each row, or for each step there is room for."""
        packing = self.of(node)
        if packing is not None:
            return int(packing.row.shape[0])
        rows = next((p.lengths for p in self.packings.values()), inputs[0])
        return int(rows.shape[0])

    def seen(self, nodes: Sequence[Node], feeds: Sequence[Array], count: int) -> Any:
        """Sequences as layers see them, and their lengths: the first ``count``."""
        found = [self.of(node) for node in nodes[:count]]
        pairs = zip(feeds, [*found, *(None for _ in feeds[count:])], strict=True)
        lengths = [None if one is None else one.lengths for one in found]
        return (
            [x if one is None else one.unpack(x) for x, one in pairs],
            tuple(lengths),
        )


def fold(
    xp: Any,
    graph: Graph,
    parameters: Arrays,
    inputs: Sequence[Array],
    info: Pass,
    shifts: Mapping[int, Array] | None = None,
    stored: dict[str, Array] | None = None,
    still: frozenset[int] = frozenset(),
    sequences: Sequences | None = None,
) -> list[Array]:
    """The value of every node for a batch.

    ``shifts`` are added to the values of nodes as their consumers see them: the
    derivative of a cost in a shift is the one in the node's value. Into ``stored`` goes
    what layers store in training (running statistics), by name. Nodes that are
    ``still`` do what they do in inference. The steps of ``sequences`` lie side by side.
    """
    clocks = sequences or Sequences(xp, graph, (), ())
    given = dict(zip(graph.inputs, inputs, strict=True))
    values: list[Array] = []
    further: dict[int, tuple[Array, ...]] = {}
    for i, node in enumerate(graph.nodes):
        if isinstance(node.layer, Further):
            value = further[node.inputs[0]][node.layer.number]
            values.append(value + shifts[i] if shifts and i in shifts else value)
            continue
        feeds = [given[i]] if i in given else [values[j] for j in node.inputs]
        own = node.own(parameters)
        training = info.training and i not in still
        packing = clocks.of(node)
        valid = None if packing is None else packing.valid
        key = Pass(training, info.seed, info.step, node.random_key, valid=valid)
        if node.layer.sequences:
            sources = [graph.nodes[j] for j in node.inputs]
            feeds, lengths = clocks.seen(sources, feeds, node.layer.sequences)
            key = replace(key, lengths=lengths)
        value: Any = node.layer.formula(xp, own, *feeds, info=key)
        if isinstance(value, tuple):
            value, *others = cast(tuple[Any, ...], value)
            further[i] = tuple(y.astype(inputs[0].dtype) for y in others)
        if node.layer.sequences and packing is not None:
            value = packing.pack(value)
        if stored is not None and i not in still:
            moved = node.layer.state_updates(xp, own, *feeds, info=key)
            stored.update({f"{node.name}.{name}": v for name, v in moved.items()})
        if not node.inputs and i not in given:  # a Constant gives one row
            value = xp.broadcast_to(value, (clocks.count(node, inputs), *node.shape))
        value = value.astype(inputs[0].dtype)
        values.append(value + shifts[i] if shifts and i in shifts else value)
    return values


def row_costs(
    xp: Any,
    objective: Objective,
    values: Sequence[Array],
    batch: Batch,
    sizes: Sizes,
    sequences: Sequences,
) -> Array:
    """Cost of every row, all outputs together, ``(batch,)``."""
    total: Array = 0.0
    for i, cost in enumerate(objective.costs):
        value, target = values[cost.node], batch.targets[i]
        if cost.loss.aligns:
            costs = _aligned(xp, cost, value, target, sequences)
            total = total + cost.weight * costs
            continue
        if isinstance(target, Packed):
            size, weights = sizes[i], batch.step_weights[i]
            y = value.reshape(target.values.shape[0], -1)
            costs = _of_members(xp, cost, y, target.values)
            if weights is not None:
                costs = costs * weights.values
            assert size is not None
            sums = Packing(xp, target.lengths, size).sum_rows(costs)
            total = total + cost.weight * sums / batch.step_scales[i]
            continue
        total = total + cost.weight * _of_members(xp, cost, value, target)
    return total


def _of_members(xp: Any, cost: Cost, value: Array, target: Array) -> Array:
    """Of each target; where an ensemble gives the values, the mean of its members'."""
    y = value.reshape(value.shape[0] * cost.members, -1)
    own = xp.repeat(target, cost.members, axis=0)
    return _costs(xp, cost, y, own).reshape(-1, cost.members).mean(axis=1)


def _aligned(
    xp: Any, cost: Cost, value: Array, target: Array, sequences: Sequences
) -> Array:
    """Of each row whose steps have a sequence of labels together."""
    packing = sequences.at(cost.node)
    if packing is None:
        y, steps = value, xp.full(len(target), cost.places)
    else:
        y, steps = packing.unpack(value), packing.lengths
    return cost.loss.aligned_costs(xp, y, target, steps, cost.form)


def _costs(xp: Any, cost: Cost, y: Array, target: Array) -> Array:
    if cost.fused:
        return cost.loss.logits_formula(xp, y, target, cost.fused)
    return cost.loss.costs(xp, y, target, cost.activation)


def mean_cost(
    xp: Any, costs: Array, weights: Array | None, by_rows: bool = False
) -> Array:
    """Weighted mean of the rows' costs (see `Data`); 0 where all rows weigh 0."""
    if weights is None:
        return costs.mean()
    if by_rows:
        return (costs * weights).mean()
    total = weights.sum()
    return (costs * (weights / xp.where(total > 0, total, 1.0))).sum()


def reached(graph: Graph, objective: Objective) -> list[int]:
    """Nodes whose value a cost depends on through the graph's edges."""
    found = set(objective.nodes)
    for i in reversed(range(len(graph.nodes))):
        if i in found:
            found.update(graph.nodes[i].inputs)
    return sorted(found)


# -- data ------------------------------------------------------------------------


def on_host(data: Data, dtype: np.dtype[Any]) -> Batch:
    """The arrays as the device takes them: bytes stay, other inputs get ``dtype``.

    Weights become shares of the largest one, so that they fit float32, unless their
    size matters.
    """

    def input_of(x: Array) -> Array:
        return np.asarray(x, np.uint8 if x.dtype == np.uint8 else dtype)

    def target_of(y: Array) -> Array:
        return y if y.dtype == np.int32 else np.asarray(y, dtype)

    def floats(x: Array) -> Array:
        return np.asarray(x, dtype)

    weights = data.weights
    if weights is not None:
        largest = 1.0 if data.by_rows else float(weights.max(initial=0.0)) or 1.0
        weights = (weights / largest).astype(dtype)
    return Batch(
        tuple(_uploaded(x, input_of) for x in data.inputs),
        tuple(_uploaded(y, target_of) for y in data.targets),
        weights,
        tuple(
            None if data.steps_of(i) is None else _uploaded(data.steps_of(i), floats)
            for i in range(len(data.targets))
        ),
        tuple(np.asarray(data.step_scale(i), dtype) for i in range(len(data.targets))),
    )


def _uploaded(rows: Any, call: Callable[[Array], Array]) -> Array | Steps:
    if isinstance(rows, Labels):
        return rows.filled()
    if isinstance(rows, Ragged):
        return steps_of(rows, call(rows.values))
    return call(rows)


def take(xp: Any, batch: Batch, rows: Any, room: Room) -> Batch:
    """These rows of the arrays, of NumPy or JAX."""

    def of(array: Any, size: Size | None) -> Any:
        if isinstance(array, Steps):
            assert size is not None
            return taken(xp, array, rows, size)
        return None if array is None else array[rows]

    return Batch(
        tuple(map(of, batch.inputs, room.inputs)),
        tuple(map(of, batch.targets, room.targets)),
        None if batch.weights is None else batch.weights[rows],
        tuple(map(of, batch.step_weights, room.targets)),
        batch.step_scales,
    )


def scaled(
    graph: Graph, inputs: Sequence[Array | Packed], scales: Sequence[float], dtype: Any
) -> list[Array]:
    """The inputs as numbers: ``array * scale``, each in the shape of its node."""
    plain = [x.values if isinstance(x, Packed) else x for x in inputs]
    return [
        x.reshape(x.shape[0], *shape).astype(dtype) * np.asarray(scale, dtype)
        for x, shape, scale in zip(plain, graph.input_shapes, scales, strict=True)
    ]


def rounded(rows: int, most: int) -> int:
    """Rows of the batch that stands for one of ``rows``: few shapes to compile."""
    return min(most, 1 << math.ceil(math.log2(max(1, rows))))
