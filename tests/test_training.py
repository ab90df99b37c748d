# SPDX-License-Identifier: BSD-3-Clause
"""fit: what is measured, what stops it, what it refuses."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors.native import NativeTrainer
from nervure.losses import LossError
from nervure.optimizers import schedules
from nervure.training.meter import Meter
from nervure.training.sampler import epoch_order


def fit(net: nv.Network, X: Any, y: Any = None, **given: Any) -> nv.Run:
    return nv.fit(net, X, y, **{"progress": False, **given})


def line_net(**given: Any) -> nv.Network:
    return nv.Network([nv.Input(1), nv.Dense(1)], seed=0, dtype="float64", **given)


LINE_X = np.linspace(-1, 1, 8).reshape(-1, 1)
LINE_Y = 2 * LINE_X[:, 0] + 1

# -- what comes back -------------------------------------------------------------------


def test_history_has_every_epoch(make_net, blobs) -> None:
    run = fit(make_net(), *blobs, epochs=4, validation=0.2)
    names = ["loss", "accuracy", "validation_loss", "validation_accuracy"]
    assert list(run.history) == [*names, "learning_rate", "seconds"]
    assert all(len(series) == 4 for series in run.history.values())
    assert run.history["loss"][-1] < run.history["loss"][0]
    assert run.epoch == 4
    assert run.step == 4 * math.ceil(72 / 32)
    assert run.stopped is None
    assert run.best_epoch == int(np.argmin(run.history["validation_loss"]))
    assert run.seconds >= run.history["seconds"][-1] > 0
    assert run.network.evaluate(*blobs).keys() == {"loss", "accuracy"}


def test_training_separates_the_blobs(make_net, blobs) -> None:
    net = make_net()
    fit(net, *blobs, epochs=60, optimizer=nv.Adam(0.02))
    assert (net.predict_classes(blobs[0]) == blobs[1]).mean() > 0.9


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows() -> None:
    """With a rate that changes nothing: the loss of the data, partial batch too."""
    net = line_net()
    before = net.evaluate(LINE_X, LINE_Y, loss="mse", metrics=["mae"])
    run = fit(
        net, LINE_X, LINE_Y, loss="mse", optimizer=nv.SGD(1e-300), batch_size=3,
        epochs=1, metrics=["mae"],
    )  # fmt: skip
    assert run.history["loss"][0] == pytest.approx(before["loss"], rel=1e-12)
    assert run.history["mae"][0] == pytest.approx(before["mae"], rel=1e-12)
    weights = np.arange(8.0)
    before = net.evaluate(
        LINE_X, LINE_Y, loss="mse", metrics=["mae"], sample_weight=weights
    )
    run = fit(
        net, LINE_X, LINE_Y, loss="mse", optimizer=nv.SGD(1e-300), batch_size=3,
        epochs=1, metrics=["mae"], sample_weight=weights,
    )  # fmt: skip
    assert run.history["loss"][0] == pytest.approx(before["loss"], rel=1e-12)
    assert run.history["mae"][0] == pytest.approx(before["mae"], rel=1e-12)


# -- batches ---------------------------------------------------------------------------


def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Rows of every batch that the trainer is given from now on."""
    found: list[list[int]] = []
    take = NativeTrainer.run

    def run(self: Any, stretch: Any, outputs: Any) -> Any:
        size = self._job.batch_size
        rows = stretch.rows.tolist()
        found.extend(rows[i : i + size] for i in range(0, len(rows), size))
        return take(self, stretch, outputs)

    monkeypatch.setattr(NativeTrainer, "run", run)
    return found


