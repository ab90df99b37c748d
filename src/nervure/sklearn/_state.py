# SPDX-License-Identifier: BSD-3-Clause
"""Fitted networks as the bytes of a model file, and training states as arrays."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from nervure.network import Network
from nervure.saving import load_network
from nervure.training.state import State

_NAME = "model.safetensors"


def to_bytes(net: Network) -> bytes:
    """The model file of a network: weights and JSON, no code.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(2), nv.Dense(1)], seed=1)
    >>> from_bytes(to_bytes(net)).parameters["dense.weight"].shape
    (2, 1)
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _NAME
        net.save(path)
        return path.read_bytes()


def from_bytes(data: bytes) -> Network:
    """The network of a model file's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _NAME
        path.write_bytes(data)
        return load_network(path)


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
