# SPDX-License-Identifier: BSD-3-Clause
"""The libraries that are compared: one file each, behind the contract below.

A peer module imports its library only inside its functions, so that the parent, which
reads only `VARIANTS`, needs none of them. It holds:

``VARIANTS``
    ways to run the library at its best; the fastest one on this machine is taken.
``Peer(net, X, y, options)``
    builds the net and puts the data where the library wants it.
``Peer.train(epochs) -> float``
    trains on with the optimizer's state kept, reshuffling every epoch; returns the mean
    training loss over the last epoch, so that all the work is waited for.
``Peer.weights() -> [(W, b), ...]``
    NumPy arrays, ``W (inputs, units)``, for the common check of the loss.
``versions() -> dict``
    of the library and what it computes with.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

PEERS = ("nervure", "torch", "jax", "keras", "sklearn")
TITLES = {
    "nervure": "nervure",
    "torch": "PyTorch",
    "jax": "JAX",
    "keras": "Keras",
    "sklearn": "scikit-learn",
    "nervure_images": "nervure",
    "torch_images": "PyTorch",
    "onnxruntime_images": "ONNX Runtime",
    "nervure_sequences": "nervure",
    "torch_sequences": "PyTorch",
    "jax_sequences": "JAX",
}


@dataclass(frozen=True)
class Variant:
    """One way to run a peer: options of its module, threads, environment."""

    options: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None  # None: as many as the run has cores
    environment: dict[str, str] = field(default_factory=dict)


def module(peer: str) -> ModuleType:
    """The module of a peer; its library is not imported yet."""
    return importlib.import_module(f"peers.{peer}_peer")
