# SPDX-License-Identifier: BSD-3-Clause
"""Losses: formulas, engine and published values agree.

Legend: a outputs, z what the last activation takes, t target.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nervure.base.formulas import normal_quantile
from nervure.executors import Data
from nervure.graph.objective import Cost, Objective
from nervure.layers import Dense, Input
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
    LogCosh,
    Loss,
    LossError,
    LossExample,
    Pinball,
    Poisson,
    Quadratic,
    weighted_mean,
)
from nervure.network.network import Network

ROWS = [kind for kind in LOSSES if not kind.aligns]  # the others: test_ctc.py
EXAMPLES = [example for kind in ROWS for example in kind.examples()]
NAMES = [f"{e.loss.kind}-{i}" for i, e in enumerate(EXAMPLES)]
WEIGHTS = np.array([0.5, 2.0])


def arrays(example: LossExample) -> tuple[np.ndarray, np.ndarray]:
    a, t = np.array(example.output), np.array(example.target)
    return a, t.astype(np.int32 if t.ndim == 1 else np.float64)


def fitting(example: LossExample) -> list[str]:
    """The activations that this example can be fused with."""
    fuses = example.loss.fuses
    if isinstance(example.loss, Focal):
        classes = np.ndim(example.target) == 1
        return [name for name in fuses if (name == "logistic") != classes]
    return list(fuses)


FUSED = [
    pytest.param(example, activation, id=f"{name}-{activation}")
    for example, name in zip(EXAMPLES, NAMES, strict=True)
    for activation in fitting(example)
]


def logits(a: np.ndarray, activation: str) -> np.ndarray:
    """Some z that the activation takes to a."""
    if activation == "gaussian_cdf":
        return normal_quantile(a)
    return np.log(a / (1 - a)) if activation == "logistic" else np.log(a) + 0.75


def differences(function: Any, x: np.ndarray, h: float = 1e-3) -> np.ndarray:
    """Gradient of a number by 4-point central differences."""
    gradient = np.zeros_like(x)
    for at in np.ndindex(*x.shape):

        def moved(steps: int, at: tuple[int, ...] = at) -> float:
            y = x.copy()
            y[at] += steps * h
            return float(function(y))

        near, far = moved(1) - moved(-1), moved(2) - moved(-2)
        gradient[at] = (8 * near - far) / (12 * h)
    return gradient


def engine(
    one: Loss,
    x: np.ndarray,
    t: np.ndarray,
    *,
    fused: str = "",
    weights: np.ndarray | None = None,
    dtype: str = "float64",
) -> tuple[np.ndarray, float, np.ndarray]:
    """Costs of the rows, the batch's cost and its gradient, by the native engine.

    The network is the identity, so that what enters is what the loss sees.
    """
    columns = x.shape[1]
    net = Network([Input(columns), Dense(columns)], dtype=dtype)
    net.parameters["dense.weight"][:] = np.eye(columns)
    node = net.graph.outputs[0]
    objective = Objective((Cost(0, one, 1.0, node, fused, fused),))
    target = t if t.ndim == 1 else t.astype(dtype)
    data = Data((x.astype(dtype),), (target,), weights)
    _, costs = net.executor().row_costs(data, objective)
    trace = net.executor().trace(data, objective)
    return costs, trace.cost, trace.gradients[node].reshape(x.shape)


# -- formulas ---------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_formula_gives_one_cost_per_row(example: LossExample) -> None:
    a, t = arrays(example)
    costs = example.loss.formula(np, a, t)
    assert costs.shape == (len(a),)
    for i in range(len(a)):
        assert example.loss.formula(np, a[[i]], t[[i]])[0] == pytest.approx(costs[i])


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_jax_differentiates_the_formula(example: LossExample) -> None:
    jax = pytest.importorskip("jax")
    a, t = arrays(example)
    with jax.enable_x64(True):

        def mean(x: Any) -> Any:
            return weighted_mean(example.loss.formula(jax.numpy, x, t), WEIGHTS)

        found = np.asarray(jax.grad(mean)(a))
    expected = differences(
        lambda x: weighted_mean(example.loss.formula(np, x, t), WEIGHTS), a
    )
    np.testing.assert_allclose(found, expected, rtol=5e-6, atol=1e-9)


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_jax_compiles_the_formula_in_float32(example: LossExample) -> None:
    jax = pytest.importorskip("jax")
    a, t = arrays(example)
    single = t if t.ndim == 1 else t.astype(np.float32)
    form = jax.jit(lambda x, y: example.loss.formula(jax.numpy, x, y))
    found = form(a.astype(np.float32), single)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, example.loss.formula(np, a, t), rtol=3e-6)
    for activation in fitting(example):
        z = logits(a, activation)
        form = jax.jit(
            lambda x, y, fused=activation: example.loss.logits_formula(
                jax.numpy, x, y, fused
            )
        )
        found = form(z.astype(np.float32), single)
        assert found.dtype == np.float32
        expected = example.loss.logits_formula(np, z, t, activation)
        np.testing.assert_allclose(found, expected, rtol=3e-6)


@pytest.mark.parametrize(("example", "activation"), FUSED)
def test_fused_form_equals_plain_form(example: LossExample, activation: str) -> None:
    a, t = arrays(example)
    if activation not in ("logistic", "gaussian_cdf"):
        a = a / a.sum(axis=1, keepdims=True)
    z = logits(a, activation)
    plain = example.loss.formula(np, a, t)
    fused = example.loss.logits_formula(np, z, t, activation)
    np.testing.assert_allclose(fused, plain, rtol=1e-12)
    if activation == "log_softmax":
        direct = example.loss.costs(np, np.log(a), t, activation)
        np.testing.assert_allclose(direct, plain, rtol=1e-12)
    else:
        assert (example.loss.costs(np, a, t, activation) == plain).all()


def test_every_loss_but_fused_ones_refuses_logits() -> None:
    with pytest.raises(LossError, match=r"\[mse\] no form on logits; use formula"):
        MSE().logits_formula(np, np.ones((1, 1)), np.ones((1, 1)))


# -- the engine -------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_engine_equals_formula(example: LossExample) -> None:
    a, t = arrays(example)
    check_engine(example.loss, example.loss.formula, a, t, "")


@pytest.mark.parametrize(("example", "activation"), FUSED)
def test_fused_engine_equals_formula(example: LossExample, activation: str) -> None:
    a, t = arrays(example)

    def form(xp: Any, z: np.ndarray, target: np.ndarray) -> Any:
        return example.loss.logits_formula(xp, z, target, activation)

    check_engine(example.loss, form, logits(a, activation), t, activation)


def check_engine(
    one: Loss, form: Any, x: np.ndarray, t: np.ndarray, fused: str
) -> None:
    def mean(y: np.ndarray) -> float:
        return weighted_mean(form(np, y, t), WEIGHTS)

    costs, cost, gradient = engine(one, x, t, fused=fused, weights=WEIGHTS)
    expected = differences(mean, x)
    np.testing.assert_allclose(costs, form(np, x, t), rtol=1e-12)
    assert cost == pytest.approx(mean(x), rel=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=5e-6, atol=1e-9)

    single = engine(one, x, t, fused=fused, weights=WEIGHTS, dtype="float32")
    np.testing.assert_allclose(single[0], costs, rtol=2e-6)
    np.testing.assert_allclose(single[2], gradient, rtol=2e-5, atol=1e-6)

    unweighted = engine(one, x, t, fused=fused)
    assert unweighted[1] == pytest.approx(form(np, x, t).mean(), rel=1e-12)


@pytest.mark.parametrize("outputs", [1, 2, 7, 8, 9, 31, 64, 300, 1000])
def test_wide_rows(outputs: int) -> None:
    """Whole vectors, rests and stretches of the engine's sums."""
    rng = np.random.default_rng(outputs)
    z = 3 * rng.standard_normal((4, outputs))
    t = rng.standard_normal((4, outputs))
    yes = (t > 0).astype(float)
    kinds = (MSE(), Quadratic(), MAE(), Huber(), LogCosh(), Pinball(0.3), Hinge())
    for one in kinds:
        goal = yes if isinstance(one, Hinge) else t
        costs, _, _ = engine(one, z, goal)
        np.testing.assert_allclose(costs, one.formula(np, z, goal), rtol=1e-12)
    classes = rng.integers(0, outputs, 4).astype(np.int32)
    for one, goal, fused in (
        (CrossEntropy(0.1), classes, "softmax"),
        (BinaryCrossEntropy(0.1), yes, "logistic"),
        (Focal(1.5), classes, "softmax"),
    ):
        costs, _, gradient = engine(one, z, goal, fused=fused)
        expected = one.logits_formula(np, z, goal)
        np.testing.assert_allclose(costs, expected, rtol=1e-12, atol=1e-14)
        assert np.isfinite(gradient).all()
        if fused == "softmax":
            np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-14)


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


