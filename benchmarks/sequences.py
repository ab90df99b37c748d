# SPDX-License-Identifier: BSD-3-Clause
"""Recurrent nets, attention and generation, nervure against PyTorch.

``python benchmarks/sequences.py --rounds 9 --json results.json``

Peers run in turn, as in `convolution.py`; README.md in this folder says how.
"""

from __future__ import annotations

from typing import Any

import _passes
import numpy as np
from _sequence_nets import GOALS, PEERS, SEQUENCE_NETS, SHARES, VOCABULARY, SequenceNet

CHECK_PASSES = 2


def rows(net: SequenceNet) -> tuple[Any, Any]:
    """Noise, and classes or letters that follow nothing: only the time counts."""
    random = np.random.default_rng(0)
    if net.family == "transformer":
        letters = random.integers(0, VOCABULARY, (net.rows, net.steps + 1), np.int32)
        return letters[:, :-1].copy(), letters[:, 1:].copy()
    X = random.standard_normal((net.rows, net.steps, net.features), dtype=np.float32)
    y = random.integers(0, net.classes, net.rows).astype(np.int32)
    y[: net.classes] = np.arange(net.classes)[: net.rows]
    return X, y


def run_net(net: SequenceNet, settings: Any) -> dict[str, Any]:
    """All times of one net, and its goals."""
    return {
        **_passes.raced(net, rows(net), PEERS, CHECK_PASSES, settings),
        "own": "nervure_sequences",
        "goal": GOALS[net.name],
        "share": SHARES.get(net.name),
        "gflop per pass": net.flops() / 1e9,
    }


def measure(settings: Any) -> dict[str, Any]:
    """Everything, as the JSON file holds it."""
    return _passes.measure(
        "sequences", settings, lambda name: run_net(SEQUENCE_NETS[name], settings)
    )


def main() -> None:
    _passes.start(_passes.options(__doc__, SEQUENCE_NETS).parse_args(), measure)


if __name__ == "__main__":
    main()
