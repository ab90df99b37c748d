# SPDX-License-Identifier: BSD-3-Clause
"""Whole processes: their wall time, their memory, and what `import nervure` costs.

``python benchmarks/whole_process.py --rounds 5 --json process.json``
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _data
import _machine
import _report
import numpy as np
import peers
from _workers import bind, environment

SCRIPTS = Path(__file__).resolve().parent / "scripts"
IMPORT_GOAL = 50  # ms more than NumPy's
MEMORY_GOAL = 150  # MB more than the data

# The net that every contestant trains on the digits, for the comparison like for like.
EPOCHS, BATCH_SIZE, UNITS = 20, 32, (64,)
HIDDEN = "".join(
    f'[[layer]]\ntype = "dense"\nunits = {units}\nactivation = "relu"\n'
    for units in UNITS
)
SPEC = f"""\
[data]
source = "digits"
validation = 0.1
[[layer]]
type = "flatten"

{HIDDEN}[[layer]]
type = "dense"
units = 10
activation = "softmax"
[training]
loss = "cross_entropy"
optimizer = {{type = "adam", learning_rate = 0.001}}
batch_size = {BATCH_SIZE}
epochs = {EPOCHS}
"""


@dataclass(frozen=True)
class Ended:
    """A process that has ended: wall seconds, peak MB, what it printed."""

    seconds: float
    peak: float
    output: str
    code: int


def watch(command: list[str], threads: int, folder: str) -> Ended:
    """Run a command to its end; wall time from before the start, peak by wait4."""
    with open(Path(folder) / "output.txt", "w+") as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(threads, {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        unit = 1 if sys.platform == "darwin" else 1024  # bytes, KiB
        peak = used.ru_maxrss * unit / 1e6
        return Ended(seconds, peak, output.read(), process.returncode)


def nervure_command() -> list[str]:
    """The installed command of this very interpreter, else the module."""
    beside = shutil.which("nervure", path=str(Path(sys.executable).parent))
    return [beside] if beside else [sys.executable, "-m", "nervure"]


# -- digits ------------------------------------------------------------------------


def digits_commands() -> dict[str, list[str]]:
    """``nervure train digits`` as it is, and three ways to train the same net."""
    words = [str(n) for n in (EPOCHS, BATCH_SIZE, *UNITS)]
    train = [*nervure_command(), "train", "digits"]
    return {
        "nervure train digits": [*train, "--out", "run"],
        "nervure, same net": [*train, "--spec", "net.toml", "--out", "run"],
        "PyTorch, same net": [sys.executable, str(SCRIPTS / "digits_torch.py"), *words],
        "scikit-learn, same net": [
            sys.executable, str(SCRIPTS / "digits_sklearn.py"), *words
        ],
    }  # fmt: skip


def digits(rounds: int, threads: int) -> dict[str, Any]:
    """Wall time and peak memory of every command, in alternating rounds."""
    ended: dict[str, list[Ended]] = {name: [] for name in digits_commands()}
    chosen: dict[str, Any] = {}
    for number in range(rounds + 1):  # the first round fills the file cache
        for name, command in digits_commands().items():
            with tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "net.toml").write_text(SPEC)
                run = watch(command, threads, folder)
                if name == "nervure train digits":
                    chosen = _default_spec(Path(folder))
            if number:
                ended[name].append(run)
    results = {name: _digits_result(runs) for name, runs in ended.items()}
    results["nervure train digits"]["training"] = chosen
    return results


def _default_spec(folder: Path) -> dict[str, Any]:
    """Epochs and batch size that the default run chose, to read its time by."""
    file = folder / "run" / "spec.toml"
    if not file.exists():
        return {}
    training = tomllib.loads(file.read_text()).get("training", {})
    return {key: training.get(key) for key in ("epochs", "batch_size")}


def _digits_result(runs: list[Ended]) -> dict[str, Any]:
    failed = [run for run in runs if run.code]
    if failed:
        return {"error": _last_line(failed[0].output)}
    return {
        "seconds": [run.seconds for run in runs],
        "median": statistics.median(run.seconds for run in runs),
        "peak MB": max(run.peak for run in runs),
        "output": runs[-1].output[-2000:],
    }


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:120] if lines else "no output"


# -- import ------------------------------------------------------------------------


def imports(rounds: int, threads: int) -> dict[str, Any]:
    """Milliseconds of `import`, by ``-X importtime``: medians of alternating rounds."""
    times: dict[str, list[float]] = {"numpy": [], "nervure": []}
    for number in range(3 * rounds + 1):
        for name, found in times.items():
            try:
                milliseconds = _import_time(name, threads)
            except RuntimeError as error:
                return {"error": f"import {name}: {error}"}
            if number:
                found.append(milliseconds)
    medians = {name: statistics.median(found) for name, found in times.items()}
    return {**medians, "all": times, "more": medians["nervure"] - medians["numpy"]}


def _import_time(name: str, threads: int) -> float:
    """Cumulative time of everything imported on behalf of ``name``."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {name}"]
    with tempfile.TemporaryDirectory() as folder:
        run = watch(command, threads, folder)
    if run.code:
        raise RuntimeError(_last_line(run.output))
    rows = [line.split("|") for line in run.output.splitlines() if line.count("|") == 2]
    return next(float(row[1]) / 1000 for row in rows if row[2].strip() == name)


