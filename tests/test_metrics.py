# SPDX-License-Identifier: BSD-3-Clause
"""Metrics: values by hand and of scikit-learn, in every form of target."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

import nervure as nv
from nervure.losses import LOSSES, Hinge, loss
from nervure.metrics import (
    METRICS,
    Metric,
    confusion_matrix,
    default_metrics,
    metric,
    probabilities,
    shares,
    top_k_accuracy,
)

RNG = np.random.default_rng(5)
CLASSES = RNG.integers(0, 7, 60)
SCORES = RNG.standard_normal((60, 7))
SHARES = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
WEIGHTS = RNG.uniform(0.1, 2, 60)
FOUND = SHARES.argmax(axis=1)
YES = (CLASSES > 3).astype(np.int64)
CHANCE = SHARES[:, [1]]
OF_ROWS = [name for name, one in METRICS.items() if not one.of_labels]
"""The others: test_ctc.py."""

SMALLER = {"log_loss", "mse", "rmse", "mae"}


@pytest.mark.parametrize("name", OF_ROWS)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
def test_every_metric_prefers_the_truth(name: str, weights: Any) -> None:
    one = METRICS[name]
    truth = 0.97 * np.eye(7)[CLASSES] + 0.03 * SHARES
    best, usual = one(CLASSES, truth, weights), one(CLASSES, SHARES, weights)
    assert type(best) is float
    assert one.better(best, usual)
    assert not one.better(usual, best)
    assert one.larger_is_better == (name not in SMALLER)
    assert not one.better(math.nan, usual)
    assert one.better(usual, math.nan)


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_weight_of_two_is_a_row_twice(name: str) -> None:
    twice = np.repeat(np.arange(60), 1 + (np.arange(60) % 2))
    weights = 1.0 + (np.arange(60) % 2)
    one = METRICS[name]
    found = one(CLASSES, SHARES, weights)
    assert found == pytest.approx(one(CLASSES[twice], SHARES[twice]), rel=1e-9)


@pytest.mark.parametrize("name", OF_ROWS)
def test_one_hot_rows_are_classes(name: str) -> None:
    one_hot = np.eye(7)[CLASSES]
    found = METRICS[name](one_hot, SHARES, WEIGHTS)
    assert found == pytest.approx(METRICS[name](CLASSES, SHARES, WEIGHTS), rel=1e-12)


def of_scikit_learn(
    true: Any, said: Any, scores: Any, weights: Any
) -> dict[str, float]:
    """What scikit-learn says of classes, those that were predicted, and the scores."""
    m, w = sklearn.metrics, {"sample_weight": weights}
    two = len(np.unique(true)) == 2 and np.ndim(scores) == 1
    zero = {"zero_division": 0, **w}
    usual = {"average": "binary" if two else "macro", **zero}
    several = {} if two else {"multi_class": "ovr"}
    values = {
        "accuracy": m.accuracy_score(true, said, **w),
        "balanced_accuracy": m.balanced_accuracy_score(true, said, **w),
        "auc": m.roc_auc_score(true, scores, **several, **w),
        "average_precision": m.average_precision_score(true, scores, **w),
        "log_loss": m.log_loss(true, scores, **w),
    }
    for name in ("precision", "recall", "f1"):
        score = getattr(m, f"{name}_score")
        values[name] = score(true, said, **usual)
        values[f"macro_{name}"] = score(true, said, average="macro", **zero)
    return values


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
def test_values_of_scikit_learn(weights: Any) -> None:
    expected = of_scikit_learn(CLASSES, FOUND, SHARES, weights)
    expected["top_k_accuracy"] = sklearn.metrics.top_k_accuracy_score(
        CLASSES, SHARES, k=5, sample_weight=weights
    )
    for name, value in expected.items():
        found = METRICS[name](CLASSES, SHARES, weights)
        assert found == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])
@pytest.mark.parametrize("rounded", [1, 9], ids=["ties", "no ties"])
def test_values_of_scikit_learn_for_two_classes(weights: Any, rounded: int) -> None:
    """In every form of target and output; f1 and the like are of the positive class."""
    chance = CHANCE.round(rounded)
    yes = chance[:, 0] > 0.3
    expected = of_scikit_learn(YES, yes, chance[:, 0], weights)
    both = np.hstack([0.6 - chance, chance])  # the second is larger above 0.3
    for name, value in expected.items():
        one = replace(METRICS[name], threshold=0.3)
        for target in (YES, YES[:, None], YES[:, None].astype(float)):
            found = one(target, chance, weights)
            assert found == pytest.approx(value, rel=1e-12), name
        if name != "log_loss":
            assert one(YES, both, weights) == pytest.approx(value, rel=1e-12), name


def test_values_of_scikit_learn_for_several_answers() -> None:
    true, m = np.stack([CLASSES > 2, CLASSES < 5, YES == 1], axis=1), sklearn.metrics
    scores = SHARES[:, :3]
    macro = {"average": "macro", "zero_division": 0, "sample_weight": WEIGHTS}
    expected = {"auc": m.roc_auc_score(true, scores, sample_weight=WEIGHTS)}
    expected["average_precision"] = m.average_precision_score(
        true, scores, sample_weight=WEIGHTS
    )
    for name in ("precision", "recall", "f1"):
        value = getattr(m, f"{name}_score")(true, scores > 0.5, **macro)
        expected |= {name: value, f"macro_{name}": value}
    for name, value in expected.items():
        found = METRICS[name](true.astype(float), scores, WEIGHTS)
        assert found == pytest.approx(value, rel=1e-12), name


def test_a_rare_class_that_is_missed() -> None:
    """What accuracy hides: three of 100 say yes, and none is found."""
    target, output = np.arange(100) < 3, np.full((100, 1), 0.1)
    assert METRICS["accuracy"](target, output) == 0.97
    assert METRICS["balanced_accuracy"](target, output) == 0.5
    for name in ("precision", "recall", "f1"):
        assert METRICS[name](target, output) == 0
    assert METRICS["auc"](target, output) == 0.5
    assert METRICS["average_precision"](target, output) == pytest.approx(0.03)


def test_shares_of_classes_that_nobody_has_or_names() -> None:
    recall, precision = shares(np.array([[4, 0, 1], [1, 0, 0], [0, 0, 0]]))
    np.testing.assert_array_equal(recall, [0.8, 0, np.nan])
    np.testing.assert_array_equal(precision, [0.8, np.nan, 0])


@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3), (60, 2, 2)])
def test_values_of_scikit_learn_for_regression(shape: tuple[int, ...]) -> None:
    a, t = RNG.standard_normal((2, *shape))
    flat = (t.reshape(60, -1), a.reshape(60, -1))
    m, w = sklearn.metrics, {"sample_weight": WEIGHTS}
    square = m.mean_squared_error(*flat, **w)
    expected = {
        "mse": square,
        "rmse": math.sqrt(square),
        "mae": m.mean_absolute_error(*flat, **w),
        "r2": m.r2_score(*flat, **w),
    }
    for name, value in expected.items():
        found = METRICS[name](t, a.reshape(60, -1), WEIGHTS)
        assert found == pytest.approx(value, rel=1e-12), name


def test_values_by_hand() -> None:
    t, p = (
        [0, 0, 1, 2],
        [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.4, 0.3, 0.3]],
    )
    assert METRICS["accuracy"](t, p) == 0.5
    assert METRICS["accuracy"](t, p, np.array([1.0, 0, 0, 3])) == 0.25
    assert METRICS["balanced_accuracy"](t, p) == pytest.approx((0.5 + 1 + 0) / 3)
    assert METRICS["recall"](t, p) == pytest.approx((0.5 + 1 + 0) / 3)
    assert METRICS["precision"](t, p) == pytest.approx((0.5 + 0.5 + 0) / 3)
    expected = -np.log(np.array([0.8, 0.1, 0.5, 0.3])).mean()
    assert METRICS["log_loss"](t, p) == pytest.approx(expected)
    assert METRICS["mse"]([1.0, 2.0], [2.0, 4.0]) == 2.5
    assert METRICS["mae"]([1.0, 2.0], [2.0, 4.0]) == 1.5
    assert METRICS["r2"]([1.0, 2.0, 3.0], [1.0, 2.0, 2.0]) == 0.5
    assert METRICS["auc"]([0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8]) == 1.0


def test_several_answers_count_one_by_one() -> None:
    t = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    p = np.array([[0.9, 0.2, 0.1], [0.1, 0.7, 0.2]])
    assert METRICS["accuracy"](t, p) == pytest.approx(4 / 6)
    assert METRICS["accuracy"](t, p, np.array([1.0, 0.0])) == pytest.approx(2 / 3)
    assert METRICS["recall"](t, p) == pytest.approx(1 / 3)
    assert math.isnan(METRICS["auc"](t, p))  # no row says yes to the third
    turned = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert METRICS["auc"](turned, [[0.9, 0.3], [0.2, 0.6], [0.8, 0.7]]) == 1.0


def test_scores_turn_at_zero_for_the_hinge() -> None:
    t, scores = np.array([[1.0], [-1.0]]), np.array([[0.25], [-0.5]])
    assert metric("accuracy", Hinge())(t, scores) == 1.0
    assert metric("accuracy")(t, scores) == 0.5
    assert metric("f1", Hinge())(np.array([1, 0]), scores) == 1.0


def test_top_k() -> None:
    p = [[0.5, 0.1, 0.4], [0.2, 0.3, 0.5]]
    assert [top_k_accuracy(k)([2, 0], p) for k in (1, 2, 3, 9)] == [0, 0.5, 1, 1]
    assert top_k_accuracy(1)([1, 1], [[0.4, 0.6], [0.6, 0.4]]) == 0.5
    assert (top_k_accuracy(3).name, METRICS["top_k_accuracy"].name) == (
        "top_3_accuracy",
        "top_k_accuracy",
    )
    with pytest.raises(ValueError, match=r"\[metrics\] k = 0; expected at least 1"):
        top_k_accuracy(0)


def test_log_probabilities_are_recognized() -> None:
    np.testing.assert_allclose(probabilities(np.log(SHARES)), SHARES)
    assert probabilities(SHARES) is SHARES
    for name in ("accuracy", "auc", "log_loss", "top_k_accuracy"):
        found = METRICS[name](CLASSES, np.log(SHARES))
        assert found == pytest.approx(METRICS[name](CLASSES, SHARES)), name


@pytest.mark.filterwarnings("error")
def test_rows_of_float32_do_not_trouble_scikit_learn() -> None:
    rough = SHARES.astype(np.float32) * np.float32(1.00001)
    for name in ("auc", "log_loss"):
        found = METRICS[name](CLASSES, rough)
        assert found == pytest.approx(METRICS[name](CLASSES, SHARES), rel=1e-4)


@pytest.mark.filterwarnings("error")
def test_classes_may_be_absent() -> None:
    few, rows = np.array([0, 0, 1]), SHARES[:3]
    ranking = {"auc", "average_precision"}
    for name in ranking:
        assert math.isnan(METRICS[name](few, rows))
        assert math.isnan(METRICS[name](np.array([1, 1]), CHANCE[:2]))
    for name in set(OF_ROWS) - ranking:
        assert math.isfinite(METRICS[name](few, rows)), name


def test_r2_of_constant_targets_and_single_rows() -> None:
    r2 = METRICS["r2"]
    assert r2([2.0, 2.0], [2.0, 2.0]) == 1
    assert r2([2.0, 2.0], [2.0, 1.0]) == 0
    assert math.isnan(r2([2.0], [2.0]))


def test_confusion_matrix() -> None:
    table = confusion_matrix([0, 1, 1], [[0.9, 0.1, 0], [0.2, 0.3, 0.5], [0, 1, 0]])
    assert table.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    weighed = confusion_matrix([0, 1], [0.2, 0.3], np.array([0.5, 2.0]))
    assert weighed.tolist() == [[0.5, 0], [2, 0]]


@pytest.mark.parametrize("kind", [kind for kind in LOSSES if not kind.aligns])
def test_defaults_go_with_the_loss(kind: Any) -> None:
    names = [one.name for one in default_metrics(kind())]
    if kind.task == "classification":
        assert names == ["accuracy"]
    else:
        few = kind.kind in ("poisson", "pinball", "kl", "cosine")
        assert names == ([] if few else ["r2"])
    assert [one.name for one in default_metrics(kind(), classes=True)] == ["accuracy"]


def test_defaults_of_own_losses_and_of_the_hinge() -> None:
    assert default_metrics(loss(lambda output, target: (0.0, output))) == ()
    assert default_metrics(Hinge())[0].threshold == 0


def test_own_functions() -> None:
    def bias(target: np.ndarray, output: np.ndarray) -> float:
        return float((output - target).mean())

    own = metric(bias)
    assert (own.name, own.larger_is_better) == ("bias", True)
    assert own([[1.0], [2.0]], [2.0, 4.0]) == 1.5
    with pytest.raises(
        ValueError, match=r"\[metric 'bias'\] weights are given, but the"
    ):
        own([[1.0]], [2.0], np.ones(1))
    bias.larger_is_better = False  # type: ignore[attr-defined]
    assert not metric(bias).larger_is_better

    def of_keras(y_pred: Any, y_true: Any) -> float:
        return float((y_pred - y_true).mean())

    assert metric(of_keras)([[1.0], [2.0]], [2.0, 4.0]) == 1.5
    assert metric(lambda a, b: float((b - a).mean()))([1.0], [4.0]) == 3
    assert metric(sklearn.metrics.mean_absolute_error)([1.0], [4.0]) == 3
    weighted = metric(lambda target, output, weights=None: weights.sum())
    assert weighted([1.0, 2.0], [1.0, 2.0], np.array([2.0, 3.0])) == 5
    ready = Metric("bias", lambda t, o, w: 0.0, larger_is_better=False)
    assert metric(ready) is ready


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("acuracy", "[metrics] unknown metric 'acuracy'; did you mean 'accuracy'"),
        (
            "confusion_matrix",
            "[metrics] confusion_matrix is a table; expected a metric",
        ),
        (
            3,
            "[metrics] metric 3; expected a name, a Metric or a function; use one ",
        ),
    ],
)
def test_unknown_metrics(found: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        metric(found)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            np.ones(2),
            "[metric 'f'] the function returned array([1., 1.]); expected one",
        ),
        (
            None,
            "[metric 'f'] the function returned None; expected one number; return a",
        ),
    ],
)
def test_what_own_functions_return(returned: Any, message: str) -> None:
    own = Metric("f", lambda t, o, w: returned)
    with pytest.raises(ValueError, match=re.escape(message)):
        own([1.0], [1.0])


@pytest.mark.parametrize(("t", "a"), [([1, 2], [1]), ([], []), (1, [1])])
def test_rows_must_match(t: Any, a: Any) -> None:
    message = r"\[metric 'mse'\] target of shape .* expected the same number of rows"
    with pytest.raises(ValueError, match=message):
        METRICS["mse"](t, a)


def test_no_metric_imports_scikit_learn() -> None:
    """Its import takes longer than many a training, and it may not be installed."""
    code = (
        "import sys; from nervure.metrics import METRICS\n"
        "for one in METRICS.values():\n"
        "    known = [[0], [1]] if one.of_labels else [0, 1]\n"
        "    one(known, known if one.of_labels else [[0.9, 0.1], [0.2, 0.8]])\n"
        "assert not {'sklearn', 'scipy'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- answers and classes, decided once ---------------------------------------------------


def answering(loss: str, activation: str) -> nv.Network:
    layers = [nv.Input(3), nv.Dense(3, activation=activation)]
    return nv.Network(layers, seed=2, dtype="float64")


ANSWERS = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]])
ROWS = np.random.default_rng(4).normal(size=(5, 3))


@pytest.mark.parametrize("rows", [[0, 1, 4], [0, 1, 2, 3, 4]])
def test_logistic_outputs_are_judged_answer_by_answer(rows: list[int]) -> None:
    """Also where the rows at hand happen to sum to 1."""
    net = answering("binary_cross_entropy", "logistic")
    X, y = ROWS[rows], ANSWERS[rows]
    names = ["accuracy", "balanced_accuracy", "log_loss", "f1", "auc"]
    scores = net.evaluate(X, y, loss="binary_cross_entropy", metrics=names[:4])
    p = net.forward(X)
    assert scores["accuracy"] == pytest.approx(((p > 0.5) == (y == 1)).mean())
    costs = -np.where(y == 1, np.log(p), np.log(1 - p)).mean()
    assert scores["log_loss"] == pytest.approx(costs)
    found = [
        np.mean([((p[:, j] > 0.5) == s)[y[:, j] == s].mean() for s in (0, 1)
                 if (y[:, j] == s).any()])
        for j in range(3)
    ]  # fmt: skip
    assert scores["balanced_accuracy"] == pytest.approx(np.mean(found))


def test_classes_of_logistic_outputs_are_judged_by_the_largest() -> None:
    net = answering("binary_cross_entropy", "logistic")
    classes = np.array([0, 1, 2, 1, 0])
    scores = net.evaluate(ROWS, classes, loss="binary_cross_entropy")
    right = net.forward(ROWS).argmax(axis=1) == classes
    assert scores["accuracy"] == pytest.approx(right.mean())


def test_shares_of_a_softmax_are_judged_by_the_largest() -> None:
    net = answering("kl", "softmax")
    y = np.array([[0.9, 0.05, 0.0501], [0.2, 0.7, 0.1]])
    scores = net.evaluate(ROWS[:2], y, loss="cross_entropy", metrics=["accuracy"])
    right = net.forward(ROWS[:2]).argmax(axis=1) == [0, 1]
    assert scores["accuracy"] == pytest.approx(right.mean())


def test_top_k_of_answers_is_refused() -> None:
    net = answering("binary_cross_entropy", "logistic")
    with pytest.raises(ValueError, match="rows answer several yes-or-no questions"):
        net.evaluate(
            ROWS, ANSWERS, loss="binary_cross_entropy", metrics=["top_k_accuracy"]
        )


# -- names -------------------------------------------------------------------------------


def evaluated(*metrics: Any) -> dict[str, float]:
    net = answering("mse", "tanh")
    return net.evaluate(ROWS, ROWS, loss="mse", metrics=list(metrics))


def test_functions_of_one_name_are_told_apart() -> None:
    found = evaluated(lambda target, output: 1.0, lambda target, output: 2.0, "mse")
    assert {k: v for k, v in found.items() if k not in ("loss", "mse")} == {
        "<lambda>": 1.0,
        "<lambda>_2": 2.0,
    }


@pytest.mark.parametrize("name", ["loss", "seconds", "validation_mse"])
def test_names_that_the_history_has_are_refused(name: str) -> None:
    def function(target: Any, output: Any) -> float:
        return 1.0

    function.__name__ = name
    text = rf"\[metrics\] a metric named '{name}', which the history has"
    with pytest.raises(ValueError, match=text):
        evaluated(function)


def test_a_metric_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[metrics\] 'mse' is given twice"):
        evaluated("mse", "mae", "mse")