def test_custom_loss_in_the_engine() -> None:
    a, t = arrays(Quadratic.examples()[0])
    _, cost, gradient = engine(CustomLoss(fourth_power), a, t)
    expected, slopes = fourth_power(a, t)
    assert cost == pytest.approx(expected)
    np.testing.assert_allclose(gradient, slopes)
    _, cost, gradient = engine(CustomLoss(weighted_square), a, t, weights=WEIGHTS)
    expected, slopes = weighted_square(a, t, WEIGHTS)
    assert cost == pytest.approx(expected)
    np.testing.assert_allclose(gradient, slopes)


# -- values by hand and from elsewhere --------------------------------------------

LOG = np.log
VALUES: list[tuple[Loss, Any, Any, float]] = [
    (Quadratic(), [[3.0, 4.0]], [[0.0, 0.0]], 12.5),
    (Quadratic(), [[1.0], [2.0]], [[0.0], [0.0]], 1.25),  # 1/(2n) sum: (1 + 4) / 4
    (MSE(), [[3.0, 4.0]], [[0.0, 0.0]], 12.5),
    (MAE(), [[3.0, -4.0]], [[0.0, 0.0]], 3.5),
    (Huber(2.0), [[1.0, 5.0]], [[0.0, 0.0]], (0.5 + 2 * (5 - 1)) / 2),
    (LogCosh(), [[LOG(2)]], [[0.0]], LOG(1.25)),  # cosh(log 2) = (2 + 1/2) / 2
    (CrossEntropy(), [[0.25, 0.75], [0.5, 0.5]], [0, 1], 1.5 * LOG(2)),
    (CrossEntropy(), [[0.25, 0.75]], [[0.5, 0.5]], -0.5 * LOG(0.25 * 0.75)),
    (CrossEntropy(0.5), [[0.25, 0.75]], [0], -0.75 * LOG(0.25) - 0.25 * LOG(0.75)),
    (BinaryCrossEntropy(), [[0.25, 0.25]], [[1.0, 0.0]], -0.5 * LOG(0.25 * 0.75)),
    # Lin et al. (2017), sec. 3.2: p = 0.9 costs 100 times less than cross-entropy.
    (Focal(), [[0.9]], [[1.0]], -LOG(0.9) / 100),
    (Focal(), [[0.1]], [[0.0]], -LOG(0.9) / 100),
    (Focal(), [[0.9, 0.1]], [0], -LOG(0.9) / 100),
    (Focal(2, 0.25), [[0.9, 0.1]], [[1.0, 0.0]], -LOG(0.9) / 100 * (0.25 + 0.75) / 2),
    (Focal(0, (1.0, 3.0)), [[0.5, 0.5]], [1], 3 * LOG(2)),
    (Hinge(), [[0.5], [-2.0]], [[-1.0], [-1.0]], 0.75),
    (Hinge(), [[0.5, 2.0, 1.0]], [2], 2.0),
    (Poisson(1e-30), [[2.0, 1.0]], [[3.0, 0.0]], (2 - 3 * LOG(2) + 1) / 2),
    (Pinball(0.9), [[1.0], [0.0]], [[0.0], [1.0]], 0.5),  # over costs 0.1, under 0.9
    (Pinball((0.1, 0.9)), [[0.0, 0.0]], [[1.0, 1.0]], 0.5),
    (KL(), [[0.25, 0.75]], [[0.5, 0.5]], LOG(2) - 0.5 * LOG(3)),
    (KL(), [[0.25, 0.75]], [[0.0, 1.0]], -LOG(0.75)),
    (Cosine(), [[1.0, 1.0]], [[1.0, 0.0]], 1 - np.sqrt(0.5)),
    (Cosine(), [[0.0, 0.0]], [[1.0, 0.0]], 1.0),
]