def test_every_row_comes_once_in_an_epoch(make_net, blobs, monkeypatch) -> None:
    found = batches(monkeypatch)
    fit(make_net(), *blobs, epochs=3, batch_size=20)
    assert [len(b) for b in found] == [20, 20, 20, 20, 10] * 3
    epochs = [list(itertools.chain(*found[i : i + 5])) for i in (0, 5, 10)]
    assert all(sorted(rows) == list(range(90)) for rows in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_held_out_rows_are_not_trained_on(make_net, blobs, monkeypatch) -> None:
    found = batches(monkeypatch)
    fit(make_net(), *blobs, epochs=2, batch_size=16, validation=0.3)
    rows = set(itertools.chain(*found))
    assert len(rows) == 63
    held_out = blobs[1][sorted(set(range(90)) - rows)]
    assert np.bincount(held_out).tolist() == [9, 9, 9]  # every class keeps its share


def test_without_shuffling_rows_come_as_they_are(make_net, blobs, monkeypatch) -> None:
    found = batches(monkeypatch)
    fit(make_net(), *blobs, epochs=2, batch_size=40, shuffle=False)
    assert list(itertools.chain(*found)) == [*range(90), *range(90)]


def test_a_batch_larger_than_the_data_is_all_of_it(
    make_net, blobs, monkeypatch
) -> None:
    found = batches(monkeypatch)
    fit(make_net(), *blobs, epochs=2, batch_size=1000)
    assert [len(b) for b in found] == [90, 90]


def test_gradient_descent_takes_all_rows_in_order(make_net, blobs, monkeypatch) -> None:
    found = batches(monkeypatch)
    fit(make_net(), *blobs, optimizer=nv.GradientDescent(0.1), epochs=2, batch_size=7)
    assert found == [list(range(90))] * 2


def test_orders_depend_on_seed_and_epoch() -> None:
    rows = np.arange(50)
    orders = {tuple(epoch_order(rows, seed, e)) for seed in range(3) for e in range(3)}
    assert len(orders) == 9


def test_gradient_descent_is_the_formula() -> None:
    """Two steps of w <- w - rate dC/dw by hand, quadratic cost."""
    net = line_net()
    w, b = float(net.parameters["dense.weight"][0, 0]), 0.0
    x = LINE_X[:, 0]
    for _ in range(2):
        error = w * x + b - LINE_Y
        w, b = w - 0.3 * (error * x).mean(), b - 0.3 * error.mean()
    optimizer = nv.GradientDescent(0.3)
    fit(net, LINE_X, LINE_Y, loss="quadratic", optimizer=optimizer, epochs=2)
    assert net.parameters["dense.weight"][0, 0] == pytest.approx(w, rel=1e-12)
    assert net.parameters["dense.bias"][0] == pytest.approx(b, rel=1e-12)


# -- validation ------------------------------------------------------------------------


def test_own_validation_data(make_net, blobs) -> None:
    X, y = blobs
    net = make_net()
    run = fit(net, X[:60], y[:60], epochs=2, validation=(X[60:], y[60:]))
    expected = net.evaluate(X[60:], y[60:])
    assert run.history["validation_loss"][-1] == expected["loss"]
    assert run.history["validation_accuracy"][-1] == expected["accuracy"]


def test_own_validation_data_with_weights(make_net, blobs) -> None:
    X, y = blobs
    net, w = make_net(), np.linspace(0, 1, 30)
    run = fit(net, X[:60], y[:60], epochs=1, validation=(X[60:], y[60:], w))
    expected = net.evaluate(X[60:], y[60:], sample_weight=w)
    assert run.history["validation_loss"][-1] == expected["loss"]


def test_a_dataset_brings_its_split_and_its_preprocessing() -> None:
    iris = nv.data.load("iris", held_out=0.2, seed=1)
    net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")], seed=0)
    run = fit(net, iris, epochs=30, optimizer=nv.Adam(0.1))
    assert run.history["validation_accuracy"][-1] > 0.8
    raw = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])
    assert net.predict_classes(raw).tolist() == ["setosa", "virginica"]
    np.testing.assert_allclose(net.predict(raw).sum(axis=1), 1, rtol=1e-6)


def test_a_dataset_as_validation() -> None:
    iris = nv.data.load("iris")
    net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")], seed=0)
    run = fit(net, iris, epochs=1, validation=iris)
    expected = net.evaluate(iris.inputs, iris.targets)["loss"]
    assert run.history["validation_loss"] == [expected]


def test_balanced_weights_of_validation_are_those_of_training(blobs, make_net) -> None:
    X, y = blobs
    few = np.concatenate([np.flatnonzero(y == 0)[:5], np.flatnonzero(y > 0)])
    net = make_net()
    run = fit(
        net, X[few], y[few], epochs=1, class_weight="balanced", validation=(X, y)
    )  # fmt: skip
    counts = np.bincount(y[few])
    weights = (len(few) / (3 * counts))[y]
    expected = net.evaluate(X, y, sample_weight=weights)["loss"]
    assert run.history["validation_loss"][0] == pytest.approx(expected, rel=1e-12)


# -- weights ---------------------------------------------------------------------------


def full_batch(net: nv.Network, X: Any, y: Any, **given: Any) -> np.ndarray:
    arguments = {"optimizer": nv.GradientDescent(0.2), "epochs": 5, "metrics": []}
    fit(net, X, y, **{**arguments, **given})
    return net.values.copy()


def test_a_weight_of_two_is_a_row_given_twice(make_net, blobs) -> None:
    X, y = blobs
    counts = np.random.default_rng(0).integers(0, 4, 90)
    weighted = full_batch(make_net(dtype="float64"), X, y, sample_weight=counts)
    repeated = full_batch(
        make_net(dtype="float64"), np.repeat(X, counts, 0), np.repeat(y, counts)
    )
    np.testing.assert_allclose(weighted, repeated, rtol=1e-10, atol=1e-14)


def test_class_weights_are_sample_weights(make_net, blobs) -> None:
    X, y = blobs
    by_class = full_batch(make_net(), X, y, class_weight={0: 3.0, 2: 0.5})
    by_row = full_batch(make_net(), X, y, sample_weight=np.array([3.0, 1.0, 0.5])[y])
    assert by_class.tobytes() == by_row.tobytes()
    balanced = full_batch(make_net(), X[:70], y[:70], class_weight="balanced")
    w = 70 / (3 * np.bincount(y[:70]))
    by_row = full_batch(make_net(), X[:70], y[:70], sample_weight=w[y[:70]])
    assert balanced.tobytes() == by_row.tobytes()


@pytest.mark.parametrize("executor", ["native", "jax"])
def test_metrics_are_plain_under_class_weights(executor, make_net, blobs) -> None:
    """As in Keras and scikit-learn; weights of the rows count, and in the loss all."""
    if executor == "jax":
        pytest.importorskip("jax", reason="jax is not installed")
    X, y = blobs
    rows = np.random.default_rng(4).uniform(0.1, 2.0, 60)
    held = np.random.default_rng(5).uniform(0.1, 2.0, 30)
    for weights, own in ((None, None), (rows, held)):
        net = make_net()
        run = fit(
            net, X[:60], y[:60], epochs=1, class_weight={0: 9.0}, sample_weight=weights,
            validation=(X[60:], y[60:], own), metrics=["accuracy", "f1"],
            executor=executor,
        )  # fmt: skip
        plain = net.evaluate(X[60:], y[60:], metrics=["accuracy", "f1"],
                             sample_weight=own)  # fmt: skip
        for name in ("accuracy", "f1"):
            found = run.history[f"validation_{name}"][0]
            assert found == pytest.approx(plain[name], rel=1e-6)
        assert run.history["validation_loss"][0] != pytest.approx(plain["loss"])


