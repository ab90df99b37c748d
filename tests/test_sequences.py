# SPDX-License-Identifier: BSD-3-Clause
"""Sequences: recurrent layers against other sources, ragged rows, states, ties."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.training.sampler import epoch_order

RNG = np.random.default_rng(7)
LENGTHS = (4, 1, 6, 3, 6)
FEATURES, UNITS = 3, 5


def ragged(features: int = FEATURES, seed: int = 0) -> nv.Ragged:
    values = np.random.default_rng(seed).normal(size=(sum(LENGTHS), features))
    return nv.Ragged(values, LENGTHS)


def network(layer: Any, shape: Any = (None, FEATURES), seed: int = 3) -> nv.Network:
    """In float64, and no parameter 0."""
    net = nv.Network([nv.Input(shape), layer], seed=seed, dtype="float64")
    rng = np.random.default_rng(1)
    for view in net.parameters.values():
        view[...] = rng.normal(size=view.shape) * 0.5
    return net


def gradients(net: nv.Network, rows: Any, targets: Any) -> dict[str, Any]:
    return {
        f"{layer}.{name}": np.array(g)
        for layer, t in net.trace(rows, targets, loss="mse").items()
        for name, g in t.gradient.items()
    }


# -- PyTorch and ONNX say the same -----------------------------------------------------


TORCH: dict[str, tuple[Any, str, dict[str, bool]]] = {
    "simple_rnn": (nv.SimpleRNN(UNITS, True), "RNN", {}),
    "lstm": (nv.LSTM(UNITS, True), "LSTM", {}),
    "gru": (nv.GRU(UNITS, True), "GRU", {}),
    "both ways": (nv.Bidirectional(nv.LSTM(UNITS, True)), "LSTM", {"bidirectional": True}),
    "gru both ways": (
        nv.Bidirectional(nv.GRU(UNITS, True)), "GRU", {"bidirectional": True}
    ),
}  # fmt: skip


def from_torch(theirs: Any, name: str) -> Any:
    """What of a module of PyTorch stands for a parameter: an array, or a gradient."""
    *way, own = name.split(".")[1:]
    end = "_l0_reverse" if way == ["backward"] else "_l0"

    def part(kind: str) -> Any:
        return getattr(theirs, kind + end)

    # A bias of PyTorch's is the sum of two; only the GRU's second stands for itself.
    return {
        "weight": part("weight_ih"),
        "recurrent_weight": part("weight_hh"),
        "bias": part("bias_ih"),
        "recurrent_bias": part("bias_hh"),
    }[own]


@pytest.mark.parametrize("name", TORCH)
def test_outputs_and_gradients_are_those_of_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    layer, kind, more = TORCH[name]
    net, rows = network(layer), ragged()
    theirs = getattr(torch.nn, kind)(FEATURES, UNITS, batch_first=True, **more).double()
    with torch.no_grad():
        for end in ("_l0", "_l0_reverse")[: 1 + len(more)]:
            getattr(theirs, "bias_hh" + end).zero_()
        for key, view in net.parameters.items():
            from_torch(theirs, key).copy_(torch.tensor(np.asarray(view).T))
    pack = torch.nn.utils.rnn.pack_sequence
    x = [torch.tensor(row) for row in rows]
    packed, *_ = theirs(pack(x, enforce_sorted=False))
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    outputs = [padded[i, :length] for i, length in enumerate(LENGTHS)]
    found = net.forward(rows)
    for mine, other in zip(found, outputs, strict=True):
        np.testing.assert_allclose(mine, other.detach(), rtol=1e-9, atol=1e-12)
    y = ragged(found.values.shape[1], seed=2)
    # The mean of the rows, each its steps' costs over the mean number of steps.
    pairs = zip(outputs, y, strict=True)
    errors = [((o - torch.tensor(t)) ** 2).mean(1).sum() for o, t in pairs]
    cost = sum(errors) / sum(LENGTHS)
    cost.backward()
    trace = net.trace(rows, y, loss="mse")
    assert trace.loss == pytest.approx(cost.item(), rel=1e-12)
    for key, mine in gradients(net, rows, y).items():
        other = from_torch(theirs, key).grad.numpy().T
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12, err_msg=key)


def onnx_answer(kind: str, net: nv.Network, x: Any, order: Any, **more: Any) -> Any:
    """What ONNX's own reference gives for the weights of the only recurrent layer."""
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    own = {k.split(".")[1]: np.asarray(v) for k, v in net.parameters.items()}

    def gates(array: Any, order: Any = order) -> Any:
        parts = np.split(array, array.shape[-1] // UNITS, axis=-1)
        return np.concatenate([parts[i] for i in order], axis=-1).T[None]

    second = own.get("recurrent_bias", np.zeros_like(own["bias"]))
    bias = np.concatenate([gates(own["bias"]), gates(second)], axis=-1)
    given = {"X": x.transpose(1, 0, 2), "W": gates(own["weight"])}
    given |= {"R": gates(own["recurrent_weight"]), "B": bias}
    names = ["X", "W", "R", "B"]
    if "peephole" in own:  # ONNX: input, output, forget
        names += ["", "", "", "P"]
        i, f, o = np.split(own["peephole"].reshape(-1), 3)
        given["P"] = np.concatenate([i, o, f])[None]
    helper, double = onnx.helper, onnx.TensorProto.DOUBLE
    node = helper.make_node(kind, names, ["", "Y"], hidden_size=UNITS, **more)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info(n, double, v.shape) for n, v in given.items()],
        [helper.make_tensor_value_info("Y", double, None)],
    )
    (found,) = ReferenceEvaluator(helper.make_model(graph)).run(None, given)
    return found[0]