def test_a_value_is_known_for_every_loss() -> None:
    assert {type(one) for one, *_ in VALUES} == set(ROWS)


@pytest.mark.parametrize(("one", "a", "t", "expected"), VALUES)
def test_known_values(one: Loss, a: Any, t: Any, expected: float) -> None:
    output, target = np.array(a), np.array(t)
    if target.ndim == 1:
        target = target.astype(np.int32)
    assert one.formula(np, output, target).mean() == pytest.approx(expected, rel=1e-12)
    assert engine(one, output, target)[1] == pytest.approx(expected, rel=1e-12)


def test_values_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    a, t = rng.standard_normal((2, 20, 4))
    w, classes = rng.uniform(0.1, 2, 20), rng.integers(0, 4, 20)
    p = np.exp(a) / np.exp(a).sum(axis=1, keepdims=True)
    assert set(classes) == {0, 1, 2, 3}

    def mean(one: Loss, output: np.ndarray, target: np.ndarray) -> float:
        return weighted_mean(one.formula(np, output, target), w)

    options = {"sample_weight": w}
    for one, expected in (
        (MSE(), metrics.mean_squared_error(t, a, **options)),
        (MAE(), metrics.mean_absolute_error(t, a, **options)),
        (Pinball(0.3), metrics.mean_pinball_loss(t, a, alpha=0.3, **options)),
    ):
        assert mean(one, a, t) == pytest.approx(expected, rel=1e-12)
    for one, output, expected in (
        (CrossEntropy(), p, metrics.log_loss(classes, p, **options)),
        (Hinge(), a, metrics.hinge_loss(classes, a, **options)),
    ):
        assert mean(one, output, classes) == pytest.approx(expected, rel=1e-12)


