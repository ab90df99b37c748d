# SPDX-License-Identifier: BSD-3-Clause
"""Initializers: moments, bounds, orthogonality, determinism, names."""

import dataclasses
import math
import re

import numpy as np
import pytest

import nervure as nv
from nervure.base.plain import write
from nervure.initializers import (
    INITIALIZERS,
    Constant,
    Fans,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LeCunNormal,
    LeCunUniform,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    Zeros,
    default_for,
    fans_of,
    initializer,
)

SHAPE = (300, 200)
FANS = fans_of(SHAPE)
SAMPLES = 300 * 200


def example(kind):
    return Constant(0.3) if kind is Constant else kind()


def sample(begin, shape=SHAPE, seed=7):
    return begin.sample(shape, fans_of(shape), np.random.default_rng(seed))


@pytest.mark.parametrize("kind", INITIALIZERS)
def test_samples_have_shape_and_type_and_repeat(kind):
    values = sample(example(kind))
    assert values.shape == SHAPE
    assert values.dtype == np.float64
    assert np.array_equal(values, sample(example(kind)))


@pytest.mark.parametrize("kind", INITIALIZERS)
def test_another_seed_gives_other_values(kind):
    same = np.array_equal(sample(example(kind)), sample(example(kind), seed=8))
    assert same == (kind in (Zeros, Constant))


@pytest.mark.parametrize("kind", INITIALIZERS)
def test_data_and_back(kind):
    begin = example(kind)
    assert initializer(write(begin)) == begin


@pytest.mark.parametrize(
    ("begin", "mean", "variance"),
    [
        (Normal(), 0, 1),
        (Normal(mean=2, std=0.5), 2, 0.25),
        # Variance of a normal cut at two: 1 - 2 * 2 phi(2) / (2 Phi(2) - 1).
        (TruncatedNormal(mean=1, std=0.1), 1, 0.01 * 0.7737413),
        (Uniform(-1, 3), 1, 16 / 12),
        (GlorotNormal(), 0, 2 / 500),
        (GlorotUniform(), 0, 2 / 500),
        (HeNormal(), 0, 2 / 300),
        (HeUniform(), 0, 2 / 300),
        (LeCunNormal(), 0, 1 / 300),
        (LeCunUniform(), 0, 1 / 300),
    ],
)
def test_mean_and_variance_are_the_published_ones(begin, mean, variance):
    values = sample(begin)
    error = math.sqrt(variance / SAMPLES)
    assert values.mean() == pytest.approx(mean, abs=5 * error)
    # The variance of a sample variance is at most 2 variance^2 / samples here.
    spread = 5 * variance * math.sqrt(2 / SAMPLES)
    assert values.var() == pytest.approx(variance, abs=spread)


@pytest.mark.parametrize(
    ("begin", "radius"),
    [
        (GlorotUniform(), math.sqrt(6 / 500)),
        (HeUniform(), math.sqrt(6 / 300)),
        (LeCunUniform(), math.sqrt(3 / 300)),
        (TruncatedNormal(std=0.5), 1.0),
        (Uniform(-0.2, 0.2), 0.2),
    ],
)
def test_bounds_are_kept_and_reached(begin, radius):
    largest = np.abs(sample(begin)).max()
    assert 0.98 * radius < largest <= radius


def test_kernels_scale_by_their_receptive_field():
    shape = (5, 5, 8, 64)
    assert fans_of(shape) == Fans(200, 1600)
    assert sample(HeNormal(), shape).std() == pytest.approx(0.1, rel=0.02)


def test_fans_of_vectors():
    assert fans_of((7,)) == (7, 7)


@pytest.mark.parametrize("shape", [(40, 30), (30, 40), (3, 3, 4, 20)])
def test_orthogonal_matrices(shape):
    matrix = sample(Orthogonal(gain=3), shape).reshape(-1, shape[-1]) / 3
    short = matrix.T if matrix.shape[0] >= matrix.shape[1] else matrix
    assert np.allclose(short @ short.T, np.eye(len(short)), atol=1e-12)


def test_orthogonal_signs_are_free():
    # Without the signs of R's diagonal, LAPACK fixes those of the first row.
    signs = {bool(sample(Orthogonal(), (4, 4), seed)[0, 0] > 0) for seed in range(16)}
    assert signs == {True, False}


def test_orthogonal_refuses_vectors():
    with pytest.raises(ValueError, match=r"^\[orthogonal\] shape \(3,\); expected at"):
        sample(Orthogonal(), (3,))


def test_constants():
    assert np.array_equal(sample(Zeros()), np.zeros(SHAPE))
    assert np.array_equal(sample(Constant(-2)), np.full(SHAPE, -2.0))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        *[(name, HeNormal()) for name in ("relu", "leaky_relu", "relu6", "elu")],
        *[(name, HeNormal()) for name in ("gelu", "silu", "softplus")],
        ("selu", LeCunNormal()),
        *[(name, GlorotUniform()) for name in ("tanh", "logistic", "linear")],
    ],
)
def test_default_follows_the_activation(function, expected):
    layer = dataclasses.make_dataclass("Layer", ["function"])(function)
    assert default_for(layer) == expected


def test_default_without_an_activation():
    assert default_for(None) == GlorotUniform()
    assert default_for(object()) == GlorotUniform()


def test_lookup():
    assert initializer("he_normal") == HeNormal()
    assert initializer({"type": "normal", "std": 0.01}) == Normal(std=0.01)
    begin = Uniform()
    assert initializer(begin) is begin


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            "he_norml",
            "[layer 2] unknown initializer 'he_norml'; did you mean 'he_normal'",
        ),
        (
            {"type": "normal", "sdt": 1.0},
            "[layer 2] sdt: unknown key; did you mean 'std'? Known: std, me",
        ),
        (
            {"type": "constant"},
            "[layer 2] value: missing; expected a number; add value = ...",
        ),
        (
            3,
            "[layer 2] found 3; expected an initializer (a name or a table with 'type'",
        ),
        ({"std": 1.0}, "[layer 2] type: missing; expected one of constant, glorot_nor"),
        (
            {"type": "normal", "std": -1.0},
            "[layer 2] std = -1.0; expected a finite number (>= 0); change std",
        ),
        (
            {"type": "normal", "mean": "big"},
            "[layer 2] mean: found text 'big'; expected a number",
        ),
        (
            {"type": "uniform", "low": 1.0, "high": 0.0},
            "[layer 2] high = 0.0; expected a finite number (>= 1); change high",
        ),
        (
            {"type": "constant", "value": float("nan")},
            "[layer 2] value: found nan; expected a finite number",
        ),
    ],
)
def test_errors_name_place_and_remedy(found, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        initializer(found, where="layer 2")


@pytest.mark.parametrize("groups", [1, 4])
def test_a_transposed_convolution_begins_like_a_convolution(groups: int) -> None:
    """Its weight is ``(..., filters, channels)``, which the fans went by."""
    for layer in (nv.Conv2D, nv.Conv2DTranspose):
        made = layer(24, 3, groups=groups, initializer="he_normal", name="c")
        net = nv.Network([nv.Input((8, 8, 16)), made])
        variance = net.parameters["c.weight"].var()
        assert variance == pytest.approx(2 / (16 / groups * 9), rel=0.08)
