# SPDX-License-Identifier: BSD-3-Clause
"""Training and inference of convolutional nets, nervure against the fastest peer.

``python benchmarks/convolution.py --rounds 9 --json results.json``

Every peer lives in a process of its own and is asked for passes over the rows in turn;
README.md in this folder says what is measured and why that is fair.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import _data
import _passes
import numpy as np
from _convnets import CONVNETS, GOALS, PEERS_OF, SHARES, ConvNet

CHECK_PASSES = {"lenet": 2, "resnet18": 1, "infer1": 3, "infer32": 1}


def images(net: ConvNet, folder: Path | None) -> tuple[Any, Any, str]:
    """MNIST's for LeNet; noise of ten classes where only the time counts."""
    if net.family == "lenet":
        data = _data.load(folder, "train", net.rows)
        return data.X.reshape(-1, *net.image), data.y, data.source
    random = np.random.default_rng(0)
    X = random.standard_normal((net.rows, *net.image), dtype=np.float32)
    y = random.integers(0, 10, net.rows).astype(np.int32)
    y[:10] = np.arange(10)[: net.rows]
    return X, y, "noise"


def run_net(net: ConvNet, settings: Any) -> dict[str, Any]:
    """All times of one net, and its goals."""
    X, y, source = images(net, settings.data)
    peers, passes = PEERS_OF[net.task], CHECK_PASSES[net.name]
    return {
        **_passes.raced(net, (X, y), peers, passes, settings),
        "own": "nervure_images",
        "goal": GOALS[net.name],
        "share": SHARES.get(net.name),
        "data": source,
        "gflop per pass": net.flops_per_row() * net.rows / 1e9,
    }


def measure(settings: Any) -> dict[str, Any]:
    """Everything, as the JSON file holds it."""
    return _passes.measure(
        "convolution", settings, lambda name: run_net(CONVNETS[name], settings)
    )


def main() -> None:
    parser = _passes.options(__doc__, CONVNETS)
    parser.add_argument("--data", type=Path, help="folder with the four IDX files")
    _passes.start(parser.parse_args(), measure)


if __name__ == "__main__":
    main()
