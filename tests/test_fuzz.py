# SPDX-License-Identifier: BSD-3-Clause
"""Damaged files end in the project's own errors: some of each kind, the same always.

``python tests/fuzz/fuzz.py`` goes on for as long as one likes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent / "fuzz" / "fuzz.py"
FILES = {"run": 60, "model": 150, "image": 100, "csv": 100, "parquet": 100, "h5": 300}
KINDS = [
    *("npy", "npz", "idx", "csv", "json", "parquet", "image", "model", "spec", "run"),
    *("keras", "h5", "keras-config"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(kind: str) -> None:
    words = [sys.executable, str(FUZZ), kind, "--files", str(FILES.get(kind, 200))]
    done = subprocess.run([*words, "--here"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-4_000:]


def test_an_error_that_users_should_not_see_is_found() -> None:
    """The judge has teeth."""
    code = (
        f"import sys; sys.path.insert(0, {str(FUZZ.parent)!r}); import fuzz\n"
        "assert fuzz.verdict(KeyError('x')) == \"KeyError: 'x'\"\n"
        "assert fuzz.verdict(ValueError('oh')).endswith('without a place: oh')\n"
        "assert fuzz.verdict(ValueError('[a] ' + 'x' * 9_000)) == '9,004 characters'\n"
        "assert fuzz.verdict(ValueError('[a] b; c; d')) is None\n"
        "assert fuzz.verdict(MemoryError()) == 'MemoryError'\n"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
