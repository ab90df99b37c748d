# SPDX-License-Identifier: BSD-3-Clause
"""State: everything that training needs to go on from where it was, bit for bit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.graph.parameters import Floats
from nervure.optimizers import PlateauState
from nervure.training.history import History

Array = npt.NDArray[Any]


@dataclass
class Best:
    """The best epoch so far, by the value that is monitored."""

    value: float = float("nan")
    epoch: int = -1
    waited: int = 0


@dataclass
class State:
    """Where training is.

    ``costs`` and ``weights`` are of the steps of the epoch under way, ``outputs`` what
    the network gave for its rows, where a metric wants it.
    """

    values: Floats
    slots: tuple[Floats, ...]
    best_values: Floats
    outputs: tuple[Floats, ...]
    costs: list[float] = field(default_factory=list[float])
    weights: list[float] = field(default_factory=list[float])
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    history: History = field(default_factory=History)
    best: Best = field(default_factory=Best)
    plateau: PlateauState = field(default_factory=PlateauState)
    stopped: str | None = None
    monitors: dict[str, str] = field(default_factory=dict[str, str])
    """Which value early stopping and the plateau follow."""

    def restart(self) -> None:
        """Begin counting again; arrays stay as they are."""
        self.costs, self.weights, self.epoch, self.step = [], [], 0, 0
        self.history, self.best, self.plateau = History(), Best(), PlateauState()
        self.stopped = None

    def tensors(self) -> dict[str, Array]:
        """The arrays by name."""
        named: dict[str, Array] = {"values": self.values, "best": self.best_values}
        named |= {f"slot.{i}": slot for i, slot in enumerate(self.slots)}
        named |= {f"output.{i}": y for i, y in enumerate(self.outputs)}
        named["costs"] = np.array(self.costs, np.float64)
        named["weights"] = np.array(self.weights, np.float64)
        return {name: array for name, array in named.items() if array.size}

    def document(self) -> dict[str, Any]:
        """Everything else, as plain data."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "history": {k: [_word(x) for x in v] for k, v in self.history.items()},
            "best": {k: _word(v) for k, v in dataclasses.asdict(self.best).items()},
            "plateau": {
                k: _word(v) for k, v in dataclasses.asdict(self.plateau).items()
            },
            "stopped": self.stopped,
            "monitors": self.monitors,
        }

    def restore(self, tensors: dict[str, Array], document: dict[str, Any]) -> None:
        """Take over what `tensors` and `document` gave; arrays keep their place."""
        for name, array in self.tensors().items():
            if name in tensors and name not in ("costs", "weights"):
                array[...] = tensors[name]
        self.costs = tensors.get("costs", np.empty(0)).tolist()
        self.weights = tensors.get("weights", np.empty(0)).tolist()
        self.epoch, self.step = int(document["epoch"]), int(document["step"])
        self.seconds = float(document["seconds"])
        series = document["history"]
        self.history = History({k: [float(x) for x in v] for k, v in series.items()})
        self.best = Best(**_numbers(document["best"]))
        self.plateau = PlateauState(**_numbers(document["plateau"]))
        self.stopped = None
        self.monitors = dict(document.get("monitors", {}))


def _word(value: Any) -> Any:
    """NaN and infinity as words: JSON has no numbers for them."""
    finite = not isinstance(value, float) or np.isfinite(value)
    return value if finite else str(value)


def _numbers(table: dict[str, Any]) -> dict[str, Any]:
    return {k: float(v) if isinstance(v, str) else v for k, v in table.items()}
