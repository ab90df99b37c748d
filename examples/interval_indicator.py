# SPDX-License-Identifier: BSD-3-Clause
"""The indicator of [1, 2] from two perceptrons, and from two logistic nodes.

A perceptron fires (1) where its weighted sum z = wx + b is positive, else it gives 0:

    left fires below 1:  z = 1 - x       right fires above 2:  z = x - 2
    indicator = 1 - left - right

A perceptron cannot be trained, a logistic node can. With w and b times a steepness s it
comes close: each jump costs 2 ln(2) / s of area, and away from the jumps the error
falls exponentially.
"""

from __future__ import annotations

import numpy as np

import nervure as nv

BEGIN, END = 1.0, 2.0
DISTANCE = 0.1  # "away from the jumps": at least this far
STEEPNESSES = (10, 20, 40, 80, 160)


def indicator(activation: str = "heaviside", steepness: float = 1.0) -> nv.Network:
    """One input, two nodes that fire outside [1, 2], and 1 less their sum."""
    edges = nv.Dense(2, activation=activation, name="outside")
    layers = [nv.Input(1), edges, nv.Dense(1, name="inside")]
    net = nv.Network(layers, dtype="float64")
    net.parameters["outside.weight"] = steepness * np.array([[-1.0, 1.0]])
    net.parameters["outside.bias"] = steepness * np.array([BEGIN, -END])
    net.parameters["inside.weight"] = [[-1.0], [-1.0]]
    net.parameters["inside.bias"] = [1.0]
    return net


def errors(steepness: float, cells: int = 30_000) -> tuple[float, float]:
    """Area between indicator and approximation over [0, 3], and the largest error
    away from the jumps; by the midpoints of equal cells."""
    x = (np.arange(cells) + 0.5).reshape(-1, 1) * 3 / cells
    exact, smooth = indicator(), indicator("logistic", steepness)
    error = np.abs(smooth.forward(x) - exact.forward(x))
    jumps = np.abs(x - [BEGIN, END]).min(axis=1)
    return float(error.mean() * 3), float(error[jumps >= DISTANCE].max())


def main() -> None:
    x = np.array([[0.0], [0.99], [1.0], [1.5], [2.0], [2.01], [3.0]])
    print("two perceptrons")
    print("        x ", *(f"{value:6g}" for value in x[:, 0]))
    print("indicator ", *(f"{value:6g}" for value in indicator().forward(x)[:, 0]))
    print(f"\ntwo logistic nodes; 4 ln 2 = {4 * np.log(2):.4f}")
    print(f"steepness  area of error  area x steepness  worst {DISTANCE} from a jump")
    for steepness in STEEPNESSES:
        area, worst = errors(steepness)
        print(f"{steepness:9}{area:15.5f}{area * steepness:18.4f}{worst:15.1e}")


if __name__ == "__main__":
    main()
