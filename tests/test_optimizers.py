# SPDX-License-Identifier: BSD-3-Clause
"""Optimizers: formulas against published updates and PyTorch, whole steps, the engine.

The published updates are written once more below, for one weight in plain Python
numbers, as they stand in the papers.
"""

import json
import math
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from nervure.base.plain import write
from nervure.optimizers import (
    LBFGS,
    OPTIMIZERS,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    GradientDescent,
    Lion,
    NAdam,
    RMSprop,
    Setting,
    UpdateRule,
    begin,
    enter,
    leave,
    optimizer,
    update,
)
from nervure.optimizers.schedules import Cosine, WarmUp
from nervure.regularizers import L1, L2, ElasticNet, MaxNorm

START = (1.0, -2.0, 0.5, 0.0)
GRADIENTS = (
    (0.5, -1.25, 2.0, 0.0),
    (-0.3, -1.0, 2.5, 1e-4),
    (0.1, 0.75, -4.0, -1e-4),
    (0.9, 0.5, 0.25, 0.0),
    (-2.0, 0.0, 1.5, 3.0),
    (0.6, -0.2, 0.1, -1.0),
    (0.5, 0.3, -0.7, 0.25),
)
STEPS = len(GRADIENTS)


# -- the published updates, for one weight --------------------------------------


def gradient_descent(w, gradients, rate):
    for g in gradients:
        w = w - rate * g
        yield w


def heavy_ball(w, gradients, rate, momentum):
    m = 0.0
    for g in gradients:
        m = momentum * m - rate * g
        w = w + m
        yield w


def adam_hat(w, gradients, rate, beta1, beta2, epsilon):
    """The last form of section 2 of Kingma and Ba."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        step = rate * math.sqrt(1 - beta2**t) / (1 - beta1**t)
        w = w - step * m / (math.sqrt(v) + epsilon)
        yield w


def adam(w, gradients, rate, beta1, beta2, epsilon, amsgrad=False, decay=0.0):
    m = v = largest = 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        largest = max(largest, v)
        m_hat = m / (1 - beta1**t)
        v_hat = (largest if amsgrad else v) / (1 - beta2**t)
        w = w - rate * (m_hat / (math.sqrt(v_hat) + epsilon) + decay * w)
        yield w


def nadam(w, gradients, rate, beta1, beta2, epsilon):
    m = v = 0.0
    product = 1.0
    for t, g in enumerate(gradients, start=1):
        mu = beta1 * (1 - 0.5 * 0.96 ** (t / 250))
        mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) / 250))
        product *= mu
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_bar = mu_next * m / (1 - product * mu_next) + (1 - mu) * g / (1 - product)
        w = w - rate * m_bar / (math.sqrt(v / (1 - beta2**t)) + epsilon)
        yield w


def rmsprop(w, gradients, rate, rho, momentum, epsilon, centered):
    square = mean = m = 0.0
    for g in gradients:
        square = rho * square + (1 - rho) * g**2
        mean = rho * mean + (1 - rho) * g
        spread = square - mean**2 if centered else square
        m = momentum * m - rate * g / (math.sqrt(spread) + epsilon)
        w = w + m
        yield w


def adagrad(w, gradients, rate, epsilon):
    total = 0.0
    for g in gradients:
        total += g**2
        w = w - rate * g / (math.sqrt(total) + epsilon)
        yield w


def adadelta(w, gradients, rate, rho, epsilon):
    square = updates = 0.0
    for g in gradients:
        square = rho * square + (1 - rho) * g**2
        change = -math.sqrt(updates + epsilon) / math.sqrt(square + epsilon) * g
        updates = rho * updates + (1 - rho) * change**2
        w = w + rate * change
        yield w


def lion(w, gradients, rate, beta1, beta2, decay):
    m = 0.0
    for g in gradients:
        c = beta1 * m + (1 - beta1) * g
        sign = (c > 0) - (c < 0)
        w = w - rate * (sign + decay * w)
        m = beta2 * m + (1 - beta2) * g
        yield w


@dataclass(frozen=True)
class Case:
    """A rule, the published update with its numbers, and PyTorch's class with its."""

    rule: UpdateRule
    published: object
    arguments: tuple
    torch: str | None = None
    options: tuple = ()


