# SPDX-License-Identifier: BSD-3-Clause
"""Whole numbers that would overflow the engine's arithmetic are refused with the graph.

By Python, by a spec and by a model file; each of these ended the process or never ended.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.graph.node import layer_to_dict
from nervure.layers import INFERENCE, LayerError
from nervure.layers._spans import Parts, Sliding
from nervure.network.modelfile import write_model
from nervure.spec import parse_spec

HUGE = (2**24 + 1, 2**31, 2**53, 2**61, 2**62, 2**63 - 1)

GEOMETRY: dict[str, tuple[Any, tuple[int, ...]]] = {
    "stride and padding": (
        lambda n: nv.Conv2D(2, 3, stride=n, padding=n),
        (2, 2, 1),
    ),
    "dilation": (lambda n: nv.Conv2D(2, 3, dilation=n, padding=n), (2, 2, 1)),
    "in three dimensions": (
        lambda n: nv.Conv3D(2, 3, stride=n, padding=n),
        (2, 2, 2, 1),
    ),
    "transposed": (lambda n: nv.Conv2DTranspose(2, 3, stride=n), (2, 2, 1)),
    "transposed, dilation": (lambda n: nv.Conv1DTranspose(2, 3, dilation=n), (2, 1)),
    "depthwise": (lambda n: nv.DepthwiseConv2D(n, padding=n), (2, 2, 1)),
    "multiplier": (lambda n: nv.DepthwiseConv2D(1, depth_multiplier=n), (16, 16, 1)),
    "separable": (lambda n: nv.SeparableConv2D(2, n, padding=n), (2, 2, 1)),
    "filters": (lambda n: nv.Conv2D(n, 1), (16, 16, 1)),
    "pooling": (lambda n: nv.MaxPool2D(n, stride=1, padding="same"), (2, 2, 1)),
    "stride of pooling": (lambda n: nv.MaxPool2D(2, stride=n), (2, 2, 1)),
    "parts of pooling": (lambda n: nv.AdaptiveMaxPool2D(n), (2, 2, 1)),
    "zeros around": (lambda n: nv.ZeroPadding2D(n), (2, 2, 1)),
    "cropping": (lambda n: nv.Cropping2D(n), (2, 2, 1)),
    "up-sampling": (lambda n: nv.UpSampling3D(n), (2, 2, 2, 1)),
    "units": (lambda n: nv.Dense(n), (2**31,)),
    "members": (lambda n: nv.EnsembleDense(2**8, n), (2,)),
    "frequencies": (lambda n: nv.PeriodicEmbedding(3, 2**8 * n), (2**24,)),
    "vectors": (lambda n: nv.Embedding(3, n), (2**8,)),
}


@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("name", GEOMETRY)
def test_geometry_that_overflows_is_refused(name: str, number: int) -> None:
    make, shape = GEOMETRY[name]
    with pytest.raises(ValueError, match=r"^\[.+\] .+; .+") as caught:
        nv.Network([nv.Input(shape), make(number)])
    assert len(str(caught.value)) < 400


def test_what_a_kernel_would_see_with_its_padding_is_bounded() -> None:
    message = (
        r"^\[conv2d 'conv2d'\] a map of \(100001, 100001, 1\) numbers with its padding, "
        r"expected at most 2\^31; use smaller samples, or less padding$"
    )
    with pytest.raises(LayerError, match=message):
        nv.Network([nv.Input((1, 1, 1)), nv.Conv2D(1, 3, 50_000, 1, 1, 50_000)])
    with pytest.raises(LayerError, match=r"an axis of 33,554,435 pixels with its padd"):
        nv.Network([nv.Input((3, 1)), nv.Conv1D(1, 3, padding=2**24)])
    with pytest.raises(LayerError, match=r"kernel = 5000; use at most 16,777,216 plac"):
        nv.Conv2D(1, 5000)


def test_numbers_that_only_a_kernel_reads_are_bounded() -> None:
    message = (
        r"^\[local_response_norm\] size = 4611686018427387904; expected whole numbers "
        r"of at most 2\^31; use a smaller one$"
    )
    with pytest.raises(LayerError, match=message):
        nv.Network([nv.Input((2, 2, 3)), nv.LocalResponseNorm(2**62)])
    with pytest.raises(LayerError, match=r"^\[input\] a shape of 32 axes; expected at"):
        nv.Network([nv.Input((1,) * 32), nv.Flatten()])


SPECS = {
    "conv2d": "filters = 2\nkernel = 3\nstride = {n}\npadding = {n}",
    "conv2d_transpose": "filters = 2\nkernel = 3\nstride = {n}",
    "max_pool2d": 'size = {n}\nstride = 1\npadding = "same"',
    "zero_padding2d": "padding = {n}",
}


@pytest.mark.parametrize("kind", SPECS)
def test_specs_of_such_geometry_are_refused(kind: str) -> None:
    body = SPECS[kind].format(n=2**62)
    text = f'[[layer]]\ntype = "input"\nshape = [2, 2, 1]\n[[layer]]\ntype = "{kind}"'
    with pytest.raises(
        ValueError, match=r"^\[spec\.toml\] layer\[1\]: .+; use at most"
    ):
        parse_spec(f"{text}\n{body}\n", "spec.toml")


def test_a_model_file_of_such_geometry_is_refused(tmp_path: Path) -> None:
    layer = {**layer_to_dict(nv.Conv2D(2, 3)), "stride": 2**31, "padding": 2**31}
    nodes = [
        {"name": "x", "inputs": [], "layer": {"type": "input", "shape": [2, 2, 1]}},
        {"name": "y", "inputs": ["x"], "layer": layer},
    ]
    path = tmp_path / "model.safetensors"
    weights = {"y.weight": np.zeros((3, 3, 1, 2), np.float32)}
    weights["y.bias"] = np.zeros(2, np.float32)
    write_model(path, weights, {"network": {"nodes": nodes}})
    message = rf"^\[{re.escape(str(path))}\] network.nodes\[1\].layer: stride = 21474"
    with pytest.raises(ValueError, match=message):
        nv.load(path)


# -- windows without lists of them -----------------------------------------------------


def brute(axis: Sliding | Parts) -> list[tuple[int, int]]:
    if isinstance(axis, Parts):
        n, m = axis.extent, axis.count
        return [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
    begins = [i * axis.stride - axis.before for i in range(axis.count)]
    return [(max(0, b), min(axis.extent, b + axis.size)) for b in begins]


def test_windows_of_an_axis_by_counting(rng: np.random.Generator) -> None:
    for _ in range(300):
        extent, size, stride, before, count = map(int, rng.integers(1, 9, 5))
        axes = (Sliding(extent, size, stride, before - 1, count), Parts(extent, count))
        for axis in axes:
            expected = brute(axis)
            empty = any(b >= e for b, e in expected)
            if isinstance(axis, Sliding):
                assert axis.some_empty == empty
            if not empty:
                begins, ends = axis.spans
                assert list(zip(begins, ends, strict=True)) == expected
                assert axis.fields == sum(e - b for b, e in expected)


def test_pooling_of_long_axes_takes_no_memory_before_it_is_bounded() -> None:
    """A tuple for each of 2^24 windows took 3.9 GB."""
    layer = nv.MaxPool1D(2, stride=1)
    shape = (2**24, 1)
    assert layer.output_shape(shape) == (2**24 - 1, 1)
    assert layer.flops(shape) == 2 * (2**24 - 1)
    assert sum(map(len, layer.attributes(shape).values())) == 4


def test_the_first_of_the_largest_and_a_nan_by_the_formula() -> None:
    x = np.array([1.0, 7, 7, 2, np.nan, 0]).reshape(1, 6, 1)
    y = nv.MaxPool1D(2).formula(np, {}, x, info=INFERENCE)
    np.testing.assert_array_equal(y.ravel(), [7, 7, np.nan])
