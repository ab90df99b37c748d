# SPDX-License-Identifier: BSD-3-Clause
"""Files of strangers, damaged at random: only the project's own errors pass.

    python tests/fuzz/fuzz.py                      every kind, 200 files each
    python tests/fuzz/fuzz.py model run --files 100000 --seed 7

A kind runs in a process of its own with bounded memory and time for each file. What
fails is kept in ``--keep``, with what was said: an error of another kind, a crash, a
file that takes too long. The same seed makes the same files.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from kinds import KINDS

from nervure.cli.app import TOLD

FILES, SECONDS = 200, 20
OWN = 0.8
"""Share of the files of a kind with ways of its own that are harmed by these."""

MEMORY = 6 << 30
"""Addresses that a process may have: much of it is what libraries map at the start."""

HUGE = (b"\xff\xff\xff\x7f", b"\xff" * 8, b"\x00" * 8, b"\x80\x00\x00\x00")


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A file with one to four wounds: bytes changed, cut out, repeated, made extreme."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not found:
            return b""
        at = rng.randrange(len(found))
        match rng.randrange(7):
            case 0:
                found[at] ^= 1 << rng.randrange(8)
            case 1:
                found[at] = rng.choice((0, 1, 127, 128, 255, 34, 44, 48, 57, 91, 123))
            case 2:
                del found[at:]
            case 3:
                del found[at : at + rng.randrange(1, 16)]
            case 4:
                end = at + rng.randrange(1, 64)
                found[at:at] = found[at:end] * rng.choice((1, 1, 2, 40))
            case 5:
                some = rng.choice(HUGE)
                found[at : at + len(some)] = some
            case _:  # a number written out in a text
                digits = rng.choice(
                    (b"-1", b"0", b"1e309", b"99999999999999999999", b"nan")
                )
                found[at : at + rng.randrange(3)] = digits
    return bytes(found)


def verdict(error: BaseException) -> str | None:
    """What is wrong with an error, if it is none that users should see."""
    if isinstance(error, MemoryError):
        return "MemoryError"
    if not isinstance(error, TOLD):
        return f"{type(error).__name__}: {error}"
    if not str(error).startswith("["):
        return f"{type(error).__name__} without a place: {error}"
    return None if len(str(error)) < 8_000 else f"{len(str(error)):,} characters"


def _late(*_: Any) -> None:
    raise TimeoutError("late")


def run(kind: str, files: int, seed: int, keep: Path | None) -> list[str]:
    """Go through mutated files of a kind in this process; what failed."""
    rng = random.Random(f"{kind} {seed}")
    failed: list[str] = []
    signal.signal(signal.SIGALRM, _late)
    with tempfile.TemporaryDirectory() as folder:
        seeds = sorted(KINDS[kind].seeds(Path(folder)).items())
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        for name, data in seeds:
            path = Path(folder) / name
            path.write_bytes(data)
            KINDS[kind].read(path)
        for i in range(files):
            name, sound = rng.choice(seeds)
            own = KINDS[kind].mutated if rng.random() < OWN else None
            data = (own or mutated)(sound, rng)
            path = Path(folder) / name
            path.write_bytes(data)
            if keep is not None:  # stays if the process dies
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{kind}-last-{name}").write_bytes(data)
            said = _read(kind, path)
            if said is not None:
                failed.append(f"{kind} {name} number {i}: {said}")
                if keep is not None:
                    (keep / f"{kind}-{i}-{name}").write_bytes(data)
    return failed


def _read(kind: str, path: Path) -> str | None:
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            KINDS[kind].read(path)
    except TimeoutError as error:
        return f"more than {SECONDS} s" if str(error) == "late" else verdict(error)
    except BaseException as error:
        found = verdict(error)
        return found and f"{found}\n{traceback.format_exc(limit=-3)}"
    finally:
        signal.alarm(0)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], default=[])
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--here", action="store_true", help="in this very process")
    given = parser.parse_args()
    kinds = given.kinds or [*KINDS]
    if given.here:
        failed = [f for k in kinds for f in run(k, given.files, given.seed, given.keep)]
        print(*failed, sep="\n\n", end="\n" if failed else "")
        return bool(failed)
    wrong = 0
    for kind in kinds:
        words = [sys.executable, __file__, kind, "--here"]
        words += ["--files", str(given.files), "--seed", str(given.seed)]
        words += ["--keep", str(given.keep)] if given.keep else []
        done = subprocess.run(words, capture_output=True, text=True)
        wrong += done.returncode != 0
        state = "sound" if done.returncode == 0 else f"exit code {done.returncode}"
        print(f"{kind}: {given.files:,} files, {state}", flush=True)
        if done.returncode:
            print(done.stdout, done.stderr[-2_000:], sep="\n")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
