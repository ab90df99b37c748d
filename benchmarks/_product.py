# SPDX-License-Identifier: BSD-3-Clause
"""The machine's best large float32 matrix product, over every library that is here.

Run as a script it measures one library: ``python _product.py numpy 2048 2`` prints
GFLOP/s.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _workers import bind, environment

LIBRARIES = ("numpy", "torch", "jax", "nervure")
SIZE = 2048
REPEATS = 12


def best_products(
    threads: int, libraries: tuple[str, ...] = LIBRARIES
) -> dict[str, Any]:
    """GFLOP/s of each library (best of `REPEATS`), or the error it ended with."""
    return {library: _measured(library, threads) for library in libraries}


def _measured(library: str, threads: int) -> float | str:
    words = [library, str(SIZE), str(threads)]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), *words],
        env=environment(threads, {}),
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return float(done.stdout.split()[-1])
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"died with code {done.returncode}"


def _product(library: str, a: Any, b: Any, threads: int) -> Callable[[], Any]:
    """The product as the library computes it, waited for."""
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
        left, right = torch.from_numpy(a), torch.from_numpy(b)
        return lambda: left @ right
    if library == "jax":
        import jax

        left, right = jax.device_put(a), jax.device_put(b)
        multiply = jax.jit(lambda x, y: x @ y)
        return lambda: multiply(left, right).block_until_ready()
    return lambda: a @ b


def gflops(library: str, size: int, threads: int) -> float:
    """The best of several products of two square matrices."""
    if library == "nervure":
        from nervure.base.engine import engine

        runs = [engine.gemm_gflops(size, threads) for _ in range(REPEATS)]
        return float(max(runs))
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, size, size), dtype=np.float32)
    product = _product(library, a, b, threads)
    product()
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        product()
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / min(seconds) / 1e9


if __name__ == "__main__":
    bind(int(sys.argv[3]))
    print(gflops(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