@pytest.mark.parametrize(
    ("layer", "kind", "order", "more"),
    [
        (
            nv.GRU(UNITS, reset_after=False),
            "GRU",
            (1, 0, 2),
            {"linear_before_reset": 0},
        ),
        (nv.GRU(UNITS), "GRU", (1, 0, 2), {"linear_before_reset": 1}),
        (nv.LSTM(UNITS), "LSTM", (0, 3, 1, 2), {}),
        (nv.LSTM(UNITS, peepholes=True), "LSTM", (0, 3, 1, 2), {}),
        (nv.SimpleRNN(UNITS), "RNN", (0,), {}),
    ],
    ids=["gru", "gru, reset after", "lstm", "lstm with peepholes", "simple_rnn"],
)
def test_outputs_are_those_of_onnx(
    layer: Any, kind: str, order: Any, more: Any
) -> None:
    net = network(layer)
    x = RNG.normal(size=(4, 6, FEATURES))
    expected = onnx_answer(kind, net, x, order, **more)
    np.testing.assert_allclose(net.forward(x), expected, rtol=1e-9, atol=1e-12)


# -- lengths ---------------------------------------------------------------------------


LAYERS = [
    nv.SimpleRNN(UNITS),
    nv.LSTM(UNITS, reverse=True),
    nv.GRU(UNITS, True),
    nv.LSTM(UNITS, True, layer_norm=True),
    nv.Bidirectional(nv.GRU(UNITS, True, reset_after=False), "sum"),
]