CASES = {
    "gradient_descent": Case(
        GradientDescent(0.1), gradient_descent, (0.1,), "SGD", (("lr", 0.1),)
    ),
    "sgd": Case(SGD(0.1), gradient_descent, (0.1,), "SGD", (("lr", 0.1),)),
    "momentum": Case(
        SGD(0.1, momentum=0.9),
        heavy_ball,
        (0.1, 0.9),
        "SGD",
        (("lr", 0.1), ("momentum", 0.9)),
    ),
    "adam": Case(
        Adam(0.01),
        adam,
        (0.01, 0.9, 0.999, 1e-8),
        "Adam",
        (("lr", 0.01),),
    ),
    "adam, other numbers": Case(
        Adam(0.3, beta1=0.5, beta2=0.7, epsilon=1e-3),
        adam,
        (0.3, 0.5, 0.7, 1e-3),
        "Adam",
        (("lr", 0.3), ("betas", (0.5, 0.7)), ("eps", 1e-3)),
    ),
    "adam, epsilon hat": Case(
        Adam(0.3, beta1=0.5, beta2=0.7, epsilon=1e-3, epsilon_hat=True),
        adam_hat,
        (0.3, 0.5, 0.7, 1e-3),
    ),
    "amsgrad": Case(
        Adam(0.1, beta2=0.6, amsgrad=True),
        adam,
        (0.1, 0.9, 0.6, 1e-8, True),
        "Adam",
        (("lr", 0.1), ("betas", (0.9, 0.6)), ("amsgrad", True)),
    ),
    "adamw": Case(
        AdamW(0.1, weight_decay=0.05),
        adam,
        (0.1, 0.9, 0.999, 1e-8, False, 0.05),
        "AdamW",
        (("lr", 0.1), ("weight_decay", 0.05)),
    ),
    "nadam": Case(
        NAdam(0.05),
        nadam,
        (0.05, 0.9, 0.999, 1e-8),
        "NAdam",
        (("lr", 0.05),),
    ),
    "rmsprop": Case(
        RMSprop(0.1),
        rmsprop,
        (0.1, 0.9, 0.0, 1e-8, False),
        "RMSprop",
        (("lr", 0.1), ("alpha", 0.9)),
    ),
    "rmsprop, centered, momentum": Case(
        RMSprop(0.1, rho=0.8, momentum=0.5, epsilon=1e-4, centered=True),
        rmsprop,
        (0.1, 0.8, 0.5, 1e-4, True),
        "RMSprop",
        (
            ("lr", 0.1),
            ("alpha", 0.8),
            ("momentum", 0.5),
            ("eps", 1e-4),
            ("centered", True),
        ),
    ),
    "rmsprop, momentum": Case(
        RMSprop(0.1, momentum=0.5),
        rmsprop,
        (0.1, 0.9, 0.5, 1e-8, False),
    ),
    "rmsprop, centered": Case(
        RMSprop(0.1, centered=True, epsilon=1e-6),
        rmsprop,
        (0.1, 0.9, 0.0, 1e-6, True),
    ),
    "adagrad": Case(Adagrad(0.1), adagrad, (0.1, 1e-10), "Adagrad", (("lr", 0.1),)),
    "adadelta": Case(
        Adadelta(),
        adadelta,
        (1.0, 0.95, 1e-6),
        "Adadelta",
        (("lr", 1.0), ("rho", 0.95), ("eps", 1e-6)),
    ),
    "lion": Case(Lion(0.1), lion, (0.1, 0.9, 0.99, 0.0)),
    "lion, decay": Case(
        Lion(0.1, beta1=0.6, weight_decay=0.2), lion, (0.1, 0.6, 0.99, 0.2)
    ),
}
RULES = {name: case.rule for name, case in CASES.items()}
RULES["nesterov"] = SGD(0.1, momentum=0.9, nesterov=True)


def trajectory(rule, xp=np, start=START, gradients=GRADIENTS, **options):
    """Weights after each step, as they lie between `enter` and `leave`."""
    parameters = {"w": xp.asarray(start)}
    parameters, state = enter(rule, xp, parameters, begin(rule, xp, parameters))
    path = []
    for step, g in enumerate(gradients, start=1):
        gradient = {"w": xp.asarray(g)}
        parameters, state = update(
            rule, xp, parameters, gradient, state, rule.learning_rate, step, **options
        )
        path.append(np.asarray(parameters["w"]))
    return np.array(path)


# -- formulas -------------------------------------------------------------------


