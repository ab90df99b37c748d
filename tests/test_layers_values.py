# SPDX-License-Identifier: BSD-3-Clause
"""Layers other than Dense: shapes, hand-computed values, errors by their text."""

import dataclasses
import math

import numpy as np
import pytest

from nervure import random
from nervure.initializers import Fans
from nervure.layers import (
    INFERENCE,
    LAYERS,
    Add,
    Concatenate,
    Constant,
    Dropout,
    Flatten,
    GaussianNoise,
    GaussianSample,
    Input,
    LayerError,
    LogSoftmax,
    Multiply,
    Normalize,
    Pass,
    Reshape,
    Slice,
    Softmax,
    SpatialDropout,
    StochasticDepth,
    layer,
)

ROWS, TIME = 3, 4
EXAMPLES = [
    pytest.param(example, id=f"{kind.kind}-{i}")
    for kind in LAYERS
    if kind.kind not in ("input", "dense") and not kind.composite
    for i, example in enumerate(kind.examples())
]


def arrays(example, seed=0):
    rng = np.random.default_rng(seed)
    found = [
        rng.normal(
            size=(ROWS, *(TIME if extent is None else extent for extent in shape))
        )
        for shape in example.shapes
    ]
    if example.layer.domain is None:
        return found
    low, high = example.layer.domain
    high = min(high, low + 3)
    return [low + (high - low) / (1 + np.exp(-x)) for x in found]


def stored(example):
    rng = np.random.default_rng(0)
    return {
        p.name: p.initializer.sample(p.shape, Fans(1, 1), rng)
        for p in example.layer.parameters(*example.inputs)
    }


def run(layer, *inputs, parameters=None, info=INFERENCE, xp=np):
    given = [xp.asarray(x) for x in inputs]
    found = layer.formula(xp, parameters or {}, *given, info=info)
    return found[0] if isinstance(found, tuple) else found  # without further outputs


# -- every layer -----------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES)
def test_inferred_shape_is_produced(example):
    found = run(example.layer, *arrays(example), parameters=stored(example))
    rows = ROWS if example.inputs else 1
    time = (TIME,) if example.layer.sequences and example.layer.keeps_time else ()
    assert found.shape == (rows, *time, *example.layer.output_shape(*example.inputs))


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("training", [False, True])
def test_jax_formula_agrees(example, training):
    jnp = pytest.importorskip("jax.numpy")
    info = Pass(training=training, seed=3, step=8, node=2)
    single = [x.astype(np.float32) for x in arrays(example)]
    numbers = {k: v.astype(np.float32) for k, v in stored(example).items()}
    expected = run(example.layer, *single, parameters=numbers, info=info)
    found = run(example.layer, *single, parameters=numbers, info=info, xp=jnp)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("example", EXAMPLES)
def test_attributes_are_plain(example):
    for key, found in example.layer.attributes(*example.inputs).items():
        assert isinstance(key, str)
        assert type(found) in (int, float, str, tuple)


@pytest.mark.parametrize("example", EXAMPLES)
def test_fields_rebuild_the_layer(example):
    fields = {
        f.name: getattr(example.layer, f.name)
        for f in dataclasses.fields(example.layer)
        if f.init
    }
    again = type(example.layer)(**fields)
    assert again.attributes(*example.inputs) == example.layer.attributes(
        *example.inputs
    )


def test_kinds_are_found_by_name():
    assert [layer(each.kind) for each in LAYERS] == list(LAYERS)
    with pytest.raises(LayerError, match=r"\[layer\] unknown type of layer 'denze'"):
        layer("denze")


# -- values ----------------------------------------------------------------------------


