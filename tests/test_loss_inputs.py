# SPDX-License-Identifier: BSD-3-Clause
"""What losses are given: names, output layers, targets, functions, weights."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.base.plain import write
from nervure.losses import (
    KL,
    LOSSES,
    MAE,
    MSE,
    BinaryCrossEntropy,
    Cosine,
    CrossEntropy,
    CustomLoss,
    Focal,
    Hinge,
    Huber,
    Loss,
    LossError,
    LossExample,
    Pinball,
    Poisson,
    Quadratic,
    class_weights,
    combine_weights,
    loss,
    weighted_mean,
)

EXAMPLES = [example for kind in LOSSES for example in kind.examples()]
NAMES = [f"{e.loss.kind}-{i}" for i, e in enumerate(EXAMPLES)]
WEIGHTS = np.array([0.5, 2.0])


# -- looking up -------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOSSES)
def test_lookup(kind: type[Loss]) -> None:
    assert loss(kind.kind) == kind() == loss(kind) == loss(kind())
    assert kind.__doc__ is not None
    assert "Source:" in kind.__doc__
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind().kind = "other"  # type: ignore[misc]


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_losses_are_data(example: LossExample) -> None:
    assert loss(write(example.loss)) == example.loss
    assert hash(example.loss) == hash(loss(write(example.loss)))


def test_names_are_those_of_the_design() -> None:
    names = "quadratic mse mae huber log_cosh cross_entropy binary_cross_entropy focal"
    more = "hinge poisson pinball kl cosine ctc"
    assert [kind.kind for kind in LOSSES] == f"{names} {more}".split()


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            "crossentropy",
            "[loss] unknown loss 'crossentropy'; did you mean 'cross_entr",
        ),
        ("binary_crossentropy", "did you mean 'binary_cross_entropy'"),
        (
            {"type": "huber", "dleta": 1.0},
            "[loss] dleta: unknown key; did you mean 'delta'",
        ),
        (3, "[loss] found 3; expected a loss (a name or a table"),
    ],
)
def test_unknown_losses(found: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        loss(found)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (Huber, (0,), "[huber] delta = 0; expected a finite number (> 0)"),
        (CrossEntropy, (1.0,), "[cross_entropy] label_smoothing = 1.0; expected"),
        (Focal, (-1,), "[focal] gamma = -1; expected a finite number (>= 0)"),
        (Focal, (2, 1.0), "[focal] alpha = 1.0; expected a finite number (> 0)"),
        (Focal, (2, (1, -1)), "[focal] alpha = -1; expected a finite number (>= 0)"),
        (Pinball, (1.0,), "[pinball] quantile = 1.0; expected a finite number (> 0)"),
        (Pinball, ((),), "[pinball] no quantile; give at least one in (0, 1)"),
        (Poisson, (float("nan"),), "[poisson] epsilon = nan; expected a finite number"),
    ],
)
def test_bad_settings(kind: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(*arguments)


# -- output layers ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "kind", "function", "size"),
    [
        (CrossEntropy(), "softmax", None, 3),
        (CrossEntropy(), "log_softmax", None, 3),
        (KL(), "softmax", None, 3),
        (BinaryCrossEntropy(), "activation", "logistic", 1),
        (BinaryCrossEntropy(), "activation", "sigmoid", 2),
        (BinaryCrossEntropy(), "activation", "gaussian_cdf", 2),
        (BinaryCrossEntropy(), "concatenate", None, 2),
        (Focal(alpha=0.25), "activation", "logistic", 1),
        (Focal(alpha=(1.0, 2.0)), "softmax", None, 2),
        (Poisson(), "activation", "softplus", 1),
        (Poisson(), "multiply", None, 1),
        (Hinge(), "dense", None, 1),
        (Hinge(), "activation", "tanh", 1),
        (Hinge(), "activation", "leaky_relu", 1),
        (Hinge(), "activation", "softsign", 1),
        (Hinge(), "ensemble_mean", None, 1),
        (Hinge(), "layer_norm", None, 2),
        (Pinball((0.1, 0.9)), "dense", None, 2),
        (Pinball((0.1, 0.9)), "dense", None, 6),
        (Pinball(0.1), "dense", None, 5),
        (MSE(), "activation", "relu", 1),
    ],
)
def test_output_layers_that_fit(one: Loss, kind: str, function: Any, size: int) -> None:
    one.check_output(kind, function, size)


@pytest.mark.parametrize(
    ("one", "kind", "function", "size", "message"),
    [
        (
            CrossEntropy(),
            "dense",
            None,
            3,
            "[cross_entropy] output layer 'dense' gives z, not probabilities of "
            'classes; add activation="softmax" to the last layer',
        ),
        (CrossEntropy(), "activation", "tanh", 3, "gives tanh, not probabilities"),
        (CrossEntropy(), "reshape", None, 3, "gives reshape, not probabilities"),
        (
            CrossEntropy(),
            "softmax",
            None,
            1,
            "has 1 output, whose softmax is 1; use at",
        ),
        (
            BinaryCrossEntropy(),
            "dense",
            None,
            1,
            "[binary_cross_entropy] output layer 'dense' gives z, not probabilities; "
            'add activation="logistic" to the last layer',
        ),
        (
            BinaryCrossEntropy(),
            "softmax",
            None,
            1,
            "has 1 output, whose softmax is 1; use activation=",
        ),
        (
            BinaryCrossEntropy(),
            "activation",
            "relu",
            1,
            "gives relu, not probabilities",
        ),
        (
            KL(),
            "activation",
            "logistic",
            2,
            "[kl] output layer 'activation' gives logis",
        ),
        (Focal(), "dense", None, 2, "[focal] output layer 'dense' gives z, not probab"),
        (
            Focal(alpha=0.5),
            "softmax",
            None,
            2,
            "alpha = 0.5, expected a weight per class",
        ),
        (Focal(alpha=(1.0,)), "softmax", None, 2, "give a tuple of 2 weights"),
        (
            Focal(alpha=(1.0,)),
            "activation",
            "logistic",
            1,
            "alpha is a tuple, expected",
        ),
        (Hinge(), "activation", "logistic", 1, "gives logistic, not a score"),
        (Hinge(), "activation", "relu", 1, "gives relu, not a score that may be"),
        (Hinge(), "log_softmax", None, 2, "gives log_softmax, not a score"),
        (Poisson(), "dense", None, 1, 'add activation="softplus" to the last layer'),
        (
            Pinball((0.1, 0.9)),
            "dense",
            None,
            3,
            "expected one per quantile (2); use uni",
        ),
        (Cosine(), "dense", None, 1, "has 1 output, which has no direction; use at"),
    ],
)
def test_output_layers_that_do_not(
    one: Loss, kind: str, function: Any, size: int, message: str
) -> None:
    with pytest.raises(LossError, match=re.escape(message)):
        one.check_output(kind, function, size)


def test_the_layer_is_named() -> None:
    with pytest.raises(LossError, match="output layer 'head' gives z"):
        CrossEntropy().check_output("dense", None, 3, name="head")


# -- targets ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "size", "activation", "target", "expected"),
    [
        (CrossEntropy(), 3, "softmax", [0, 2], np.array([0, 2], np.int32)),
        (CrossEntropy(), 3, "softmax", [[0.0], [2.0]], np.array([0, 2], np.int32)),
        (CrossEntropy(), 2, "softmax", [True, False], np.array([1, 0], np.int32)),
        (CrossEntropy(), 2, "softmax", [[1, 0]], np.array([[1.0, 0.0]])),
        (BinaryCrossEntropy(), 1, "logistic", [0, 1], np.array([[0.0], [1.0]])),
        (BinaryCrossEntropy(), 2, "logistic", [0, 1], np.array([[1.0, 0], [0, 1]])),
        (Focal(), 2, "logistic", [1], np.array([[0.0, 1.0]])),
        (Focal(), 2, "softmax", [[0, 1]], np.array([1], np.int32)),
        (Hinge(), 1, "linear", [0, 1], np.array([[-1.0], [1.0]])),
        (Hinge(), 2, "linear", [0, 1], np.array([0, 1], np.int32)),
        (Quadratic(), 3, "logistic", [2, 0], np.array([[0.0, 0, 1], [1, 0, 0]])),
        (MSE(), 1, "linear", [2, 0], np.array([[2.0], [0.0]])),
        (Pinball((0.1, 0.9)), 2, "linear", [3.0], np.array([[3.0, 3.0]])),
        (Pinball((0.1, 0.9)), 4, "linear", [[3, 4]], np.array([[3.0, 3, 4, 4]])),
        (Pinball((0.1, 0.9)), 2, "linear", [[3, 4]], np.array([[3.0, 4]])),
        (MAE(), 4, "linear", [[[1, 2], [3, 4]]], np.array([[1.0, 2, 3, 4]])),
        (KL(), 2, "softmax", [1], np.array([[0.0, 1.0]])),
    ],
)
def test_targets_as_the_engine_takes_them(
    one: Loss, size: int, activation: str, target: Any, expected: np.ndarray
) -> None:
    found = one.check_target(size, activation, target)
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()
    if found.dtype == np.float64:
        single = one.check_target(size, activation, target, dtype=np.float32)
        assert single.dtype == np.float32


@pytest.mark.parametrize(
    ("one", "size", "target", "message"),
    [
        (
            CrossEntropy(),
            3,
            [0, 1, 3],
            "[cross_entropy] target row 2 is class 3, but the network has 3 outputs "
            "(classes 0 to 2); recode the classes or give the last layer one unit per",
        ),
        (CrossEntropy(), 3, [0, -1], "target row 1 is class -1, but the network has 3"),
        (
            CrossEntropy(),
            3,
            [0, 0.5],
            "target row 1 is 0.5, expected a class index; use",
        ),
        (CrossEntropy(), 3, [[0.5, 0.2, 0.2]], "target row 0 sums to 0.9, expected 1"),
        (CrossEntropy(), 2, [[1.5, -0.5]], "column 1 is -0.5, expected a probability"),
        (
            CrossEntropy(),
            3,
            [[1, 0]],
            "target of shape (1, 2) has 2 columns, but the ne",
        ),
        (CrossEntropy(), 3, ["a", "b"], "target holds <U1, expected numbers; encode"),
        (CrossEntropy(), 3, [], "target has shape (0,), expected at least one row"),
        (CrossEntropy(), 3, 1, "target has shape (), expected at least one row"),
        (
            MSE(),
            1,
            [1.0, float("nan")],
            "[mse] target row 1, column 0 is nan, expected a finite number; drop such "
            "rows or fill them",
        ),
        (
            MSE(),
            2,
            [[0.0, float("-inf")]],
            "row 0, column 1 is -inf, expected a finite",
        ),
        (
            MSE(),
            2,
            [0.5, 1.5],
            "target of shape (2,) has 1 columns, but the network has",
        ),
        (BinaryCrossEntropy(), 1, [0, 2], "row 1, column 0 is 2, expected a number in"),
        (Focal(), 1, [0, 0.5], "row 1, column 0 is 0.5, expected 0 or 1; recode"),
        (Hinge(), 1, [1, 2], "row 1, column 0 is 2, expected 0 or 1 (or -1 and 1"),
        (Hinge(), 1, [-1, 0], "row 1, column 0 is 0, expected -1 or 1; recode the two"),
        (
            Poisson(),
            1,
            [1, -2],
            "row 1, column 0 is -2, expected a count of at least 0",
        ),
        (KL(), 2, [[0.5, 0.6]], "[kl] target row 0 sums to 1.1, expected 1; give"),
    ],
)
def test_bad_targets(one: Loss, size: int, target: Any, message: str) -> None:
    activation = "logistic" if isinstance(one, Focal) else "softmax"
    with pytest.raises(LossError, match=re.escape(message)):
        one.check_target(size, activation, target)


# -- a user's function ------------------------------------------------------------


def fourth_power(output: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
    d = output - target
    return float((d**4).sum(axis=1).mean()), 4 * d**3 / len(d)


def weighted_square(
    output: np.ndarray, target: np.ndarray, weights: np.ndarray | None
) -> tuple[float, np.ndarray]:
    w = np.ones(len(output)) if weights is None else weights
    d = output - target
    share = (w / w.sum())[:, None]
    return float((share * d**2).sum()), 2 * share * d


def test_custom_loss_is_named_and_checked() -> None:
    own = loss(fourth_power)
    assert isinstance(own, CustomLoss)
    assert (own.name, own.takes_weights) == ("fourth_power", False)
    assert CustomLoss(fourth_power, name="quartic").name == "quartic"
    value, gradient = own.evaluate(np.ones((2, 1), np.float32), np.zeros((2, 1)))
    assert (value, gradient.dtype) == (1.0, np.float32)


def test_custom_loss_takes_weights_only_if_it_can() -> None:
    assert CustomLoss(weighted_square).takes_weights
    assert CustomLoss(lambda o, t, *, weights=None: (0.0, o)).takes_weights
    assert not CustomLoss(lambda o, t, delta=1.0: (0.0, o)).takes_weights
    keyword = CustomLoss(lambda o, t, *, weights=None: (weights.sum(), o))
    assert keyword.evaluate(np.ones((2, 1)), np.ones((2, 1)), WEIGHTS)[0] == 2.5
    message = r"\[custom loss 'fourth_power'\] sample_weight or class_weight is given"
    with pytest.raises(LossError, match=message):
        CustomLoss(fourth_power).evaluate(np.ones((2, 1)), np.ones((2, 1)), WEIGHTS)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (1.0, "the function returned float, expected a pair; return (value, gradient)"),
        (
            (np.ones(2), np.ones((2, 3))),
            "value has shape (2,) and type float64, expecte",
        ),
        (
            (float("nan"), np.ones((2, 3))),
            "value is nan, expected a finite number; keep",
        ),
        (
            (1.0, np.ones(3)),
            "gradient has shape (3,) and type float64, expected (2, 3)",
        ),
        (
            (1.0, np.array([[1, 1, 1], [1, np.inf, 1]])),
            "gradient of row 1 is not finite",
        ),
    ],
)
def test_what_a_custom_loss_returns(returned: Any, message: str) -> None:
    own = CustomLoss(lambda output, target: returned, name="f")
    with pytest.raises(LossError, match=re.escape(f"[custom loss 'f'] {message}")):
        own.evaluate(np.ones((2, 3)), np.ones((2, 3)))


def signed(target: np.ndarray, output: np.ndarray) -> tuple[float, np.ndarray]:
    return float((output - target).mean()), np.ones_like(output) / len(output)


def test_names_say_which_parameter_is_the_target() -> None:
    target, output = np.zeros((2, 1)), np.ones((2, 1))
    orders = [
        signed,
        lambda y_true, y_pred: signed(y_true, y_pred),
        lambda output, target: signed(target, output),
        lambda y_hat, y: signed(y, y_hat),
        lambda _t, other: signed(_t, other),
        lambda x, labels: signed(labels, x),
        lambda output, target, weights: signed(target, output),
    ]
    for function in orders:
        assert CustomLoss(function, "f").evaluate(output, target)[0] == 1.0


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda a, b: (0.0, a), "a, b"),
        (lambda y, t: (0.0, y), "y, t"),
        (lambda output, logits: (0.0, output), "output, logits"),
        (lambda output: (0.0, output), "output"),
        (lambda *both: (0.0, both[0]), ""),
    ],
)
def test_names_that_do_not_say_it_are_refused(function: Any, found: str) -> None:
    """Another order would turn every gradient round."""
    with pytest.raises(LossError) as caught:
        CustomLoss(function, "f")
    assert str(caught.value) == (
        f"[custom loss 'f'] its parameters ({found}) do not say which is the target; "
        "name them (target, output), in the order that is meant"
    )


def test_a_custom_loss_cannot_write_into_the_engine() -> None:
    def careless(output: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        output -= target
        return 0.0, output

    with pytest.raises(ValueError, match="read-only"):
        CustomLoss(careless).evaluate(np.ones((2, 3)), np.ones((2, 3)))


def test_a_custom_loss_has_no_formula() -> None:
    own = CustomLoss(fourth_power)
    message = r'has no formula for JAX or single rows; use executor="native"'
    with pytest.raises(LossError, match=message):
        own.formula(np, np.ones((1, 1)), np.ones((1, 1)))
    with pytest.raises(LossError, match="cannot be written to a file; give the loss"):
        own.attributes()
    with pytest.raises(LossError, match="not a loss of the engine"):
        own.engine_name()
    with pytest.raises(LossError, match="3 is no function; give a function of"):
        CustomLoss(3)  # type: ignore[arg-type]


def test_targets_of_a_custom_loss_are_only_finite() -> None:
    own = CustomLoss(fourth_power)
    assert own.check_target(9, "", [5, 6]).dtype == np.int32
    assert own.check_target(9, "", [[5.0, 6.0]], dtype=np.float32).shape == (1, 2)
    with pytest.raises(LossError, match=r"\[custom loss 'fourth_power'\] target row 0"):
        own.check_target(1, "", [float("nan")])


def softmax_of_two_questions(kind: str) -> nv.Network:
    last = nv.Softmax(name="x") if kind == "softmax" else nv.LogSoftmax(name="x")
    return nv.Network([nv.Input(4), nv.Dense(6), nv.Reshape((2, 3)), last])


@pytest.mark.parametrize("kind", ["softmax", "log_softmax"])
@pytest.mark.parametrize("given", ["classes", "shares"])
def test_a_softmax_of_several_questions_has_a_target_for_each(
    kind: str, given: str
) -> None:
    """The cost of a row is the mean over its questions; targets of one are refused."""
    net = softmax_of_two_questions(kind)
    rng = np.random.default_rng(0)
    X, classes = rng.normal(size=(5, 4)), rng.integers(0, 3, (5, 2))
    y = classes if given == "classes" else np.eye(3)[classes]
    found = net.predict(X)
    logs = found if kind == "log_softmax" else np.log(found)
    expected = -np.take_along_axis(logs, classes[..., None], axis=2).mean()
    for one in (CrossEntropy(), Focal(0.0)):
        if given == "classes" or isinstance(one, CrossEntropy):
            assert net.evaluate(X, y, loss=one)["loss"] == pytest.approx(expected)
    with pytest.raises(LossError, match=r"'x' of shape \(2, 3\) answers 2 questions"):
        net.evaluate(X, classes[:, 0], loss="cross_entropy")
    assert net.objective("mse").costs[0].loss == MSE()


# -- weights ----------------------------------------------------------------------


def test_weights_multiply() -> None:
    assert combine_weights([0, 1]) is None
    assert combine_weights([0, 1], [2, 3]).tolist() == [2, 3]
    assert combine_weights([0, 1, 2], None, {1: 5}).tolist() == [1, 5, 1]
    assert combine_weights([0, 1, 1], [1, 2, 3], [10, 1]).tolist() == [10, 2, 3]
    one_hot, sides = [[0.0, 1.0], [1.0, 0.0]], [[-1.0], [1.0]]
    assert combine_weights(one_hot, None, [3, 4]).tolist() == [4, 3]
    assert combine_weights(sides, None, [3, 4]).tolist() == [3, 4]


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    utils = pytest.importorskip("sklearn.utils")
    y = np.array([0, 0, 0, 2, 2, 1, 0])
    expected = utils.compute_sample_weight("balanced", y)
    found = combine_weights(y, None, "balanced")
    np.testing.assert_allclose(found, expected)
    assert found.dtype == np.float64
    by_class = class_weights(y, "balanced")
    np.testing.assert_allclose(
        combine_weights([2, 1], None, by_class), by_class[[2, 1]]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ([0, 1], [1]),
            "[sample_weight] shape (1,), expected (2,); give one weight per",
        ),
        (
            ([0, 1], [1, -1]),
            "[sample_weight] row 1 weighs -1, expected a finite number",
        ),
        (([0, 1], [1, np.nan]), "[sample_weight] row 1 weighs nan, expected a finite"),
        (([0, 1], [0, 0]), "[weights] every row weighs 0; give some row a positive"),
        (
            ([0, 1], None, "even"),
            "[class_weight] 'even', expected 'balanced', a mapping",
        ),
        (
            ([0, 2], None, [1, 1]),
            "[class_weight] 2 weights, but the target has class 2",
        ),
        (
            ([0, 1], None, {7: 1}),
            "a weight for 7, but the classes are 0 to 1; use class",
        ),
        (([0, 1], None, {"a": 1}), "a weight for 'a', but the classes are 0 to 1"),
        (([0, 1], None, [1, -1]), "[1.0, -1.0], expected one finite weight >= 0 per"),
        (
            ([0.5, 1], None, "balanced"),
            "the target holds values, expected classes; use",
        ),
        (
            ([[0.5, 0.5]], None, "balanced"),
            "the target holds rows that are not one-hot",
        ),
    ],
)
def test_bad_weights(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(LossError, match=re.escape(message)):
        combine_weights(*arguments)


def test_weighted_mean() -> None:
    costs = np.array([1.0, 2.0, 6.0])
    assert weighted_mean(costs) == 3
    assert weighted_mean(costs, np.array([1.0, 1.0, 0.0])) == 1.5
