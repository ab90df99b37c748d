# SPDX-License-Identifier: BSD-3-Clause
"""Whole numbers as classes or amounts: what was decided, and the key that changes it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from nervure.data import load
from nervure.data.meaning.task import are_classes

LIST = Path(__file__).with_name("targets.csv").read_text(encoding="utf-8")
TARGETS = list(csv.DictReader(LIST.splitlines()))


def values_of(entry: dict[str, str]) -> np.ndarray:
    pairs = [pair.split(":") for pair in entry["values"].split(" ")]
    return np.repeat([int(v) for v, _ in pairs], [int(n) for _, n in pairs])


def right(entry: dict[str, str]) -> bool:
    classes = are_classes(entry["target"], values_of(entry))
    return classes == (entry["task"] == "classification")


def test_nine_in_ten_of_real_targets_are_what_they_are() -> None:
    """`tests/sweeps/targets.py` wrote the list, before the rules were."""
    wrong = [f"{e['set']}.{e['target']}" for e in TARGETS if not right(e)]
    assert len(TARGETS) >= 60
    assert len(wrong) <= 0.1 * len(TARGETS), wrong


def test_without_their_names_most_are() -> None:
    """What the values alone tell: names of columns are often ``y``."""
    classes = [are_classes("y", values_of(entry)) for entry in TARGETS]
    wanted = [entry["task"] == "classification" for entry in TARGETS]
    assert np.mean(np.equal(classes, wanted)) >= 0.8


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([0, 1] * 10, True),
        ([-1, 1] * 10, True),
        ([1, 2] * 2, True),
        ([1.0, 0.0] * 10, True),
        ([-1.0, 1.0] * 10, True),
        ([0.5, 1.0] * 10, False),
        (list(range(100)), False),
        ([20_000, 25_000, 30_000, 45_000] * 10, False),
    ],
)
def test_floats_and_integers(values: list[float], classes: bool) -> None:
    data = load({"a": np.arange(len(values)) % 7, "y": values})
    assert (data.preprocessing.task == "classification") == classes


def test_what_was_decided_is_said() -> None:
    a = np.random.default_rng(0).normal(size=60)
    classes = load({"a": a, "y": np.arange(60) % 3}).summary()
    assert (
        'taken as classes (data.task = "regression" takes them as amounts)' in classes
    )
    amounts = load({"a": a, "n_visits": np.arange(60) % 3}).summary()
    assert 'taken as amounts (data.task = "classification" takes them as' in amounts
    told = load({"a": a, "y": np.arange(60) % 3}, task="regression").summary()
    assert "taken as" not in told
