# SPDX-License-Identifier: BSD-3-Clause
"""JAX along time: `lax.scan` over steps, an epoch or a text in one jitted call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from _sequence_nets import VOCABULARY, SequenceNet
from numpy.typing import NDArray

from peers import Variant
from peers.jax_peer import NO_EIGEN_THREADS, adam
from peers.jax_peer import versions as versions

PLACES = 128
VARIANTS = {
    "scan": Variant({"unroll": 1}),
    "scan, no Eigen threads": Variant({"unroll": 1}, environment=NO_EIGEN_THREADS),
    "scan of 4 steps each": Variant({"unroll": 4}),
}


class Peer:
    """Plain JAX, no library on top; lengths are masks, since shapes are fixed."""

    def __init__(
        self,
        net: SequenceNet,
        X: NDArray[Any],
        y: NDArray[Any],
        options: dict[str, Any],
    ) -> None:
        import jax

        self._jax, self._net, self._calls = jax, net, 0
        self._data = tuple(map(jax.device_put, (X, y, net.lengths().astype(np.int32))))
        self._random = np.random.default_rng(0)
        model = _transformer if net.family == "transformer" else _recurrent
        parameters, scores, write = model(net, options["unroll"])
        first, second = (jax.tree.map(jax.numpy.zeros_like, parameters) for _ in "mv")
        self._state = (parameters, first, second, jax.numpy.zeros(()))
        self._write = jax.jit(write)
        self._epoch = jax.jit(_epoch(_loss(net, scores)), donate_argnums=0)

    def train(self, epochs: int) -> float:
        net, total = self._net, 0.0
        for _ in range(epochs):
            self._calls += 1
            if net.task == "generate":
                key = self._jax.random.key(self._calls)
                self._jax.block_until_ready(self._write(self._state[0], key))
                continue
            order = self._random.permutation(net.rows).astype(np.int32)
            blocks = order[: net.rows // net.batch_size * net.batch_size]
            blocks = blocks.reshape(-1, net.batch_size)
            self._state, losses = self._epoch(self._state, self._data, blocks)
            total = float(losses.mean())
        return total


def _loss(net: SequenceNet, scores: Callable[..., Any]) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    def loss(parameters: Any, X: Any, y: Any, lengths: Any) -> Any:
        logs = jax.nn.log_softmax(scores(parameters, X, lengths))
        return -jnp.take_along_axis(logs, y[..., None], -1).mean()

    return loss


def _epoch(loss: Callable[..., Any]) -> Callable[..., Any]:
    """All batches in one scan, each with a step of Adam."""
    import jax

    update = adam(1e-3)

    def step(state: Any, batch: Any) -> tuple[Any, Any]:
        cost, gradient = jax.value_and_grad(loss)(state[0], *batch)
        return update(state, gradient), cost

    def epoch(state: Any, data: Any, blocks: Any) -> Any:
        def of_block(state: Any, index: Any) -> tuple[Any, Any]:
            return step(state, [part[index] for part in data])

        return jax.lax.scan(of_block, state, blocks)

    return epoch


def _weights() -> Callable[..., Any]:
    import jax

    random = np.random.default_rng(1)

    def weight(*shape: int) -> Any:
        values = random.normal(0, shape[0] ** -0.5, shape)
        return jax.device_put(values.astype(np.float32))

    return weight


def _recurrent(net: SequenceNet, unroll: int) -> tuple[Any, Any, Any]:
    import jax
    import jax.numpy as jnp

    weight, units, wide = _weights(), net.units, net.gates * net.units
    classes = VOCABULARY if net.task == "generate" else net.classes
    parameters = {
        "table": weight(VOCABULARY, net.features),
        "weight": weight(net.features, wide),
        "recurrent": weight(units, wide),
        "bias": jnp.zeros(wide),
        "inner": jnp.zeros(units),
        "last": weight(units, classes),
        "end": jnp.zeros(classes),
    }

    def lstm(p: Any, state: Any, sums: Any) -> Any:
        h, cell = state
        i, f, g, o = jnp.split(sums + h @ p["recurrent"], 4, -1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(cell), cell

    def gru(p: Any, state: Any, sums: Any) -> Any:
        (h,) = state
        (r, z, n), (hr, hz, hn) = (
            jnp.split(x, 3, -1) for x in (sums, h @ p["recurrent"])
        )
        z = jax.nn.sigmoid(z + hz)
        new = jnp.tanh(n + jax.nn.sigmoid(r + hr) * (hn + p["inner"]))
        return ((1 - z) * new + z * h,)

    cell = {"lstm": lstm, "gru": gru}[net.family]
    states = {"lstm": 2, "gru": 1}[net.family]

    def scores(p: Any, X: Any, lengths: Any) -> Any:
        sums = jnp.swapaxes(X @ p["weight"] + p["bias"], 0, 1)  # of all steps at once

        def step(state: Any, x: Any) -> tuple[Any, None]:
            place, sums = x
            new = cell(p, state, sums)
            if net.shortest is not None:
                under_way = (place < lengths)[:, None]
                pairs = zip(new, state, strict=True)
                new = tuple(jnp.where(under_way, n, s) for n, s in pairs)
            return new, None

        begin = tuple(jnp.zeros((len(X), units)) for _ in range(states))
        steps = (jnp.arange(len(sums)), sums)
        end, _ = jax.lax.scan(step, begin, steps, unroll=unroll)
        return end[0] @ p["last"] + p["end"]

    def write(p: Any, key: Any) -> Any:
        def step(carry: Any, key: Any) -> tuple[Any, Any]:
            code, state = carry
            state = cell(p, state, p["table"][code] @ p["weight"] + p["bias"])
            code = jax.random.categorical(key, state[0] @ p["last"] + p["end"])
            return (code, state), code

        begin = (jnp.int32(0), tuple(jnp.zeros(units) for _ in range(states)))
        return jax.lax.scan(step, begin, jax.random.split(key, net.steps))[1]

    return parameters, scores, write


def _transformer(net: SequenceNet, unroll: int) -> tuple[Any, Any, Any]:
    import jax
    import jax.numpy as jnp

    weight, width, heads = _weights(), net.units, net.heads

    def norm() -> Any:
        return {"scale": jnp.ones(width), "shift": jnp.zeros(width)}

    def dense(below: int, above: int) -> Any:
        return {"weight": weight(below, above), "bias": jnp.zeros(above)}

    blocks = [
        {
            "before": norm(), "behind": norm(),
            "of_inputs": dense(width, 3 * width), "outwards": dense(width, width),
            "wide": dense(width, 4 * width), "narrow": dense(4 * width, width),
        }
        for _ in range(net.blocks)
    ]  # fmt: skip
    parameters = {
        "table": weight(VOCABULARY, width),
        "places": weight(PLACES, width),
        "blocks": blocks,
        "norm": norm(),
        "last": dense(width, VOCABULARY),
    }

    def through(p: Any, x: Any) -> Any:
        return x @ p["weight"] + p["bias"]

    def normed(p: Any, x: Any) -> Any:
        x = x - x.mean(-1, keepdims=True)
        scale = jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5)
        return x * scale * p["scale"] + p["shift"]

    def apart(x: Any) -> Any:
        return x.reshape(*x.shape[:-1], heads, width // heads)

    def fed_forward(p: Any, x: Any) -> Any:
        inner = jax.nn.gelu(through(p["wide"], normed(p["behind"], x)), False)
        return x + through(p["narrow"], inner)

    def scores(p: Any, X: Any, lengths: Any) -> Any:
        h = p["table"][X] + p["places"][: X.shape[1]]
        for b in p["blocks"]:
            parts = jnp.split(through(b["of_inputs"], normed(b["before"], h)), 3, -1)
            q, k, v = map(apart, parts)
            seen = jax.nn.dot_product_attention(q, k, v, is_causal=True)
            h = fed_forward(b, h + through(b["outwards"], seen.reshape(h.shape)))
        return through(p["last"], normed(p["norm"], h))

    def step_of(p: Any, carry: Any, given: Any) -> tuple[Any, Any]:
        """A letter; keys and values lie in arrays with room for all steps."""
        (code, kept), (place, key) = carry, given
        h, after = p["table"][code] + p["places"][place], []
        known = jnp.arange(PLACES) <= place
        for b, (keys, values) in zip(p["blocks"], kept, strict=True):
            parts = jnp.split(through(b["of_inputs"], normed(b["before"], h)), 3, -1)
            q, k, v = map(apart, parts)
            keys, values = keys.at[place].set(k), values.at[place].set(v)
            after.append((keys, values))
            likeness = jnp.einsum("hd,thd->ht", q, keys) * (width // heads) ** -0.5
            share = jax.nn.softmax(jnp.where(known, likeness, -jnp.inf))
            seen = jnp.einsum("ht,thd->hd", share, values).reshape(width)
            h = fed_forward(b, h + through(b["outwards"], seen))
        said = through(p["last"], normed(p["norm"], h))
        code = jax.random.categorical(key, said)
        return (code, after), code

    def write(p: Any, key: Any) -> Any:
        empty = jnp.zeros((PLACES, heads, width // heads))
        begin = (jnp.int32(0), [(empty, empty) for _ in p["blocks"]])
        given = (jnp.arange(net.steps), jax.random.split(key, net.steps))
        return jax.lax.scan(lambda c, g: step_of(p, c, g), begin, given)[1]

    return parameters, scores, write