def test_training_metrics_are_plain_under_class_weights(make_net, blobs) -> None:
    """With a rate of next to nothing they are those of the network as it is."""
    X, y = blobs
    net = make_net()
    run = fit(
        net, X, y, epochs=1, class_weight={0: 9.0}, optimizer=nv.SGD(1e-30),
        metrics=["accuracy"],
    )  # fmt: skip
    assert run.history["accuracy"][0] == pytest.approx(
        net.evaluate(X, y, metrics=["accuracy"])["accuracy"]
    )
    weighted = net.evaluate(X, y, sample_weight=np.where(y == 0, 9.0, 1.0))
    assert run.history["loss"][0] == pytest.approx(weighted["loss"], rel=1e-5)


def test_a_batch_of_weight_zero_changes_nothing(make_net, blobs) -> None:
    X, y = blobs
    net = make_net()
    weights = np.r_[np.zeros(30), np.ones(60)]
    before = net.values.copy()
    run = fit(
        net, X, y, sample_weight=weights, batch_size=30, shuffle=False, max_steps=1,
        optimizer=nv.SGD(0.5),
    )  # fmt: skip
    assert run.step == 1
    np.testing.assert_array_equal(net.values, before)


# -- several outputs and inputs --------------------------------------------------------


def two_headed(seed: int = 0) -> nv.Network:
    a, b = nv.Input(2, name="a"), nv.Input(1, name="b")
    h = nv.Dense(6, activation="tanh")(nv.Concatenate()(a, b))
    classes = nv.Dense(3, activation="softmax", name="classes")(h)
    value = nv.Dense(1, name="value")(h)
    return nv.Network(
        inputs=[a, b], outputs=[classes, value], seed=seed, dtype="float64"
    )


def test_losses_of_several_outputs_add_up_by_weight(blobs) -> None:
    X, y = blobs
    net = two_headed()
    inputs, targets = {"b": X[:, :1], "a": X}, {"value": X[:, 1], "classes": y}
    before = net.values.copy()
    gradients = {}
    for weights in ((1.0, 0.0), (0.0, 1.0), (0.5, 3.0)):
        net.values[:] = before
        fit(
            net, inputs, targets, loss={"classes": "cross_entropy", "value": "mse"},
            loss_weights=weights, optimizer=nv.GradientDescent(1.0), epochs=1,
        )  # fmt: skip
        gradients[weights] = before - net.values
    expected = 0.5 * gradients[1.0, 0.0] + 3 * gradients[0.0, 1.0]
    np.testing.assert_allclose(gradients[0.5, 3.0], expected, rtol=1e-9, atol=1e-13)


def test_metrics_of_several_outputs_have_their_names(blobs) -> None:
    X, y = blobs
    net = two_headed()
    run = fit(net, [X, X[:, :1]], [y, X[:, 1]], epochs=2, validation=0.2)
    names = {"loss", "classes_accuracy", "value_r2"}
    validation = {f"validation_{name}" for name in names}
    assert set(run.history) == names | validation | {"learning_rate", "seconds"}
    assert [y.shape for y in net.forward([X, X[:, :1]])] == [(90, 3), (90, 1)]


def test_two_outputs_of_one_weighted_sum_both_count(blobs) -> None:
    """A softmax and its own logits as outputs: no loss overwrites the other's slope."""
    X, y = blobs
    x = nv.Input(2)
    z = nv.Dense(3, name="z")(x)
    net = nv.Network(inputs=x, outputs=[z, nv.Softmax(name="p")(z)], dtype="float64")
    targets = [np.ones((90, 3)), y]
    check = nv.check_gradients(net, X, targets, loss=["mse", "cross_entropy"])
    assert check.passed, check
    a, b = nv.Softmax(name="a")(z), nv.Softmax(name="b")(z)
    net = nv.Network(inputs=x, outputs=[a, b], dtype="float64")
    check = nv.check_gradients(net, X, [y, (y + 1) % 3], loss="cross_entropy")
    assert check.passed, check


# -- losses, metrics, callbacks that are code ------------------------------------------


