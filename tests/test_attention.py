# SPDX-License-Identifier: BSD-3-Clause
"""Attention and positions: PyTorch says the same, at any lengths and on both ways."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data

HEADS, WIDTH = 2, 6
QUERIES, KEYS = (3, 1, 70, 5), (4, 2, 75, 3)
"""Steps of rows: more than a block of queries, and fewer keys than queries."""


def sequences(lengths: tuple[int, ...], features: int = WIDTH, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return nv.Ragged(rng.normal(size=(sum(lengths), features)), lengths)


def cross(**options: Any) -> nv.Network:
    q, k, v = (nv.Input((None, WIDTH), name=name) for name in "qkv")
    y = nv.DotProductAttention(HEADS, **options)(q, k, v)
    return nv.Network(inputs=[q, k, v], outputs=[y], dtype="float64")


@pytest.mark.parametrize("causal", [False, True])
def test_values_and_gradients_are_those_of_pytorch(causal: bool) -> None:
    torch = pytest.importorskip("torch")
    net = cross(causal=causal)
    q, k, v = sequences(QUERIES), sequences(KEYS, seed=1), sequences(KEYS, seed=2)
    target = sequences(QUERIES, seed=3)
    trace = net.trace([q, k, v], target, loss="mse")
    found, own = net.forward([q, k, v]), {"q": [], "k": [], "v": []}
    costs = []
    for row, parts in enumerate(zip(q, k, v, strict=True)):
        x = [torch.tensor(part, requires_grad=True) for part in parts]
        heads = [each.reshape(len(each), HEADS, -1).swapaxes(0, 1) for each in x]
        keys, queries = len(parts[1]), len(parts[0])
        mask = torch.ones(queries, keys).tril(keys - queries) > 0
        y = torch.nn.functional.scaled_dot_product_attention(
            *heads, attn_mask=mask if causal else None
        )
        y = torch.nan_to_num(y).swapaxes(0, 1).reshape(queries, -1)
        np.testing.assert_allclose(found[row], y.detach(), rtol=1e-9, atol=1e-12)
        costs.append(((y - torch.tensor(target[row])) ** 2).mean(1).sum())
        for name, each in zip(own, x, strict=True):
            own[name].append(each)
    cost = sum(costs) / sum(QUERIES)
    cost.backward()
    assert trace.loss == pytest.approx(cost.item(), rel=1e-12)
    for name, parts in own.items():
        theirs = np.concatenate([np.nan_to_num(x.grad.numpy()) for x in parts])
        np.testing.assert_allclose(
            trace[name].delta.values, theirs, rtol=1e-9, atol=1e-12, err_msg=name
        )


def test_heads_and_projections_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    layer = nv.MultiHeadAttention(HEADS, causal=True, name="a")
    net = nv.Network([nv.Input((None, WIDTH)), layer], dtype="float64")
    theirs = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True).double()
    names = ("query", "key", "value")
    with torch.no_grad():
        weights = [np.asarray(net.parameters[f"a.{n}.weight"]).T for n in names]
        theirs.in_proj_weight.copy_(torch.tensor(np.concatenate(weights)))
        theirs.out_proj.weight.copy_(
            torch.tensor(np.asarray(net.parameters["a.output.weight"]).T)
        )
    x, y = sequences((9, 9)), sequences((9, 9), seed=1)
    inputs = torch.tensor(x.to_array())
    mask = torch.ones(9, 9).triu(1) > 0
    output, _ = theirs(inputs, inputs, inputs, attn_mask=mask, need_weights=False)
    np.testing.assert_allclose(net.forward(x), output.detach(), rtol=1e-9, atol=1e-12)
    ((output - torch.tensor(y.to_array())) ** 2).mean().backward()
    trace = net.trace(x, y, loss="mse")
    found = np.concatenate([trace["a"].gradient[f"{n}.weight"].T for n in names])
    np.testing.assert_allclose(found, theirs.in_proj_weight.grad, rtol=1e-9, atol=1e-12)


def test_a_query_that_sees_no_key_gives_zeros() -> None:
    found = cross(causal=True).forward([sequences(n) for n in ((5,), (2,), (2,))])
    assert (found[0, :3] == 0).all()
    assert (found[0, 3:] != 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_do_not_know_how_long_others_are(dtype: str) -> None:
    """The same bits alone, beside longer rows, and with a fixed number of steps."""
    block = nv.TransformerBlock(2, 12, causal=True, rotary=True)
    net = nv.Network([nv.Input((None, 8)), block], dtype=dtype)
    rows = sequences((5, 90, 5), 8)
    found = net.forward(rows)
    fixed = nv.Network([nv.Input((5, 8)), block], dtype=dtype)
    fixed.values[:] = net.values
    for i in (0, 2):
        alone = net.forward([rows[i]])
        assert (found[i] == alone[0]).all()
        assert (fixed.forward(rows[i][None])[0] == alone[0]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_change_no_bit_of_training(dtype: str) -> None:
    rng = np.random.default_rng(0)
    X = nv.Ragged(rng.normal(size=(400, 4)), [5, 70, 20, 5] * 4)
    y = rng.integers(0, 3, 16)
    found = []
    for threads in (1, 2, 3):
        layers = [
            nv.Input((None, 4)),
            nv.PositionEmbedding(70),
            nv.TransformerBlock(2, 8, dropout=0.1),
            nv.LSTM(3),
            nv.Dense(3, activation="softmax"),
        ]
        net = nv.Network(layers, seed=1, dtype=dtype)
        nv.fit(net, X, y, epochs=3, batch_size=8, threads=threads, progress=False)
        found.append(net.values.tobytes())
    assert found[0] == found[1] == found[2]


def test_one_sequence_may_be_all_three() -> None:
    x = nv.Input((None, 4))
    core = nv.DotProductAttention(2, causal=True)
    net = nv.Network(inputs=[x], outputs=[nv.Dense(1)(core(x, x, x))], dtype="float64")
    rows = sequences((3, 66, 2), 4)
    trace = net.trace(rows, sequences((3, 66, 2), 1, seed=5), loss="mse")
    source, h = trace["input"].delta.values, 1e-6
    for place in ((0, 0), (4, 2), (68, 3), (70, 1)):
        costs = []
        for sign in (1, -1):
            moved = rows.values.copy()
            moved[place] += sign * h
            again = nv.Ragged(moved, rows.lengths)
            y = sequences((3, 66, 2), 1, seed=5)
            costs.append(net.evaluate(again, y, loss="mse", metrics=[])["loss"])
        assert source[place] == pytest.approx((costs[0] - costs[1]) / 2 / h, rel=1e-5)


def test_a_trace_shows_the_weights() -> None:
    net = nv.Network([nv.Input((None, 4)), nv.MultiHeadAttention(2, causal=True)])
    trace = net.trace(sequences((3, 3), 4))
    weights = trace["multi_head_attention"].inner["heads.weights"]
    assert weights.shape == (2, 3, 2, 3)  # rows, queries, heads, keys
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
    assert (weights[:, 0, :, 1:] == 0).all()


def test_products_of_turned_steps_depend_on_their_distance() -> None:
    net = nv.Network([nv.Input((None, 6)), nv.RotaryPositions()], dtype="float64")
    a, b = np.random.default_rng(0).normal(size=(2, 6))
    x = net.forward(np.stack([[a] * 9, [b] * 9]))
    products = [x[0, t] @ x[1, t + 3] for t in range(6)]
    np.testing.assert_allclose(products, products[0], rtol=1e-12)
    assert products[0] != pytest.approx(a @ b)


def test_waves_by_hand() -> None:
    layers = [nv.Input((None, 4)), nv.PositionEmbedding(4, sinusoidal=True)]
    net = nv.Network(layers, dtype="float64")
    found = net.forward(np.zeros((1, 4, 4)))[0, 3]
    expected = [np.sin(3), np.cos(3), np.sin(0.03), np.cos(0.03)]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    before = net.values.copy()
    nv.fit(net, np.zeros((2, 4, 4)), np.ones((2, 4, 4)), epochs=1, progress=False)
    assert (net.values == before).all()


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_block_is_its_parts(norm: Any) -> None:
    """By the equations, from the values of the parts."""
    block = nv.TransformerBlock(2, 5, norm=norm, activation="tanh", name="b")
    net = nv.Network([nv.Input((None, 4)), block], dtype="float64")
    x = sequences((6,), 4).values
    attention = nv.Network([nv.Input((None, 4)), nv.MultiHeadAttention(2, name="b")])
    attention = attention.astype("float64")
    for name in attention.parameters:
        attention.parameters[name] = net.parameters[name]
    own = net.parameters

    def scaled(x: np.ndarray) -> np.ndarray:
        deviation = np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
        return (x - x.mean(axis=1, keepdims=True)) / deviation

    def inner(x: np.ndarray) -> np.ndarray:
        return np.tanh(x @ own["b.inner.weight"]) @ own["b.outer.weight"]

    if norm == "pre":
        h = x + attention.forward(scaled(x)[None])[0]
        y = h + inner(scaled(h))
    else:
        h = scaled(x + attention.forward(x[None])[0])
        y = scaled(h + inner(h))
    np.testing.assert_allclose(net.forward(x[None])[0], y, rtol=1e-9)


def test_a_transformer_learns_what_needs_looking_back() -> None:
    """To say the first letter of a sequence at its end."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 12, 400)
    letters = nv.Ragged(rng.integers(0, 4, lengths.sum()), lengths)
    first = letters.values[letters.starts]
    layers = [
        nv.Input((None,)),
        nv.Embedding(4, 16),
        nv.PositionEmbedding(12),
        nv.TransformerBlock(2, 32),
        nv.GRU(8),
        nv.Dense(4, activation="softmax"),
    ]
    net = nv.Network(layers, seed=0)
    run = nv.fit(
        net, letters, first, epochs=12, optimizer=nv.Adam(0.01), progress=False
    )
    assert run.history["accuracy"][-1] > 0.95


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: nv.Network([nv.Input((None, 6)), nv.MultiHeadAttention(4)]),
            "heads = 4 for 6 features, expected a divisor; use heads that divide",
        ),
        (
            lambda: nv.Network([nv.Input((9, 6)), nv.PositionEmbedding(8)]),
            "a sequence of 9 steps, expected at most 8; make the layer longer",
        ),
        (
            lambda: nv.Network([nv.Input((None, 6)), nv.RotaryPositions(2)]),
            "6 features for heads = 2, expected an even number for each head",
        ),
        (
            lambda: nv.Network([nv.Input(6), nv.MultiHeadAttention(2)]),
            "input of shape (6,), expected a sequence (time, features)",
        ),
        (lambda: nv.TransformerBlock(2, norm="both"), "norm = 'both'; use \"pre\" or"),
        (lambda: nv.TransformerBlock(2, dropout=1.0), "dropout"),
        (lambda: nv.TransformerBlock(2, activation="gleu"), "did you mean 'gelu'"),
    ],
)
def test_errors_name_place_fact_and_remedy(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        make()


def test_sequences_that_are_too_long_are_refused() -> None:
    net = nv.Network([nv.Input((None, 6)), nv.PositionEmbedding(8)])
    said = "row 1 has 9 steps, of which 'position_embedding' takes at most 8"
    with pytest.raises(ValueError, match=said):
        net.forward(sequences((8, 9)))
    assert net.forward(sequences((8, 3))).longest == 8


def test_keys_and_values_have_common_steps() -> None:
    data = [sequences(n) for n in ((3,), (4,), (5,))]
    with pytest.raises(ValueError, match="which are taken step by step together"):
        cross().forward(data)
    fixed = [nv.Input((n, WIDTH), name=f"x{n}") for n in (3, 4, 5)]
    with pytest.raises(ValueError, match="sequences of 4, 5 steps"):
        nv.Network(inputs=fixed, outputs=[nv.DotProductAttention()(*fixed)])


def test_the_executors_agree_in_training() -> None:
    pytest.importorskip("jax")
    layers = [
        nv.Input((None, 4)),
        nv.PositionEmbedding(9),
        nv.TransformerBlock(2, 8, causal=True, rotary=True),
        nv.Dense(2),
    ]
    nets = [nv.Network(layers, seed=2, dtype="float64") for _ in range(2)]
    rows, y = sequences((3, 9, 4, 1), 4), sequences((3, 9, 4, 1), 2, seed=7)
    for net, executor in zip(nets, ("native", "jax"), strict=True):
        nv.fit(net, rows, y, epochs=3, batch_size=2, executor=executor, progress=False)
    np.testing.assert_allclose(nets[0].values, nets[1].values, rtol=1e-7, atol=1e-10)
    assert isinstance(Data(nets[0].arrays(rows)), Data)
