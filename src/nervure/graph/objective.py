# SPDX-License-Identifier: BSD-3-Clause
"""Objective: which loss is taken where, with what weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.checks import number
from nervure.base.words import unknown
from nervure.data.labels import Labels
from nervure.data.ragged import Ragged
from nervure.graph.graph import Graph
from nervure.graph.node import Node
from nervure.layers import EnsembleMean, Layer, Shape
from nervure.losses import AFFINE, CustomLoss, Loss, activation_name
from nervure.losses import loss as find_loss


@dataclass(frozen=True)
class Cost:
    """The loss of one output.

    ``node`` is where the loss reads and writes dC/dz: the output itself, or the input
    of its activation where the two are fused; ``fused`` then names the activation.
    Where the output is the mean of an ensemble, each of its ``members`` has a cost, and
    that of a row is their mean. Of the ``places`` of an output each has a target of its
    own: 1 where a row has one, 0 where each of its steps has one. Of a loss that aligns
    they are the steps of the row, which has one sequence of labels.
    """

    output: int
    loss: Loss
    weight: float
    node: int
    activation: str
    fused: str
    members: int = 1
    places: int = 1

    @property
    def form(self) -> str:
        """The activation whose input the loss reads; "" where it reads what it gives.

        Log-probabilities are logits of themselves.
        """
        return self.form_of_output or self.fused

    @property
    def form_of_output(self) -> str:
        """The same where the loss reads the output, whatever is fused.

        To a loss that aligns, sums without an activation are logits.
        """
        sums = self.loss.aligns and self.activation in AFFINE
        return "log_softmax" if sums or self.activation == "log_softmax" else ""


@dataclass(frozen=True)
class Objective:
    """One cost per output; the cost of a batch is their weighted sum."""

    costs: tuple[Cost, ...]

    @classmethod
    def of(
        cls,
        graph: Graph,
        loss: object,
        loss_weights: object = None,
    ) -> Objective:
        """The objective of a graph.

        Args:
            loss: one loss for every output, a sequence, or a mapping by output name.
            loss_weights: in the same forms; 1 by default.

        Raises:
            ValueError: unknown names, another count than outputs, a loss that the
                output layer does not fit.
        """
        losses = _per_output(graph, loss, "loss")
        given = loss_weights if loss_weights is not None else 1.0
        weights = _per_output(graph, given, "loss weight")
        for name, weight in zip(graph.output_names, weights, strict=True):
            number("loss weight", name, weight, least=0)
        if not any(weights):
            raise ValueError(
                "[loss weight] every loss weighs 0; expected a positive weight; change "
                "loss_weights="
            )
        costs: list[Cost] = []
        taken = set(graph.outputs)  # nodes where no fused loss may write
        for i, (one, weight) in enumerate(zip(losses, weights, strict=True)):
            costs.append(_cost(graph, i, find_loss(one), float(weight), taken))
            taken.add(costs[-1].node)
        return cls(tuple(costs))

    @property
    def nodes(self) -> tuple[int, ...]:
        return tuple(cost.node for cost in self.costs)

    def check_targets(
        self, graph: Graph, targets: Sequence[Any], dtype: npt.DTypeLike
    ) -> tuple[npt.NDArray[Any] | Ragged, ...]:
        """The targets as the executors take them: int32 classes or rows of ``dtype``.

        `Ragged` where each of several places of a row has its own, `Labels` for a loss
        that aligns.

        Raises:
            LossError: a target that does not fit its loss and output.
        """
        if len(targets) != len(self.costs):
            raise ValueError(
                f"[fit] {len(targets)} targets; expected {len(self.costs)}, one for "
                f"each output ({', '.join(graph.output_names)}); give a list or mapping"
            )
        return tuple(
            _check_target(graph, cost, y, dtype)
            for cost, y in zip(self.costs, targets, strict=True)
        )


def _cost(
    graph: Graph, output: int, loss: Loss, weight: float, taken: set[int]
) -> Cost:
    index = graph.outputs[output]
    shape, members = graph.nodes[index].shape, 1
    own = answering(graph, output)
    if own not in taken and not isinstance(loss, CustomLoss):
        index, members = own, math.prod(graph.nodes[own].shape) // math.prod(shape)
    node = graph.nodes[index]
    function = getattr(node.layer, "function", None)
    activation = activation_name(node.layer.kind, function)
    if loss.aligns:
        places = _steps(node, shape, loss, members)
    else:
        places = _places(node, shape, loss, activation)
        if members > 1 and places > 1:
            raise _of_members(node, loss, members, "one answer")
    size = math.prod(shape) // max(1, places)
    loss.check_output(node.layer.kind, function, size, name=node.group)
    fused = activation in loss.fuses and node.inputs[0] not in taken
    place, form = (node.inputs[0], activation) if fused else (index, "")
    return Cost(output, loss, weight, place, activation, form, members, places)


def answering(graph: Graph, output: int) -> int:
    """The node that gives an output: its own, or that of the members it is the mean of.

    >>> import nervure as nv
    >>> layers = [nv.Input(2), nv.EnsembleDense(3, 8, "softmax"), nv.EnsembleMean()]
    >>> graph = nv.Network(layers).graph
    >>> graph.nodes[answering(graph, 0)].layer.kind
    'softmax'
    """
    node = graph.nodes[graph.outputs[output]]
    ends = isinstance(node.layer, EnsembleMean)
    return node.inputs[0] if ends else graph.outputs[output]


PROBABILITIES = ("softmax", "log_softmax", "logistic")
"""Activations whose outputs are probabilities, or logarithms of them."""


def activation_of(layer: Layer) -> str:
    """What a layer is as an output: its activation, else its kind.

    >>> import nervure as nv
    >>> activation_of(nv.Activation("sigmoid")), activation_of(nv.Softmax())
    ('logistic', 'softmax')
    """
    return activation_name(layer.kind, getattr(layer, "function", None))


def gives_probabilities(layer: Layer) -> bool:
    """Whether what a layer gives are probabilities, or logarithms of them."""
    return activation_of(layer) in PROBABILITIES


def _places(node: Node, shape: Shape, loss: Loss, activation: str) -> int:
    """How many places of an output have targets of their own; 0 for each step."""
    questions = activation in ("softmax", "log_softmax") and activation in loss.fuses
    if node.clock is not None and questions and len(shape) > 1:
        raise loss.fail(
            f"output {node.group!r} gives {shape} at each step; expected (classes,)",
            f"put nv.Flatten() before the {activation}",
        )
    if node.clock is not None:
        return 0
    return math.prod(shape[:-1]) if questions else 1


def _steps(node: Node, shape: Shape, loss: Loss, members: int) -> int:
    """Steps of the rows of an output, 0 where each row has its own number of them."""
    if members > 1:
        raise _of_members(node, loss, members, "steps")
    if len(shape) == (2 if node.clock is None else 1):
        return 0 if node.clock is not None else shape[0]
    each = "each row" if node.clock is None else "each step"
    raise loss.fail(
        f"output {node.group!r} gives {shape} for {each}; expected (time, classes), or "
        "(classes,) at each step",
        "keep the steps (return_sequences=True) and end with a dense layer of one unit "
        "for each class",
    )


def _of_members(node: Node, loss: Loss, members: int, expected: str) -> ValueError:
    return loss.fail(
        f"output {node.group!r} is the mean of {members} members; expected {expected}",
        "train the members as a nervure.Ensemble",
    )


def _check_target(
    graph: Graph, cost: Cost, given: Any, dtype: npt.DTypeLike
) -> npt.NDArray[Any] | Ragged:
    node = graph.nodes[graph.outputs[cost.output]]
    size = math.prod(node.shape) // max(1, cost.places)

    def checked(target: Any) -> npt.NDArray[Any]:
        return cost.loss.check_target(size, cost.activation, target, dtype=dtype)

    if cost.loss.aligns:
        return cast(Any, _check_labels(cost.loss, given, size))
    if cost.places == 1:
        return checked(given)
    if cost.places == 0:
        assert isinstance(given, Ragged)
        return given.with_values(checked(given.values))
    target = np.asarray(given)
    each = target.size // max(1, len(target)) if target.ndim else 0
    if each not in (cost.places, cost.places * size):
        raise cost.loss.fail(
            f"target of shape {target.shape}; output {node.group!r} of shape "
            f"{node.shape} answers {cost.places} questions, expected (rows, "
            f"{', '.join(map(str, node.shape[:-1]))})",
            "give a class for each, or put nv.Flatten() before the last nv.Dense",
        )
    flat = target.reshape(len(target) * cost.places, -1)
    found = checked(flat[:, 0] if flat.shape[1] == 1 else flat)
    return Ragged.of_array(found.reshape(len(target), cost.places, *found.shape[1:]))


def _check_labels(loss: Loss, given: Any, size: int) -> Labels:
    assert isinstance(given, Labels)
    values, rows = given.values, given.rows
    loss.check_labels(values, rows, size)
    end = getattr(loss, "blank", 0)
    return Labels.joined(values.astype(np.int32), rows, len(given), end)


def _per_output(graph: Graph, given: object, what: str) -> list[Any]:
    names = graph.output_names
    if isinstance(given, Mapping) and "type" not in given:
        table = cast(Mapping[str, Any], given)
        for key in table:
            if key not in names:
                raise ValueError(unknown(what, "output", key, names))
        missing = [name for name in names if name not in table]
        if missing:
            raise ValueError(
                f"[{what}] no {what} for output {missing[0]!r}; expected one for each "
                f"of {', '.join(names)}; add it"
            )
        return [table[name] for name in names]
    if isinstance(given, list | tuple):
        some = cast(Sequence[Any], given)
        if len(some) != len(names):
            raise ValueError(
                f"[{what}] {len(some)} given; expected {len(names)}, one for each "
                f"output ({', '.join(names)}); give a list of that length"
            )
        return list(some)
    return [given] * len(names)