def squares(output: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    error = output - target
    return float((error**2).mean(axis=1).mean()), 2 * error / error.size


def test_a_loss_as_a_function_trains_as_the_built_in_one() -> None:
    given = {"optimizer": nv.SGD(0.1), "epochs": 5, "batch_size": 3}
    own, built_in = line_net(), line_net()
    a = fit(own, LINE_X, LINE_Y, loss=squares, metrics=["mae"], **given)
    b = fit(built_in, LINE_X, LINE_Y, loss="mse", metrics=["mae"], **given)
    np.testing.assert_allclose(own.values, built_in.values, rtol=1e-12)
    np.testing.assert_allclose(a.history["loss"], b.history["loss"], rtol=1e-12)
    np.testing.assert_allclose(a.history["mae"], b.history["mae"], rtol=1e-12)


def test_a_loss_as_a_function_sees_the_training_targets_after_validation() -> None:
    """Validation of as many rows as a batch shares the batch's plan."""
    held = LINE_X[:4], np.full(4, 50.0)
    given = {"optimizer": nv.SGD(0.1), "epochs": 4, "batch_size": 4, "metrics": []}
    own, built_in = line_net(), line_net()
    a = fit(own, LINE_X, LINE_Y, loss=squares, validation=held, **given)
    b = fit(built_in, LINE_X, LINE_Y, loss="mse", validation=held, **given)
    np.testing.assert_allclose(own.values, built_in.values, rtol=1e-12)
    np.testing.assert_allclose(
        a.history["validation_loss"], b.history["validation_loss"], rtol=1e-12
    )


def test_an_error_in_a_users_loss_comes_out_as_it_is() -> None:
    def broken(output: np.ndarray, target: np.ndarray) -> Any:
        raise RuntimeError("my own mistake")

    net = line_net()
    with pytest.raises(RuntimeError, match="my own mistake"):
        fit(net, LINE_X, LINE_Y, loss=broken)
    with pytest.raises(LossError, match=r"gradient has shape \(1,\)"):
        fit(net, LINE_X, LINE_Y, loss=lambda output, target: (1.0, np.ones(1)))
    fit(net, LINE_X, LINE_Y, loss="mse", epochs=1)  # the engine is usable after it


def test_own_metrics_and_names() -> None:
    def worst(target: np.ndarray, output: np.ndarray) -> float:
        return float(np.abs(target - output).max())

    run = fit(line_net(), LINE_X, LINE_Y, epochs=2, metrics=["rmse", worst])
    assert {"rmse", "worst"} <= set(run.history)
    assert run.history["worst"][0] >= run.history["rmse"][0]


class Recorder(nv.Callback):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_begin(self, run: nv.Run) -> None:
        self.seen.append("begin")

    def on_epoch_end(self, run: nv.Run) -> None:
        self.seen.append((run.epoch, run.history["loss"][-1]))

    def on_end(self, run: nv.Run) -> None:
        self.seen.append("end")


def test_callbacks_see_every_epoch() -> None:
    recorder, epochs = Recorder(), []
    run = fit(
        line_net(), LINE_X, LINE_Y, epochs=3,
        callbacks=[recorder, lambda run: epochs.append(run.step)],
    )  # fmt: skip
    losses = [(i + 1, loss) for i, loss in enumerate(run.history["loss"])]
    assert recorder.seen == ["begin", *losses, "end"]
    assert epochs == [1, 2, 3]


def test_a_callback_can_stop() -> None:
    def enough(run: nv.Run) -> None:
        if run.epoch == 2:
            run.stop("enough")

    run = fit(line_net(), LINE_X, LINE_Y, epochs=9, callbacks=[enough])
    assert (run.epoch, run.stopped) == (2, "enough")
    assert "stopped: enough" in repr(run)


# -- what ends it ----------------------------------------------------------------------


def test_max_steps_ends_within_an_epoch(make_net, blobs) -> None:
    net = make_net()
    run = fit(net, *blobs, epochs=9, batch_size=20, max_steps=7)
    assert (run.step, run.epoch) == (7, 1)
    assert run.stopped == "max_steps = 7 reached"
    assert len(run.history["loss"]) == 1
    assert np.isfinite(net.values).all()


def test_max_seconds_ends_after_a_stretch(make_net, blobs, monkeypatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr("nervure.training.session.time.monotonic", lambda: next(clock))
    run = fit(make_net(), *blobs, epochs=50, batch_size=9, max_seconds=20.0)
    assert run.stopped == "max_seconds = 20 reached"
    assert 0 < run.step < 50 * 10


def test_early_stopping_gives_the_best_weights(monkeypatch) -> None:
    """The validation loss falls and rises again by its definition."""
    values = iter([5.0, 3.0, 4.0, 2.0, 2.5, 2.2, 9.0, 1.0])
    weights: list[np.ndarray] = []
    measured = Meter.values

    def measure(self: Meter, state: Any, learner: Any) -> dict[str, float]:
        weights.append(state.values.copy())
        return measured(self, state, learner) | {"validation_loss": next(values)}

    monkeypatch.setattr(Meter, "values", measure)
    net = line_net()
    run = fit(
        net, LINE_X, LINE_Y, epochs=20, validation=(LINE_X, LINE_Y),
        callbacks=[nv.EarlyStopping(patience=3)],
    )  # fmt: skip
    assert run.epoch == 7
    assert run.best_epoch == 3
    assert run.stopped == "validation_loss has not improved for 3 epochs"
    np.testing.assert_array_equal(net.values, weights[3])
    assert (net.values != weights[-1]).any()


def test_early_stopping_by_a_metric_where_more_is_better(make_net, blobs) -> None:
    run = fit(
        make_net(), *blobs, epochs=40, validation=0.3, optimizer=nv.Adam(0.05),
        callbacks=[nv.EarlyStopping(patience=4, monitor="validation_accuracy")],
    )  # fmt: skip
    accuracy = run.history["validation_accuracy"]
    assert run.best_epoch == int(np.argmax(accuracy))
    assert run.epoch == run.best_epoch + 5
    assert run.stopped == "validation_accuracy has not improved for 4 epochs"


def test_min_delta_is_the_least_that_counts() -> None:
    run = fit(
        line_net(), LINE_X, LINE_Y, epochs=50, optimizer=nv.SGD(1e-3),
        callbacks=[nv.EarlyStopping(patience=2, min_delta=10.0)],
    )  # fmt: skip
    assert (run.epoch, run.best_epoch) == (3, 0)
    assert run.stopped == "loss has not improved for 2 epochs"


def test_without_early_stopping_the_last_weights_stay() -> None:
    net = line_net()
    values = iter([1.0, 2.0, 3.0])
    seen: list[np.ndarray] = []
    fit(
        net, LINE_X, LINE_Y, epochs=3, metrics=[lambda t, o: next(values)],
        callbacks=[lambda run: seen.append(net.values.copy())],
    )  # fmt: skip
    np.testing.assert_array_equal(net.values, seen[-1])


# -- optimizers, schedules, regularizers -----------------------------------------------


def test_lbfgs_converges_to_least_squares() -> None:
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(40, 3)), 0.1 * rng.normal(size=40)
    y = X @ [1.0, -2.0, 0.5] + 3 + noise
    net = nv.Network([nv.Input(3), nv.Dense(1)], dtype="float64")
    run = fit(
        net, X, y, loss="mse", optimizer=nv.LBFGS(gradient_tolerance=1e-10), epochs=100
    )
    best = np.linalg.lstsq(np.c_[X, np.ones(40)], y, rcond=None)[0]
    found = [*net.parameters["dense.weight"][:, 0], net.parameters["dense.bias"][0]]
    np.testing.assert_allclose(found, best, rtol=1e-5)
    assert run.epoch < 100
    assert run.stopped is not None
    assert "convergence" in run.stopped
    losses = run.history["loss"]
    assert losses == sorted(losses, reverse=True)


def test_lbfgs_with_an_l2_penalty_is_ridge_regression() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(30, 2)), rng.normal(size=30)
    net = nv.Network([nv.Input(2), nv.Dense(1, bias=False)], dtype="float64")
    fit(
        net, X, y, loss="quadratic", optimizer=nv.LBFGS(gradient_tolerance=1e-10),
        regularizer=nv.L2(0.3), epochs=100,
    )  # fmt: skip
    best = np.linalg.solve(X.T @ X / 30 + 0.3 * np.eye(2), X.T @ y / 30)
    np.testing.assert_allclose(net.parameters["dense.weight"][:, 0], best, rtol=1e-5)


