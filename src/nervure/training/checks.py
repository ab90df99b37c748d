# SPDX-License-Identifier: BSD-3-Clause
"""What is refused before training begins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set

from nervure.data import DataError
from nervure.data._errors import fail
from nervure.data.augmentation import Augmentation, check_images
from nervure.executors import Model
from nervure.graph.graph import Graph
from nervure.graph.objective import Objective
from nervure.layers import LayerError
from nervure.optimizers import Optimizer


def check_trainable(graph: Graph, frozen: Set[str] = frozenset()) -> None:
    """Raises `LayerError` where no gradient can pass to parameters below.

    A perceptron's step has derivative 0 wherever it has one. Raises `ValueError` where
    everything is frozen.
    """
    learns = [bool(n.parameters) and n.group not in frozen for n in graph.nodes]
    if frozen and not any(learns):
        raise ValueError(
            f"[fit] all layers with parameters are frozen ({', '.join(sorted(frozen))})"
            "; expected one that learns; call net.unfreeze(name)"
        )
    for i, node in enumerate(graph.nodes):
        learns[i] = learns[i] or any(learns[feed] for feed in node.inputs)
        reason = node.layer.untrainable
        if reason and any(learns[feed] for feed in node.inputs):
            raise LayerError(f"[{node.name}] {reason}")


def check_batch(model: Model, rows: int) -> None:
    """Raises `LayerError` for batches of one row where rows are compared."""
    if rows > 1:
        return
    still = model.still_nodes
    for i, node in enumerate(model.graph.nodes):
        single = math.prod(node.shape[:-1]) == 1
        if node.layer.couples_rows and single and i not in still:
            raise LayerError(
                f"[{node.name}] batches of 1 row; expected more, since a "
                f"{node.layer.kind} compares the rows of a batch; use a larger "
                "batch_size, or a layer_norm in its place"
            )


def check_rates(factors: Mapping[str, float], optimizer: Optimizer) -> None:
    """Raises `ValueError` for rates of layers where there is no learning rate."""
    if factors and not optimizer.stepwise:
        raise ValueError(
            f"[learning_rates] {optimizer.kind} has no learning rate; expected an "
            "optimizer that works step by step; use 'adam', or leave them out"
        )


def check_states(graph: Graph, rows: int, batch_size: int, shuffles: bool) -> None:
    """Raises `LayerError` where states cannot go on from batch to batch."""
    for node in graph.nodes:
        if not node.layer.carries:
            continue
        streams = next(p.shape[0] for p in node.parameters if not p.trainable)
        if shuffles:
            raise LayerError(
                f"[{node.name}] stateful, but rows are shuffled; expected each batch "
                "to go on where the one before ended; use nervure.data.chunks and "
                "shuffle=False"
            )
        if batch_size != streams or rows % streams:
            raise LayerError(
                f"[{node.name}] stateful = {streams}, but batches of {batch_size} of "
                f"{rows} rows; expected that many rows in each batch; use "
                f"batch_size={streams} and whole batches (nervure.data.chunks)"
            )


def check_augmentation(
    changes: Sequence[Augmentation],
    graph: Graph,
    objective: Objective,
    optimizer: Optimizer,
    executor: str,
) -> None:
    """Raises `DataError` where images cannot be changed, or nobody could do it."""
    if not changes:
        return
    if executor != "native":
        raise _refused(f"executor={executor!r}", "the engine's own", "'native'")
    if not optimizer.stepwise:
        rule = optimizer.kind
        raise _refused(rule, "an optimizer that works step by step", "'adam'")
    if len(graph.inputs) != 1:
        inputs = f"a network of {len(graph.inputs)} inputs"
        raise _refused(inputs, "one input, of images", "a network of one input")
    check_images(changes, graph.nodes[graph.inputs[0]].shape)
    mixing = [change.kind for change in changes if change.mixes]
    hard = [c.loss.kind for c in objective.costs if not c.loss.takes_shares]
    if mixing and hard:
        raise fail(
            "augmentation",
            f"{mixing[0]} with the loss {hard[0]}, which takes no shares of classes; "
            "expected a loss such as cross_entropy",
            f"change the loss, or leave {mixing[0]} out",
        )


def _refused(found: str, expected: str, use: str) -> DataError:
    return fail(
        "augmentation",
        f"{found} cannot change images; expected {expected}",
        f"use {use}, or leave augmentation out",
    )
