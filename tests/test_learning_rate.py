# SPDX-License-Identifier: BSD-3-Clause
"""find_learning_rate: what it tries, where it stops, what it suggests."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.layers import LayerError
from nervure.training.learning_rate import LearningRateSearch, smooth


def search_of(losses: list[float], **given: Any) -> LearningRateSearch:
    return LearningRateSearch(
        np.geomspace(1e-4, 1, len(losses)), np.array(losses), **given
    )


LINE_X = np.linspace(-1, 1, 64).reshape(-1, 1)


def line(seed: int = 0) -> nv.Network:
    return nv.Network([nv.Input(1), nv.Dense(1)], seed=seed, dtype="float64")


# -- the steps -------------------------------------------------------------------------


def test_each_step_is_gradient_descent_at_its_rate() -> None:
    """One batch of all rows, by hand: w <- w - rate (w - 3) 2 mean(x^2)."""
    net = line()
    w = float(net.parameters["dense.weight"][0, 0])
    net.parameters["dense.bias"] = [0.0]
    found = nv.find_learning_rate(
        net, LINE_X, 3 * LINE_X, loss="mse", optimizer=nv.GradientDescent(123.0),
        lowest=1e-3, highest=1, steps=30,
    )  # fmt: skip
    np.testing.assert_allclose(found.rates, np.geomspace(1e-3, 1, 30))
    square = float((LINE_X**2).mean())
    for rate, loss in zip(found.rates, found.losses, strict=True):
        assert loss == pytest.approx((w - 3) ** 2 * square, rel=1e-9)
        w -= rate * 2 * (w - 3) * square


def test_the_network_is_unchanged(make_net: Any, blobs: Any) -> None:
    net = make_net()
    before = net.values.copy()
    nv.find_learning_rate(net, *blobs)
    np.testing.assert_array_equal(net.values, before)
    assert net.preprocessing is None
    nv.find_learning_rate(
        nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")]),
        nv.data.load("iris"),
    )
    assert net.preprocessing is None


def test_a_dataset_is_searched_on_its_training_rows() -> None:
    """One batch of all of them: its first cost is that of these rows alone."""
    iris = nv.data.load("iris", held_out=0.2, seed=1)
    net = nv.Network([nv.Input(4), nv.Dense(3, activation="softmax")], seed=0)
    found = nv.find_learning_rate(net, iris, batch_size=1000, steps=2)
    rows = iris.train_rows
    expected = net.evaluate(iris.inputs[rows], iris.targets[rows])["loss"]
    assert len(rows) == 120
    assert found.losses[0] == pytest.approx(expected, rel=1e-6)


def test_the_same_seed_gives_the_same_search(make_net: Any, blobs: Any) -> None:
    first = nv.find_learning_rate(make_net(rate=0.3), *blobs, seed=4)
    second = nv.find_learning_rate(make_net(rate=0.3), *blobs, seed=4)
    other = nv.find_learning_rate(make_net(rate=0.3), *blobs, seed=5)
    assert first.losses.tolist() == second.losses.tolist()
    assert first.losses[0] != other.losses[0]


def test_the_first_losses_are_those_of_fit(make_net: Any, blobs: Any) -> None:
    """At rates that change nothing: fit's batches, over several epochs."""
    found = nv.find_learning_rate(
        make_net(), *blobs, lowest=1e-30, highest=2e-30, steps=6, batch_size=40
    )
    run = nv.fit(
        make_net(), *blobs, optimizer=nv.SGD(1e-30), epochs=2, batch_size=40,
        progress=False,
    )  # fmt: skip
    weights = np.array([40, 40, 10])
    for epoch in range(2):
        losses = found.losses[3 * epoch : 3 * epoch + 3]
        mean = (losses * weights).sum() / 90
        assert mean == pytest.approx(run.history["loss"][epoch], rel=1e-6)


def test_weights_and_regularizers_count(make_net: Any, blobs: Any) -> None:
    X, y = blobs
    plain = nv.find_learning_rate(make_net(), X, y)
    given: list[dict[str, Any]] = [
        {"sample_weight": np.linspace(0.1, 2, 90)},
        {"class_weight": {0: 5.0}},
        {"regularizer": nv.L2(0.1)},
        {"loss_weights": 2.0},
        {"loss": "focal"},
        {"batch_size": 7},
    ]
    for one in given:
        other = nv.find_learning_rate(make_net(), X, y, **one)
        assert other.losses[:9].tolist() != plain.losses[:9].tolist(), one