@pytest.mark.parametrize(
    ("regularizer", "slope"),
    [
        (nv.L2(0.1), lambda w: 0.1 * w),
        (nv.L1(0.1), lambda w: 0.1 * np.sign(w)),
        (nv.ElasticNet(0.1, 0.2), None),
    ],
)
def test_penalties_pull_weights_but_not_biases(regularizer: Any, slope: Any) -> None:
    def after(penalty: Any) -> nv.Network:
        net = nv.Network([nv.Input(1), nv.Dense(3)], seed=1, dtype="float64")
        net.parameters["dense.bias"] = [1.0, 2.0, 3.0]
        target = np.zeros((8, 3))
        optimizer = nv.GradientDescent(0.5)
        fit(net, LINE_X, target, optimizer=optimizer, epochs=1, regularizer=penalty)
        return net

    w = nv.Network([nv.Input(1), nv.Dense(3)], seed=1, dtype="float64").parameters
    without, found = after(None).parameters, after(regularizer).parameters
    np.testing.assert_array_equal(found["dense.bias"], without["dense.bias"])
    pull = without["dense.weight"] - found["dense.weight"]
    expected = (slope or (lambda w: regularizer.gradient(np, w)))(w["dense.weight"])
    np.testing.assert_allclose(pull, 0.5 * expected, rtol=1e-10)
    assert pull.any()


def test_max_norm_bounds_the_weights_into_each_unit(make_net, blobs) -> None:
    net = make_net()
    fit(net, *blobs, epochs=10, optimizer=nv.SGD(1.0), regularizer=nv.MaxNorm(0.5))
    for name in ("dense.weight", "dense_1.weight"):
        norms = np.linalg.norm(net.parameters[name], axis=0)
        assert norms.max() <= 0.5 * (1 + 1e-6)
        assert norms.max() > 0.49


def rates_of(
    net: nv.Network, monkeypatch: pytest.MonkeyPatch, **given: Any
) -> list[float]:
    found: list[float] = []
    take = NativeTrainer.run

    def run(self: Any, stretch: Any, outputs: Any) -> Any:
        found.extend(stretch.learning_rates)
        return take(self, stretch, outputs)

    monkeypatch.setattr(NativeTrainer, "run", run)
    fit(net, LINE_X, LINE_Y, **given)
    return found


def test_schedules_give_every_step_its_rate(monkeypatch) -> None:
    schedule = schedules.Exponential(0.1, 0.5)
    found = rates_of(
        line_net(), monkeypatch, optimizer=nv.SGD(schedule), epochs=3, batch_size=4
    )
    expected = schedule.values(np.arange(6), 2, 6).tolist()
    assert found == expected
    assert found[-1] < found[0]


def test_a_schedule_over_the_whole_run_ends_at_max_steps(monkeypatch) -> None:
    schedule = schedules.Cosine(0.1)
    found = rates_of(
        line_net(), monkeypatch, optimizer=nv.SGD(schedule), epochs=10, batch_size=4,
        max_steps=5,
    )  # fmt: skip
    assert found == schedule.values(np.arange(5), 2, 5).tolist()


def test_reduce_on_plateau_lowers_the_rate_when_nothing_improves(monkeypatch) -> None:
    schedule = schedules.ReduceOnPlateau(0.1, factor=0.1, patience=2, min_delta=100.0)
    found = rates_of(
        line_net(), monkeypatch, optimizer=nv.SGD(schedule), epochs=6, batch_size=8
    )
    np.testing.assert_allclose(found, [0.1] * 3 + [0.01] * 2 + [0.001])


