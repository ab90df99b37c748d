# SPDX-License-Identifier: BSD-3-Clause
"""Training states as arrays and plain data."""

from __future__ import annotations

from typing import Any

from nervure.network.network import Network
from nervure.training.state import State


def state_to_data(state: State) -> dict[str, Any]:
    """A training state as arrays and plain data."""
    return {
        "slots": [slot.copy() for slot in state.slots],
        "best": state.best_values.copy(),
        "document": state.document(),
    }


def state_from_data(data: dict[str, Any], net: Network) -> State:
    """The training state that `state_to_data` wrote."""
    state = State(net.values, tuple(data["slots"]), data["best"], ())
    state.restore(state.tensors(), data["document"])
    return state
