# SPDX-License-Identifier: BSD-3-Clause
"""Attention: every step of a sequence looks at the steps of another, or of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from nervure.base.formulas import stop_gradient
from nervure.initializers import Named
from nervure.layers._layer import (
    INFERENCE,
    Array,
    Attribute,
    Example,
    Kept,
    Layer,
    Pass,
    Shape,
    Symbol,
    at_least,
    features_of,
)
from nervure.layers._weights import read_initializers
from nervure.layers.activation import Activation
from nervure.layers.dense import Dense
from nervure.layers.dropout import Dropout
from nervure.layers.group_norm import LayerNorm
from nervure.layers.merge import Add
from nervure.layers.positions import RotaryPositions


@dataclass(frozen=True)
class DotProductAttention(Layer):
    """What queries find among values by their keys, for each head by itself.

    ``y = softmax(Q K^T / sqrt(d)) V``, where the last axis is shared out evenly among
    the ``heads`` and d is the part of a head in Q and K. Steps beyond the length of a
    row are never seen. ``causal`` hides what comes later: the last query sees the last
    key, the one before it all but the last (aligned at the bottom right). A query that
    sees no key gives zeros. Weights are computed for a few queries at a time and again
    in the backward pass: nothing of size time squared is kept.

    Shape:
        queries ``(batch, time, heads d)``, keys ``(batch, other time, heads d)``,
        values ``(batch, other time, heads e)``; output ``(batch, time, heads e)``.

    Raises:
        LayerError: axes that the heads cannot share out, or that do not fit together.

    Source: Vaswani et al., *Attention is all you need* (2017), eq. 1; Milakov and
    Gimelshein, *Online normalizer calculation for softmax* (2018); Dao et al.,
    *FlashAttention* (2022), algorithm 4, for the backward pass.

    >>> import numpy as np
    >>> q, k, v = np.zeros((1, 2, 1)), np.zeros((1, 2, 1)), np.array([[[1.0], [3.0]]])
    >>> from nervure.layers import INFERENCE
    >>> DotProductAttention().formula(np, {}, q, k, v, info=INFERENCE)[0, :, 0].tolist()
    [2.0, 2.0]
    """

    kind: ClassVar[str] = "dot_product_attention"
    arity: ClassVar[int | tuple[int, ...] | None] = 3
    sequences: ClassVar[int] = 3

    heads: int = 1
    causal: bool = False

    def __post_init__(self) -> None:
        at_least(self, "heads")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2), ((4,), (4,), (6,))),
            Example(cls(1, causal=True), ((3,), (3,), (2,))),
            Example(cls(3, causal=True), ((9,), (9,), (9,))),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        for name, shape in zip(("queries", "keys", "values"), inputs, strict=True):
            if len(shape) != 1 or shape[0] % self.heads:
                raise self.fail(
                    f"{name} of shape {shape} and heads = {self.heads}, expected "
                    "vectors that the heads can share out",
                    "use heads that divide the features",
                )
        q, k, v = inputs
        if q != k:
            raise self.fail(
                f"queries of {q[0]} numbers and keys of {k[0]}, expected as many",
                "bring one to the size of the other with nv.Dense",
            )
        return v

    def flops(self, *inputs: Shape) -> int:
        (q,), _, (v,) = inputs
        return 2 * (q + v) * 64  # for each step, which sees some tens of others

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"heads": self.heads, "causal": int(self.causal)}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        v = self._apart(inputs[2])
        found = self._weights(xp, inputs, info) @ v
        return xp.swapaxes(found, 1, 2).reshape(*inputs[0].shape[:2], -1)

    @property
    def kept(self) -> Kept | None:
        return "steps" if self.causal else None

    def advance(
        self, parameters: Mapping[str, Array], state: Any, *inputs: Array
    ) -> tuple[Any, Any]:
        """What the latest query finds among all keys so far, which are the state."""
        if not self.causal:
            return super().advance(parameters, state, *inputs)
        cache: _Cache = state or _Cache()
        k, v = cache.with_step(inputs[1][0], inputs[2][0])
        q = inputs[0][:, None]
        return self.formula(np, {}, q, k[None], v[None], info=INFERENCE)[:, 0], cache

    def shown(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Mapping[str, Array]:
        """The weights, ``(rows, time, heads, other time)``."""
        return {"weights": xp.swapaxes(self._weights(xp, inputs, info), 1, 2)}

    def _apart(self, x: Array) -> Array:
        """``(rows, heads, time, features of a head)``."""
        rows, time, size = x.shape
        return x.reshape(rows, time, self.heads, size // self.heads).swapaxes(1, 2)

    def _weights(self, xp: Any, inputs: tuple[Array, ...], info: Pass) -> Array:
        """Of each query, head by head, over the keys."""
        q, k = self._apart(inputs[0]), self._apart(inputs[1])
        z = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1])
        seen = self.seen(xp, q.shape[2], k.shape[2], len(q), info)
        z = xp.where(seen, z, -xp.inf)
        top = stop_gradient(xp, z).max(axis=-1, keepdims=True)
        power = xp.where(seen, xp.exp(z - xp.where(top > -xp.inf, top, 0)), 0)
        total = power.sum(axis=-1, keepdims=True)
        return power / xp.where(total > 0, total, 1)

    def seen(self, xp: Any, queries: int, keys: int, rows: int, info: Pass) -> Array:
        """Which keys a query sees, ``(rows, 1, queries, keys)``."""
        own, other = (
            xp.full(rows, most) if one is None else one
            for one, most in zip(info.lengths, (queries, keys), strict=False)
        )
        j = xp.arange(keys)[None, None, None, :]
        last = other[:, None, None, None]
        if self.causal:
            i = xp.arange(queries)[None, None, :, None]
            last = xp.minimum(last, i + 1 + last - own[:, None, None, None])
        return xp.broadcast_to(j < last, (rows, 1, queries, keys))


class _Cache:
    """Keys and values of all steps so far, in arrays that double when they are full."""

    def __init__(self) -> None:
        self._room: list[Array] = []
        self._count = 0

    def with_step(self, *rows: Array) -> list[Array]:
        """The arrays with a row more."""
        if not self._room:
            self._room = [np.empty((16, len(x)), x.dtype) for x in rows]
        if self._count == len(self._room[0]):
            self._room = [np.concatenate([x, np.empty_like(x)]) for x in self._room]
        for x, row in zip(self._room, rows, strict=True):
            x[self._count] = row
        self._count += 1
        return [x[: self._count] for x in self._room]


@dataclass(frozen=True)
class MultiHeadAttention(Layer):
    """Attention of several heads, each with its own view of queries, keys and values.

    ``y = concat(head_1, ..., head_h) W_o + b_o``, ``head_i = softmax(Q_i K_i^T /
    sqrt(key_dim)) V_i`` with ``Q = x W_q + b_q`` and so on, all heads side by side. One
    input looks at itself; two are what asks and what is asked (cross-attention);
    three give keys and values apart. It stands for four `Dense` and a
    `DotProductAttention`, called ``query``, ``key``, ``value``, ``output`` and
    ``heads`` behind its name; a trace shows what the heads look at.

    Shape:
        input ``(batch, time, features)``, perhaps others ``(batch, other time, ...)``;
        output ``(batch, time, features)``; ``query.weight (features, heads key_dim)``,
        ``output.weight (heads key_dim, features)``, and so on.

    Args:
        heads: at least 1.
        key_dim: features of a head, by default its share of the input's.
        causal: whether a step sees none that comes later.
        rotary: whether queries and keys are turned by their places (`RotaryPositions`).
        bias: whether the four dense layers have one.
        initializer: how their weights begin, as of `Dense`.

    Raises:
        LayerError: heads that do not divide the features, where ``key_dim`` is None.

    Source: Vaswani et al., *Attention is all you need* (2017), section 3.2.2.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((None, 8)), nv.MultiHeadAttention(2, causal=True)])
    >>> net.parameters["multi_head_attention.query.weight"].shape
    (8, 8)
    """

    kind: ClassVar[str] = "multi_head_attention"
    arity: ClassVar[int | tuple[int, ...] | None] = (1, 2, 3)
    sequences: ClassVar[int] = 3
    composite: ClassVar[bool] = True

    heads: int
    key_dim: int | None = None
    causal: bool = field(default=False, kw_only=True)
    rotary: bool = field(default=False, kw_only=True)
    bias: bool = field(default=True, kw_only=True)
    initializer: Named | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        at_least(self, "heads")
        if self.key_dim is not None:
            at_least(self, "key_dim")
        read_initializers(self)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2), ((4,),)),
            Example(cls(2, 3, causal=True, rotary=False, bias=False), ((4,), (5,))),
            Example(cls(2, causal=True, rotary=True), ((8,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        for shape in inputs:
            if len(shape) != 1:
                raise self.fail(
                    f"steps of shape {shape}, expected (features,)",
                    "put nv.Flatten() before it" if shape else "put nv.Embedding there",
                )
        self._width(inputs[0][0])
        return inputs[0]

    def expand(self, *inputs: Symbol) -> Symbol:
        features = features_of(inputs[0])
        width, asked = self._width(features), inputs[1] if inputs[1:] else inputs[0]
        sides = (inputs[0], asked, inputs[2] if inputs[2:] else asked)
        views = [
            self._dense(width, name)(x)
            for name, x in zip(("query", "key", "value"), sides, strict=True)
        ]
        if self.rotary:
            views[0] = RotaryPositions(self.heads, name="turned_query")(views[0])
            views[1] = RotaryPositions(self.heads, name="turned_key")(views[1])
        core = DotProductAttention(self.heads, self.causal, name="heads")
        return self._dense(features, "output")(core(*views))

    def _dense(self, units: int, name: str) -> Dense:
        return Dense(units, bias=self.bias, initializer=self.initializer, name=name)

    def _width(self, features: int) -> int:
        if self.key_dim is not None:
            return self.heads * self.key_dim
        if features % self.heads:
            raise self.fail(
                f"heads = {self.heads} for {features} features, expected a divisor",
                "use heads that divide the features, or give key_dim",
            )
        return features


@dataclass(frozen=True)
class TransformerBlock(Layer):
    """Attention to its own steps, then a network for each step, both with a way around.

    Norm before (``"pre"``): ``h = x + attention(norm(x))``, ``y = h + W_2 phi(W_1
    norm(h) + b_1) + b_2``; after (``"post"``): ``h = norm(x + attention(x))``,
    ``y = norm(h + W_2 phi(W_1 h + b_1) + b_2)``. Dropout is on both ways before they
    are added. Its parts are called ``attention``, ``inner`` (W_1), ``outer`` (W_2),
    ``attention_norm`` and ``norm`` behind its name.

    Shape:
        input and output ``(batch, time, features)``.

    Args:
        heads: of the attention; they share the features out.
        units: of the inner layer, by default 4 times the features.
        causal, rotary: as of `MultiHeadAttention`.
        dropout: fraction in [0, 1).
        norm: ``"pre"``, which deep networks learn with more easily, or ``"post"``.
        activation: phi.

    Raises:
        LayerError: heads that do not divide the features, or an unknown norm.

    Source: Vaswani et al., *Attention is all you need* (2017) (post); Xiong et al., *On
    layer normalization in the transformer architecture* (2020) (pre); Radford et al.,
    GPT-2 (2019).

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input((None, 8)), nv.TransformerBlock(2, causal=True)])
    >>> net.parameters["transformer_block.inner.weight"].shape
    (8, 32)
    """

    kind: ClassVar[str] = "transformer_block"
    sequences: ClassVar[int] = 1
    composite: ClassVar[bool] = True

    heads: int
    units: int | None = None
    causal: bool = field(default=False, kw_only=True)
    rotary: bool = field(default=False, kw_only=True)
    dropout: float = field(default=0.0, kw_only=True)
    norm: Literal["pre", "post"] = field(default="pre", kw_only=True)
    activation: str = field(default="gelu", kw_only=True)

    def __post_init__(self) -> None:
        at_least(self, "heads")
        if self.units is not None:
            at_least(self, "units")
        if self.norm not in ("pre", "post"):
            raise self.fail(f"norm = {self.norm!r}", 'use "pre" or "post"')
        Dropout(self.dropout)
        Activation(self.activation)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(2, 5, causal=True), ((4,),)),
            Example(cls(1, norm="post", activation="tanh"), ((3,),)),
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        return self._attention.output_shape(*inputs)

    @property
    def _attention(self) -> MultiHeadAttention:
        return MultiHeadAttention(
            self.heads, causal=self.causal, rotary=self.rotary, name="attention"
        )

    def expand(self, *inputs: Symbol) -> Symbol:
        (x,) = inputs
        features = features_of(x)
        before, attention_norm = self.norm == "pre", LayerNorm(name="attention_norm")
        norm = LayerNorm(name="norm")
        found = self._attention(attention_norm(x) if before else x)
        h = Add(name="attention_sum")(x, self._dropped(found, "attention_dropout"))
        h = h if before else attention_norm(h)
        units = 4 * features if self.units is None else self.units
        inner = Dense(units, self.activation, name="inner")(norm(h) if before else h)
        outer = self._dropped(Dense(features, name="outer")(inner), "dropout")
        y = Add(name="sum")(h, outer)
        return y if before else norm(y)

    def _dropped(self, x: Symbol, name: str) -> Symbol:
        return Dropout(self.dropout, name=name)(x) if self.dropout else x