def test_the_jax_executor_finds_the_same() -> None:
    pytest.importorskip("jax")
    given: dict[str, Any] = {"optimizer": "sgd", "steps": 20, "highest": 0.1}
    y = 3 * LINE_X
    native = nv.find_learning_rate(line(), LINE_X, y, **given)
    jax = nv.find_learning_rate(line(), LINE_X, y, executor="jax", **given)
    np.testing.assert_allclose(jax.losses, native.losses, rtol=1e-4)


# -- where it stops --------------------------------------------------------------------


def test_it_stops_where_the_loss_is_four_times_its_best() -> None:
    found = nv.find_learning_rate(line(), LINE_X, 3 * LINE_X, optimizer="sgd")
    assert len(found.rates) == len(found.losses) < 100
    last = found.rates[-1]
    assert found.stopped == f"at {last:.3g} the loss is 4 times its best"
    assert found.smoothed[-1] > 4 * found.smoothed[10:].min()
    assert found.smoothed[-2] <= 4 * found.smoothed[10:-1].min()


def test_it_stops_where_the_loss_is_not_finite() -> None:
    given: dict[str, Any] = {"lowest": 1e160, "highest": 1e170, "steps": 4}
    found = nv.find_learning_rate(line(), LINE_X, 3 * LINE_X, optimizer="sgd", **given)
    assert found.losses.shape == (1,)
    assert np.isfinite(found.losses).all()
    assert found.stopped == "the loss is not finite after a step at 1e+160"


def test_without_divergence_all_rates_are_tried(make_net: Any, blobs: Any) -> None:
    found = nv.find_learning_rate(make_net(), *blobs, highest=1e-2, steps=37)
    assert found.stopped is None
    assert len(found.losses) == 37
    assert found.rates[-1] == pytest.approx(1e-2)


def test_a_lucky_first_batch_does_not_end_it() -> None:
    """Batches of one row: the second costs a thousand times the first."""
    X = np.r_[1e-3, np.ones(49)].reshape(-1, 1)
    net = line()
    net.parameters["dense.weight"] = [[0.0]]
    seed = next(s for s in range(999) if _first_row(50, s) == 0)
    found = nv.find_learning_rate(
        net, X, X, optimizer="sgd", batch_size=1, seed=seed, loss="mse"
    )
    assert found.losses[1] > 1000 * found.losses[0]
    assert len(found.losses) > 50


def _first_row(rows: int, seed: int) -> int:
    from nervure.training.sampler import epoch_order

    return int(epoch_order(np.arange(rows), seed, 0)[0])


# -- what it suggests ------------------------------------------------------------------


def test_smoothing_is_the_exponential_mean_by_hand() -> None:
    means = smooth(np.array([1.0, 2.0, 4.0]))
    third = (0.81 * 1 + 0.9 * 2 + 4) / (0.81 + 0.9 + 1)
    np.testing.assert_allclose(means, [1, (0.9 + 2) / 1.9, third])


def test_the_suggestion_is_a_tenth_of_the_rate_of_the_lowest() -> None:
    losses = np.r_[np.linspace(2, 1, 80), np.linspace(1, 50, 20)]
    found = search_of(losses.tolist())
    lowest = int(found.smoothed.argmin())
    assert 75 < lowest < 85
    assert found.suggestion == pytest.approx(found.rates[lowest] / 10)


def test_the_suggestion_is_a_rate_that_was_tried() -> None:
    found = LearningRateSearch(np.array([0.1, 0.2, 0.3]), np.array([3.0, 2.0, 9.0]))
    assert found.suggestion == 0.1


def test_a_loss_that_never_fell_gives_no_suggestion() -> None:
    found = search_of([1.0, 2.0, 3.0, 4.0])
    assert repr(found).endswith("suggestion: none")
    with pytest.raises(ValueError, match="fell at no rate") as caught:
        _ = found.suggestion
    assert str(caught.value) == (
        "[find_learning_rate] the loss fell at no rate from 0.0001 to 1; expected that "
        "some rate trains the network; begin with untrained weights, a smaller "
        "lowest= or a larger highest="
    )


