# SPDX-License-Identifier: BSD-3-Clause
"""LocalResponseNorm: hand-computed values, another implementation, errors."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.executors import Data
from nervure.layers import LayerError, LocalResponseNorm


def run(layer: Any, x: Any, dtype: str = "float64") -> np.ndarray:
    x = np.asarray(x, dtype)
    return nv.Network([nv.Input(x.shape[1:]), layer], dtype=dtype).forward(x)


def test_by_hand() -> None:
    """Channels 2, 2, 4: denominators 1 + 8, 1 + 24, 1 + 20, to the power 1/2."""
    found = run(LocalResponseNorm(3, alpha=3.0, beta=0.5), [[2.0, 2, 4]])
    np.testing.assert_allclose(found, [[2 / 3, 2 / 5, 4 / np.sqrt(21)]], rtol=1e-14)


def test_alexnet_s_alpha_is_not_divided() -> None:
    """The paper: a / (2 + 1e-4 sum a^2)^0.75 over five maps."""
    a = 100.0 * np.arange(1, 7)
    layer = LocalResponseNorm(5, alpha=5e-4, k=2.0)
    expected = a[3] / (2 + 1e-4 * (a[1:6] ** 2).sum()) ** 0.75
    assert run(layer, a[None])[0, 3] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("channels", [1, 3, 64, 200])
@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_torch_agrees(channels: int, size: int) -> None:
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(3, 2, 4, channels)) * 30
    layer = LocalResponseNorm(size, alpha=0.02, beta=0.6, k=1.5)
    t = torch.tensor(x).permute(0, 3, 1, 2)
    y = torch.nn.functional.local_response_norm(t, size, 0.02, 0.6, 1.5)
    expected = y.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(run(layer, x), expected, rtol=1e-12)
    single = run(layer, x, "float32")
    np.testing.assert_allclose(single, expected, rtol=3e-6, atol=1e-7)


def test_a_nan_stays_among_its_neighbours() -> None:
    net = nv.Network([nv.Input(4), LocalResponseNorm(3)], dtype="float64")
    found = net.executor().outputs(Data((np.array([[1.0, np.nan, 1, 1]]),)))[0]
    np.testing.assert_array_equal(np.isnan(found), [[True, True, True, False]])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: LocalResponseNorm(0),
            "[local_response_norm] size = 0; use at least 1",
        ),
        (
            lambda: LocalResponseNorm(alpha=-1),
            "[local_response_norm] alpha = -1; use a number of at least 0",
        ),
        (
            lambda: LocalResponseNorm(beta=float("nan")),
            "[local_response_norm] beta = nan; use a finite number",
        ),
        (
            lambda: LocalResponseNorm(k=0, name="n"),
            "[local_response_norm 'n'] k = 0; use a number above 0",
        ),
        (
            lambda: LocalResponseNorm().output_shape(()),
            "[local_response_norm] input of shape (), expected (..., channels); give "
            "every sample at least one channel",
        ),
    ],
)
def test_errors_name_place_fact_and_remedy(make: Any, text: str) -> None:
    with pytest.raises(LayerError, match=f"^{re.escape(text)}$"):
        make()
