# SPDX-License-Identifier: BSD-3-Clause
"""Backpropagation you can read: every quantity of every node.

Legend, per layer: ``z`` what its nodes sum up, ``a`` what they output,
``delta = dC/dz``, and the gradients of its parameters. For the dense layer l with
activation φ, and a cost C that is a mean over the batch:

    delta_{l-1} = (delta_l W_l^T) * φ'(z_{l-1})
    dC/dW_l = a_{l-1}^T delta_l,   dC/db_l = sum of delta_l over the rows
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count, flag
from nervure.base.words import unknown
from nervure.data.ragged import Ragged
from nervure.executors import Data, Executor, Trace, as_rows, sequences_of
from nervure.graph.parameters import LARGEST_SEED, Floats, Layout, ParameterViews
from nervure.layers import Layer, Pass
from nervure.network.attending import Attending
from nervure.network.inputs import make_data
from nervure.network.predicting import Reader, rectangular
from nervure.network.quantities import Gauge
from nervure.network.recurrence import OF_GATES, Recurrence

Array = npt.NDArray[Any]

LARGEST_STEP = 2**32 - 1


class Traceable(Reader, Protocol):
    """A network, as far as a trace goes."""

    layout: Layout

    @property
    def values(self) -> Floats: ...
    @property
    def gradients(self) -> Floats: ...
    @property
    def parameters(self) -> ParameterViews: ...
    def executor(self, name: str = "native") -> Executor: ...


@dataclass(frozen=True)
class LayerTrace:
    """What one layer computed, rows first.

    ``delta`` is None without targets, and for layers that no gradient passes.
    ``gradient`` maps the names of the layer's own parameters ("weight", "bias"),
    ``inner`` those of what it computed inside: the gates of a recurrent layer at every
    step (`LSTM`: "input", "forget", "candidate", "output", "cell") and its "state", the
    weights of attention. Values of steps are `Ragged`, or ``(rows, time, ...)`` where
    all sequences are of one length.
    """

    name: str
    z: Any
    a: Any
    delta: Any | None
    gradient: Mapping[str, Array] = field(default_factory=dict[str, Array])
    inner: Mapping[str, Any] = field(default_factory=dict[str, Any])


class NetworkTrace(Mapping[str, LayerTrace]):
    """Layers by name, and the loss.

    Attributes:
        loss: mean cost of the rows; NaN without targets.
        quantities: what the record of a run keeps of a step, a number per layer
            (``quantities["saturated"]``, see `nervure.network.quantities`), by name.
    """

    def __init__(
        self,
        layers: Mapping[str, LayerTrace],
        loss: float,
        quantities: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._layers = dict(layers)
        self.loss = loss
        self.quantities = dict(quantities or {})

    def __getitem__(self, name: str) -> LayerTrace:
        if name not in self._layers:
            raise KeyError(unknown("trace", "layer", name, self._layers))
        return self._layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __repr__(self) -> str:
        lines = [
            f"{t.name}: z {t.z.shape}, a {t.a.shape}, |delta| {_norm(t.delta)}"
            for t in self.values()
        ]
        return "\n".join([f"<trace, loss {self.loss:.6g}", *lines]) + ">"


def _norm(found: Any | None) -> str:
    array = getattr(found, "values", found)
    return "-" if array is None else f"{np.linalg.norm(array):.3g}"


def trace(
    net: Traceable,
    X: Any,
    y: Any = None,
    *,
    loss: object = None,
    sample_weight: Any = None,
    training: bool = False,
    step: int = 0,
    seed: int = 0,
) -> NetworkTrace:
    """Everything that forward and backward pass of one batch compute.

    With ``training`` as in step ``step`` of a training with this ``seed``: dropout's
    masks, statistics of the batch. The network stays as it is.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(1, activation="tanh")], seed=0)
    >>> t = net.trace([[1.0, 2.0]], [[0.0]], loss="mse")
    >>> t["dense"].delta.shape, t["dense"].gradient["weight"].shape
    ((1, 1), (2, 1))
    >>> t.quantities["saturated"]["dense"]
    1.0
    """
    flag("trace", "training", training)
    count("trace", "step", step, least=0, most=LARGEST_STEP)
    count("trace", "seed", seed, least=0, most=LARGEST_SEED)
    objective = None if y is None else net.objective(loss)
    if objective is None:
        data = Data(net.arrays(X))
    else:
        data = make_data(net, X, y, objective, sample_weight)
    kept = net.values.copy() if training else None
    found = net.executor().trace(
        data, objective, draw=(seed, step) if training else None
    )
    if kept is not None:
        net.values[:] = kept  # running statistics have moved
    gradients = net.gradients.copy() if objective is not None else None
    layers = {
        name: _layer(net, name, nodes, data, found, gradients)
        for name, nodes in net.graph.groups.items()
    }
    with np.errstate(all="ignore"):  # of what is too large, too
        known = _quantities(net, found, data, gradients)
    return NetworkTrace(layers, found.cost, known)


def _quantities(
    net: Traceable, found: Trace, data: Data, gradients: Floats | None
) -> dict[str, dict[str, Any]]:
    """Columns by name, then layer; those of gradients by parameter; gates and heads."""
    gauge = Gauge(net.graph, net.layout)
    columns = gauge.of_layers(found, data.rows)
    of: dict[str, tuple[Sequence[str], list[Any]]] = {
        name: (gauge.names, column) for name, column in columns.items()
    }
    along = Recurrence(net.graph, net.layout, gauge.names)
    for name, column in along.of(net.values, data, found).items():
        of[name] = (along.gates if name in OF_GATES else gauge.names), column
    attending = Attending(net.graph)
    for name, column in attending.of(data, found).items():
        of[name] = attending.heads, column
    if gradients is not None:
        names = [s.name for s in gauge.segments]
        known = gauge.of_parameters(net.values, gradients)
        of |= {name: (names, c) for name, c in known.items()}
    return {name: dict(zip(*pair, strict=True)) for name, pair in of.items()}


def _layer(
    net: Traceable,
    name: str,
    nodes: tuple[int, ...],
    data: Data,
    found: Trace,
    gradients: Array | None,
) -> LayerTrace:
    first, last = nodes[0], nodes[-1]
    own: dict[str, Array] = {}
    inner: dict[str, Any] = {}
    for node in nodes:
        # Parameters of a composite's further nodes keep the rest of their name.
        prefix = net.graph.nodes[node].name.removeprefix(name).lstrip(".")
        for label, value in _inner(net, node, data, found).items():
            inner[f"{prefix}.{label}".lstrip(".")] = value
        for segment in net.layout.of_node(node) if gradients is not None else ():
            label = f"{prefix}.{segment.parameter.name}".lstrip(".")
            own[label] = segment.view(gradients)  # pyright: ignore[reportArgumentType]

    def rows(node: int, values: Array | None) -> Any:
        if values is None:
            return None
        return rectangular(as_rows(net.graph, data, node, values))

    return LayerTrace(
        name,
        rows(first, found.values[first]),
        rows(last, found.values[last]),
        rows(first, found.gradients[first]),
        own,
        inner,
    )


def _inner(net: Traceable, index: int, data: Data, found: Trace) -> dict[str, Any]:
    """What a node computed inside, by its formula from the values that it read."""
    graph, node = net.graph, net.graph.nodes[index]
    if type(node.layer).shown is Layer.shown:
        return {}
    sources = [sequences_of(graph, data, i) for i in node.inputs]
    values = [as_rows(graph, data, i, found.values[i]) for i in node.inputs]
    inputs = [x.to_array() if isinstance(x, Ragged) else x for x in values]
    lengths = [None if own is None else own.lengths for own in sources]
    info = Pass(node=node.random_key, lengths=tuple(lengths))
    own = node.own(net.parameters)
    shown = node.layer.shown(np, own, *inputs, info=info)
    first = sources[0]
    if first is None:
        return dict(shown)
    return {name: rectangular(_cut(x, first)) for name, x in shown.items()}


def _cut(values: Array, rows: Ragged) -> Ragged:
    """Padded rows as sequences again."""
    alive = np.arange(rows.longest) < rows.lengths[:, None]
    return Ragged(values[alive], rows.lengths)
