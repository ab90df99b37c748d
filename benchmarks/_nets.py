# SPDX-License-Identifier: BSD-3-Clause
"""The three nets of the table: what every peer has to train, and for how much work."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Net:
    """A dense classifier with a softmax output, trained on the mean cross-entropy."""

    name: str
    hidden: tuple[int, ...]
    activation: str  # "logistic" | "relu"
    optimizer: str  # "sgd" (plain) | "adam" (0.9, 0.999, 1e-8)
    learning_rate: float
    batch_size: int
    inputs: int = 784
    classes: int = 10

    @property
    def sizes(self) -> tuple[int, ...]:
        return (self.inputs, *self.hidden, self.classes)

    @property
    def title(self) -> str:
        sizes = "-".join(map(str, self.sizes))
        rule = {"sgd": "SGD", "adam": "Adam"}[self.optimizer]
        kind = {"relu": "ReLU", "logistic": "logistic"}[self.activation]
        return f"{sizes} {kind}, {rule}, batch {self.batch_size}"

    def flops_per_row(self) -> int:
        """Matrix products of one row: forward, dW, and dX but for the first layer."""
        products = [2 * below * above for below, above in pairwise(self.sizes)]
        return 3 * sum(products) - products[0]

    def to_json(self) -> dict[str, Any]:
        return {"form": "dense", **asdict(self)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Net:
        own = {name: value for name, value in fields.items() if name != "form"}
        return cls(**{**own, "hidden": tuple(own["hidden"])})


NETS = {
    net.name: net
    for net in (
        Net("small", (30,), "logistic", "sgd", 0.5, 10),
        Net("medium", (100,), "relu", "adam", 1e-3, 200),
        Net("large", (512, 512), "relu", "adam", 1e-3, 128),
    )
}

# Ratios to reach: fastest peer, PyTorch, scikit-learn (times how much faster).
GOALS = {
    "small": {"fastest": 2.5, "torch": 25.0, "sklearn": 10.0},
    "medium": {"fastest": 1.5, "torch": 3.0, "sklearn": 3.0},
    "large": {"fastest": 1.4, "torch": 2.0, "sklearn": 3.5},
}
SHARE_GOAL = 0.70  # of the best large matrix product, reached by the net "large"
