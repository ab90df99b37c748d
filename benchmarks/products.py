# SPDX-License-Identifier: BSD-3-Clause
"""Matrix products of training, by the engine's own tiles and by OpenBLAS.

``python benchmarks/products.py --json products.json``

One thread, float32, operands in the caches. Figures quoted in engine/ come from here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import _machine
from _report import aligned
from _workers import bind, restart_without_steering


class Product(NamedTuple):
    """C (m, n) = op(A) op(B), and where it is met."""

    where: str
    m: int
    n: int
    k: int
    transpose_a: bool = False
    transpose_b: bool = False


def layer(where: str, rows: int, features: int, units: int) -> tuple[Product, ...]:
    """Forward pass, gradient of the weights, gradient of the input."""
    return (
        Product(f"{where}, forward", rows, units, features),
        Product(f"{where}, weights", features, units, rows, transpose_a=True),
        Product(f"{where}, input", rows, features, units, transpose_b=True),
    )


PRODUCTS = (
    *layer("784-30, batch 10", 10, 784, 30),
    *layer("784-100, batch 200", 200, 784, 100),
    *layer("100-10, batch 200", 200, 100, 10),
    *layer("512-512, batch 128", 128, 512, 512),
    Product("quarter of 784-512, batch 128", 128, 128, 784),
    Product("large", 2048, 2048, 2048),
)


def measure() -> list[dict[str, Any]]:
    """Microseconds of every product, both ways."""
    from nervure.base.engine import engine

    def microseconds(product: Product, own: bool) -> float:
        return 1e6 * engine.gemm_seconds(*product[1:], own)

    return [
        product._asdict()
        | {"own": microseconds(product, True), "openblas": microseconds(product, False)}
        for product in PRODUCTS
    ]


def table(results: list[dict[str, Any]]) -> list[list[str]]:
    """One line per product."""
    head = ["product", "m x n x k", "own µs", "OpenBLAS µs", "own GFLOP/s", "ratio"]
    return [head, *map(_line, results)]


def _line(one: dict[str, Any]) -> list[str]:
    m, n, k = one["m"], one["n"], one["k"]
    rate = 2e-3 * m * n * k / one["own"]
    ratio = one["openblas"] / one["own"]
    times = [f"{one['own']:.1f}", f"{one['openblas']:.1f}"]
    return [one["where"], f"{m} x {n} x {k}", *times, f"{rate:.0f}", f"{ratio:.2f}x"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write every number")
    settings = parser.parse_args()
    restart_without_steering()
    bind(1)
    print(_machine.busy(_machine.describe(1)) or "the machine is calm")
    results = measure()
    print(aligned(table(results)))
    if settings.json:
        settings.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
