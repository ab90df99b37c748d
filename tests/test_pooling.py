# SPDX-License-Identifier: BSD-3-Clause
"""Pooling: hand-computed values, other implementations, errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data
from nervure.layers import LayerError

BLOCK = np.array([[3.0, 4.0], [0.0, 12.0]]).reshape(1, 2, 2, 1)


def run(layer: Any, x: Any) -> np.ndarray:
    x = np.asarray(x, float)
    net = nv.Network([nv.Input(x.shape[1:]), layer], dtype="float64")
    return net.executor().outputs(Data((x,)))[0]


def gradient(layer: Any, x: np.ndarray) -> np.ndarray:
    """Of the sum of the layer's output, in x."""
    net = nv.Network(
        [nv.Input(x.shape[1:]), nv.Activation("linear"), layer], dtype="float64"
    )
    size = np.prod(net.graph.output_shapes[0])
    targets = np.ones((len(x), size))
    return net.trace(x, targets, loss=lambda output, target: (output.sum(), target))[
        "activation"
    ].delta


# -- values ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "value", "dx"),
    [
        (nv.MaxPool2D(2), 12, [0, 0, 0, 1]),
        (nv.AveragePool2D(2), 4.75, [0.25] * 4),
        (nv.L2Pool2D(2), 6.5, np.array([3, 4, 0, 12]) / (4 * 6.5)),  # 169 / 4
        (nv.GlobalMaxPool2D(), 12, [0, 0, 0, 1]),
        (nv.GlobalAveragePool2D(), 4.75, [0.25] * 4),
        (nv.GlobalL2Pool2D(), 6.5, np.array([3, 4, 0, 12]) / (4 * 6.5)),
        (nv.AdaptiveL2Pool2D(1), 6.5, np.array([3, 4, 0, 12]) / (4 * 6.5)),
    ],
)
def test_a_block_by_hand(layer: Any, value: float, dx: Any) -> None:
    assert run(layer, BLOCK).ravel() == [value]
    np.testing.assert_allclose(gradient(layer, BLOCK).ravel(), dx)


def test_overlapping_windows_share_a_pixel() -> None:
    x = np.array([1.0, 5, 2, 3]).reshape(1, 4, 1)
    np.testing.assert_array_equal(run(nv.MaxPool1D(2, stride=1), x).ravel(), [5, 5, 3])
    np.testing.assert_array_equal(
        gradient(nv.MaxPool1D(2, stride=1), x).ravel(), [0, 2, 0, 1]
    )


def test_padding_does_not_count() -> None:
    x = np.array([-1.0, -5, -9]).reshape(1, 3, 1)
    same = {"size": 3, "stride": 2, "padding": "same"}
    np.testing.assert_array_equal(run(nv.MaxPool1D(**same), x).ravel(), [-1, -5])
    np.testing.assert_array_equal(run(nv.AveragePool1D(**same), x).ravel(), [-3, -7])


def test_the_first_of_equals_takes_the_gradient() -> None:
    x = np.full((1, 4, 1), 2.0)
    np.testing.assert_array_equal(gradient(nv.MaxPool1D(4), x).ravel(), [1, 0, 0, 0])


def test_a_root_of_zeros_has_gradient_zero() -> None:
    np.testing.assert_array_equal(gradient(nv.L2Pool1D(2), np.zeros((1, 4, 1))), 0)


@pytest.mark.parametrize("place", range(4))
def test_a_nan_stays(place: int) -> None:
    x = np.arange(4.0).reshape(1, 4, 1)
    x[0, place] = np.nan
    assert np.isnan(run(nv.MaxPool1D(4), x)).all()


def test_adaptive_windows_overlap_where_parts_do_not_divide() -> None:
    x = np.arange(5.0).reshape(1, 5, 1)  # windows 0..2, 1..4, 3..5 (floor, ceil)
    found = run(nv.AdaptiveAveragePool1D(3), x).ravel()
    np.testing.assert_array_equal(found, [0.5, 2, 3.5])