def test_values_of_torch() -> None:
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    rng = np.random.default_rng(4)
    a, t = torch.tensor(rng.standard_normal((2, 20, 4)))
    classes = torch.tensor(rng.integers(0, 4, 20))
    p, shares = torch.softmax(a, 1), torch.softmax(t, 1)
    yes, rate = (t > 0).double(), torch.exp(a)

    pairs: list[tuple[Any, Any]] = [
        (Huber(0.7).formula(np, a.numpy(), t.numpy()), f.huber_loss(a, t, delta=0.7)),
        (
            CrossEntropy(0.2).logits_formula(np, a.numpy(), classes.numpy()),
            f.cross_entropy(a, classes, label_smoothing=0.2),
        ),
        (
            BinaryCrossEntropy().logits_formula(np, a.numpy(), yes.numpy()),
            f.binary_cross_entropy_with_logits(a, yes),
        ),
        (
            KL().formula(np, p.numpy(), shares.numpy()),
            f.kl_div(torch.log(p), shares, reduction="batchmean"),
        ),
        (
            Poisson().formula(np, rate.numpy(), yes.numpy()),
            f.poisson_nll_loss(rate, yes, log_input=False),
        ),
        (
            Cosine().formula(np, a.numpy(), t.numpy()),
            f.cosine_embedding_loss(a, t, torch.ones(20)),
        ),
    ]
    for costs, expected in pairs:
        assert costs.mean() == pytest.approx(float(expected), rel=1e-12)


