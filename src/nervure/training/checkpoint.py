# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints: a state in a file, and what such a file must be to be believed.

What contradicts itself is damaged, and an earlier checkpoint takes its place; what is
of another network, optimizer or data set ends the attempt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from nervure.base import plain
from nervure.base.plain import Faults
from nervure.base.words import short
from nervure.network.modelfile import ModelFileError, read_model, write_model
from nervure.training.state import State

FORMAT = 1
NAME = re.compile(r"step-(\d{10,})\.safetensors")

Array = npt.NDArray[Any]

_Number = float | Literal["nan", "inf", "-inf"]
_STEPS = ("costs", "weights")
"""Arrays of the steps of the epoch under way."""


class DamagedError(ValueError):
    """A checkpoint that cannot be one, whatever it belongs to."""


@dataclass(frozen=True)
class _Best:
    value: _Number
    epoch: int
    waited: int


@dataclass(frozen=True)
class _Plateau:
    scale: float
    best: _Number | None
    waited: int
    resting: int


@dataclass(frozen=True)
class _Written:
    """What `State.document` writes."""

    epoch: int
    step: int
    seconds: float
    history: Mapping[str, tuple[_Number, ...]]
    best: _Best
    plateau: _Plateau
    stopped: str | None
    monitors: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class _Document:
    checkpoint: int
    state: _Written
    fingerprint: Mapping[str, str]
    record_bytes: int
    format: int = 1  # of the file


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it was read: arrays by name, and the rest."""

    tensors: dict[str, Array]
    state: dict[str, Any]
    fingerprint: Mapping[str, str]
    record_bytes: int


def name_of(step: int) -> str:
    """The name of the checkpoint after so many steps."""
    return f"step-{step:010d}.safetensors"


def write(
    path: Path, state: State, fingerprint: Mapping[str, str], record_bytes: int
) -> None:
    """Write a state, atomically.

    Raises:
        WriteError: the file cannot be written.
    """
    document = {
        "checkpoint": FORMAT,
        "state": state.document(),
        "fingerprint": dict(fingerprint),
        "record_bytes": record_bytes,
    }
    write_model(path, state.tensors(), document)


def read(path: Path) -> Checkpoint:
    """A checkpoint that does not contradict itself.

    Raises:
        DamagedError: it does, or cannot be read; the text says why.
    """
    try:
        tensors, document = read_model(path)
    except ModelFileError as error:
        raise DamagedError(str(error)) from error
    faults = Faults(os.fspath(path))
    found = plain.read(_Document, document, faults.at())
    if not faults.lines:
        _check(cast(_Document, found), tensors, path, faults)
    if faults.lines:
        raise DamagedError(faults.lines[0])
    whole = cast(_Document, found)
    return Checkpoint(
        tensors, dict(document["state"]), whole.fingerprint, whole.record_bytes
    )


def _check(
    found: _Document, tensors: Mapping[str, Array], path: Path, faults: Faults
) -> None:
    """Collect what cannot be."""
    state, at = found.state, faults.at("state")
    named = NAME.fullmatch(path.name)
    plateau, best = state.plateau, state.best
    costs, weights = (tensors.get(name, np.empty(0)) for name in _STEPS)
    rules = {
        "format": found.checkpoint == FORMAT,
        "record_bytes": found.record_bytes >= 0,
        "step": state.step >= 0 and named is not None and int(named[1]) == state.step,
        "epoch": 0 <= state.epoch <= state.step,
        "seconds": state.seconds >= 0,
        "history": {len(s) for s in state.history.values()} <= {state.epoch},
        "best": -1 <= best.epoch < max(state.epoch, 0),
        "best.waited": 0 <= best.waited <= state.epoch,
        "plateau.scale": 0 <= plateau.scale <= 1,
        "plateau.waited": 0 <= plateau.waited <= state.epoch,
        "plateau.resting": plateau.resting >= 0,
        "costs": _are_steps(costs, state.step) and _are_steps(weights, state.step),
        "weights": costs.shape == weights.shape,
    }
    for name, holds in rules.items():
        if not holds:
            at.key(name).bad("contradicts the rest of the checkpoint")


def _are_steps(array: Array, most: int) -> bool:
    whole = array.dtype == np.float64 and array.ndim == 1 and len(array) <= most
    return whole and bool(np.isfinite(array).all())


def differences(checkpoint: Checkpoint, state: State) -> list[str]:
    """Arrays that a state of the run would have otherwise, in words.

    Outputs are of the epoch under way: where none is, other metrics want others.
    """
    tensors = checkpoint.tensors
    passing = _STEPS if "costs" in tensors else (*_STEPS, "output.")
    wanted = state.tensors()
    found: list[str] = []
    for name in sorted({*wanted, *tensors}):
        kept = _words(tensors.get(name), "missing")
        own = _words(wanted.get(name), "none")
        if kept != own and not name.startswith(passing):
            found.append(f"{short(name)} is {kept}; expected {own}")
    return found


def _words(array: Array | None, nothing: str) -> str:
    return nothing if array is None else f"{array.dtype} {array.shape}"