def test_reduce_on_plateau_watches_what_it_is_told() -> None:
    schedule = schedules.ReduceOnPlateau(0.1, monitor="validation_los")
    with pytest.raises(ValueError, match="did you mean 'validation_loss'") as caught:
        fit(
            line_net(), LINE_X, LINE_Y, optimizer=nv.SGD(schedule),
            validation=(LINE_X, LINE_Y),
        )  # fmt: skip
    assert str(caught.value).startswith("[reduce_on_plateau] unknown value to monitor")


# -- divergence ------------------------------------------------------------------------


def test_divergence_names_the_layer_and_keeps_the_last_good_weights() -> None:
    net = nv.Network([nv.Input(1), nv.Dense(4), nv.Dense(1, name="top")], seed=0)
    good: list[np.ndarray] = []
    rising = nv.schedules.Chain(((0.01, 3), (1e30, 47)))
    with pytest.raises(nv.DivergenceError) as caught:
        fit(
            net, LINE_X, LINE_Y, loss="mse", optimizer=nv.SGD(rising), epochs=50,
            batch_size=8, callbacks=[lambda run: good.append(net.values.copy())],
        )  # fmt: skip
    text = str(caught.value)
    assert re.match(
        r"\[(dense|top|loss)\] (values|cost) became infinite or NaN at learning rate "
        r"1e\+30; expected finite numbers; lower the learning rate \(try 1e\+29\), clip the "
        r"gradient \(clip_norm=1\) or scale the inputs; the network keeps its weights "
        r"after epoch \d+$",
        text,
    ), text
    np.testing.assert_array_equal(net.values, good[-1])
    assert np.isfinite(net.values).all()
    run = caught.value.run
    assert run.stopped == "diverged"
    assert run.epoch == len(good)
    assert text.endswith(f"after epoch {len(good)}")


def test_divergence_in_the_first_epoch_keeps_the_first_weights() -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1)], seed=0)
    before = net.values.copy()
    with pytest.raises(nv.DivergenceError, match=r"from before training$"):
        fit(
            net, np.repeat(LINE_X, 50, 0), np.repeat(LINE_Y, 50), loss="mse",
            optimizer=nv.SGD(1e6), epochs=2, batch_size=2,
        )  # fmt: skip
    np.testing.assert_array_equal(net.values, before)


def test_weights_that_are_not_finite_name_their_layer() -> None:
    net = nv.Network([nv.Input(1), nv.Dense(2, name="low"), nv.Dense(1, name="top")])
    net.parameters["low.weight"] = [[np.inf, 1.0]]
    with pytest.raises(nv.DivergenceError, match=r"^\[low\] values became infinite"):
        fit(net, LINE_X, LINE_Y, epochs=1)


# -- refusals --------------------------------------------------------------------------


def test_a_step_cannot_be_trained_through() -> None:
    net = nv.Network([nv.Input(1), nv.Dense(2, activation="heaviside"), nv.Dense(1)])
    with pytest.raises(nv.LayerError) as caught:
        fit(net, LINE_X, LINE_Y)
    assert str(caught.value) == (
        "[dense.activation] heaviside has derivative 0 wherever it exists, so "
        "backpropagation learns nothing through it; train with "
        'activation="logistic" (its smooth version) or set the weights by hand'
    )


def test_a_step_below_what_learns_is_no_hindrance() -> None:
    layers = [nv.Input(1), nv.Activation("heaviside"), nv.Dense(1)]
    run = fit(
        nv.Network(layers, seed=0), LINE_X, LINE_Y, optimizer=nv.Adam(0.1), epochs=9
    )
    assert run.history["loss"][-1] < run.history["loss"][0]