def test_more_parts_than_pixels_share_them() -> None:
    x = np.array([3.0, 7.0]).reshape(1, 2, 1)
    found = run(nv.AdaptiveMaxPool1D(5), x).ravel()
    np.testing.assert_array_equal(found, [3, 3, 7, 7, 7])  # windows 0..1, 0..2, ...
    found = run(nv.AdaptiveAveragePool1D(3), x).ravel()
    np.testing.assert_array_equal(found, [3, 5, 7])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_padding_ceil_is_the_ceil_mode_of_torch(size: int, stride: int) -> None:
    torch = pytest.importorskip("torch")
    for extent in range(size, 9):
        x = np.random.default_rng(extent).normal(size=(1, extent, 2))
        found = run(nv.MaxPool1D(size, stride, "ceil"), x)
        t = torch.tensor(x).permute(0, 2, 1)
        expected = torch.nn.functional.max_pool1d(t, size, stride, ceil_mode=True)
        np.testing.assert_array_equal(found, expected.permute(0, 2, 1).numpy())


def test_padding_ceil_by_hand() -> None:
    x = np.array([1.0, 2, 3, 4]).reshape(1, 4, 1)
    found = run(nv.AveragePool1D(3, 2, "ceil"), x).ravel()
    np.testing.assert_array_equal(found, [2, 3.5])
    assert nv.MaxPool2D(3, 2, "ceil").output_shape((112, 113, 1)) == (56, 56, 1)
    assert nv.MaxPool2D(3, 2, "ceil").output_shape((1, 2, 1)) == (1, 1, 1)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_torch_agrees(size: int, padding: int) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 5))
    t = torch.tensor(x).permute(0, 3, 1, 2)
    for layer, expected in (
        (
            nv.MaxPool2D(size, 2, padding),
            torch.nn.functional.max_pool2d(t, size, 2, padding),
        ),
        (
            nv.AveragePool2D(size, 2, padding),
            torch.nn.functional.avg_pool2d(
                t, size, 2, padding, count_include_pad=False
            ),
        ),
        (
            nv.AdaptiveAveragePool2D((4, 3)),
            torch.nn.functional.adaptive_avg_pool2d(t, (4, 3)),
        ),
    ):
        np.testing.assert_allclose(
            run(layer, x), expected.permute(0, 2, 3, 1).numpy(), rtol=1e-12
        )


def test_help_of_a_member_holds_the_family_s_text() -> None:
    text = nv.MaxPool1D.__doc__
    assert text is not None
    assert text.startswith("The largest value of each window")
    assert "size: extent of a window" in text
    assert text.endswith(".output_shape((9, 8))\n(4, 8)")


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: nv.MaxPool2D(3, name="p").output_shape((2, 5, 1)),
            "[max_pool2d 'p'] window (3, 3) exceeds input (2, 5); "
            'use padding="same", a smaller window or a larger input',
        ),
        (
            lambda: nv.L2Pool1D(2, padding=2).output_shape((5, 1)),
            "[l2_pool1d] padding = 2 leaves windows (2,) with nothing inside; "
            "use less padding than the size of a window",
        ),
        (
            lambda: nv.GlobalAveragePool2D().output_shape((7, 7)),
            "[global_average_pool2d] input of shape (7, 7), expected (height, width, "
            "channels); add the channel axis, as nv.Reshape does",
        ),
        (lambda: nv.MaxPool2D(0), "[max_pool2d] size = 0; use at least 1"),
        (lambda: nv.MaxPool2D(2, stride=0), "[max_pool2d] stride = 0; use at least 1"),
    ],
)
def test_errors_name_place_fact_and_remedy(make: Any, text: str) -> None:
    with pytest.raises(LayerError, match=f"^{re.escape(text)}$"):
        make()
