# SPDX-License-Identifier: BSD-3-Clause
"""The child process of one peer: reads one JSON line per order, answers with one.

Started by `_workers.py`, which sets threads and environment before any import.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np
import peers
from _convnets import ConvNet
from _nets import Net
from _sequence_nets import SequenceNet
from _workers import bind

FORMS: dict[str, Any] = {"dense": Net, "images": ConvNet, "sequences": SequenceNet}


def serve(orders: IO[str], answers: IO[str]) -> None:
    """Build the peer from the first order, then obey until the pipe closes."""
    peer, answer = _build(json.loads(orders.readline()))
    _say(answers, answer)
    for line in orders:
        order = json.loads(line)
        _say(answers, {"train": _train, "check": _check}[order["do"]](peer, order))


def _build(order: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    bind(order["options"]["threads"])
    module = peers.module(order["peer"])
    net = FORMS[order["net"]["form"]].from_json(order["net"])
    data = np.load(order["data"])
    peer = module.Peer(net, data["X"], data["y"], order["options"])
    return peer, {"versions": module.versions()}


def _train(peer: Any, order: dict[str, Any]) -> dict[str, Any]:
    begin = time.perf_counter()
    loss = peer.train(order["epochs"])
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "loss": loss, "peak_kib": _peak_kib()}


def _peak_kib() -> int:
    """Peak resident memory; Linux's ru_maxrss would count the parent's too."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _check(peer: Any, order: dict[str, Any]) -> dict[str, Any]:
    """Export the weights, for the parent to compute the loss in its own way."""
    arrays = [array for pair in peer.weights() for array in pair]
    np.savez(order["file"], *arrays)
    return {"file": order["file"]}


def _say(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def main() -> None:
    # Libraries print to stdout: keep the pipe for the answers alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    try:
        serve(sys.stdin, answers)
    except Exception as error:
        _say(answers, {"error": f"{type(error).__name__}: {error}"})
        raise


if __name__ == "__main__":
    main()