# -- limits -----------------------------------------------------------------------

FAR = np.array([[1000.0, -1000.0, 0.0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("one", "target", "activation", "expected", "slopes"),
    [
        (CrossEntropy(), np.array([1], np.int32), "softmax", 2000.0, [1, -1, 0]),
        (CrossEntropy(), np.array([0], np.int32), "softmax", 0.0, [0, 0, 0]),
        (KL(), np.array([[0.0, 1.0, 0.0]]), "softmax", 2000.0, [1, -1, 0]),
        (
            BinaryCrossEntropy(),
            np.array([[0.0, 1.0, 0.0]]),
            "logistic",
            (2000 + LOG(2)) / 3,
            [1 / 3, -1 / 3, 1 / 6],
        ),
        (Focal(), np.array([1], np.int32), "softmax", 2000.0, [1, -1, 0]),
        (Focal(0.5), np.array([0], np.int32), "softmax", 0.0, [0, 0, 0]),
        (
            Focal(1),
            np.array([[0.0, 1.0, 1.0]]),
            "logistic",
            (2000 + LOG(2) / 2) / 3,
            [1 / 3, -1 / 3, -(0.5 + LOG(2) / 2) / 6],
        ),
    ],
)
def test_fused_losses_are_stable(
    one: Loss,
    target: np.ndarray,
    activation: str,
    expected: float,
    slopes: Any,
    dtype: str,
) -> None:
    assert one.logits_formula(np, FAR, target)[0] == pytest.approx(expected, rel=1e-12)
    costs, _, gradient = engine(one, FAR, target, fused=activation, dtype=dtype)
    assert costs[0] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(gradient, [slopes], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("z", [0.0, 3.0, 6.0, 12.0, 29.9, 30.1, 1000.0])
def test_both_sides_of_a_normal_distribution(z: float, dtype: str) -> None:
    """A probability of 1 - 1e-9 is 1 as a float: its other side cost 69 for 20.7."""
    special = pytest.importorskip("scipy.special")
    x, t = np.array([[z], [-z]]), np.array([[0.0], [1.0]])
    cost = -special.log_ndtr(-z)
    slope = np.exp(-z * z / 2 - np.log(2 * np.pi) / 2 + cost) if z < 35 else z + 1 / z
    one = BinaryCrossEntropy()
    found = one.logits_formula(np, x, t, "gaussian_cdf")
    np.testing.assert_allclose(found, cost, rtol=1e-12)
    costs, _, gradient = engine(one, x, t, fused="gaussian_cdf", dtype=dtype)
    exact = 1e-11 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(costs, cost, rtol=exact)
    np.testing.assert_allclose(2 * gradient, [[slope], [-slope]], rtol=2 * exact)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("z", [0.0, 6.0, 30.0, 200.0, 1e6])
def test_both_sides_of_a_softmax(z: float, dtype: str) -> None:
    """Of two classes it is a logistic of their difference, however far that is."""
    x, t = np.array([[z, 0.0], [0.0, z]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    cost = z + np.log1p(np.exp(-z))
    slope = 1 / (1 + np.exp(-z))
    one = BinaryCrossEntropy()
    found = one.logits_formula(np, x, t, "softmax")
    np.testing.assert_allclose(found, cost, rtol=1e-12)
    costs, _, gradient = engine(one, x, t, fused="softmax", dtype=dtype)
    exact = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(costs, cost, rtol=exact)
    away = [[slope, -slope], [-slope, slope]]
    np.testing.assert_allclose(2 * gradient, away, rtol=exact)


@pytest.mark.parametrize("one", [CrossEntropy(), Focal(), KL(), BinaryCrossEntropy()])
def test_certainty_costs_no_infinity(one: Loss) -> None:
    a, t = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    target = np.array([1], np.int32) if isinstance(one, CrossEntropy | Focal) else t
    costs, _, gradient = engine(one, a, target, dtype="float32")
    assert costs[0] == pytest.approx(one.formula(np, a, target)[0])
    assert 69 < costs[0] < 70
    assert np.isfinite(gradient).all()


def test_log_cosh_does_not_overflow() -> None:
    far = np.array([[1e4, -1e4]])
    expected = 1e4 - LOG(2)
    assert LogCosh().formula(np, far, 0 * far)[0] == pytest.approx(expected)
    costs, _, gradient = engine(LogCosh(), far, 0 * far)
    assert costs[0] == pytest.approx(expected)
    assert gradient.tolist() == [[0.5, -0.5]]


def test_log_cosh_does_not_cancel_near_zero() -> None:
    """``|d| + log(1 + exp(-2 |d|)) - log 2`` loses all digits of d^2 / 2 there."""
    d = np.array([[1e-9], [-1e-5], [1e-3], [0.5], [0.7499], [-0.75], [3.0]])
    exact = d**2 / 2 - d**4 / 12 + d**6 / 45
    large = np.log(np.cosh(d))
    expected = np.where(np.abs(d) < 0.01, exact, large)[:, 0]
    formula = LogCosh().formula(np, d, 0 * d)
    np.testing.assert_allclose(formula, expected, rtol=1e-13)
    single = LogCosh().formula(np, d.astype(np.float32), np.zeros((7, 1), np.float32))
    np.testing.assert_allclose(single, expected, rtol=2e-6)
    costs, _, gradient = engine(LogCosh(), d, 0 * d)
    np.testing.assert_allclose(costs, expected, rtol=1e-13)
    np.testing.assert_allclose(gradient.ravel() * 7, np.tanh(d).ravel(), rtol=1e-13)


@pytest.mark.parametrize("one", [Quadratic(), CrossEntropy(), LogCosh(), Hinge(), KL()])
def test_nan_is_not_swallowed(one: Loss) -> None:
    z, t = np.full((1, 3), np.nan), np.array([[0.0, 1.0, 0.0]])
    fused = one.fuses[0] if one.fuses else ""
    assert np.isnan(engine(one, z, t, fused=fused)[0]).all()


def test_a_vector_without_direction_has_no_gradient() -> None:
    jax = pytest.importorskip("jax")
    a, t = np.zeros((1, 3)), np.ones((1, 3))
    with jax.enable_x64(True):
        cosine = Cosine()
        found = jax.grad(lambda x: cosine.formula(jax.numpy, x, t).sum())(a)
    assert np.asarray(found).tolist() == [[0, 0, 0]]
    costs, _, gradient = engine(cosine, a, t)
    assert (costs[0], gradient.tolist()) == (1, [[0, 0, 0]])


def test_label_smoothing_is_a_mixture_with_even_shares() -> None:
    a, one_hot = np.array([[0.2, 0.5, 0.3]]), np.array([[0.0, 0.0, 1.0]])
    smooth = 0.7 * one_hot + 0.3 / 3
    expected = CrossEntropy().formula(np, a, smooth)
    for target in (one_hot, np.array([2], np.int32)):
        assert CrossEntropy(0.3).formula(np, a, target) == pytest.approx(expected)
        assert engine(CrossEntropy(0.3), a, target)[0] == pytest.approx(expected)
    halves = BinaryCrossEntropy().formula(np, a, 0.7 * one_hot + 0.3 / 2)
    assert BinaryCrossEntropy(0.3).formula(np, a, one_hot) == pytest.approx(halves)


def test_focal_without_focus_is_cross_entropy() -> None:
    example = CrossEntropy.examples()[0]
    a, t = arrays(example)
    expected = CrossEntropy().formula(np, a, t)
    np.testing.assert_allclose(Focal(0).formula(np, a, t), expected)
