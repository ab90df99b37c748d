# SPDX-License-Identifier: BSD-3-Clause
"""Reading tables beside pandas: processor seconds and peak memory, wide and long.

``python benchmarks/tables.py --rounds 3 --json tables.json``; ``--small`` for a look.

Each reading is a process of its own; those of nervure and pandas alternate, and the
medians of their processor time (of all threads, without the import) are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _machine
import _report
import numpy as np


@dataclass(frozen=True)
class Form:
    """Rows and columns of a file, and how many times pandas' time reading may take."""

    rows: int
    columns: int
    goal: float

    @property
    def name(self) -> str:
        return f"{self.rows:,} x {self.columns:,}"


FORMS = (
    Form(2_000_000, 30, 1.5),
    Form(20_000, 1_000, 3.0),
    Form(1_000, 5_000, 3.0),
    Form(1_000, 10_000, 3.0),
    Form(1_000, 20_000, 3.0),
)
SMALL = (Form(20_000, 30, 1.5), Form(200, 2_000, 3.0))

# What each contestant does with a file, after it is imported; then what it took.
_TOOK = """
used = resource.getrusage(resource.RUSAGE_SELF)
peak = used.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)
print(used.ru_utime + used.ru_stime - begun, peak)
"""
_BEGIN = """
import resource, sys
from pathlib import Path
{imports}
used = resource.getrusage(resource.RUSAGE_SELF)
begun = used.ru_utime + used.ru_stime
"""
CONTESTANTS = {
    "pandas": ("import pandas", "table = pandas.read_csv(sys.argv[1])"),
    "nervure, read": (
        "import duckdb\nfrom nervure.data.tables import read_table",
        "table = read_table(Path(sys.argv[1]))",
    ),
    "nervure, load": (
        "import duckdb\nfrom nervure.data.sources import load",
        'table = load(sys.argv[1], task="regression")',
    ),
}


def write(form: Form, path: Path) -> Path:
    """A CSV file of random numbers with four decimals, written a part at a time."""
    rng = np.random.default_rng(form.columns)
    step = max(1, 2_000_000 // form.columns)
    with open(path, "w", encoding="ascii") as file:
        file.write(",".join(f"x{i}" for i in range(form.columns)) + "\n")
        for start in range(0, form.rows, step):
            values = rng.random((min(step, form.rows - start), form.columns)) * 100
            np.savetxt(file, values, "%.4f", delimiter=",")
    return path


def took(name: str, path: Path) -> tuple[float, float]:
    """Processor seconds and peak gigabytes of a reading."""
    imports, work = CONTESTANTS[name]
    program = _BEGIN.format(imports=imports) + work + _TOOK
    command = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def measured(form: Form, rounds: int) -> dict[str, Any]:
    """Medians of all contestants over alternating rounds."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        path = write(form, Path(folder, "table.csv"))
        for _ in range(rounds):
            for name, times in found.items():
                times.append(took(name, path))
    return {
        name: {
            "seconds": statistics.median(seconds for seconds, _ in times),
            "peak_gigabytes": max(peak for _, peak in times),
        }
        for name, times in found.items()
    }


def rows_of(results: dict[str, Any], forms: tuple[Form, ...]) -> list[list[str]]:
    """A table of what was measured, header first."""
    lines = [["rows x columns", *CONTESTANTS, "read / pandas", "goal", "peak GB"]]
    for form in forms:
        one = results[form.name]
        ratio = one["nervure, read"]["seconds"] / one["pandas"]["seconds"]
        times = [f"{one[name]['seconds']:.2f} s" for name in CONTESTANTS]
        peaks = " / ".join(f"{one[name]['peak_gigabytes']:.2f}" for name in CONTESTANTS)
        lines.append([form.name, *times, f"{ratio:.2f}", f"{form.goal:g}", peaks])
    return lines


def main() -> None:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="small files, for a look")
    parser.add_argument("--json", type=Path, help="write what was measured")
    asked = parser.parse_args()
    forms = SMALL if asked.small else FORMS
    machine = _machine.describe(1)
    results = {form.name: measured(form, asked.rounds) for form in forms}
    print(_report.aligned(rows_of(results, forms)))
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine, "tables": results}))


if __name__ == "__main__":
    main()
