# SPDX-License-Identifier: BSD-3-Clause
"""A NAND gate is a perceptron: weights -2 and -2, bias 3.

Its weighted sum z = 3 - 2 x1 - 2 x2 is positive unless both bits are 1. Every circuit
can be made of NANDs, so every circuit is a network of perceptrons (half_adder.py,
full_adder.py).
"""

from __future__ import annotations

from itertools import product

import numpy as np

import nervure as nv

Wire = nv.layers.Symbol | nv.layers.Layer  # a place in a graph that gives one bit


def nand(a: Wire, b: Wire, name: str) -> Wire:
    """A perceptron fed by two bits, in a graph."""
    gate = nv.Dense(
        1,
        activation="heaviside",
        initializer=nv.initializers.Constant(-2.0),
        bias_initializer=nv.initializers.Constant(3.0),
        name=name,
    )
    return gate(nv.Concatenate()(a, b))


def bits(count: int) -> np.ndarray:
    """All rows of ``count`` bits."""
    return np.array(list(product([0, 1], repeat=count)), np.float32)


def columns(x: Wire, count: int) -> list[Wire]:
    """The single bits of an input."""
    return [nv.Slice(i, i + 1)(x) for i in range(count)]


def circuit() -> nv.Network:
    """Two bits in, their NAND out."""
    x = nv.Input(2)
    return nv.Network(inputs=x, outputs=nand(*columns(x, 2), name="nand"))


def main() -> None:
    net = circuit()
    table = net.trace(bits(2))
    print("x1 x2   z  NAND")
    for row, z, a in zip(bits(2), table["nand"].z, table["nand"].a, strict=True):
        print("{:2g} {:2g}".format(*row), f"{z[0]:3g} {a[0]:5g}")


if __name__ == "__main__":
    main()
