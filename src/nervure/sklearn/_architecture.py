# SPDX-License-Identifier: BSD-3-Clause
"""From the parameter ``layers`` to a network that fits the data."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from nervure.graph.graph import Graph
from nervure.graph.objective import activation_of, answering
from nervure.graph.symbols import sequence
from nervure.layers import Dense, Input, Layer
from nervure.layers.entrance import Codes, entrance
from nervure.losses import Hinge, Loss, Pinball, Poisson
from nervure.losses import loss as find_loss
from nervure.network.network import Network
from nervure.zoo import architecture, image_shape

HIDDEN = (100,)
"""Nodes of the hidden layers where none are asked for."""


@dataclass(frozen=True)
class Head:
    """What the last layer must give.

    ``task`` is "multiclass", "binary", "multilabel" or "regression"; ``outputs`` the
    classes, labels or values; ``activation`` that of an output layer put on top.
    """

    task: str
    outputs: int
    activation: str | None

    @classmethod
    def of(cls, task: str, outputs: int, loss: Loss | None) -> Head:
        """The head for a target of ``outputs`` classes, labels or values."""
        if isinstance(loss, Hinge):
            activation = None
        elif task == "regression":
            quantiles = len(loss.quantiles) if isinstance(loss, Pinball) else 1
            outputs = max(outputs, quantiles)
            activation = "softplus" if isinstance(loss, Poisson) else None
        else:
            activation = "softmax" if task == "multiclass" else "logistic"
        return cls(task, outputs, activation)

    def fits(self, graph: Graph) -> bool:
        """Whether a network ends as this head wants."""
        if len(graph.outputs) != 1:
            return False
        size = math.prod(graph.output_shapes[0])
        if self.task == "regression" or self.activation is None:
            return size == self.outputs
        activation = activation_of(graph.nodes[answering(graph, 0)].layer)
        rows = activation in ("softmax", "log_softmax")
        logistic = activation == "logistic"
        if self.task == "binary":
            return (size == 1 and logistic) or (size == 2 and rows)
        return size == self.outputs and (
            rows if self.task == "multiclass" else logistic
        )

    def __str__(self) -> str:
        if self.task == "regression" or self.activation is None:
            return f"{self.outputs} outputs"
        return f"{self.outputs} outputs of a {self.activation}"


@dataclass(frozen=True)
class Entrance:
    """What comes in: rows of this shape, the last columns of which are codes of so many
    categories; of sequences the first extent is None."""

    shape: Any
    categories: tuple[Codes, ...] = ()


def make_network(
    layers: Any, begin: Entrance, head: Head, seed: int, dtype: str
) -> Network:
    """The network that ``layers`` stands for, for such inputs.

    ``layers`` is a list of layers (`Input`, an embedding of codes and the output layer
    are put to it where they are missing), a function ``(input_shape, outputs)`` that
    returns one or a network, a `Network` (its weights are copied), the name of an
    architecture of the zoo, or the path of a spec file.

    Raises:
        ValueError: a network with other outputs than the target has.
    """
    if callable(layers) and not isinstance(layers, Layer):
        made = cast(Callable[..., Any], layers)(begin.shape, head.outputs)
        return make_network(made, begin, head, seed, dtype)
    if isinstance(layers, Network):
        return _checked(layers.astype(dtype), head)
    if isinstance(layers, str | os.PathLike):
        path = cast(str, os.fspath(cast(Any, layers)))
        named = not os.path.exists(path) and not os.path.splitext(path)[1]
        of = _of_zoo if named else _of_spec
        return _checked(of(path, begin, head, seed, dtype), head)
    graph = _graph(layers, begin, head)
    return Network.from_graph(graph, seed=seed, dtype=dtype)


def _graph(layers: Any, begin: Entrance, head: Head) -> Graph:
    if layers is None:
        layers = [Dense(units, activation="relu") for units in HIDDEN]
    if not isinstance(layers, Sequence) or not all(
        isinstance(layer, Layer) for layer in cast(Sequence[object], layers)
    ):
        raise ValueError(
            f"[layers] {layers!r}; expected a list of layers, a function that returns "
            "one, an nv.Network, a name of the zoo, or the path of a spec file; change "
            "layers="
        )
    given = list(cast(Sequence[Layer], layers))
    if not given or not isinstance(given[0], Input):
        given = [*entrance(begin.shape, begin.categories, given), *given]
    graph = Graph.of(sequence(given))
    if len(given) > 1 and head.fits(graph):
        return graph
    return Graph.of(sequence([*given, Dense(head.outputs, head.activation)]))


def _of_spec(path: str, begin: Entrance, head: Head, seed: int, dtype: str) -> Network:
    from nervure.graph.written import graph_of
    from nervure.spec.reading import load_spec

    spec = load_spec(path)
    if spec.network is not None:
        given = (begin.shape, head.outputs, head.activation)
        return spec.network.build(*given, seed=seed, dtype=dtype)
    graph = graph_of(spec.layers, spec.outputs, begin.shape, begin.categories)
    return Network.from_graph(graph, seed=seed, dtype=dtype)


def _of_zoo(name: str, begin: Entrance, head: Head, seed: int, dtype: str) -> Network:
    found = architecture(name, "layers")
    if None in begin.shape:
        raise ValueError(
            f"[layers] {name!r} reads images, but X holds sequences; expected layers "
            "along time; begin with nv.LSTM(32), say"
        )
    shape = image_shape(begin.shape, name)
    activation = head.activation
    return found(head.outputs, shape, activation=activation, seed=seed, dtype=dtype)


def _checked(net: Network, head: Head) -> Network:
    if head.fits(net.graph):
        return net
    found = ", ".join(
        f"{net.graph.nodes[i].group!r} of shape {net.graph.nodes[i].shape}"
        for i in net.graph.outputs
    )
    raise ValueError(
        f"[layers] the network gives {found}; expected {head}, as y asks for; change "
        "its last layer"
    )


def given_loss(found: Any) -> Loss | None:
    """The loss of the parameter ``loss``; None leaves the choice to the output."""
    return None if found is None else find_loss(found)
