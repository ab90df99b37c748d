# SPDX-License-Identifier: BSD-3-Clause
"""Backpropagation you can read: every quantity of every node, and a check of it.

Legend, per layer: ``z`` what its nodes sum up, ``a`` what they output,
``delta = dC/dz``, and the gradients of its parameters. For the dense layer l with
activation φ, and a cost C that is a mean over the batch:

    delta_{l-1} = (delta_l W_l^T) * φ'(z_{l-1})
    dC/dW_l = a_{l-1}^T delta_l,   dC/db_l = sum of delta_l over the rows
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nervure._names import unknown
from nervure.executors import Data, Trace
from nervure.training.prepare import make_data

if TYPE_CHECKING:
    from nervure.network import Network

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LayerTrace:
    """What one layer computed, rows first.

    ``delta`` is None without targets, and for layers that no gradient passes.
    ``gradient`` maps the names of the layer's own parameters ("weight", "bias").
    """

    name: str
    z: Array
    a: Array
    delta: Array | None
    gradient: Mapping[str, Array] = field(default_factory=dict[str, Array])


class NetworkTrace(Mapping[str, LayerTrace]):
    """Layers by name, and the loss."""

    def __init__(self, layers: Mapping[str, LayerTrace], loss: float) -> None:
        self._layers = dict(layers)
        self.loss = loss

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


def _norm(array: Array | None) -> str:
    return "-" if array is None else f"{np.linalg.norm(array):.3g}"


def trace(
    net: Network,
    X: Any,
    y: Any = None,
    *,
    loss: object = None,
    sample_weight: Any = None,
) -> NetworkTrace:
    """Everything that forward and backward pass of one batch compute.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(1, activation="tanh")], seed=0)
    >>> t = net.trace([[1.0, 2.0]], [[0.0]], loss="mse")
    >>> t["dense"].delta.shape, t["dense"].gradient["weight"].shape
    ((1, 1), (2, 1))
    """
    objective = None if y is None else net.objective(loss)
    if objective is None:
        data = Data(net.arrays(X))
    else:
        data = make_data(net, X, y, objective, sample_weight)
    found = net.executor().trace(data, objective)
    gradients = net.gradients.copy() if objective is not None else None
    layers = {
        name: _layer(net, name, nodes, found, gradients)
        for name, nodes in net.graph.groups.items()
    }
    return NetworkTrace(layers, found.cost)


def _layer(
    net: Network,
    name: str,
    nodes: tuple[int, ...],
    found: Trace,
    gradients: Array | None,
) -> LayerTrace:
    first, last = nodes[0], nodes[-1]
    own: dict[str, Array] = {}
    for node in nodes:
        # Parameters of a composite's further nodes keep the rest of their name.
        prefix = net.graph.nodes[node].name.removeprefix(name).lstrip(".")
        for segment in net.layout.of_node(node) if gradients is not None else ():
            label = f"{prefix}.{segment.parameter.name}".lstrip(".")
            own[label] = segment.view(gradients)  # pyright: ignore[reportArgumentType]
    return LayerTrace(
        name, found.values[first], found.values[last], found.gradients[first], own
    )


# -- checking -----------------------------------------------------------------------


@dataclass(frozen=True)
class GradientCheck:
    """How far backpropagation and finite differences are apart.

    ``error`` is the largest of ``|g - d| / max(|g|, |d|, floor)``; ``worst`` names the
    parameter and element where it occurs.
    """

    error: float
    worst: str
    checked: int
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance

    def __repr__(self) -> str:
        verdict = "agree" if self.passed else "DISAGREE"
        return (
            f"<gradients {verdict}: worst relative error {self.error:.2e} at "
            f"{self.worst}, {self.checked} elements checked>"
        )


def check_gradients(
    net: Network,
    X: Any,
    y: Any,
    *,
    loss: object = None,
    sample_weight: Any = None,
    tolerance: float = 5e-6,
    step: float = 1e-3,
    most: int = 200,
    seed: int = 0,
) -> GradientCheck:
    """Compare the gradients with 4-point central differences, in float64.

        f'(w) = (f(w - 2h) - 8 f(w - h) + 8 f(w + h) - f(w + 2h)) / 12h + O(h^4)

    Args:
        step: h, relative to ``max(1, |w|)``.
        most: elements checked of each parameter, chosen by ``seed``.

    Source: Abramowitz and Stegun (1964), 25.3.6.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(3, activation="tanh"), nv.Dense(1)])
    >>> nv.check_gradients(net, [[0.1, 0.2]], [[1.0]], loss="mse").passed
    True
    """
    double = net.astype("float64")
    double.unfreeze()
    objective = double.objective(loss)
    data = make_data(double, X, y, objective, sample_weight)
    executor = double.executor()
    executor.gradient(data, objective)
    analytic = double.gradients.copy()
    generator = np.random.Generator(np.random.Philox(seed))
    # What is below a billionth of the largest gradient is rounding.
    floor = 1e-9 * max(1.0, float(np.abs(analytic).max())) / tolerance
    worst, place, checked = 0.0, "-", 0
    for segment in double.layout.segments:
        if not segment.parameter.trainable:
            continue
        chosen = generator.permutation(segment.size)[:most]
        for element in chosen:
            at = segment.offset + int(element)
            h = step * max(1.0, abs(float(double.values[at])))
            difference = _difference(double.values, at, h, executor, data, objective)
            scale = max(abs(analytic[at]), abs(difference), floor)
            error = abs(analytic[at] - difference) / scale
            checked += 1
            if not error <= worst:
                index = np.unravel_index(int(element), segment.shape or (1,))
                where = ", ".join(str(int(i)) for i in index)
                worst, place = float(error), f"{segment.name}[{where}]"
    return GradientCheck(worst, place, checked, tolerance)


def _difference(
    values: Array, at: int, h: float, executor: Any, data: Data, objective: Any
) -> float:
    kept = values[at]
    found: list[float] = []
    for k in (-2, -1, 1, 2):
        values[at] = kept + k * h
        found.append(executor.gradient(data, objective))
    values[at] = kept
    return (found[0] - 8 * found[1] + 8 * found[2] - found[3]) / (12 * h)
