# SPDX-License-Identifier: BSD-3-Clause
"""Peers in processes of their own, one at work at a time.

An idle worker is stopped by SIGSTOP: its threads can neither spin nor wake, whatever
its OpenMP or XLA does between epochs, and no library has to run with a setting (such as
a passive wait policy) that would slow it down while it works.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from _convnets import ConvNet
from _nets import Net
from _sequence_nets import SequenceNet
from peers import Variant

HERE = Path(__file__).resolve().parent
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NERVURE_THREADS",
)
# What the caller's shell may hold to steer these libraries. Dropped for everybody: a
# pinned OPENBLAS_CORETYPE=Haswell, for one, halves OpenBLAS on an AVX-512 processor.
STEERING = (
    "OPENBLAS_", "GOTO_", "MKL_", "OMP_", "GOMP_", "KMP_", "DNNL_", "ONEDNN_",
    "XLA_", "JAX_", "KERAS_", "TORCH_", "ATEN_",
)  # fmt: skip


STARTED_WITH = dict(os.environ)  # scikit-learn, for one, adds to it when imported


class WorkerError(RuntimeError):
    """A peer that is missing or failed; the text is its last error."""


def cores(count: int) -> list[int]:
    """The first ``count`` cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))[:count]
    return list(range(min(count, os.cpu_count() or 1)))


def environment(threads: int, extra: dict[str, str]) -> dict[str, str]:
    """The parent's without what steers libraries; all held to ``threads`` threads."""
    kept = {k: v for k, v in os.environ.items() if k not in steering()}
    limits = dict.fromkeys(THREAD_VARIABLES, str(threads))
    quiet = {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**kept, **limits, **quiet, **extra}


def steering() -> dict[str, str]:
    """The caller's settings of mathematical libraries, which no worker gets to see."""
    return {k: v for k, v in STARTED_WITH.items() if k.startswith(STEERING)}


def restart_without_steering() -> None:
    """Begin this program anew without what steers libraries; they read it at import."""
    if steering():
        kept = {k: v for k, v in STARTED_WITH.items() if k not in steering()}
        os.execve(sys.executable, [sys.executable, *sys.argv], kept)


def bind(count: int) -> None:
    """Bind the calling process to the first cores, for libraries that count them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores(count))


class Worker:
    """One peer, built on one net and one data file, waiting for orders."""

    def __init__(
        self,
        peer: str,
        net: Net | ConvNet | SequenceNet,
        data: Path,
        variant: Variant,
        threads: int,
    ) -> None:
        threads = min(variant.threads or threads, threads)
        self._log = open(data.parent / f"{peer}.log", "w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=environment(threads, variant.environment),
        )
        # A stopped child outlives a parent that fails: end it in any case.
        atexit.register(self.close)
        order = {
            "peer": peer,
            "net": net.to_json(),
            "data": str(data),
            "options": {**variant.options, "threads": threads},
        }
        self.versions: dict[str, str] = self.ask(order)["versions"]

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Wake the worker, hand it one order, stop it again when it has answered."""
        self._signal("SIGCONT")
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died: what it said last is read below
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            self.close()
            raise WorkerError(answer["error"])
        self._signal("SIGSTOP")
        return answer

    def train(self, epochs: int) -> dict[str, Any]:
        """Seconds per epoch, and the loss that the peer itself reports."""
        answer = self.ask({"do": "train", "epochs": epochs})
        return {**answer, "seconds": answer["seconds"] / epochs}

    def close(self) -> None:
        self._signal("SIGKILL")
        self._process.wait()
        self._log.close()
        atexit.unregister(self.close)

    def _signal(self, name: str) -> None:
        if hasattr(signal, name) and self._process.poll() is None:
            self._process.send_signal(getattr(signal, name))

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return lines[-1] if lines else f"died with code {self._process.returncode}"
