# SPDX-License-Identifier: BSD-3-Clause
"""Activations against independent definitions, published constants, NumPy and JAX."""

import math

import numpy as np
import pytest

from nervure.layers import (
    INFERENCE,
    Activation,
    LayerError,
    LogSoftmax,
    Softmax,
    activation_layer,
    activation_names,
)
from nervure.layers.activation import FUNCTIONS, SELU_ALPHA, SELU_SCALE

LIMITS = {"exp": 3, "sinh": 3, "cosh": 3}
"""How far from 0 functions are looked at that grow fast."""
STEPS = ("heaviside", "sign", "floor", "ceil", "round")
EVERYWHERE = [n for n, f in FUNCTIONS.items() if f.domain is None]
BOUNDED = [n for n in EVERYWHERE if n not in (*LIMITS, "reciprocal")]
"""Functions whose values are finite however large their argument."""


def grid(name: str) -> np.ndarray:
    """Numbers of a function's domain, none of them a kink or a pole."""
    low, high = FUNCTIONS[name].domain or (-math.inf, math.inf)
    far = LIMITS.get(name, 9.04)
    low, high = max(low, -far), min(high, far)
    return np.linspace(low + 0.013 * (high - low), high - 0.014 * (high - low), 301)


DEFINITIONS = {
    "linear": lambda z: z,
    "heaviside": lambda z: 1.0 if z > 0 else 0.0,
    "logistic": lambda z: 1 / (1 + math.exp(-z)),
    "gaussian_cdf": lambda z: math.erfc(-z / math.sqrt(2)) / 2,
    "tanh": math.tanh,
    "scaled_tanh": lambda z: 1.7159 * math.tanh(2 * z / 3),
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: max(z, 0.01 * z),
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.67326324 * math.expm1(z)),
    "gelu": lambda z: z * math.erfc(-z / math.sqrt(2)) / 2,
    "gelu_tanh": lambda z: (
        z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    ),
    "silu": lambda z: z / (1 + math.exp(-z)),
    "softplus": lambda z: math.log(1 + math.exp(z)),
    "softsign": lambda z: z / (1 + abs(z)),
    "hard_sigmoid": lambda z: min(max(z / 6 + 0.5, 0.0), 1.0),
    "relu6": lambda z: min(max(z, 0.0), 6.0),
    "hard_silu": lambda z: z * min(max(z / 6 + 0.5, 0.0), 1.0),
    "mish": lambda z: z * math.tanh(math.log(1 + math.exp(z))),
    "celu": lambda z: z if z > 0 else math.expm1(z),
    "thresholded_relu": lambda z: z if z > 1 else 0.0,
    "negative": lambda z: -z,
    "abs": abs,
    "square": lambda z: z * z,
    "sqrt": math.sqrt,
    "reciprocal": lambda z: 1 / z,
    "exp": math.exp,
    "log": math.log,
    "erf": math.erf,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "arcsinh": math.asinh,
    "arccosh": math.acosh,
    "arctanh": math.atanh,
    "sign": lambda z: math.copysign(1.0, z),
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
}

HAND = [
    ("heaviside", 0.0, 0.0),
    ("heaviside", 1e-9, 1.0),
    ("logistic", 0.0, 0.5),
    ("gaussian_cdf", 1.959963984540054, 0.975),
    ("tanh", 1.0, 0.7615941559557649),
    ("scaled_tanh", 1.0, 0.9999972559224786),
    ("scaled_tanh", -1.0, -0.9999972559224786),
    ("leaky_relu", -2.0, -0.02),
    ("elu", -1.0, -0.6321205588285577),
    ("selu", -1.0, -1.1113307378125625),
    ("gelu", 1.0, 0.8413447460685429),
    ("gelu_tanh", 1.0, 0.8411919906082768),
    ("silu", 1.0, 0.7310585786300049),
    ("softplus", 0.0, math.log(2)),
    ("softsign", -3.0, -0.75),
    ("hard_sigmoid", -3.0, 0.0),
    ("hard_sigmoid", 1.5, 0.75),
    ("relu6", 7.0, 6.0),
    ("hard_silu", 1.5, 1.125),
    ("mish", 1.0, 0.8650983882673103),
    ("thresholded_relu", 1.0, 0.0),
    ("erf", 1.0, 0.8427007929497149),
    ("round", 2.5, 2.0),
    ("sign", 0.0, 0.0),
]


def value(layer, z, xp=np):
    return layer.formula(xp, {}, xp.asarray(z), info=INFERENCE)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_definition(name):
    z = grid(name)
    expected = [DEFINITIONS[name](one) for one in z]
    tolerance = 1e-8 if name == "selu" else 1e-14
    np.testing.assert_allclose(
        value(Activation(name), z), expected, rtol=tolerance, atol=1e-15
    )


@pytest.mark.parametrize(("name", "z", "a"), HAND)
def test_hand_value(name, z, a):
    assert value(Activation(name), np.array([z]))[0] == pytest.approx(a, rel=1e-12)