# -- memory ------------------------------------------------------------------------


def memory(names: list[str], threads: int, data: Path | None) -> dict[str, Any]:
    """Peak memory of training on 60,000 float32 rows, less the data's own size."""
    rows = _data.load(data)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        np.savez(file, X=rows.X, y=rows.y)
        del rows
        for name in names:
            script = str(SCRIPTS / "memory_of_training.py")
            run = watch([sys.executable, script, name, str(file)], threads, folder)
            if run.code:
                results[name] = {"error": _last_line(run.output)}
                continue
            found = json.loads(run.output.strip().splitlines()[-1])
            results[name] = {**found, "more": found["peak"] - found["data"]}
    return results


# -- report ------------------------------------------------------------------------


def tables(result: dict[str, Any]) -> dict[str, list[list[str]]]:
    """What the report shows, of the parts that were measured."""
    makers = {
        "digits": ("Whole process on the digits", _digits_table),
        "imports": ("Import", _import_table),
        "memory": ("Memory, training on 60,000 rows of MNIST", _memory_table),
    }
    found = {part: result[part] for part in makers if part in result}
    return {makers[part][0]: makers[part][1](rows) for part, rows in found.items()}


def _digits_table(result: dict[str, Any]) -> list[list[str]]:
    rows = [["command", "seconds", "peak MB"]]
    for name, found in result.items():
        if "error" in found:
            rows.append([name, "failed", found["error"]])
        else:
            rows.append([name, f"{found['median']:.2f}", f"{found['peak MB']:.0f}"])
    return rows


def _import_table(result: dict[str, Any]) -> list[list[str]]:
    if "error" in result:
        return [["import", "ms"], ["failed", result["error"]]]
    return [
        ["import", "ms"],
        ["numpy", f"{result['numpy']:.0f}"],
        ["nervure", f"{result['nervure']:.0f}"],
        ["difference", f"{result['more']:.0f} (goal {IMPORT_GOAL})"],
    ]


def _memory_table(result: dict[str, Any]) -> list[list[str]]:
    rows = [["library", "data MB", "peak MB", "peak less data"]]
    for name, found in result.items():
        if "error" in found:
            rows.append([peers.TITLES[name], "failed", "", found["error"]])
            continue
        goal = f" (goal {MEMORY_GOAL})" if name == "nervure" else ""
        sizes = [f"{found[key]:.0f}" for key in ("data", "peak", "more")]
        rows.append([peers.TITLES[name], *sizes[:2], sizes[2] + goal])
    return rows


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", default="digits,imports,memory")
    parser.add_argument("--peers", default="nervure,torch,jax,sklearn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, help="folder with the four IDX files")
    parser.add_argument("--json", type=Path, help="where to write every number")
    return parser.parse_args()


def main() -> None:
    settings = arguments()
    bind(settings.threads)
    machine = _machine.describe(settings.threads)
    print(_machine.busy(machine) or "the machine is calm", flush=True)
    threads, chosen = settings.threads, settings.peers.split(",")
    measures = {
        "digits": lambda: digits(settings.rounds, threads),
        "imports": lambda: imports(settings.rounds, threads),
        "memory": lambda: memory(chosen, threads, settings.data),
    }
    parts = {part: measures[part]() for part in settings.parts.split(",")}
    result = {"benchmark": "whole_process", "machine": machine, **parts}
    result["tables"] = tables(result)
    _report.conclude(result, settings.json)


if __name__ == "__main__":
    main()
