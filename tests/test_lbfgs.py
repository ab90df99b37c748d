# SPDX-License-Identifier: BSD-3-Clause
"""L-BFGS: finds minima, reports its iterations, stops when told to."""

import numpy as np
import pytest

import nervure as nv
from nervure.optimizers import LBFGS, minimize


def valley(x):
    bend = x[1] - x[0] ** 2
    return (1 - x[0]) ** 2 + 10 * bend**2, np.array(
        [-40 * x[0] * bend - 2 * (1 - x[0]), 20 * bend]
    )


def test_lbfgs_finds_the_minimum():
    found = minimize(LBFGS(), valley, np.array([-1.2, 1.0]), iterations=100)
    assert found.converged
    assert found.point == pytest.approx([1, 1], abs=1e-4)
    assert found.value == pytest.approx(0, abs=1e-8)


def test_lbfgs_reports_each_iteration_and_counts_them():
    seen = []
    found = minimize(
        LBFGS(),
        valley,
        np.array([-1.2, 1.0]),
        iterations=5,
        callback=lambda *state: seen.append(state) is not None,
    )
    assert [iteration for iteration, _, _ in seen] == [1, 2, 3, 4, 5]
    assert not found.converged
    assert all(valley(point)[0] == value for _, point, value in seen)
    values = [value for _, _, value in seen]
    assert values == sorted(values, reverse=True)
    assert np.array_equal(found.point, seen[-1][1])


def test_lbfgs_stops_when_the_callback_says_so():
    start = np.array([-1.2, 1.0])
    found = minimize(
        LBFGS(), valley, start, iterations=99, callback=lambda i, x, c: i == 3
    )
    assert (found.iterations, found.converged) == (3, False)
    assert found.message == "stopped by the callback"
    assert found.value == valley(found.point)[0] < valley(start)[0]


def test_a_network_without_parameters() -> None:
    net = nv.Network([nv.Input(2), nv.Activation("tanh")])
    X = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"^\[lbfgs\] the network has no parameters"):
        nv.fit(net, X, X, loss="mse", optimizer="lbfgs", progress=False)