@pytest.mark.parametrize("executor", ["native", "jax"])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.kind)
def test_rows_do_not_know_of_each_other(layer: Any, executor: str) -> None:
    """Not of their number, nor of what lies between them, nor of longer rows."""
    if executor == "jax":
        pytest.importorskip("jax")
    net, rows = network(layer), ragged()
    together = list(net.forward(rows, executor=executor))
    apart = np.full((40, FEATURES), np.nan)
    starts = [30, 20, 11, 5, 23]
    for start, row in zip(starts, rows, strict=True):
        apart[start : start + len(row)] = row
    gaps = net.executor(executor).outputs(
        nv.executors.Data((nv.Ragged(apart, LENGTHS, starts),))
    )[0]
    for i, row in enumerate(rows):
        alone = net.forward(row[None], executor=executor)[0]
        np.testing.assert_allclose(together[i], alone, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(gaps[i], alone, rtol=1e-12, atol=1e-14)


def test_reverse_begins_at_the_end_of_each_row() -> None:
    rows = ragged()
    turned = nv.Ragged.of([row[::-1] for row in rows])
    back = network(nv.LSTM(UNITS, reverse=True)).forward(rows)
    np.testing.assert_array_equal(back, network(nv.LSTM(UNITS)).forward(turned))


def test_lists_arrays_and_ragged_rows_are_the_same() -> None:
    net, rows = network(nv.GRU(UNITS)), ragged()
    expected = net.predict(rows)
    np.testing.assert_array_equal(net.predict(list(rows)), expected)
    whole = RNG.normal(size=(4, 6, FEATURES))
    open_, fixed = net.predict(whole), network(nv.GRU(UNITS), (6, FEATURES))
    np.testing.assert_array_equal(open_, fixed.predict(whole))
    np.testing.assert_array_equal(open_, net.predict(nv.Ragged.of_array(whole)))


def test_steps_of_padding_cost_nothing() -> None:
    """One long row among short ones: the plan has room for their steps, no more."""
    net = network(nv.LSTM(UNITS))
    lengths = np.r_[1000, np.full(63, 2)]
    rows = nv.Ragged(np.zeros((lengths.sum(), FEATURES)), lengths)
    executor: Any = net.executor()
    room = executor._room(nv.executors.Data((rows,)))
    assert room.extent(64).steps == (1126,)


# -- states ----------------------------------------------------------------------------


def test_final_states_begin_another_layer() -> None:
    """Two halves of a sequence, the second from where the first ends, are the whole."""
    first, second = nv.Input((None, FEATURES)), nv.Input((None, FEATURES))
    cell = nv.LSTM(UNITS, True, name="cell")
    begun = cell(first)
    ended = cell(second, begun["state"], begun["cell"])
    halves = nv.Network(inputs=[first, second], outputs=ended, dtype="float64", seed=1)
    whole = nv.Network([nv.Input((None, FEATURES)), cell], dtype="float64", seed=1)
    assert list(halves.parameters) == list(whole.parameters)
    whole.values[:] = halves.values
    x = RNG.normal(size=(2, 9, FEATURES))
    expected = whole.forward(x)[:, 4:]
    found = halves.forward([x[:, :4], x[:, 4:]])
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def streamed(streams: int = 2, length: int = 3) -> tuple[Any, Any, Any]:
    """A series, its chunks, and a network that carries its state over them."""
    series = RNG.normal(size=(4 * streams * length, FEATURES))
    rows = nv.data.chunks(series, streams, length)
    net = network(nv.LSTM(UNITS, True, stateful=streams))
    net.forget()
    return series, rows, net


def test_a_stateful_layer_goes_on_where_the_batch_before_ended() -> None:
    series, rows, net = streamed()
    y = nv.Ragged(np.zeros((len(series), UNITS)), rows.lengths, rows.starts)
    still = {"epochs": 1, "batch_size": 2, "shuffle": False, "progress": False}
    weights = np.array(net.parameters["lstm.weight"])
    nv.fit(net, rows, y, loss="mse", optimizer=nv.SGD(1e-300), **still)
    np.testing.assert_array_equal(net.parameters["lstm.weight"], weights)
    plain = network(nv.LSTM(UNITS))
    for key, view in plain.parameters.items():
        view[...] = net.parameters[key]
    ends = plain.forward(series.reshape(2, -1, FEATURES))
    np.testing.assert_allclose(net.parameters["lstm.state"], ends, rtol=1e-12)
    net.forget()
    assert not np.any(net.parameters["lstm.state"])


@pytest.mark.parametrize("given", [{}, {"shuffle": False, "batch_size": 4}])
def test_stateful_rows_must_be_side_by_side(given: dict[str, Any]) -> None:
    series, rows, net = streamed()
    y = nv.Ragged(np.zeros((len(series), UNITS)), rows.lengths, rows.starts)
    with pytest.raises(ValueError, match=r"^\[lstm\] stateful"):
        nv.fit(net, rows, y, loss="mse", epochs=1, progress=False, **given)


# -- training --------------------------------------------------------------------------


def task(rows: int = 300) -> tuple[list[Any], Any]:
    """Whether the first numbers of a sequence of 2 to 9 steps sum to more than 0."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 10, rows)
    X = [rng.normal(size=(n, 2)).astype(np.float32) for n in lengths]
    return X, np.array([int(x[:, 0].sum() > 0) for x in X])


def classifier() -> nv.Network:
    layers = [nv.Input((None, 2)), nv.GRU(8, recurrent_dropout=0.1)]
    return nv.Network([*layers, nv.Dense(2, activation="softmax")], seed=0)


def fitted(folder: Path | None, epochs: int, stop: Any = None) -> nv.Run:
    X, y = task()
    more = {"validation": 0.2, "optimizer": nv.Adam(0.02), "progress": False}
    if stop is not None:
        more["on_epoch"] = stop
    return nv.fit(classifier(), X, y, epochs=epochs, directory=folder, **more)


def test_ragged_rows_are_learned() -> None:
    assert fitted(None, 12).history["validation_accuracy"][-1] > 0.85


def test_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = fitted(None, 4)
    begun = fitted(tmp_path / "run", 2)
    assert begun.epoch == 2
    X, y = task()
    ended = nv.resume(tmp_path / "run", X, y, epochs=4, progress=False)
    assert ended.network.values.tobytes() == whole.network.values.tobytes()


def test_batches_hold_rows_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 6400)
    rows = np.arange(6400)
    found = epoch_order(rows, 1, 0, lengths=lengths, batch_size=32)
    assert sorted(found) == rows.tolist()
    batches = lengths[found].reshape(-1, 32)
    filled = batches.sum() / (batches.max(axis=1).sum() * 32)
    assert filled > 0.9  # at random about half
    assert np.abs(np.diff(batches.mean(axis=1))).mean() > 10  # and batches are shuffled


def test_steps_without_a_target_do_not_count() -> None:
    net = network(nv.LSTM(2, True))
    soft = nv.Network(
        [nv.Input((None, FEATURES)), nv.LSTM(3, True), nv.Softmax()], dtype="float64"
    )
    rows = ragged()
    y = nv.Ragged(np.arange(sum(LENGTHS)) % 3, LENGTHS)
    hidden = y.with_values(np.where(np.arange(sum(LENGTHS)) % 4 == 0, -1, y.values))
    weights = y.with_values((hidden.values >= 0).astype(float))
    ignoring = nv.CrossEntropy(ignore=-1)
    by_index = soft.trace(rows, hidden, loss=ignoring)
    by_weight = soft.trace(rows, y, loss="cross_entropy", sample_weight=weights)
    assert by_index.loss == pytest.approx(by_weight.loss, rel=1e-12)
    p = soft.forward(rows).packed()
    counts = weights.values > 0
    own = -np.log(p[np.arange(len(p)), y.values])[counts]
    assert by_index.loss == pytest.approx(own.mean(), rel=1e-9)
    assert net.forward(rows).values.shape == (sum(LENGTHS), 2)


# -- tied weights ----------------------------------------------------------------------


def test_a_tied_layer_learns_from_both_places(tmp_path: Path) -> None:
    layers = [nv.Input(6), nv.Dense(3, activation="tanh", name="code")]
    net = nv.Network([*layers, nv.Tied("code", transposed=True)], dtype="float64")
    assert list(net.parameters) == ["code.weight", "code.bias", "tied.bias"]
    x = RNG.normal(size=(8, 6))
    assert nv.check_gradients(net, x, x, loss="mse").passed
    apart = nv.Network([*layers, nv.Dense(6)], dtype="float64")
    apart.parameters["code.weight"] = net.parameters["code.weight"]
    apart.parameters["dense.weight"] = net.parameters["code.weight"].T
    theirs, mine = gradients(apart, x, x), gradients(net, x, x)
    both = theirs["code.weight"] + theirs["dense.weight"].T
    np.testing.assert_allclose(mine["code.weight"], both, rtol=1e-12)
    net.save(tmp_path / "tied.safetensors")
    again = nv.load(tmp_path / "tied.safetensors")
    np.testing.assert_array_equal(again.predict(x), net.predict(x))


def test_a_layer_that_is_called_twice_has_its_parameters_once() -> None:
    a, b = nv.Input(4), nv.Input(4)
    shared = nv.Dense(3, activation="tanh", name="shared")
    merged = nv.Concatenate()(shared(a), shared(b))
    net = nv.Network(inputs=[a, b], outputs=nv.Dense(1)(merged), dtype="float64")
    assert net.layout.count == 4 * 3 + 3 + 6 + 1
    x = [RNG.normal(size=(5, 4)), RNG.normal(size=(5, 4))]
    assert nv.check_gradients(net, x, RNG.normal(size=(5, 1)), loss="mse").passed


# -- bad input -------------------------------------------------------------------------


def classes() -> nv.Network:
    return nv.Network([nv.Input((None,)), nv.Embedding(5, 2), nv.LSTM(2)], seed=0)


BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "no rows": (
        lambda: nv.Ragged(np.zeros((0, 2)), []),
        "[ragged] no rows; expected at least 1; give some lengths",
    ),
    "an empty sequence": (
        lambda: network(nv.LSTM(2)).predict([np.zeros((2, 3)), np.zeros((0, 3))]),
        "[ragged] row 1 has 0 steps; expected at least 1; drop empty sequences, or "
        "give them a step that says so",
    ),
    "lengths of other values": (
        lambda: nv.Ragged(np.zeros((5, 2)), [2, 2]),
        "[ragged] lengths of 4 steps in all, but 5 values; expected as many; give the "
        "steps of all rows, one row behind the other",
    ),
    "nan in a sequence": (
        lambda: network(nv.LSTM(2)).predict([[[1, 2, 3]], [[1, 2, 3], [1, np.nan, 3]]]),
        "[X] nan in row 1, step 1; expected finite numbers; fill the gap, drop the "
        "row, or weigh the step 0 and put any number there",
    ),
    "steps of other features": (
        lambda: network(nv.LSTM(2)).predict([[[1, 2, 3]], [[1, 2], [3, 4]]]),
        "[X] row 1 has steps of shape (2,), row 0 of shape (3,); expected the same; "
        "give every step the same features",
    ),
    "too few features": (
        lambda: network(nv.LSTM(2)).predict([[[1, 2]], [[1, 2], [3, 4]]]),
        "[input] sequences with steps of shape (2,); expected (rows, time, 3); reshape "
        "them, or change nv.Input(...)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_sequences_that_cannot_be(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()


def test_tokens_outside_of_the_vocabulary() -> None:
    with pytest.raises(ValueError, match=r"^\[X\] .*7.*; expected .*; .*"):
        classes().predict([[0, 1], [7]])


def test_targets_of_other_lengths() -> None:
    net = network(nv.LSTM(2, True))
    y = nv.Ragged(np.zeros((sum(LENGTHS), 2)), (1, 4, 6, 3, 6))
    with pytest.raises(ValueError, match=r"^\[.*\] .*row 0.*; expected .*; .*"):
        nv.fit(net, ragged(), y, loss="mse", epochs=1, progress=False)


def test_very_long_sequences_are_told_before_anything_is_computed() -> None:
    net = nv.Network([nv.Input((None, 1)), nv.LSTM(512, True), nv.Dense(1)], seed=0)
    series = np.broadcast_to(np.zeros((1, 1), np.float32), (10**7, 1))
    rows = nv.Ragged(series, [10**7])
    with pytest.raises(
        ValueError, match=r"10,000,000 steps take .*; use shorter sequences"
    ):
        nv.fit(net, rows, rows, loss="mse", epochs=1, progress=False)
