# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C in the midst of a step or of the validation: cut there, and the state whole."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import nervure as nv

CALLS: list[str] = []
"""Directions in which the layer of these tests was called."""


def nothing(word: str) -> None:
    pass


ACT: list[Callable[[str], None]] = [nothing]
"""What is done in a call."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a process")


@dataclass(frozen=True)
class Slow(nv.layers.Formula):
    """Passes its input on; `ACT` is told of each call, by direction."""

    kind: ClassVar[str] = "slow"

    def output_shape(self, *inputs: Any) -> Any:
        return inputs[0]

    def formula(self, xp: Any, parameters: Any, *inputs: Any, info: Any) -> Any:
        self._called("forward" if info.training else "inference")
        return inputs[0] * 1

    def backward(
        self, parameters: Any, inputs: Any, output: Any, delta: Any, info: Any
    ) -> Any:
        self._called("backward")
        return [delta], {}

    def _called(self, word: str) -> None:
        CALLS.append(word)
        ACT[0](word)


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    CALLS.clear()
    yield
    ACT[0] = nothing


def press_at(word: str, call: int) -> Callable[[str], None]:
    """Ctrl-C in that call, which then takes longer than the engine waits to ask."""

    def act(now: str) -> None:
        if now == word and CALLS.count(word) == call:
            os.kill(os.getpid(), signal.SIGINT)
            end = time.monotonic() + 0.08
            while time.monotonic() < end:
                pass

    return act


def network() -> nv.Network:
    layers = [nv.Dense(8), nv.BatchNorm(), nv.Activation("tanh"), Slow()]
    last = [nv.Dense(5, activation="relu"), nv.Dense(1)]
    return nv.Network([nv.Input(3), *layers, *last], seed=3)


RNG = np.random.default_rng(7)
X = RNG.normal(size=(40, 3)).astype(np.float32)
Y = X[:, :1] * X[:, 1:2]
MORE = RNG.normal(size=(8_000, 3)).astype(np.float32)
HELD_OUT = MORE, MORE[:, :1] * MORE[:, 1:2]


def fit(act: Callable[[str], None], folder: Path | None, **given: Any) -> nv.Run:
    ACT[0] = act
    given = {"optimizer": nv.Adam(0.01), "epochs": 4, "batch_size": 40} | given
    rows = {"X": X, "y": Y, "directory": folder, "telemetry": False}
    return nv.fit(network(), progress=False, **rows, **given)


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_a_step_is_cut_and_has_not_been_taken(where: str, tmp_path: Path) -> None:
    """Neither weights nor running statistics have moved; the run goes on as if never."""
    run = fit(press_at(where, 1), tmp_path / "cut")
    assert (run.stopped, run.epoch, run.step) == ("interrupted", 0, 0)
    assert run.network.values.tobytes() == network().values.tobytes()
    assert CALLS.count("backward") == (where == "backward")
    again = fit(nothing, tmp_path / "cut", resume=True)
    whole = fit(nothing, tmp_path / "whole")
    assert again.network.values.tobytes() == whole.network.values.tobytes()
    assert again.history["loss"] == whole.history["loss"]


def test_validation_is_cut_and_made_up_for(tmp_path: Path) -> None:
    """In its first pass of many: the epoch ends when the run goes on."""
    given = {"validation": HELD_OUT, "epochs": 3}
    run = fit(press_at("inference", 1), tmp_path / "cut", **given)
    assert (run.stopped, run.epoch, run.step) == ("interrupted", 0, 1)
    assert CALLS.count("inference") == 1
    again = fit(nothing, tmp_path / "cut", resume=True, **given)
    whole = fit(nothing, tmp_path / "whole", **given)
    assert again.network.values.tobytes() == whole.network.values.tobytes()
    for name in ("loss", "validation_loss"):
        assert again.history[name] == whole.history[name]


def test_lbfgs_keeps_the_point_it_had_reached(tmp_path: Path) -> None:
    """Not one on the way, where its search was cut."""
    short = fit(nothing, None, optimizer=nv.LBFGS(), epochs=2)
    passes = CALLS.count("forward")
    CALLS.clear()
    act = press_at("forward", passes + 1)
    run = fit(act, tmp_path / "cut", optimizer=nv.LBFGS(), epochs=5)
    assert (run.stopped, run.epoch) == ("interrupted", 2)
    learning = [name for name in run.network.parameters if "moving" not in name]
    for name in learning:
        found, expected = run.network.parameters[name], short.network.parameters[name]
        assert found.tobytes() == expected.tobytes(), name


def test_a_member_of_an_ensemble_in_another_thread_is_cut() -> None:
    """The signal is told to the main thread alone."""

    def act(word: str) -> None:
        if word == "inference" and CALLS.count("inference") == 1:
            os.kill(os.getpid(), signal.SIGINT)
            noted: Any = signal.getsignal(signal.SIGINT)
            while not noted.__self__.requested:  # until the main thread has heard
                time.sleep(0)

    ACT[0] = act
    given = {"validation": HELD_OUT, "epochs": 3, "batch_size": 40, "jobs": 1}
    run = nv.Ensemble.of(network(), 2).fit(X, Y, progress=False, **given)
    assert run.stopped == "interrupted"
    assert CALLS.count("inference") == 1
