# SPDX-License-Identifier: BSD-3-Clause
"""JAX: a whole epoch in one jitted `lax.scan`, parameters and state donated."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from _nets import Net
from numpy.typing import NDArray

from peers import Variant

NO_EIGEN_THREADS = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
VARIANTS = {
    "scan": Variant({"epoch": "scan", "gather": "batch"}),
    "scan, no Eigen threads": Variant(
        {"epoch": "scan", "gather": "batch"}, environment=NO_EIGEN_THREADS
    ),
    "scan, 1 core": Variant({"epoch": "scan", "gather": "batch"}, threads=1),
    "scan, shuffled once per epoch": Variant({"epoch": "scan", "gather": "epoch"}),
    "jitted step": Variant({"epoch": "steps"}),
}


def versions() -> dict[str, str]:
    import jax
    import jaxlib

    return {"jax": jax.__version__, "jaxlib": jaxlib.__version__}


class Peer:
    """Plain JAX, no library on top."""

    def __init__(
        self,
        net: Net,
        X: NDArray[np.float32],
        y: NDArray[np.int32],
        options: dict[str, Any],
    ) -> None:
        import jax

        self._jax, self._net = jax, net
        self._X, self._y = jax.device_put(X), jax.device_put(y)
        self._random = np.random.default_rng(0)
        self._state = _begin(net)
        step = _step(net)
        if options["epoch"] == "scan":
            self._epoch = jax.jit(_scan(net, step, options), donate_argnums=0)
        else:
            self._epoch = self._stepwise(jax.jit(_gathered(step), donate_argnums=0))

    def _stepwise(self, step: Any) -> Any:
        """An epoch as a Python loop over a jitted step."""

        def epoch(state: Any, X: Any, y: Any, order: Any) -> tuple[Any, Any]:
            losses, size = [], self._net.batch_size
            for begin in range(0, len(order), size):
                index = order[begin : begin + size]
                state, loss = step(state, X, y, index)
                losses.append(loss * len(index))
            return state, sum(losses)

        return epoch

    def train(self, epochs: int) -> float:
        rows = len(self._y)
        total: Any = 0.0
        for _ in range(epochs):
            # NumPy shuffles faster than jax.random.permutation, which sorts.
            order = self._random.permutation(rows).astype(np.int32)
            self._state, total = self._epoch(self._state, self._X, self._y, order)
        self._jax.block_until_ready(self._state)
        return float(total) / rows

    def weights(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        parameters = self._jax.device_get(self._state[0])
        return [(np.array(W), np.array(b)) for W, b in parameters]


def _begin(net: Net) -> tuple[Any, Any, Any, Any]:
    """Parameters (Glorot uniform), two Adam moments, step count."""
    import jax

    random = np.random.default_rng(1)

    def layer(below: int, above: int) -> tuple[Any, Any]:
        limit = (6 / (below + above)) ** 0.5
        W = random.uniform(-limit, limit, (below, above)).astype(np.float32)
        return jax.device_put(W), jax.device_put(np.zeros(above, np.float32))

    parameters = [layer(*pair) for pair in pairwise(net.sizes)]
    if net.optimizer == "sgd":
        return parameters, (), (), jax.numpy.zeros(())
    # Apart from each other: donated buffers must not be shared.
    first, second = (jax.tree.map(jax.numpy.zeros_like, parameters) for _ in "mv")
    return parameters, first, second, jax.numpy.zeros(())


def adam(learning_rate: float) -> Any:
    """``(state, gradient) -> state`` of one update."""
    import jax
    import jax.numpy as jnp

    def update(state: Any, gradient: Any) -> Any:
        parameters, first, second, count = state
        count = count + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        rate = learning_rate / (1 - 0.9**count)
        scale = 1 / (1 - 0.999**count)
        parameters = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v * scale) + 1e-8),
            parameters, first, second,
        )  # fmt: skip
        return parameters, first, second, count

    return update


def _step(net: Net) -> Any:
    """``(state, X, y) -> (state, loss)`` of one batch."""
    import jax
    import jax.numpy as jnp

    activation = {"relu": jax.nn.relu, "logistic": jax.nn.sigmoid}[net.activation]

    def loss_of(parameters: Any, X: Any, y: Any) -> Any:
        for W, b in parameters[:-1]:
            X = activation(X @ W + b)
        W, b = parameters[-1]
        logits = jax.nn.log_softmax(X @ W + b)
        return -jnp.take_along_axis(logits, y[:, None], 1).mean()

    def sgd(state: Any, gradient: Any) -> Any:
        parameters, first, second, count = state
        parameters = jax.tree.map(
            lambda w, g: w - net.learning_rate * g, parameters, gradient
        )
        return parameters, first, second, count

    update = {"sgd": sgd, "adam": adam(net.learning_rate)}[net.optimizer]

    def step(state: Any, X: Any, y: Any) -> tuple[Any, Any]:
        loss, gradient = jax.value_and_grad(loss_of)(state[0], X, y)
        return update(state, gradient), loss

    return step


def _gathered(step: Any) -> Any:
    return lambda state, X, y, index: step(state, X[index], y[index])


def _scan(net: Net, step: Any, options: dict[str, Any]) -> Any:
    """An epoch: the full batches in one scan, then the partial one."""
    import jax

    size = net.batch_size

    def epoch(state: Any, X: Any, y: Any, order: Any) -> tuple[Any, Any]:
        full = len(order) // size * size
        blocks = order[:full].reshape(-1, size)
        if options["gather"] == "epoch":
            body, xs = (lambda s, batch: step(s, *batch)), (X[blocks], y[blocks])
        else:
            body, xs = (lambda s, index: step(s, X[index], y[index])), blocks
        state, losses = jax.lax.scan(body, state, xs)
        total = losses.sum() * size
        if full < len(order):
            state, loss = step(state, X[order[full:]], y[order[full:]])
            total += loss * (len(order) - full)
        return state, total

    return epoch