REFUSALS = {
    "epochs": (0, "[fit] epochs = 0; expected a whole number (>= 1); change epochs"),
    "batch_size": (
        2.5,
        "[fit] batch_size = 2.5; expected a whole number (>= 1); change batch_size",
    ),
    "seed": (-1, "[fit] seed = -1; expected a whole number (>= 0); change seed"),
    "max_steps": (
        0,
        "[fit] max_steps = 0; expected a whole number (>= 1); change max_steps",
    ),
    "max_seconds": (
        0,
        "[fit] max_seconds = 0; expected a finite number (> 0); change max_seconds",
    ),
    "threads": (
        0,
        "[fit] threads = 0; expected a whole number (>= 1); change threads",
    ),
    "loss": ("mae_", "[loss] unknown loss 'mae_'; did you mean 'mae'"),
    "optimizer": ("adm", "[optimizer] unknown optimizer 'adm'; did you mean 'adam'"),
    "regularizer": ("l3", "[regularizer] unknown regularizer 'l3'; did you mean 'l"),
    "metrics": (["r3"], "unknown metric 'r3'; did you mean 'r2'"),
    "executor": ("cuda", "[executor] unknown executor 'cuda'; Known: jax, native"),
    "validation": (
        "some",
        "[fit] validation = 'some'; expected a fraction in [0, 1), (X, y), (X, y, "
        "weights) or a Dataset; change validation=",
    ),
    "callbacks": (
        [3],
        "[fit] callback 3; expected nv.EarlyStopping, an nv.Callback or a function of "
        "the run; change callbacks=",
    ),
    "checkpoint_steps": (
        5,
        "[fit] checkpoint_steps or checkpoint_seconds without a folder; expected the "
        "run folder that checkpoints lie in; pass directory=",
    ),
    "resume": (
        True,
        "[fit] resume without a folder; expected the run folder that checkpoints lie "
        "in; pass directory=",
    ),
    "sample_weight": ([1.0], "[sample_weight]"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_arguments_are_refused_before_training(name: str) -> None:
    value, text = REFUSALS[name]
    net = line_net()
    before = net.values.copy()
    with pytest.raises((ValueError, TypeError)) as caught:
        fit(net, LINE_X, LINE_Y, **{name: value})
    assert text in str(caught.value)
    np.testing.assert_array_equal(net.values, before)


@pytest.mark.parametrize("fraction", [1.0, -0.1, 1.5])
def test_a_fraction_is_one(fraction: float) -> None:
    with pytest.raises(nv.DataError) as caught:
        fit(line_net(), LINE_X, LINE_Y, validation=fraction)
    assert str(caught.value) == (
        f"[split] held-out fraction {fraction}; expected a fraction in [0, 1); use 0.1 "
        "for a tenth"
    )


def test_an_unknown_monitor_is_refused_before_training() -> None:
    net = line_net()
    before = net.values.copy()
    with pytest.raises(ValueError, match="early_stopping") as caught:
        fit(
            net, LINE_X, LINE_Y, callbacks=[nv.EarlyStopping(monitor="validation_loss")]
        )
    assert str(caught.value) == (
        "[early_stopping] unknown value to monitor 'validation_loss'; Known: loss, r2"
    )
    np.testing.assert_array_equal(net.values, before)


def test_data_that_do_not_fit() -> None:
    net = line_net()
    with pytest.raises(ValueError, match=r"\[fit\] 7 targets for 'dense', but 8 rows"):
        fit(net, LINE_X, LINE_Y[:7])
    with pytest.raises(
        ValueError, match=r"\[fit\] no targets; expected y, or a Dataset"
    ):
        fit(net, LINE_X)
    with pytest.raises(ValueError, match=r"\[input\] data of shape \(8, 2\); expected"):
        fit(net, np.ones((8, 2)), LINE_Y)
    with pytest.raises(ValueError, match=r"nan at X\[3, 0\]"):
        fit(net, np.where(np.arange(8) == 3, np.nan, 1.0).reshape(-1, 1), LINE_Y)
    with pytest.raises(ValueError, match="nan"):
        fit(net, LINE_X, np.where(np.arange(8) == 3, np.nan, 1.0))


def test_missing_targets_and_inputs_are_named(blobs) -> None:
    X, y = blobs
    net = two_headed()
    with pytest.raises(ValueError, match=r"no targets for output 'value'; expected"):
        fit(net, [X, X[:, :1]], {"classes": y})
    with pytest.raises(ValueError, match=r"no data for input 'b'; expected a, b"):
        fit(net, {"a": X}, [y, X[:, 1]])
    with pytest.raises(ValueError, match=r"unknown output 'clases'; did you mean 'cla"):
        fit(net, [X, X[:, :1]], [y, X[:, 1]], loss={"clases": "mse", "value": "mse"})


# -- silence ---------------------------------------------------------------------------


def test_silence(capfd: pytest.CaptureFixture[str]) -> None:
    fit(line_net(), LINE_X, LINE_Y, epochs=2)
    assert capfd.readouterr() == ("", "")


def test_a_cost_that_runs_away_without_overflow_is_divergence() -> None:
    x = np.random.default_rng(0).normal(size=(200, 4))
    y = (x[:, 0] > 0).astype(np.int32)
    layers = [nv.Input(4), nv.Dense(16, activation="relu"), nv.Dense(2, "softmax")]
    net = nv.Network(layers, seed=0)
    before = net.values.copy()
    with pytest.raises(nv.DivergenceError) as caught:
        nv.fit(net, x, y, optimizer=nv.Adam(1e9), epochs=3, progress=False)
    text = str(caught.value)
    assert text.startswith("[loss] cost grew from ")
    assert (
        "at learning rate 1e+09; expected it to fall; lower the learning rate" in text
    )
    assert text.endswith("the network keeps its weights from before training")
    np.testing.assert_array_equal(net.values, before)


# -- values that are monitored ---------------------------------------------------------


def replayed(monkeypatch: pytest.MonkeyPatch, **series: list[float]) -> None:
    """The meter shows these values, epoch by epoch."""
    shown = {name: iter(values) for name, values in series.items()}
    measured = Meter.values

    def values(self: Meter, state: Any, learner: Any) -> dict[str, float]:
        found = {name: next(each) for name, each in shown.items()}
        return measured(self, state, learner) | found

    monkeypatch.setattr(Meter, "values", values)


def test_nan_is_never_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    nan = math.nan
    replayed(monkeypatch, validation_loss=[nan, 3.0, 2.0, nan, 4.0, 5.0, 6.0])
    run = fit(
        line_net(), LINE_X, LINE_Y, epochs=7, validation=(LINE_X, LINE_Y),
        callbacks=[nv.EarlyStopping(patience=3)],
    )  # fmt: skip
    assert run.best_epoch == 2
    assert run.epoch == 6


def test_where_all_is_nan_no_epoch_is_best(monkeypatch: pytest.MonkeyPatch) -> None:
    replayed(monkeypatch, validation_loss=[math.nan] * 9)
    net = line_net()
    run = fit(
        net, LINE_X, LINE_Y, epochs=9, validation=(LINE_X, LINE_Y),
        callbacks=[nv.EarlyStopping(patience=4)],
    )  # fmt: skip
    assert (run.best_epoch, run.epoch) == (-1, 4)
    assert (net.values == run.best_network().values).all()


@pytest.mark.parametrize(
    ("monitor", "values", "rates"),
    [
        ("validation_accuracy", [0.1, 0.2, 0.3, 0.4], 1.0),
        ("validation_accuracy", [0.4, 0.3, 0.2, 0.1], 0.125),
        ("validation_loss", [0.4, 0.3, 0.2, 0.1], 1.0),
        ("validation_loss", [0.1, 0.2, 0.3, 0.4], 0.125),
    ],
)
def test_a_plateau_knows_which_way_is_better(
    make_net, blobs, monkeypatch: pytest.MonkeyPatch, monitor: str,
    values: list[float], rates: float,
) -> None:  # fmt: skip
    replayed(monkeypatch, **{monitor: values})
    plateau = schedules.ReduceOnPlateau(1.0, 0.5, patience=1, monitor=monitor)
    X, y = blobs
    states: list[float] = []

    def look(run: nv.Run) -> None:
        states.append(run._state.plateau.scale)

    fit(
        make_net(), X, y, epochs=4, validation=(X, y), optimizer=nv.SGD(plateau),
        metrics=["accuracy"], callbacks=[look],
    )  # fmt: skip
    assert states[-1] == rates


def test_integers_are_values_where_the_loss_takes_values() -> None:
    X = LINE_X[:3]
    for y in (
        [-1, 5, 6],
        np.array([-1, 5, 6], np.int64),
        np.array([3, 0, 1], np.uint8),
    ):
        fit(line_net(), X, y, loss="mse", epochs=1)
    large = 2**31 + np.arange(3)
    run = fit(line_net(), X, large, loss="mae", epochs=1, optimizer=nv.SGD(1e-9))
    assert run.history["loss"][0] == pytest.approx(2**31 + 1, rel=1e-9)


def test_plus_and_minus_one_are_the_sides_of_a_hinge() -> None:
    y = np.sign(LINE_X[:, 0]).astype(int)
    run = fit(line_net(), LINE_X, y, loss="hinge", epochs=60, optimizer=nv.SGD(0.5))
    assert run.history["accuracy"][-1] == 1


def test_a_first_batch_that_is_cheap_is_no_divergence() -> None:
    y = np.zeros(64)
    y[40] = 1000
    X = np.linspace(-1, 1, 64).reshape(-1, 1)
    run = fit(
        line_net(), X, y, epochs=3, batch_size=32, shuffle=False,
        optimizer=nv.SGD(1e-6),
    )  # fmt: skip
    assert run.epoch == 3


def test_growth_within_the_first_epoch_is_divergence() -> None:
    X = np.linspace(-1, 1, 64).reshape(-1, 1)
    with pytest.raises(nv.DivergenceError, match="cost grew from"):
        fit(line_net(), X, X, epochs=3, batch_size=4, optimizer=nv.SGD(4.0))


@pytest.mark.parametrize("inside", [True, False])
def test_weights_that_leave_a_part_empty_are_refused(inside: bool) -> None:
    weights = np.zeros(8)
    held = fit(line_net(), LINE_X, LINE_Y, epochs=1, validation=0.25, seed=3)
    del held
    from nervure.data import split

    train, aside = split(8, 0.25, None, 3)
    weights[aside if inside else train] = 1.0
    what = "trained on" if inside else "held out"
    with pytest.raises(ValueError, match=rf"all \d rows that are {what} weigh 0"):
        fit(
            line_net(), LINE_X, LINE_Y, epochs=1, validation=0.25, seed=3,
            sample_weight=weights,
        )  # fmt: skip


# -- weights ---------------------------------------------------------------------------


@pytest.mark.parametrize("executor", ["native", "jax"])
@pytest.mark.parametrize("size", [1, 2, 32, 200])
def test_weights_count_in_batches_of_any_size(size: int, executor: str) -> None:
    """27 of 200 rows are of class 1 and weigh 20: 540 of 713 are its share."""
    if executor == "jax":
        pytest.importorskip("jax")
    X = np.zeros((200, 1), np.float32)
    y = (np.arange(200) % 200 < 27).astype(int)
    net = nv.Network([nv.Input(1), nv.Dense(2, activation="softmax")], seed=1)
    fit(
        net, X, y, class_weight={1: 20.0}, batch_size=size, epochs=60,
        optimizer=nv.SGD(schedules.Cosine(0.05 * size**0.5)), executor=executor,
    )  # fmt: skip
    assert net.predict(X[:1])[0, 1] == pytest.approx(540 / 713, abs=0.04)


def test_weights_are_relative_to_their_mean(make_net, blobs) -> None:
    weights = np.linspace(0.5, 2, len(blobs[0]))
    one, other = make_net(), make_net()
    given = {"epochs": 2, "batch_size": 7, "validation": 0.2}
    a = fit(one, *blobs, sample_weight=weights, **given)
    b = fit(other, *blobs, sample_weight=1024 * weights, **given)
    assert (one.values == other.values).all()
    assert a.history["loss"] == b.history["loss"]


def test_the_loss_of_an_epoch_is_the_mean_by_weights(make_net, blobs) -> None:
    """At a rate that moves nothing it is that of `evaluate`."""
    X, y = blobs
    weights = np.linspace(0.5, 2, len(X))
    net = make_net()
    before = net.evaluate(X, y, sample_weight=weights)["loss"]
    run = fit(
        net, X, y, sample_weight=weights, epochs=1, batch_size=7,
        optimizer=nv.SGD(1e-12),
    )  # fmt: skip
    assert run.history["loss"][0] == pytest.approx(before, rel=1e-6)
