# SPDX-License-Identifier: BSD-3-Clause
"""Files with parts changed at random, read in a process of bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "fuzz" / "onnx_files.py"


@pytest.mark.skipif(sys.platform != "linux", reason="bounds memory as Linux does")
@pytest.mark.parametrize("seed", [1, 2])
def test_changed_files_give_a_network_or_say_what_is_wrong(seed: int) -> None:
    found = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, str(seed), "200"],
        env={**os.environ, "NERVURE_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    assert "'networks': 0" not in found.stdout  # some changes do no harm