def test_every_rule_has_a_case():
    tested = {type(case.rule) for case in CASES.values()}
    assert tested == {kind for kind in OPTIMIZERS if kind.stepwise}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_formula_is_the_published_update(case):
    published = [
        list(case.published(START[i], [g[i] for g in GRADIENTS], *case.arguments))
        for i in range(len(START))
    ]
    assert np.allclose(trajectory(case.rule), np.transpose(published), rtol=1e-12)


@pytest.mark.parametrize(
    "case", [pytest.param(c, id=n) for n, c in CASES.items() if c.torch]
)
def test_formula_equals_torch(case):
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    peer = getattr(torch.optim, case.torch)([w], **dict(case.options))
    expected = []
    for g in GRADIENTS:
        w.grad = torch.tensor(g, dtype=torch.float64)
        peer.step()
        expected.append(w.detach().numpy().copy())
    # PyTorch multiplies NAdam's momenta up in float32.
    tolerance = 1e-7 if case.torch == "NAdam" else 1e-9
    assert np.allclose(trajectory(case.rule), expected, rtol=tolerance, atol=1e-12)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (GradientDescent(0.1), 0.8),  # 1 - 0.1 * 2
        (SGD(0.1), 0.8),
        (SGD(0.1, momentum=0.9), 0.8),  # m = -0.2
        (SGD(0.1, momentum=0.9, nesterov=True), 0.62),  # 0.8 + 0.9 * -0.2, look-ahead
        (Adam(0.1), 0.9),  # mean 2, root 2: one rate
        (Adam(0.1, amsgrad=True), 0.9),
        (AdamW(0.1, weight_decay=0.5), 0.85),  # and 0.1 * 0.5 * 1
        (RMSprop(0.1, rho=0.75), 0.8),  # v = 0.25 * 4 = 1
        (RMSprop(0.1, rho=0.5, centered=True), 0.8),  # v = 2, n = 1, v - n^2 = 1
        (Adagrad(0.1), 0.9),  # 2 / sqrt(4)
        (Adadelta(0.1, rho=0.75, epsilon=3.0), 1 - 0.1 * math.sqrt(3)),  # v + 3 = 4
        (Lion(0.1), 0.9),
        # 2 (u(2) 0.1 / (1 - u(1) u(2)) + 1) / 2 with u(1) = 0.45007, u(2) = 0.45015
        (NAdam(0.1), 0.8943546),
    ],
)
def test_first_step_by_hand(rule, expected):
    path = trajectory(rule, start=(1.0,), gradients=[(2.0,)])
    assert path[0, 0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_jax_equals_numpy(name):
    jax = pytest.importorskip("jax")
    rule = RULES[name]

    @jax.jit
    def one(parameters, gradient, state, rate, step):
        return update(
            rule,
            jax.numpy,
            parameters,
            gradient,
            state,
            rate,
            step,
            regularizer=L2(0.01),
        )

    xp = jax.numpy
    parameters = {"w": xp.asarray(START, dtype="float32")}
    parameters, state = enter(rule, xp, parameters, begin(rule, xp, parameters))
    for step, g in enumerate(GRADIENTS, start=1):
        gradient = {"w": xp.asarray(g, dtype="float32")}
        rate = rule.learning_rate
        parameters, state = one(parameters, gradient, state, rate, step)
    assert parameters["w"].dtype == "float32"
    expected = trajectory(rule, regularizer=L2(0.01))[-1]
    assert np.allclose(parameters["w"], expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", RULES)
def test_late_steps_are_finite(name):
    rule = RULES[name]
    w = np.array([1.0])
    slots = tuple(np.ones(1) for _ in rule.slots)
    w, slots = rule.formula(np, w, np.array([0.5]), slots, 0.1, 10**9)
    assert np.all(np.isfinite([w, *slots]))


def test_nadam_product_without_state():
    rule, product = NAdam(beta1=0.999), 1.0
    for step in range(1, 200):
        product *= 0.999 * (1 - 0.5 * 0.96 ** (step / 250))
        assert rule._product(np, step) == pytest.approx(product, rel=1e-9, abs=1e-18)


# -- Nesterov -------------------------------------------------------------------


def quadratic(x):
    return np.array([3.0 * x[0] + x[1], x[0] + 0.5 * x[1]])


def rosenbrock(x):
    bend = x[1] - x[0] ** 2
    return np.array([-40 * x[0] * bend - 2 * (1 - x[0]), 20 * bend])


def textbook_nesterov(gradient, w, rate, momentum, steps):
    m, path = np.zeros_like(w), []
    for _ in range(steps):
        m = momentum * m - rate * gradient(w + momentum * m)
        w = w + m
        path.append(w)
    return np.array(path)


def stretch(rule, gradient, parameters, state, steps):
    """Enters, makes these steps, and leaves."""
    parameters, state = enter(rule, np, parameters, state)
    for step in steps:
        slope = {"w": gradient(parameters["w"])}
        rate = rule.learning_rate
        parameters, state = update(rule, np, parameters, slope, state, rate, step)
    return leave(rule, np, parameters, state)


@pytest.mark.parametrize("gradient", [quadratic, rosenbrock])
def test_nesterov_takes_the_gradient_at_the_look_ahead_point(gradient):
    rule = SGD(0.01, momentum=0.9, nesterov=True)
    start = np.array([-0.7, 1.2])
    parameters, path = {"w": start}, []
    state = begin(rule, np, parameters)
    for step in range(1, 31):
        parameters, state = stretch(rule, gradient, parameters, state, [step])
        path.append(parameters["w"])
    expected = textbook_nesterov(gradient, start, 0.01, 0.9, 30)
    assert np.allclose(path, expected, rtol=1e-12, atol=1e-12)
    plain = textbook_nesterov(lambda x: gradient(start), start, 0.01, 0.9, 30)
    assert not np.allclose(expected, plain, rtol=1e-2)


@pytest.mark.parametrize("name", RULES)
def test_leaving_and_entering_changes_no_bit(name):
    rule = RULES[name]
    parameters = {"w": np.array([-0.7, 1.2])}
    state = begin(rule, np, parameters)
    whole = stretch(rule, quadratic, parameters, state, range(1, 11))
    cut = stretch(rule, quadratic, parameters, state, range(1, 4))
    cut = stretch(rule, quadratic, *cut, range(4, 9))
    cut = stretch(rule, quadratic, *cut, range(9, 11))
    assert np.array_equal(whole[0]["w"], cut[0]["w"])
    assert all(map(np.array_equal, whole[1]["w"], cut[1]["w"]))


def test_nesterov_look_ahead_equals_torch():
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.tensor(START, dtype=torch.float64))
    peer = torch.optim.SGD([w], lr=0.1, momentum=0.9, nesterov=True)
    for g in GRADIENTS:  # PyTorch keeps the look-ahead point as the weights
        w.grad = torch.tensor(g, dtype=torch.float64)
        peer.step()
    found = trajectory(RULES["nesterov"])[-1]
    assert np.allclose(found, w.detach().numpy(), rtol=1e-12)


# -- whole steps ----------------------------------------------------------------


def test_slots_begin_at_zero_in_the_shape_of_the_weights():
    for rule in RULES.values():
        (slots,) = begin(rule, np, {"w": np.ones((2, 3))}).values()
        assert len(slots) == len(rule.slots)
        assert all(np.array_equal(slot, np.zeros((2, 3))) for slot in slots)


def step_of(rule, gradients, parameters=None, **options):
    parameters = parameters or {name: np.ones_like(g) for name, g in gradients.items()}
    state = begin(rule, np, parameters)
    parameters, state = enter(rule, np, parameters, state)
    return update(
        rule, np, parameters, gradients, state, rule.learning_rate, 1, **options
    )


def test_clip_by_value():
    moved, _ = step_of(SGD(1.0, clip_value=0.5), {"w": np.array([0.1, 2.0, -9.0])})
    assert np.allclose(moved["w"], [0.9, 0.5, 1.5])


def test_clip_by_the_norm_of_all_trainable_parameters():
    gradients = {"a": np.array([3.0]), "b": np.array([4.0]), "c": np.array([99.0])}
    frozen = {"c": Setting(trainable=False)}
    moved, _ = step_of(SGD(1.0, clip_norm=1.0), gradients, settings=frozen)
    assert [float(moved[k][0]) for k in "abc"] == pytest.approx([0.4, 0.2, 1.0])
    short, _ = step_of(SGD(0.1, clip_norm=6.0), gradients, settings=frozen)
    assert [float(short[k][0]) for k in "abc"] == pytest.approx([0.7, 0.6, 1.0])


def test_values_are_clipped_before_the_norm():
    rule = SGD(1.0, clip_value=3.0, clip_norm=1.0)
    moved, _ = step_of(rule, {"w": np.array([3.0, 4.0])})
    assert np.allclose(moved["w"], 1 - math.sqrt(0.5))


def test_zero_gradient_is_not_scaled():
    moved, _ = step_of(SGD(1.0, clip_norm=1.0), {"w": np.zeros(2)})
    assert moved["w"].tolist() == [1, 1]


def test_penalties_and_decay_spare_what_does_not_decay():
    gradients = {"w": np.zeros(1), "b": np.zeros(1)}
    settings = {"b": Setting(decays=False)}
    rule = SGD(0.1, weight_decay=0.5)
    term = ElasticNet(0.3, 0.2)
    moved, _ = step_of(rule, gradients, settings=settings, regularizer=term)
    assert float(moved["w"][0]) == pytest.approx(1 - 0.1 * (0.5 + 0.3 + 0.2))
    assert float(moved["b"][0]) == 1


def test_decay_and_l2_agree_for_plain_sgd_only():
    g = {"w": np.array([2.0])}
    decayed, _ = step_of(SGD(0.1, weight_decay=0.5), g)
    penalized, _ = step_of(SGD(0.1), g, regularizer=L2(0.5))
    assert np.allclose(decayed["w"], penalized["w"])
    decayed, _ = step_of(Adam(0.1, weight_decay=0.5), g)
    penalized, _ = step_of(Adam(0.1), g, regularizer=L2(0.5))
    assert float(decayed["w"][0]) == pytest.approx(0.85)
    assert float(penalized["w"][0]) == pytest.approx(0.9)


def test_nesterov_decays_the_parameters_not_the_look_ahead_point():
    rule = SGD(0.1, momentum=0.5, nesterov=True, weight_decay=0.2)
    parameters = {"w": np.array([2.0])}
    w, state = enter(rule, np, parameters, {"w": (np.array([1.0]), np.zeros(1))})
    assert w["w"].tolist() == [2.5]
    w, state = update(rule, np, w, {"w": np.zeros(1)}, state, 0.1, 1)
    w, state = leave(rule, np, w, state)
    assert float(w["w"][0]) == pytest.approx(2 - 0.1 * 0.2 * 2 + 0.5)


def test_learning_rate_multiplier():
    settings = {"b": Setting(learning_rate_multiplier=0.1)}
    gradients = {"w": np.ones(1), "b": np.ones(1)}
    moved, _ = step_of(SGD(0.5), gradients, settings=settings)
    assert [float(moved[k][0]) for k in "wb"] == pytest.approx([0.5, 0.95])


@pytest.mark.parametrize("rule", [SGD(0.1), RULES["nesterov"]])
def test_max_norm_holds_for_the_parameters(rule):
    w = {"w": np.array([[3.0, 0.1], [4.0, 0.1]])}
    gradients = {"w": np.full((2, 2), 0.5)}
    moved, state = step_of(rule, gradients, w, regularizer=MaxNorm(1.0))
    moved, _ = leave(rule, np, moved, state)
    norms = np.linalg.norm(moved["w"], axis=0)
    assert norms == pytest.approx([1.0, 0.05 * math.sqrt(2)])


def test_frozen_parameters_keep_values_and_slots():
    settings = {"w": Setting(trainable=False)}
    moved, state = step_of(
        Adam(), {"w": np.ones(2)}, settings=settings, regularizer=L1(1.0)
    )
    assert moved["w"].tolist() == [1, 1]
    assert all(slot.tolist() == [0, 0] for slot in state["w"])


# -- names, data, errors --------------------------------------------------------


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_data_and_back(kind):
    made = kind() if kind is LBFGS else kind(WarmUp(Cosine(0.1)), clip_norm=1.0)
    assert optimizer(json.loads(json.dumps(write(made)))) == made
    assert optimizer(kind.kind) == kind()
    assert hash(made) == hash(replace(made))


@pytest.mark.parametrize("name", RULES)
def test_attributes_are_numbers(name):
    attributes = RULES[name].attributes()
    assert all(type(value) in (int, float) for value in attributes.values())
    assert {"weight_decay", "clip_value", "clip_norm"} <= set(attributes)
    assert "learning_rate" not in attributes


def test_positional_arguments():
    assert SGD(0.1, 0.9, True) == SGD(learning_rate=0.1, momentum=0.9, nesterov=True)
    assert Adam(0.1, 0.8).beta1 == 0.8
    assert AdamW().weight_decay == 0.01


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("adm", "[training] unknown optimizer 'adm'; did you mean 'adam'"),
        (
            {"type": "adam", "lr": 0.1},
            "[training] lr: unknown key; Known: ams",
        ),
        (
            {"type": "adam", "learning_rate": -0.1},
            "[training] learning_rate = -0.1; expected a finite number (> 0); change",
        ),
        (
            {"type": "adam", "learning_rate": "cosin"},
            "[training] learning_rate: unknown schedule 'cosin'; did you mean 'cosine'",
        ),
        (
            {"type": "adam", "beta1": 1.0},
            "[training] beta1 = 1.0; expected a finite number (>= 0) and (< 1); change b",
        ),
        (
            {"type": "adam", "epsilon": 0},
            "[training] epsilon = 0.0; expected a finite number (> 0); change epsilon",
        ),
        (
            {"type": "adam", "amsgrad": "yes"},
            "[training] amsgrad: found text 'yes'; expected true or false",
        ),
        (
            {"type": "sgd", "nesterov": True},
            "[training] nesterov = True with momentum = 0; expected a momentum; set momen",
        ),
        (
            {"type": "lion", "weight_decay": -1},
            "[training] weight_decay = -1.0; expected a finite number (>= 0); change weigh",
        ),
        (
            {"type": "sgd", "clip_norm": 0},
            "[training] clip_norm = 0.0; expected a finite number (> 0); change clip_norm",
        ),
        (
            {"type": "lbfgs", "memory": 0},
            "[training] memory = 0; expected a whole number (>= 1); change memory",
        ),
    ],
)
def test_errors_name_place_and_remedy(found, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        optimizer(found, where="training")


# -- the engine -----------------------------------------------------------------

SIZES = {"w": (140, 130), "b": (130,), "frozen": (5,), "slow": (33, 3)}
SETTINGS = {
    "b": Setting(decays=False),
    "frozen": Setting(trainable=False),
    "slow": Setting(learning_rate_multiplier=0.25),
}


def flat(arrays, dtype):
    return np.concatenate([np.ravel(arrays[name]) for name in SIZES]).astype(dtype)


def engine_segments(regularizer):
    l1, l2, max_norm = regularizer.strengths()
    segments, offset = [], 0
    for name, shape in SIZES.items():
        setting = SETTINGS.get(name, Setting())
        segments.append(
            {
                "offset": offset,
                "size": math.prod(shape),
                "columns": shape[-1],
                "trainable": int(setting.trainable),
                "decays": int(setting.decays),
                "learning_rate_multiplier": setting.learning_rate_multiplier,
                "l1": l1,
                "l2": l2,
                "max_norm": max_norm,
            }
        )
        offset += math.prod(shape)
    return segments


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "regularizer", [ElasticNet(0.0, 0.0), ElasticNet(0.01, 0.1), MaxNorm(3.0)]
)
@pytest.mark.parametrize("clips", [{}, {"clip_norm": 20.0}, {"clip_value": 0.5}])
@pytest.mark.parametrize("name", RULES)
def test_engine_equals_formula(name, clips, regularizer, dtype):
    engine = pytest.importorskip("nervure.base.engine").engine
    if not hasattr(engine, "update"):
        pytest.skip("the engine has no update of single arrays")
    rule = replace(RULES[name], **clips)
    rng = np.random.default_rng(5)
    draw = {name: rng.standard_normal(shape) for name, shape in SIZES.items()}
    parameters, state = enter(rule, np, draw, begin(rule, np, draw))
    weights = flat(parameters, dtype)
    slots = [
        flat({name: state[name][i] for name in SIZES}, dtype)
        for i in range(len(rule.slots))
    ]
    segments = engine_segments(regularizer)
    for step in range(1, 4):
        gradients = {name: rng.standard_normal(shape) for name, shape in SIZES.items()}
        parameters, state = update(
            rule,
            np,
            parameters,
            gradients,
            state,
            rule.learning_rate,
            step,
            settings=SETTINGS,
            regularizer=regularizer,
        )
        engine.update(
            rule.rule,
            rule.attributes(),
            weights,
            flat(gradients, dtype),
            slots,
            rule.learning_rate,
            step,
            segments,
        )
    tolerance = 2e-5 if dtype == "float32" else 1e-11
    expected = flat(parameters, "float64")
    assert np.allclose(weights, expected, rtol=tolerance, atol=tolerance)
    for i, slot in enumerate(slots):
        expected = flat({name: state[name][i] for name in SIZES}, "float64")
        assert np.allclose(slot, expected, rtol=tolerance, atol=tolerance)
