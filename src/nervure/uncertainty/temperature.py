# SPDX-License-Identifier: BSD-3-Clause
"""Temperature scaling: probabilities as sure as they are right, classes unchanged."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nervure.data.ragged import one_each
from nervure.executors import Data
from nervure.graph.graph import Graph
from nervure.graph.node import Entry
from nervure.graph.objective import activation_of, gives_probabilities
from nervure.layers import Layer, Normalize
from nervure.layers._weights import Activated
from nervure.metrics import target_classes
from nervure.network.network import Network
from nervure.network.predicting import encoded
from nervure.uncertainty.outputs import Floats, as_probabilities, classes_of, same_rows

LAYER = "temperature"
"""Name of the layer that divides by the temperature."""

BOUNDS = (0.01, 100.0)
"""Temperatures that are looked at."""

_TINY = 1e-300


def find_temperature(y: Any, probabilities: Any, *, sample_weight: Any = None) -> float:
    """The temperature T at which ``softmax(log p / T)`` makes the classes most likely.

    Above 1 the probabilities were too sure of themselves, below 1 not sure enough.

    Args:
        y: classes by number ``(rows,)`` of rows that training did not see.
        probabilities: ``(rows, classes)``; one column is that of class 1.
        sample_weight: weights of the rows.

    Warns:
        UserWarning: no temperature is best, as where every row is right; T is 1 then.

    Source: Guo, Pleiss, Sun, Weinberger, *On Calibration of Modern Neural Networks*
    (ICML 2017), section 4.2; the search is SciPy's.

    >>> p = [[0.9, 0.1]] * 4
    >>> round(find_temperature([0, 0, 0, 1], p), 3)
    2.0
    """
    p = as_probabilities(probabilities)
    with np.errstate(divide="ignore"):
        z = np.log(np.maximum(p, _TINY))
    return _of_logits(target_classes(np.asarray(y)), z, sample_weight)


def apply_temperature(probabilities: Any, temperature: float) -> Floats:
    """Probabilities at a temperature: ``p^(1/T)``, scaled to rows of sum 1.

    >>> apply_temperature([[0.9, 0.1]], 2.0).round(2).tolist()
    [[0.75, 0.25]]
    """
    p = as_probabilities(probabilities)
    powers = (p / p.max(axis=1, keepdims=True)) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def scale_temperature(
    network: Network, X: Any, y: Any, *, sample_weight: Any = None
) -> Network:
    """A network with calibrated probabilities: a layer that divides z by T.

    The layer ``temperature`` stands before the last softmax or logistic, so that the
    temperature is part of the network, of its model file and of all that is made of
    it. The most probable class of a row stays what it was.

    Args:
        network: ends in a softmax, log-softmax or logistic; it is not changed.
        X, y: rows that training did not see, as for ``network.predict``, and their
            labels (without preprocessing: classes by number).
        sample_weight: weights of the rows.

    Raises:
        ValueError: another kind of network.

    Source: as `find_temperature`.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(2, activation="softmax")], seed=0)
    >>> X, y = [[4.0, 0.0], [0.0, 4.0], [3.0, 0.0]], [0, 1, 1]
    >>> calibrated = nv.uncertainty.scale_temperature(net, X, y)
    >>> bool((calibrated.predict_classes(X) == net.predict_classes(X)).all())
    True
    """
    data = encoded(network, X)
    count = max(2, math.prod(network.graph.output_shapes[0]))
    return at_temperature(network, data, classes_of(network, y, count), sample_weight)


def at_temperature(
    network: Network, data: Data, classes: Any, sample_weight: Any = None
) -> Network:
    """A copy of a network, at the temperature that is best for encoded rows."""
    (found,) = logits_of(with_temperature(network, 1.0)).executor().outputs(data)
    logits = one_each(found, "temperature")
    z = np.asarray(logits, np.float64).reshape(len(logits), -1)
    z = np.column_stack([np.zeros(len(z)), z]) if z.shape[1] == 1 else z
    return with_temperature(network, _of_logits(classes, z, sample_weight))


def _of_logits(classes: Any, z: Floats, sample_weight: Any) -> float:
    same_rows("temperature", len(z), classes)
    weights = np.ones(len(z)) if sample_weight is None else np.asarray(sample_weight)
    shifted = z - z.max(axis=1, keepdims=True)
    own = np.take_along_axis(shifted, np.asarray(classes)[:, None], axis=1)[:, 0]

    def slope(log_t: float) -> float:
        """Of the cost by beta = 1/T, in which it is convex: it falls as T grows."""
        powers = np.exp(math.exp(-log_t) * shifted)
        expected = (powers * shifted).sum(axis=1) / powers.sum(axis=1)
        return float(np.average(expected - own, weights=weights))

    low, high = map(math.log, BOUNDS)
    right = bool((own[weights > 0] == 0).all())
    if not right and slope(high) < 0:
        return math.exp(_root(slope, low, high))
    fact = "every row is right" if right else "the classes have nothing to do with them"
    warnings.warn(
        f"[temperature] no temperature is best for {len(z)} rows ({fact}); expected "
        "right and wrong ones; the probabilities stay as they are: use more rows",
        stacklevel=3,
    )
    return 1.0


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0; the nearer end if it does not."""
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


