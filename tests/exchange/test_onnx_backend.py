# SPDX-License-Identifier: BSD-3-Clause
"""ONNX's own tests of its operators: what passes, and why the others do not."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "onnx_backend.py"
LEAST = 880
"""Cases that pass; a later version of ONNX may have more."""


def load_script() -> Any:
    spec = importlib.util.spec_from_file_location("onnx_backend", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["onnx_backend"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


backend = load_script()


@pytest.fixture(scope="module")
def outcomes() -> list[Any]:
    """Every case, run; an answer that differs is an error here."""
    with warnings.catch_warnings():  # infinities cast to whole numbers
        warnings.simplefilter("ignore", RuntimeWarning)
        found = list(backend.outcomes())
    print(backend.told(found))
    return found


def test_the_operators_that_there_are_pass(outcomes: list[Any]) -> None:
    assert sum(x.passed for x in outcomes) >= LEAST


def test_whatever_is_left_out_stands_in_a_table(outcomes: list[Any]) -> None:
    out = {x.name: x.reason for x in outcomes if not x.passed and x.entry is None}
    assert out == {}


def test_the_tables_hold_nothing_that_passes(outcomes: list[Any]) -> None:
    needed = {x.entry for x in outcomes if not x.passed}
    assert sorted({*backend.REASONS, *backend.CASES} - needed) == []
