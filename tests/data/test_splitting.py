# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nervure.data import DataError, split


@given(
    rows=st.integers(2, 200),
    fraction=st.floats(0, 0.99),
    classes=st.integers(0, 6),
    seed=st.integers(0, 2**64 - 1),
)
def test_every_row_is_on_one_side(rows, fraction, classes, seed):
    targets = np.arange(rows) % classes if classes else None
    train, held_out = split(rows, fraction, targets, seed)
    assert sorted([*train, *held_out]) == list(range(rows))
    assert len(train) >= 1
    assert (len(held_out) >= 1) == (fraction > 0) or classes >= rows / 2
    assert (np.diff(train) > 0).all()
    assert (np.diff(held_out) > 0).all()
    if targets is not None:
        assert set(targets[train]) == set(targets)


def test_classes_keep_their_shares():
    targets = np.repeat([0, 1, 2], [70, 20, 10])
    _, held_out = split(100, 0.2, targets, seed=3)
    assert np.bincount(targets[held_out]).tolist() == [14, 4, 2]


def test_the_seed_alone_decides():
    first, second = split(1000, 0.1, seed=7)[1], split(1000, 0.1, seed=7)[1]
    assert first.tolist() == second.tolist()
    assert first.tolist() != split(1000, 0.1, seed=8)[1].tolist()
    # a golden value: the same on every machine and in every later version
    assert split(10, 0.3, seed=1)[1].tolist() == [0, 5, 7]


def test_floats_are_not_strata():
    assert split(50, 0.2, np.linspace(0, 1, 50), 1)[1].tolist() == (
        split(50, 0.2, None, 1)[1].tolist()
    )


@pytest.mark.parametrize(
    ("rows", "fraction", "targets", "text"),
    [
        (10, 1.0, None, r"\[split\] held-out fraction 1.0; expected a fraction in \[0"),
        (10, -0.1, None, "held-out fraction -0.1"),
        (10, float("nan"), None, "held-out fraction nan"),
        (1, 0.5, None, "1 rows; expected at least 2"),
        (4, 0.5, np.zeros(3, int), "3 targets for 4 rows"),
    ],
)
def test_wrong_arguments(rows, fraction, targets, text):
    with pytest.raises(DataError, match=text):
        split(rows, fraction, targets)
