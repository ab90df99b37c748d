# SPDX-License-Identifier: BSD-3-Clause
"""Telemetry: what it tells is true, and no bit of training depends on it."""

from __future__ import annotations

import importlib.util
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.network.quantities import BINS
from nervure.record import line_of
from nervure.training.session import Session
from nervure.training.telemetry.probe import FEW_ROWS, MOST_ROWS, Probe, rows_for
from nervure.training.telemetry.sampling import Sampling, epoch_is_due, is_kept


def load_script() -> Any:
    path = Path(__file__).with_name("bits_script.py")
    found = importlib.util.spec_from_file_location("bits_script", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


SCRIPT = load_script()


def net_of(*layers: Any, **given: Any) -> nv.Network:
    hidden = layers or (nv.Dense(8, activation="relu"),)
    end = nv.Dense(3, activation="softmax")
    return nv.Network([nv.Input(2), *hidden, end], **{"seed": 1, **given})


def seen(blobs: Any, net: nv.Network | None = None, **given: Any) -> nv.Run:
    """A run that is looked at."""
    given = {"epochs": 4, "batch_size": 16, "progress": False, **given}
    return nv.fit(net or net_of(), *blobs, telemetry=True, **given)


# -- bits -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCRIPT.CASES)
def test_no_bit_depends_on_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every training whose bits are kept, looked at and not, by both executors."""
    if name.endswith("_by_jax"):
        pytest.importorskip("jax")
    hashes = set[str]()
    for on in (True, False):
        monkeypatch.setattr(Session, "_is_seen", lambda *_, on=on: on)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nv.FindingWarning)
            hashes.add(SCRIPT.outcome(SCRIPT.CASES[name]())["hash"])
    assert len(hashes) == 1


@pytest.mark.parametrize("executor", ["native", "jax"])
def test_running_statistics_and_masks_are_left_alone(blobs: Any, executor: str) -> None:
    """A BatchNorm's statistics would move twice in a step that is looked at."""
    if executor == "jax":
        pytest.importorskip("jax")
    found = []
    for telemetry in (True, False):
        body = nv.Dense(8), nv.BatchNorm(), nv.Activation("relu"), nv.Dropout(0.3)
        net = net_of(*body)
        given = {"epochs": 3, "batch_size": 16, "executor": executor}
        nv.fit(net, *blobs, progress=False, telemetry=telemetry, **given)
        found.append(net.values.copy())
    assert (found[0] == found[1]).all()


class Killed(nv.Callback):
    """Ends the process, as it were, before the fourth epoch is kept."""

    def on_epoch_end(self, run: nv.Run) -> None:
        if run.epoch == 4:
            raise MemoryError


def test_a_resumed_run_leaves_the_same_record(blobs: Any, tmp_path: Path) -> None:
    """Killed in the fourth of six epochs, or not at all."""
    whole = seen(blobs, epochs=6, directory=tmp_path / "whole")
    with pytest.raises(MemoryError):
        seen(blobs, epochs=6, directory=tmp_path / "parts", callbacks=[Killed()])
    nv.resume(tmp_path / "parts", *blobs, callbacks=[], progress=False)
    parts = nv.Record.read(tmp_path / "parts")

    def told(record: nv.Record) -> list[str]:
        kept = ("layout", "data", "step", "checkup")
        return [line_of(event) for event in record.events if event["event"] in kept]

    assert told(parts) == told(nv.Record.read(tmp_path / "whole"))
    assert told(parts) == told(whole.record)


def test_it_is_on_where_somebody_may_read_of_it(blobs: Any, tmp_path: Path) -> None:
    quiet = nv.fit(net_of(), *blobs, epochs=1, progress=False)
    kept = nv.fit(net_of(), *blobs, epochs=1, progress=False, directory=tmp_path / "a")
    off = nv.fit(
        net_of(),
        *blobs,
        epochs=1,
        progress=False,
        directory=tmp_path / "b",
        telemetry=False,
    )
    assert [len(r.record.of("step")) > 0 for r in (quiet, kept, off)] == [
        False,
        True,
        False,
    ]


# -- what it tells --------------------------------------------------------------------


def test_a_step_says_what_the_trace_of_its_rows_says(blobs: Any) -> None:
    """One batch of all rows, no shuffling: the first step by hand."""
    X, y = blobs[0][:60], blobs[1][:60]
    net = net_of(nv.Dense(8, activation="tanh"))
    trace = net.trace(X, y, training=True, step=0, seed=0)
    before = net.parameters["dense.weight"].copy()
    run = seen(
        (X, y), net, batch_size=60, epochs=1, shuffle=False, optimizer=nv.SGD(0.1)
    )
    record = run.record
    row = record.layers.index("dense")
    z = trace["dense"].z
    assert record["z_mean"][0, row] == pytest.approx(z.mean(), rel=1e-4, abs=1e-6)
    assert record["z_std"][0, row] == pytest.approx(z.std(), rel=1e-4)
    assert record["cost"][0] == pytest.approx(trace.loss, rel=1e-4)
    delta = trace["dense"].delta * 60
    rms = math.sqrt((delta**2).mean())
    assert record["delta"][0, row] == pytest.approx(rms, rel=1e-4)
    gradient = np.linalg.norm(trace["dense"].gradient["weight"])
    column = record.parameters.index("dense.weight")
    assert record["gradient"][0, column] == pytest.approx(gradient, rel=1e-4)
    norm = np.linalg.norm(before)
    assert record["norm"][0, column] == pytest.approx(norm, rel=1e-4)
    assert record["update"][0, column] == pytest.approx(0.1 * gradient, rel=1e-3)
    assert record["ratio"][0, column] == pytest.approx(0.1 * gradient / norm, rel=1e-3)
    for name, values in trace.quantities.items():
        known = values.get("dense", values.get("dense.weight"))
        place = column if "dense.weight" in values else row
        if isinstance(known, float):
            assert record[name][0, place] == pytest.approx(known, rel=1e-4), name


def test_dead_and_saturated_units_are_counted(blobs: Any) -> None:
    net = net_of(nv.Dense(8, activation="relu"), nv.Dense(4, activation="tanh"))
    net.parameters["dense.bias"] = [-100.0] * 6 + [100.0] * 2
    net.parameters["dense_1.bias"] = [0.0, 0.0, 0.0, 50.0]
    net.parameters["dense_1.weight"] = np.zeros((8, 4))
    found = net.trace(*blobs).quantities
    assert found["dead"]["dense"] == pytest.approx(6 / 8)
    assert found["zero"]["dense"] == pytest.approx(6 / 8)
    assert found["saturated"]["dense_1"] == pytest.approx(1 / 4)
    assert found["nonfinite"]["dense_1"] == 0


def test_entropy_of_a_softmax_is_a_share_of_the_largest(blobs: Any) -> None:
    net = net_of()
    net.parameters["dense_1.weight"] = np.zeros((8, 3))
    found = net.trace(*blobs).quantities["entropy"]
    assert found["dense_1"] == pytest.approx(1.0)
    assert found["dense"] is None


def test_histograms_count_every_value_once(blobs: Any) -> None:
    run = seen((blobs[0][:64], blobs[1][:64]), batch_size=32)
    whole = [event for event in run.record.of("step") if "a_histogram" in event]
    assert whole
    for event in whole:
        for counts in event["a_histogram"]:
            assert len(counts) == BINS
        assert sum(event["a_histogram"][0]) == 32 * 8
        assert sum(event["delta_histogram"][1]) == 32 * 3
        weights = event.get("norm_histogram")  # of two batches that meet
        assert weights is None or sum(weights[0]) == 2 * 8
    assert any("norm_histogram" in event for event in whole)


def test_signal_to_noise_is_large_where_all_rows_are_alike() -> None:
    X = np.ones((128, 2), np.float32)
    net = nv.Network([nv.Input(2), nv.Dense(1)], seed=0)
    run = seen((X, X[:, :1]), net, batch_size=32, loss="mse")
    whole = [event for event in run.record.of("step") if "signal" in event]
    assert max(event["signal"][0] for event in whole) > 100


# -- along time -----------------------------------------------------------------------


def carried(factor: float, layer: Any = None) -> nv.Network:
    """A relu that multiplies its state by a factor at every step."""
    layer = layer or nv.SimpleRNN(3, activation="relu")
    net = nv.Network([nv.Input((6, 2)), layer, nv.Dense(1)], seed=0, dtype="float64")
    net.parameters["simple_rnn.recurrent_weight"] = factor * np.eye(3)
    net.parameters["simple_rnn.weight"] = np.full((2, 3), 0.5)
    return net


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_an_echo_is_the_product_of_the_derivatives(factor: float) -> None:
    """All states are above 0, so that ``dh_t/dh_1 = factor^(t - 1)``."""
    X = np.abs(np.random.default_rng(0).normal(size=(9, 6, 2)))
    found = carried(factor).trace(X, np.ones(9)).quantities
    assert found["echo"]["simple_rnn"] == pytest.approx(factor**5, rel=1e-6)
    assert found["echo"]["dense"] is None
    h = np.zeros((8, 3))
    sizes = []
    for step in range(6):
        h = h * factor + X[:8, step].sum(axis=1, keepdims=True) / 2
        sizes.append(math.sqrt((h**2).mean()))
    grown = sizes[-1] / sizes[0]
    assert found["growth"]["simple_rnn"] == pytest.approx(grown, rel=1e-6)


def test_the_other_way_along_time_it_is_the_same() -> None:
    X = np.abs(np.random.default_rng(0).normal(size=(5, 6, 2)))
    back = carried(2.0, nv.SimpleRNN(3, activation="relu", reverse=True))
    own = carried(2.0).trace(X).quantities
    other = back.trace(X[:, ::-1]).quantities
    for name in ("echo", "growth"):
        assert other[name]["simple_rnn"] == pytest.approx(own[name]["simple_rnn"])


@pytest.mark.parametrize("executor", ["native", "jax"])
def test_gates_are_those_that_a_trace_shows(executor: str) -> None:
    if executor == "jax":
        pytest.importorskip("jax")
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 2)).astype(np.float32) for length in (4, 7, 5, 7)]
    layer = nv.Bidirectional(nv.LSTM(3))
    net = nv.Network([nv.Input((None, 2)), layer, nv.Dense(1)], seed=0)
    net.parameters["bidirectional.forward.bias"] = [0.0] * 3 + [9.0] * 3 + [0.0] * 6
    trace = net.trace([x[:4] for x in X], np.ones(4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nv.FindingWarning)
        run = seen((X, np.ones(4)), net, epochs=1, batch_size=4, executor=executor)
    record = run.record
    kinds = ("input", "forget", "candidate", "output")
    sides = ("forward", "backward")
    assert record.gates == tuple(
        f"bidirectional.{side}.{kind}" for side in sides for kind in kinds
    )
    for i, name in enumerate(record.gates):
        inner = trace["bidirectional"].inner[name.removeprefix("bidirectional.")]
        assert record["gate_mean"][0, i] == pytest.approx(inner.mean(), rel=1e-3)
        assert trace.quantities["gate_mean"][name] == pytest.approx(inner.mean())
    shut = dict(zip(record.gates, record["gate_saturated"][0], strict=True))
    assert shut["bidirectional.forward.forget"] > 0.9
    assert shut["bidirectional.backward.forget"] == 0
    assert record.columns("gates")["gate"].tolist()[:8] == list(record.gates)
    assert len(record.columns("gates")["gate_mean"]) == 8 * len(record.steps)
    assert np.isfinite(record["echo"][0, 0])
    assert np.isnan(record["echo"][0, 1])


def test_a_single_step_says_nothing_of_time() -> None:
    net = nv.Network([nv.Input((1, 2)), nv.GRU(3), nv.Dense(1)], seed=0)
    found = net.trace(np.ones((4, 1, 2)), np.ones(4)).quantities
    assert found["echo"] == {"gru": None, "dense": None}
    assert set(found["gate_mean"].values()) == {None}


def test_states_that_run_away_are_infinitely_many_times_as_large() -> None:
    net = carried(1e60)
    found = net.trace(np.ones((2, 6, 2)), np.ones(2)).quantities
    assert found["growth"]["simple_rnn"] == math.inf


def test_nets_without_recurrence_have_no_columns_of_it(blobs: Any) -> None:
    record = seen(blobs, epochs=1).record
    assert record.gates == ()
    assert not {"echo", "growth", "gate_mean"} & set(record.names)


# -- attention ------------------------------------------------------------------------


def attending(**options: Any) -> nv.Network:
    """Two heads of attention whose scores are the products of what comes in."""
    q, k = nv.Input((None, 4), name="q"), nv.Input((None, 4), name="k")
    y = nv.DotProductAttention(2, **options, name="look")(q, k, k)
    return nv.Network(inputs=[q, k], outputs=[y], dtype="float64")


@pytest.mark.parametrize("causal", [False, True])
def test_entropy_of_attention_is_that_of_the_weights(causal: bool) -> None:
    rng = np.random.default_rng(0)
    lengths = (5, 1, 7)
    q = [rng.normal(size=(n, 4)) for n in lengths]
    k = [rng.normal(size=(n, 4)) for n in (4, 3, 7)]
    net = attending(causal=causal)
    trace = net.trace(
        [nv.Ragged(np.concatenate(x), [len(a) for a in x]) for x in (q, k)]
    )
    shares: list[list[float]] = [[], []]
    for own, other in zip(q, k, strict=True):
        for i in range(len(own)):
            last = i + 1 + len(other) - len(own) if causal else len(other)
            for head in range(2) if min(last, len(other)) > 1 else ():
                some = slice(2 * head, 2 * head + 2)
                scores = other[: max(last, 0), some] @ own[i, some] / math.sqrt(2)
                w = np.exp(scores - scores.max())
                w /= w.sum()
                shares[head].append(-(w * np.log(w)).sum() / math.log(len(w)))
    found = trace.quantities["head_entropy"]
    assert found == pytest.approx(
        {f"look.{i}": np.mean(s) for i, s in enumerate(shares)}
    )


def test_a_head_that_looks_everywhere_and_one_that_looks_at_one_step() -> None:
    q = np.zeros((1, 3, 4))
    q[:, :, 2:] = 100.0
    k = np.random.default_rng(0).normal(size=(1, 6, 4))
    found = attending().trace([[q[0]], [k[0]]]).quantities["head_entropy"]
    assert found["look.0"] == pytest.approx(1.0)
    assert found["look.1"] < 0.01
    alone = attending().trace([[q[0]], [k[0, :1]]]).quantities["head_entropy"]
    assert set(alone.values()) == {None}


@pytest.mark.parametrize("executor", ["native", "jax"])
def test_heads_of_a_block_are_in_the_record(executor: str) -> None:
    if executor == "jax":
        pytest.importorskip("jax")
    X = np.random.default_rng(0).normal(size=(16, 5, 4)).astype(np.float32)
    layers = [nv.Input((5, 4)), nv.TransformerBlock(2, causal=True), nv.Flatten()]
    net = nv.Network([*layers, nv.Dense(1)], seed=0)
    known = net.trace(X[:8], np.ones(8)).quantities["head_entropy"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nv.FindingWarning)
        given = {"batch_size": 8, "epochs": 1, "shuffle": False, "executor": executor}
        record = seen((X, np.ones(16)), net, **given).record
    assert record.heads == tuple(known)
    assert len(record.heads) == 2
    first = dict(zip(record.heads, record["head_entropy"][0], strict=True))
    assert first == pytest.approx(known, rel=1e-3)
    assert record.columns("heads")["head"].tolist()[:2] == list(record.heads)


# -- rows -----------------------------------------------------------------------------


def test_a_checkup_is_of_the_weights_after_the_epoch(blobs: Any) -> None:
    X, y = blobs
    run = seen((X[:60], y[:60]), validation=(X[60:], y[60:]))
    found = run.record.latest("checkup")
    known = run.network.evaluate(X[60:], y[60:])
    assert found["validation"]["loss"] == pytest.approx(known["loss"], rel=1e-4)
    assert found["validation"]["accuracy"] == pytest.approx(known["accuracy"], rel=1e-4)
    rows = [row[0] for row in found["validation"]["classes"]]
    assert rows == np.bincount(y[60:]).tolist()
    hardest = found["validation"]["hardest"][0]
    costs = run.network.evaluate(X[60:][[hardest[0]]], y[60:][[hardest[0]]])
    assert hardest[1] == pytest.approx(costs["loss"], rel=1e-3)


# -- how much of it -------------------------------------------------------------------


@pytest.mark.parametrize("planned", [1, 2, 7, 100, 10_000, 10_000_000])
def test_steps_are_dense_at_first_and_bounded(planned: int) -> None:
    sampling = Sampling(planned)
    steps = sampling.steps
    assert steps[0] == 0
    assert steps[-1] == planned - 1
    assert len(steps) <= 300
    assert list(steps[: min(5, planned)]) == list(range(min(5, planned)))
    assert sampling.wholes <= set(steps)
    assert all(sampling.due(step) for step in steps)
    assert sampling.until(planned) is None


def test_epochs_are_thinned() -> None:
    assert sum(map(is_kept, range(1_000_000))) < 30_000
    assert sum(epoch_is_due(e, 10_000_000) for e in range(100_000)) < 20


def test_large_layers_cost_no_more_memory_than_they_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = net_of().executor().model
    assert rows_for(small, 1000) == MOST_ROWS
    assert rows_for(small, 4) == FEW_ROWS
    maps = nv.Network(
        [nv.Input((32, 32, 1)), nv.Conv2D(8, 3), nv.Flatten(), nv.Dense(2)]
    )
    assert rows_for(maps.executor().model, 1000) == FEW_ROWS
    monkeypatch.setattr("nervure.training.telemetry.probe.MOST_BYTES", 1000)
    assert rows_for(small, 1000) == 1000 // (2 * 4 * (2 + 8 + 8 + 3 + 3))
    normal = net_of(nv.Dense(4), nv.BatchNorm()).executor().model
    assert rows_for(normal, 4) == 4  # the statistics are those of the batch


# -- what goes wrong ------------------------------------------------------------------


def test_a_fault_in_it_does_not_stop_the_training(
    blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("no such thing")

    expected = net_of()
    nv.fit(expected, *blobs, epochs=4, batch_size=16, progress=False)
    monkeypatch.setattr(Probe, "before", fails)
    net = net_of()
    with pytest.warns(UserWarning, match="RuntimeError: no such thing; training goes"):
        run = seen(blobs, net)
    assert run.epoch == 4
    assert (net.values == expected.values).all()


def test_a_flag_is_a_flag(blobs: Any) -> None:
    with pytest.raises(ValueError, match=r"\[fit\] telemetry"):
        nv.fit(net_of(), *blobs, progress=False, telemetry="yes")  # pyright: ignore


def test_a_long_run_keeps_little(blobs: Any) -> None:
    """Thousands of steps: what is told goes with their logarithm."""
    X, y = blobs[0][:32], blobs[1][:32]
    run = seen((X, y), batch_size=2, epochs=400)
    assert run.step == 6400
    assert len(run.record.of("step")) < 60
    assert len(run.record.of("checkup")) < 20