@pytest.mark.parametrize("optimizer", [nv.SGD, nv.Adam])
def test_the_suggestion_trains_well(optimizer: Any) -> None:
    """Better than a hundredth of it, and than a hundred times it."""
    digits = nv.data.load("digits")

    def net() -> nv.Network:
        layers = [nv.Input((8, 8, 1)), nv.Flatten(), nv.Dense(32, activation="relu")]
        return nv.Network([*layers, nv.Dense(10, activation="softmax")], seed=1)

    def loss(rate: float) -> float:
        given: dict[str, Any] = {"epochs": 3, "progress": False}
        try:
            run = nv.fit(net(), digits, optimizer=optimizer(rate), **given)
        except nv.DivergenceError:
            return np.inf
        return run.history["loss"][-1]

    rate = nv.find_learning_rate(net(), digits, optimizer=optimizer()).suggestion
    assert loss(rate) < 0.7
    assert loss(rate) < min(loss(rate / 100), loss(rate * 100)) / 2


# -- how it shows itself ---------------------------------------------------------------


def test_it_shows_a_table() -> None:
    losses = np.r_[np.linspace(2, 1, 40), 60.0]
    lines = repr(search_of(losses.tolist(), stopped="at 1 ...")).splitlines()
    assert lines[0] == "learning rate    smoothed loss"
    assert lines[1].split() == ["0.0001", "2"]
    (lowest,) = [line for line in lines if line.endswith("lowest")]
    assert float(lowest.split()[0]) == pytest.approx(0.794, rel=1e-3)
    assert lines[-2:] == ["stopped: at 1 ...", "suggestion: 0.079"]
    assert len(lines) <= 14


class Axes:
    """Records what is drawn."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        def record(*arguments: Any, **named: Any) -> None:
            self.calls.setdefault(name, []).append((arguments, named))

        return record


def test_it_draws_on_given_axes() -> None:
    found = search_of(np.linspace(2, 1, 20).tolist())
    ax = Axes()
    assert found.plot(ax) is ax
    (rates, losses), (_, smoothed) = (a for a, _ in ax.calls["semilogx"])
    assert (rates is found.rates, losses is found.losses) == (True, True)
    np.testing.assert_array_equal(smoothed, found.smoothed)
    assert ax.calls["axvline"][0][0] == (found.suggestion,)
    empty = Axes()
    search_of([1.0, 2.0]).plot(empty)
    assert "axvline" not in empty.calls


def test_it_draws_with_matplotlib() -> None:
    pytest.importorskip("matplotlib").use("agg")
    ax = search_of(np.linspace(2, 1, 20).tolist()).plot()
    assert ax.get_xscale() == "log"
    assert len(ax.lines) == 3


def test_without_matplotlib_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError) as caught:
        search_of([2.0, 1.0]).plot()
    assert str(caught.value) == (
        "[find_learning_rate] needs Matplotlib, which is not installed; expected the "
        "extra 'plot'; run: pip install \"nervure[plot]\""
    )


# -- what it refuses -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lowest": 0}, "lowest = 0; expected a finite number (> 0); change lowest"),
        (
            {"lowest": 1, "highest": 0.5},
            "highest = 0.5; expected a finite number (> 1); change highest",
        ),
        ({"steps": 1}, "steps = 1; expected a whole number (>= 2); change steps"),
        (
            {"batch_size": 0},
            "batch_size = 0; expected a whole number (>= 1); change batch_size",
        ),
        (
            {"optimizer": "lbfgs"},
            "lbfgs has no learning rate; expected an optimizer that works step by "
            'step; use e.g. optimizer="adam"',
        ),
    ],
)
def test_arguments_that_do_not_fit(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="find_learning_rate") as caught:
        nv.find_learning_rate(line(), LINE_X, LINE_X, **given)
    assert str(caught.value) == f"[find_learning_rate] {message}"


def test_perceptrons_are_refused() -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1, activation="heaviside")])
    with pytest.raises(LayerError, match="has derivative 0"):
        nv.find_learning_rate(net, LINE_X, LINE_X)


def test_a_cost_that_is_infinite_from_the_start() -> None:
    with pytest.raises(ArithmeticError) as caught:
        nv.find_learning_rate(line(), LINE_X * 1e200, LINE_X)
    assert str(caught.value) == (
        "[find_learning_rate] the cost of the first batch is not finite; expected a "
        "finite one before training; scale the inputs or the initial weights"
    )
