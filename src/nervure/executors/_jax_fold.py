# SPDX-License-Identifier: BSD-3-Clause
"""What the JAX executor computes: a graph folded over its layers' formulas.

All functions here are pure and traced by `jax.jit`; parameters go by their names in the
layout (``dense.weight``), values by the positions of their nodes.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import numpy as np

from nervure.base.extras import needed
from nervure.executors._executor import Data, Model
from nervure.graph.graph import Graph
from nervure.graph.objective import Objective
from nervure.graph.parameters import Layout
from nervure.layers import Layer, Pass
from nervure.losses import CustomLoss

Array = Any
"""An array of JAX, traced or on the device."""

Arrays = Mapping[str, Array]

Batch = tuple[tuple[Array, ...], tuple[Array, ...], Array | None]
"""Inputs and targets of the rows, and their weights or None."""


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
        f"{node.name}.{parameter.name}"
        for i, node in enumerate(model.graph.nodes)
        if type(node.layer).state_updates is not Layer.state_updates
        and not model.is_still(i)
        for parameter in node.parameters
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


def fold(
    xp: Any,
    graph: Graph,
    parameters: Arrays,
    inputs: Sequence[Array],
    info: Pass,
    shifts: Mapping[int, Array] | None = None,
    stored: dict[str, Array] | None = None,
    still: frozenset[int] = frozenset(),
) -> list[Array]:
    """The value of every node for a batch.

    ``shifts`` are added to the values of nodes as their consumers see them: the
    derivative of a cost in a shift is the one in the node's value. Into ``stored`` goes
    what layers store in training (running statistics), by name. Nodes that are
    ``still`` do what they do in inference.
    """
    rows = inputs[0].shape[0]
    given = dict(zip(graph.inputs, inputs, strict=True))
    values: list[Array] = []
    for i, node in enumerate(graph.nodes):
        feeds = [given[i]] if i in given else [values[j] for j in node.inputs]
        own = {p.name: parameters[f"{node.name}.{p.name}"] for p in node.parameters}
        training = info.training and i not in still
        key = Pass(training, info.seed, info.step, node.random_key)
        value = node.layer.formula(xp, own, *feeds, info=key)
        if stored is not None and i not in still:
            moved = node.layer.state_updates(xp, own, *feeds)
            stored.update({f"{node.name}.{name}": v for name, v in moved.items()})
        if not node.inputs:  # a Constant gives one row
            value = xp.broadcast_to(value, (rows, *node.shape))
        value = value.astype(inputs[0].dtype)
        values.append(value + shifts[i] if shifts and i in shifts else value)
    return values


def row_costs(
    xp: Any, objective: Objective, values: Sequence[Array], targets: Sequence[Array]
) -> Array:
    """Cost of every row, all outputs together, ``(batch,)``."""
    total: Array = 0.0
    for cost, target in zip(objective.costs, targets, strict=True):
        value = values[cost.node]
        y = value.reshape(value.shape[0] * cost.members, -1)
        own = xp.repeat(target, cost.members, axis=0)
        if cost.fused:
            costs = cost.loss.logits_formula(xp, y, own, cost.fused)
        else:
            costs = cost.loss.costs(xp, y, own, cost.activation)
        total = total + cost.weight * costs.reshape(-1, cost.members).mean(axis=1)
    return total


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
    inputs = tuple(
        np.asarray(x, np.uint8 if x.dtype == np.uint8 else dtype) for x in data.inputs
    )
    targets = tuple(
        y if y.dtype == np.int32 else np.asarray(y, dtype) for y in data.targets
    )
    if data.weights is None:
        return inputs, targets, None
    largest = 1.0 if data.by_rows else float(data.weights.max(initial=0.0)) or 1.0
    return inputs, targets, (data.weights / largest).astype(dtype)


def take(batch: Batch, rows: Any) -> Batch:
    """These rows of the arrays, of NumPy or JAX."""
    inputs, targets, weights = batch
    return (
        tuple(x[rows] for x in inputs),
        tuple(y[rows] for y in targets),
        None if weights is None else weights[rows],
    )


def scaled(
    graph: Graph, inputs: Sequence[Array], scales: Sequence[float], dtype: Any
) -> list[Array]:
    """The inputs as numbers: ``array * scale``, each in the shape of its node."""
    return [
        x.reshape(x.shape[0], *shape).astype(dtype) * np.asarray(scale, dtype)
        for x, shape, scale in zip(inputs, graph.input_shapes, scales, strict=True)
    ]


def rounded(rows: int, most: int) -> int:
    """Rows of the batch that stands for one of ``rows``: few shapes to compile."""
    return min(most, 1 << math.ceil(math.log2(max(1, rows))))