def test_selu_keeps_mean_and_variance():
    """Klambauer et al. (2017): (0, 1) is the fixed point that defines the constants."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    a = value(Activation("selu"), nodes)
    assert weights @ a == pytest.approx(0, abs=2e-3)
    assert weights @ a**2 == pytest.approx(1, abs=5e-3)
    # The closed forms of the paper's equation 14.
    root, e = math.sqrt(2 / math.pi), math.exp
    phi = math.erfc(1 / math.sqrt(2))
    alpha = root / (phi * e(0.5) - 1)
    assert -alpha == pytest.approx(SELU_ALPHA, rel=1e-14)
    assert pytest.approx(1.0507009873554805, rel=1e-15) == SELU_SCALE


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(name, dtype):
    assert value(Activation(name), grid(name).astype(dtype)).dtype == dtype


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "heaviside"])
def test_nan_stays_nan(name):
    with np.errstate(invalid="ignore"):
        assert np.isnan(value(Activation(name), np.array([np.nan]))).all()


@pytest.mark.parametrize("name", BOUNDED)
def test_large_arguments_are_quiet(name):
    assert np.isfinite(value(Activation(name), np.array([-1e4, 1e4]))).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jax_agrees(name):
    jnp = pytest.importorskip("jax.numpy")
    z = grid(name)
    found = value(Activation(name), z.astype(np.float32), jnp)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, value(Activation(name), z), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jax_derivative(name):
    """By differences away from kinks; at a kink the flatter side; finite far out."""
    jax = pytest.importorskip("jax")
    layer = Activation(name)
    slope = jax.vmap(jax.grad(lambda z: value(layer, z, jax.numpy)))
    z, h = grid(name), 1e-5
    differences = (value(layer, z + h) - value(layer, z - h)) / (2 * h)
    found = slope(z.astype(np.float32)) if name != "heaviside" else 0 * z
    np.testing.assert_allclose(found, differences, rtol=2e-4, atol=2e-5)
    if name in BOUNDED and name != "heaviside":
        assert np.isfinite(slope(np.float32([-1e4, -1e2, 0, 1e2, 1e4]))).all()


@pytest.mark.parametrize(
    ("name", "slope"),
    [("relu", 0.0), ("relu6", 0.0), ("leaky_relu", 0.01), ("elu", 1.0)],
)
def test_jax_derivative_at_zero(name, slope):
    jax = pytest.importorskip("jax")
    found = jax.grad(lambda z: value(Activation(name), z, jax.numpy))(0.0)
    assert found == np.float32(slope)


def test_alpha():
    assert value(Activation("elu", alpha=2.0), np.array([-50.0]))[0] == -2.0
    assert value(Activation("leaky_relu", alpha=0.5), np.array([-3.0]))[0] == -1.5
    assert Activation("elu").attributes((1,)) == {"function": "elu", "alpha": 1.0}
    assert Activation("relu").attributes((1,)) == {"function": "relu", "alpha": 0.0}


def test_alias_is_stored_by_its_name():
    assert Activation("sigmoid") == Activation("logistic")
    assert activation_layer("sigmoid").function == "logistic"


@pytest.mark.parametrize("name", activation_names())
def test_every_name_gives_a_layer(name):
    assert activation_layer(name).output_shape((4,)) == (4,)


def test_names_of_row_functions():
    assert activation_layer("softmax") == Softmax()
    assert activation_layer("log_softmax") == LogSoftmax()
    assert activation_layer(Softmax(name="p")) == Softmax(name="p")


def test_steps_are_untrainable():
    blocked = [name for name in FUNCTIONS if Activation(name).untrainable]
    assert blocked == list(STEPS)
    assert Activation("heaviside").untrainable == (
        "heaviside has derivative 0 wherever it exists, so backpropagation learns "
        'nothing through it; train with activation="logistic" (its smooth version) '
        "or set the weights by hand"
    )


def test_flops():
    assert Activation("relu").flops((10, 3)) == 30
    assert Activation("linear").flops((10,)) == 0


def error(function, *args, **options):
    with pytest.raises(LayerError) as caught:
        function(*args, **options)
    return str(caught.value)


def test_unknown_names():
    assert error(activation_layer, "reluu").startswith(
        "[activation] unknown activation 'reluu'; did you mean 'relu'"
    )
    assert "Known: " in error(activation_layer, "xyzzy")
    assert error(Activation, "softsgin").startswith(
        "[activation] unknown function 'softsgin'; did you mean 'softsign'"
    )


def test_misplaced_options():
    assert error(Activation, "softmax", name="out") == (
        "[activation 'out'] softmax is a layer of its own, no function of single elements; "
        "use nv.Softmax()"
    )
    assert error(Activation, "relu", alpha=0.1) == (
        "[activation] relu has no alpha, found alpha = 0.1; leave it out, or use "
        "leaky_relu, elu, celu, thresholded_relu"
    )
    for alpha in (-0.1, math.inf, math.nan):
        assert error(Activation, "elu", alpha=alpha) == (
            f"[activation] alpha = {alpha}; use a number of at least 0"
        )
