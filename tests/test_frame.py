# SPDX-License-Identifier: BSD-3-Clause
"""ZeroPadding and Cropping: hand-computed values, errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.layers import LayerError


def test_a_frame_by_hand() -> None:
    x = np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
    padding = ((1, 0), (0, 2))
    there = nv.ZeroPadding2D(padding)
    back = nv.Cropping2D(padding)
    net = nv.Network([nv.Input((2, 2, 1)), there], dtype="float64")
    expected = [[0, 0, 0, 0], [1, 2, 0, 0], [3, 4, 0, 0]]
    np.testing.assert_array_equal(net.forward(x)[0, :, :, 0], expected)
    net = nv.Network([nv.Input((2, 2, 1)), there, back], dtype="float64")
    np.testing.assert_array_equal(net.forward(x), x)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: nv.Cropping1D(2).output_shape((4, 3)),
            "[cropping1d] cropping 2 leaves nothing of input (4,); "
            "take off fewer pixels",
        ),
        (
            lambda: nv.ZeroPadding2D(-1),
            "[zero_padding2d] padding = -1; use at least 0",
        ),
        (
            lambda: nv.ZeroPadding2D("same"),
            "[zero_padding2d] padding = 'same'; use a number or pairs",
        ),
    ],
)
def test_errors_name_place_fact_and_remedy(make: Any, text: str) -> None:
    with pytest.raises(LayerError, match=f"^{re.escape(text)}$"):
        make()