def test_softmax_of_logarithms():
    scores = np.log([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(run(Softmax(), scores), [[0.125, 0.25, 0.625]])
    np.testing.assert_allclose(
        run(LogSoftmax(), scores), np.log([[0.125, 0.25, 0.625]])
    )


def test_softmax_of_large_scores():
    scores = np.array([[1e4, -1e4, 1e4]])
    np.testing.assert_array_equal(run(Softmax(), scores), [[0.5, 0, 0.5]])
    half = -np.log(2)
    np.testing.assert_allclose(run(LogSoftmax(), scores), [[half, -2e4 + half, half]])


def test_softmax_is_over_the_last_axis():
    p = run(Softmax(), np.random.default_rng(0).normal(size=(2, 3, 4)))
    np.testing.assert_allclose(p.sum(axis=-1), np.ones((2, 3)))


def test_dropout_silences_and_scales():
    info = Pass(training=True, seed=7, step=3, node=1)
    x = np.random.default_rng(0).normal(size=(50, 40))
    y = run(Dropout(0.25), x, info=info)
    keep = random.uniform(np, 7, 3, 1, x.size).reshape(x.shape) >= 0.25
    np.testing.assert_array_equal(y, np.where(keep, x * (1 / 0.75), 0))
    assert keep.mean() == pytest.approx(0.75, abs=0.03)


def test_dropout_at_rest_is_the_identity():
    x = np.ones((2, 3))
    assert run(Dropout(0.9), x) is x
    training = Pass(training=True)
    np.testing.assert_array_equal(run(Dropout(0.0), x, info=training), x)


def test_spatial_dropout_silences_whole_channels():
    info = Pass(training=True, seed=7, step=3, node=1)
    x = 1 + np.random.default_rng(0).uniform(size=(50, 4, 5, 40))
    y = run(SpatialDropout(0.25), x, info=info)
    keep = random.uniform(np, 7, 3, 1, 50 * 40).reshape(50, 1, 1, 40) >= 0.25
    np.testing.assert_array_equal(y, np.where(keep, x * (1 / 0.75), 0))
    assert keep.mean() == pytest.approx(0.75, abs=0.03)


def test_stochastic_depth_leaves_out_whole_samples():
    info = Pass(training=True, seed=7, step=3, node=1)
    x = 1 + np.random.default_rng(0).uniform(size=(500, 4, 5))
    y = run(StochasticDepth(0.25), x, info=info)
    keep = random.uniform(np, 7, 3, 1, 500).reshape(500, 1, 1) >= 0.25
    np.testing.assert_array_equal(y, np.where(keep, x * (1 / 0.75), 0))
    assert keep.mean() == pytest.approx(0.75, abs=0.05)


def test_normal_numbers_are_where_the_distribution_function_says():
    words = random.words(np, 7, 3, 1, 100_000)
    n = random.normal(np, 7, 3, 1, words.size)
    p = 0.5 * (1 + np.vectorize(math.erf)(n / math.sqrt(2)))
    np.testing.assert_allclose(p, (2 * (words >> 9) + 1.0) / 2**24, rtol=3e-6)
    assert (n.mean(), n.std()) == pytest.approx((0, 1), abs=0.01)


def test_gaussian_noise_is_added():
    info = Pass(training=True, seed=7, step=3, node=1)
    x = np.random.default_rng(0).normal(size=(50, 40))
    n = random.normal(np, 7, 3, 1, x.size).reshape(x.shape)
    np.testing.assert_array_equal(run(GaussianNoise(0.5), x, info=info), x + 0.5 * n)
    assert run(GaussianNoise(0.5), x) is x


def test_a_sample_lies_around_its_mean():
    """At a log variance of 2 log 3 by three times the number that is drawn."""
    info = Pass(training=True, seed=7, step=3, node=1)
    mean = np.random.default_rng(0).normal(size=(50, 40))
    spread = np.full(mean.shape, 2 * math.log(3))
    n = random.normal(np, 7, 3, 1, mean.size).reshape(mean.shape)
    drawn = run(GaussianSample(), mean, spread, info=info)
    np.testing.assert_allclose(drawn, mean + 3 * n, rtol=1e-12)
    assert run(GaussianSample(), mean, spread) is mean


def test_dropout_mask_under_jax_has_the_same_bits():
    jax = pytest.importorskip("jax")
    x = np.random.default_rng(0).normal(size=(9, 7)).astype(np.float32)
    masked = jax.jit(
        lambda x, step: Dropout(0.3).formula(
            jax.numpy, {}, x, info=Pass(training=True, seed=2, step=step, node=5)
        )
    )
    expected = run(Dropout(0.3), x, info=Pass(training=True, seed=2, step=11, node=5))
    np.testing.assert_array_equal(masked(x, 11), expected)


def test_flatten_and_reshape_are_row_major():
    x = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(run(Flatten(), x), np.arange(12.0).reshape(2, 6))
    back = run(Reshape((-1, 3)), run(Flatten(), x))
    np.testing.assert_array_equal(back, x)
    assert Reshape([2, 3]) == Reshape((2, 3))


def test_slice_is_that_of_numpy():
    x = np.arange(2 * 5 * 3.0).reshape(2, 5, 3)
    np.testing.assert_array_equal(run(Slice(1, 3), x), x[..., 1:3])
    np.testing.assert_array_equal(run(Slice(-2, axis=1), x), x[:, -2:])
    np.testing.assert_array_equal(run(Slice(step=2, axis=-2), x), x[:, ::2])
    assert Slice(-4, -1, step=2).attributes((5,)) == {"axis": 0, "begin": 1, "step": 2}


def test_concatenate_along_each_axis():
    x, y = np.zeros((2, 1, 3)), np.ones((2, 2, 3))
    for axis in (1, -2):
        found = run(Concatenate(axis=axis), x, y)
        np.testing.assert_array_equal(found[0, :, 0], [0, 1, 1])
        assert Concatenate(axis=axis).output_shape((1, 3), (2, 3)) == (3, 3)
    assert Concatenate().attributes((1, 3), (1, 3)) == {"axis": 1}


def test_add_and_multiply():
    x, y, z = (np.array([row]) for row in ([1.0, 2], [3.0, 0], [5.0, 7]))
    np.testing.assert_array_equal(run(Add(), x, y, z), [[9, 9]])
    np.testing.assert_array_equal(run(Multiply(), x, y, z), [[15, 0]])
    assert Add().flops((4,), (4,), (4,)) == 8


def test_normalize():
    numbers = Normalize((1.0, 2.0), [2.0, -4.0])
    assert numbers.scale == (2.0, -4.0)
    mean, scale = numbers.parameters((2,))
    assert not mean.trainable
    assert not scale.trainable
    rng = np.random.default_rng(0)
    values = {
        p.name: p.initializer.sample((2,), Fans(2, 2), rng) for p in (mean, scale)
    }
    found = run(numbers, np.array([[3.0, 0.0]]), parameters=values)
    np.testing.assert_array_equal(found, [[1.0, 0.5]])
    assert Normalize(np.zeros(3), np.ones(3)).mean == (0.0, 0.0, 0.0)


def test_constant_is_one():
    np.testing.assert_array_equal(run(Constant()), [[1.0]])
    np.testing.assert_array_equal(run(Constant(2, shape=3)), [[2.0, 2.0, 2.0]])


@pytest.mark.parametrize("make", [lambda: Input(3), Constant])
def test_sources_are_places(make):
    first, second = make(), make()
    assert first != second
    assert len({first, second, first}) == 2
    assert first.arity == 0


def test_input_shapes():
    assert Input(4).output_shape() == (4,)
    assert Input([2, 3]).output_shape() == (2, 3)


# -- errors ----------------------------------------------------------------------------

ERRORS = [
    (
        lambda: Dropout(1.0, name="d"),
        "[dropout 'd'] rate = 1.0; use a fraction in [0, 1)",
    ),
    (lambda: Dropout(-0.1), "[dropout] rate = -0.1; use a fraction in [0, 1)"),
    (
        lambda: StochasticDepth(1),
        "[stochastic_depth] rate = 1; use a fraction in [0, 1)",
    ),
    (
        lambda: GaussianNoise(-1.0),
        "[gaussian_noise] deviation = -1.0; use a finite number of at least 0",
    ),
    (
        lambda: GaussianSample().output_shape((3,), (4,)),
        "[gaussian_sample] a mean of shape (3,) and a log variance of (4,), expected "
        "the same; give the two layers as many units",
    ),
    (
        lambda: SpatialDropout(0.5).output_shape((3,)),
        "[spatial_dropout] input of shape (3,), expected (..., channels); use "
        "nv.Dropout for samples without spatial axes",
    ),
    (
        lambda: Softmax().output_shape(()),
        "[softmax] input of shape (), expected (..., classes); give every sample at "
        "least one class",
    ),
    (
        lambda: Reshape((2, -1, -1)),
        "[reshape] shape (2, -1, -1); use positive extents and at most one -1",
    ),
    (
        lambda: Reshape((0,)),
        "[reshape] shape (0,); use positive extents and at most one -1",
    ),
    (
        lambda: Reshape((4, 2), name="r").output_shape((3, 3)),
        "[reshape 'r'] input of shape (3, 3) holds 9 elements, which do not fill "
        "(4, 2); use a shape with the same product",
    ),
    (
        lambda: Reshape((4, -1)).output_shape((6,)),
        "[reshape] input of shape (6,) holds 6 elements, which do not fill (4, -1); "
        "use a shape with the same product",
    ),
    (lambda: Slice(step=0), "[slice] step = 0; use a step of at least 1"),
    (
        lambda: Slice(5, 2).output_shape((4,)),
        "[slice] [5:2:1] of an axis of 4 leaves nothing; choose begin and end inside "
        "the axis",
    ),
    (
        lambda: Slice(axis=0).output_shape((4, 3)),
        "[slice] axis 0 for samples of shape (4, 3); use 1 to 2 or -2 to -1 (0 is the "
        "batch)",
    ),
    (
        lambda: Concatenate(axis=3).output_shape((4,), (4,)),
        "[concatenate] axis 3 for samples of shape (4,); use 1 to 1 or -1 to -1 (0 is "
        "the batch)",
    ),
    (
        lambda: Concatenate(name="c").output_shape((2, 3), (4, 3)),
        "[concatenate 'c'] inputs of shapes (2, 3), (4, 3) differ beside axis -1; "
        "give inputs that agree on all other axes, or another axis",
    ),
    (
        lambda: Concatenate().output_shape((3,), (4, 3)),
        "[concatenate] inputs of shapes (3,), (4, 3) differ beside axis -1; give "
        "inputs that agree on all other axes, or another axis",
    ),
    (
        lambda: Add().output_shape((3,), (4,)),
        "[add] inputs of shapes (3,), (4,), expected one shape; bring them to one "
        "shape with nv.Dense, nv.Reshape or nv.Slice",
    ),
    (lambda: Input((3, 0)), "[input] shape (3, 0); use extents of at least 1"),
    (lambda: Constant(float("nan")), "[constant] value = nan; use a finite number"),
    (
        lambda: Normalize((0.0, float("inf"))),
        "[normalize] mean of feature 1 is inf; use finite numbers",
    ),
    (
        lambda: Normalize(0.0, (1.0, 0.0)),
        "[normalize] scale of feature 1 is 0 (a constant feature?); use 1 there, or "
        "leave the feature out",
    ),
    (
        lambda: Normalize((0.0, 1.0)).output_shape((3,)),
        "[normalize] 2 values of mean for 3 features; give one number, or one per "
        "feature",
    ),
]


@pytest.mark.parametrize(("wrong", "text"), ERRORS)
def test_error_text(wrong, text):
    with pytest.raises(LayerError) as caught:
        wrong()
    assert str(caught.value) == text
