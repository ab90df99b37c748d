# SPDX-License-Identifier: BSD-3-Clause
"""UpSampling: hand-computed values, another implementation, errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.layers import LayerError


def run(layer: Any, x: Any) -> np.ndarray:
    x = np.asarray(x, float)
    return nv.Network([nv.Input(x.shape[1:]), layer], dtype="float64").forward(x)


def test_nearest_repeats_pixels() -> None:
    x = np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
    found = run(nv.UpSampling2D((1, 3)), x)[0, :, :, 0]
    np.testing.assert_array_equal(found, [[1, 1, 1, 2, 2, 2], [3, 3, 3, 4, 4, 4]])


def test_lines_between_centres_by_hand() -> None:
    """Centres of 3 larger pixels in one: -1/3, 0, 1/3 around its own."""
    found = run(nv.UpSampling1D(3, "linear"), [[[0.0], [3], [9]]]).ravel()
    np.testing.assert_allclose(found, [0, 0, 1, 2, 3, 5, 7, 9, 9], atol=1e-14)


def test_two_axes_are_one_after_the_other() -> None:
    """The corner pixels share a product: 3/4 and 1/4 of each axis."""
    x = np.array([[0.0, 4], [8, 16]]).reshape(1, 2, 2, 1)
    found = run(nv.UpSampling2D(2, "bilinear"), x)[0, :, :, 0]
    np.testing.assert_array_equal(found[0], [0, 1, 3, 4])
    np.testing.assert_array_equal(found[1], [2, 3.25, 5.75, 7])


@pytest.mark.parametrize(
    ("layer", "shape", "mode"),
    [
        (nv.UpSampling1D(3), (5, 4), "nearest"),
        (nv.UpSampling1D(4, "linear"), (5, 70), "linear"),
        (nv.UpSampling2D((2, 3)), (4, 3, 5), "nearest"),
        (nv.UpSampling2D((2, 5), "bilinear"), (4, 1, 5), "bilinear"),
        (nv.UpSampling3D((1, 2, 3)), (2, 3, 2, 2), "nearest"),
        (nv.UpSampling3D(2, "trilinear"), (2, 3, 2, 2), "trilinear"),
    ],
)
def test_torch_agrees(layer: Any, shape: Any, mode: str) -> None:
    """Values and gradients, with align_corners=False."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *shape))
    t = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    scale = layer.each_axis
    more = {} if mode == "nearest" else {"align_corners": False}
    y = torch.nn.functional.interpolate(t, scale_factor=scale, mode=mode, **more)
    found = run(layer, x)
    np.testing.assert_allclose(
        found, np.moveaxis(y.detach().numpy(), 1, -1), atol=1e-12
    )
    c = rng.normal(size=found.shape)
    (y * torch.tensor(np.moveaxis(c, -1, 1).copy())).sum().backward()
    layers = [nv.Input(shape), nv.Activation("linear"), layer]
    net = nv.Network(layers, dtype="float64")
    trace = net.trace(
        x,
        c.reshape(2, -1),
        loss=lambda output, target: ((target * output).sum(), target),
    )
    expected = np.moveaxis(t.grad.numpy(), 1, -1)
    dx = trace["activation"].delta.reshape(x.shape)
    np.testing.assert_allclose(dx, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: nv.UpSampling2D(2, "linear", name="u"),
            "[up_sampling2d 'u'] interpolation = 'linear'; "
            'use "nearest" or "bilinear"',
        ),
        (lambda: nv.UpSampling1D(0), "[up_sampling1d] size = 0; use at least 1"),
        (
            lambda: nv.UpSampling2D((2, 2, 2)),
            "[up_sampling2d] size = (2, 2, 2) for 2 spatial axes; give one number, or "
            "2",
        ),
        (
            lambda: nv.UpSampling2D().output_shape((28, 28)),
            "[up_sampling2d] input of shape (28, 28), expected (height, width, "
            "channels); add the channel axis, as nv.Reshape does",
        ),
        (
            lambda: nv.UpSampling1D(10**9),
            "[up_sampling1d] size = 1000000000; use at most 16,777,216",
        ),
        (
            lambda: nv.UpSampling1D(2**24).output_shape((2, 1)),
            "[up_sampling1d] an axis of 33,554,432 pixels, expected at most "
            "16,777,216; cut samples into shorter ones",
        ),
    ],
)
def test_errors_name_place_fact_and_remedy(make: Any, text: str) -> None:
    with pytest.raises(LayerError, match=f"^{re.escape(text)}$"):
        make()
