# SPDX-License-Identifier: BSD-3-Clause
"""Regularizers: values by hand, gradients by finite differences, limits, names."""

import re

import numpy as np
import pytest

from nervure.base.plain import write
from nervure.regularizers import (
    L1,
    L2,
    REGULARIZERS,
    ElasticNet,
    MaxNorm,
    Strengths,
    regularizer,
)

EXAMPLES = {
    L1: L1(0.3),
    L2: L2(0.2),
    ElasticNet: ElasticNet(0.3, 0.2),
    MaxNorm: MaxNorm(2.0),
}
W = np.array([[3.0, -0.1, 0.0], [-4.0, 0.2, 0.0]])


@pytest.mark.parametrize("kind", REGULARIZERS)
def test_gradient_is_the_derivative_of_the_penalty(kind):
    term = EXAMPLES[kind]
    w = np.array([0.7, -1.3, 2.0])
    h = 1e-3
    for i in range(3):
        unit = h * np.eye(3)[i]
        near = term.penalty(np, w + unit) - term.penalty(np, w - unit)
        far = term.penalty(np, w + 2 * unit) - term.penalty(np, w - 2 * unit)
        slope = (8 * near - far) / (12 * h)
        assert term.gradient(np, w)[i] == pytest.approx(slope, rel=5e-6, abs=1e-12)


@pytest.mark.parametrize("kind", REGULARIZERS)
def test_data_and_back(kind):
    assert regularizer(write(EXAMPLES[kind])) == EXAMPLES[kind]


def test_penalties_by_hand():
    # sum |w| = 7.3, sum w^2 = 25.05
    assert L1(0.3).penalty(np, W) == pytest.approx(2.19)
    assert L2(0.2).penalty(np, W) == pytest.approx(2.505)
    assert ElasticNet(0.3, 0.2).penalty(np, W) == pytest.approx(4.695)
    assert MaxNorm(1.0).penalty(np, W) == 0


def test_gradient_of_l1_is_zero_at_zero():
    assert L1(0.3).gradient(np, np.zeros(2)).tolist() == [0, 0]


def test_max_norm_shortens_only_long_columns():
    limited = MaxNorm(2.0).constrain(np, W)
    assert np.allclose(limited[:, 0], [1.2, -1.6])
    assert np.array_equal(limited[:, 1:], W[:, 1:])


def test_max_norm_of_a_kernel_counts_all_that_enters_a_unit():
    kernel = np.ones((2, 2, 4, 3))  # each unit: 16 ones, norm 4
    limited = MaxNorm(1.0).constrain(np, kernel)
    assert np.allclose(limited, 0.25)


@pytest.mark.parametrize("kind", [L1, L2, ElasticNet])
def test_penalties_do_not_limit(kind):
    assert EXAMPLES[kind].constrain(np, W) is W


def test_strengths():
    assert ElasticNet(0.3, 0.2).strengths() == Strengths(l1=0.3, l2=0.2, max_norm=0)
    assert MaxNorm(2.0).strengths() == Strengths(max_norm=2.0)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("l3", "[spec] unknown regularizer 'l3'; did you mean 'l2' or 'l1'? Known: "),
        ("l2", "[spec] strength: missing; expected a number; add strength = ..."),
        (
            {"type": "l2", "strength": -1},
            "[spec] strength = -1.0; expected a finite number (>= 0); change strength",
        ),
        (
            {"type": "max_norm", "limit": 0},
            "[spec] limit = 0.0; expected a finite number (> 0); change limit",
        ),
    ],
)
def test_errors_name_place_and_remedy(found, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        regularizer(found, where="spec")
