# SPDX-License-Identifier: BSD-3-Clause
"""Trainings end with the bits that they ended with before.

Who means to change bits runs ``python tests/bits_script.py --record`` and says in the
changelog what has changed.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("bits_script.py")


def load_script() -> Any:
    found = importlib.util.spec_from_file_location("bits_script", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


bits_script = load_script()
GOLDEN: dict[str, Any] = json.loads(bits_script.GOLDEN.read_text())
NATIVE = [name for name in bits_script.CASES if not name.endswith("_by_jax")]
BY_JAX = [name for name in bits_script.CASES if name.endswith("_by_jax")]


@pytest.mark.parametrize("level", bits_script.usable())
def test_native_training_ends_with_the_same_bits(level: str) -> None:
    """Of other processors than x86-64 there is no record: nearly the same numbers."""
    found = bits_script.of_level(level, NATIVE)
    known = GOLDEN.get(level)
    if known is None:
        for name, outcome in found.items():
            near = pytest.approx(GOLDEN["v3"][name]["norm"], rel=1e-2)
            assert outcome["norm"] == near, name
        return
    hashes = {name: outcome["hash"] for name, outcome in found.items()}
    assert hashes == {name: known[name]["hash"] for name in NATIVE}


@pytest.mark.parametrize("name", BY_JAX)
def test_training_by_jax_ends_with_the_same_numbers(name: str) -> None:
    """XLA's last bits are those of its version and of the processor."""
    pytest.importorskip("jax")
    found = bits_script.outcome(bits_script.CASES[name]())
    known = GOLDEN["v3"][name]
    assert found["norm"] == pytest.approx(known["norm"], rel=1e-5)
    assert found["mean"] == pytest.approx(known["mean"], rel=1e-3, abs=1e-6)
