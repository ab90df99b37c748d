# SPDX-License-Identifier: BSD-3-Clause
"""``nervure generate``: a text goes on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nervure as nv
from nervure.network.generating import stream
from nervure.network.modelfile import ModelFileError
from nervure.serving.answers import model_file


def generate(model: Path, prompt: str, steps: int, **how: Any) -> None:
    """Write the prompt and what comes behind it, each letter as it is drawn."""
    file = model_file(model)
    network = nv.load(file)
    if not isinstance(network, nv.Network):
        raise ModelFileError(
            f"[{file}] holds an ensemble; expected one network; save a member alone"
        )
    letters = stream(network, prompt, steps, **how)
    sys.stdout.write(prompt)
    for letter in letters:
        sys.stdout.write(letter)
        sys.stdout.flush()
    sys.stdout.write("\n")