# -- the network with the layer -------------------------------------------------------


def temperature_of(network: Network) -> float | None:
    """The temperature of a network that `scale_temperature` made; None of others."""
    name = f"{LAYER}.scale"
    return float(network.parameters[name][0]) if name in network.parameters else None


def has_probabilities(network: Network) -> bool:
    """Whether the (only) output is a softmax, log-softmax or logistic."""
    return gives_probabilities(network.graph.nodes[network.graph.outputs[0]].layer)


def with_temperature(network: Network, temperature: float) -> Network:
    """A copy of a network whose last softmax or logistic is at this temperature."""
    graph = network.graph
    if temperature_of(network) is None:
        graph = Graph.of(*_with_layer(graph))
    made = network.rebuilt(graph)
    known = temperature_of(network) or 1.0
    made.parameters[f"{LAYER}.scale"][...] = known * temperature
    return made


def _with_layer(graph: Graph) -> tuple[list[Entry], tuple[str, ...]]:
    """Entries with the layer before the output's activation, and the output's name."""
    if len(graph.outputs) != 1:
        raise ValueError(
            f"[temperature] the network has {len(graph.outputs)} outputs; expected "
            "one; scale the networks of single outputs"
        )
    end = next(e for e in graph.entries if e.name == graph.output_names[0])
    others = [entry for entry in graph.entries if entry is not end]
    below, last = _parts(end.layer, end.name)
    if below is not None:
        others.append(Entry(below, end.name, end.inputs))
    feeds = end.inputs if below is None else (end.name,)
    others.append(Entry(Normalize(0.0, 1.0), LAYER, feeds))
    name = end.name if below is None else f"{end.name}.{last.kind}"
    others.append(Entry(dataclasses.replace(last, name=None), name, (LAYER,)))
    return others, (name,)


def _parts(layer: Layer, name: str) -> tuple[Layer | None, Layer]:
    """What gives logits in the last layer, if it does, and what shares them out."""
    if gives_probabilities(layer):
        return None, layer
    below, last = layer.apart() if isinstance(layer, Activated) else (layer, None)
    if last is not None and gives_probabilities(last):
        return below, last
    word = f" with activation {activation_of(last)!r}" if last else ""
    raise ValueError(
        f"[temperature] the network ends in {layer.kind} {name!r}{word}; expected a "
        "softmax, log-softmax or logistic; use a network that gives probabilities"
    )


def logits_of(network: Network) -> Network:
    """The part of a network with a temperature that gives z / T."""
    graph = network.graph
    last = graph.output_names[0]
    entries = [entry for entry in graph.entries if entry.name != last]
    return network.rebuilt(Graph.of(entries, (LAYER,)))
