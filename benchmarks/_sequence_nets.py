# SPDX-License-Identifier: BSD-3-Clause
"""The workloads along time: what every peer has to build, and for how much work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 65
"""Letters of the character models."""


@dataclass(frozen=True)
class SequenceNet:
    """A net along time: trained on mean cross-entropy by Adam, or writing step by step.

    ``lstm``, ``gru``: a layer of ``units`` over vectors, its last state is classified.
    ``transformer``: blocks of width ``units`` over letters, each says the next one.
    """

    name: str
    title: str
    family: str  # "lstm" | "gru" | "transformer"
    task: str  # "train" | "generate"
    steps: int
    units: int
    rows: int
    batch_size: int
    features: int = 28
    shortest: int | None = None  # of lengths between it and `steps`; None: all alike
    blocks: int = 4
    heads: int = 4
    classes: int = 10

    @property
    def gates(self) -> int:
        return {"lstm": 4, "gru": 3}[self.family]

    def lengths(self) -> NDArray[np.int64]:
        """Of the rows, the same for every peer."""
        if self.shortest is None:
            return np.full(self.rows, self.steps)
        random = np.random.default_rng(1)
        return random.integers(self.shortest, self.steps + 1, self.rows)

    def flops(self) -> float:
        """Products of one pass over the rows; training takes three times as many."""
        steps = float(self.lengths().sum())
        if self.family == "transformer":
            width = self.units
            block = 24 * width**2 + 4 * width * (self.steps + 1) / 2
            each = self.blocks * block + 2 * width * VOCABULARY
        else:
            each = 2 * self.gates * self.units * (self.features + self.units)
        return steps * each * (3 if self.task == "train" else 1)

    def to_json(self) -> dict[str, Any]:
        return {"form": "sequences", "name": self.name}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> SequenceNet:
        return SEQUENCE_NETS[fields["name"]]


SEQUENCE_NETS = {
    net.name: net
    for net in (
        SequenceNet("lstm", "LSTM 128 over 28 x 28, batch 64", "lstm", "train",
                    28, 128, rows=2560, batch_size=64),
        SequenceNet("gru", "GRU 128 over 28 x 28, batch 64", "gru", "train",
                    28, 128, rows=2560, batch_size=64),
        SequenceNet("ragged", "LSTM 128, lengths 5 to 28, batch 64", "lstm", "train",
                    28, 128, rows=2560, batch_size=64, shortest=5),
        SequenceNet("transformer", "4 blocks, width 128, 4 heads, 128 steps, batch 16",
                    "transformer", "train", 128, 128, rows=64, batch_size=16),
        SequenceNet("write_lstm", "LSTM 128 writes 200 letters", "lstm", "generate",
                    200, 128, rows=1, batch_size=1, features=VOCABULARY),
        SequenceNet("write_transformer", "the transformer writes 100 letters",
                    "transformer", "generate", 100, 128, rows=1, batch_size=1),
    )
}  # fmt: skip

PEERS = ("nervure_sequences", "torch_sequences", "jax_sequences")
# How many times faster than the peer, and the share of the best large product.
GOALS = {
    "lstm": 1.5, "gru": 1.5, "ragged": 3.0, "transformer": 1.3,
    "write_lstm": 10.0, "write_transformer": 10.0,
}  # fmt: skip
SHARES = {"lstm": 0.5, "gru": 0.5, "transformer": 0.6}
