# SPDX-License-Identifier: BSD-3-Clause
"""A full adder of two half adders and an OR, and an adder of whole numbers of those.

    sum1, carry1 = half adder(x1, x2)
    sum,  carry2 = half adder(sum1, carry in)
    carry out    = carry1 or carry2,   with  a or b = nand(nand(a, a), nand(b, b))

Full adders in a row, each taking the carry of the one before it, add numbers of any
length: 4 bits are 52 perceptrons, 19 of them one behind the other.
"""

from __future__ import annotations

import numpy as np
from half_adder import half_adder
from nand import Wire, bits, columns, nand

import nervure as nv


def either(a: Wire, b: Wire, name: str) -> Wire:
    """OR of NANDs."""
    return nand(nand(a, a, f"{name}.not_a"), nand(b, b, f"{name}.not_b"), name)


def full_adder(x1: Wire, x2: Wire, carry: Wire, name: str) -> tuple[Wire, Wire]:
    """Sum and carry of three bits."""
    first, carry1 = half_adder(x1, x2, f"{name}.first")
    total, carry2 = half_adder(first, carry, f"{name}.second")
    return total, either(carry1, carry2, f"{name}.carry")


def circuit() -> nv.Network:
    """Two bits and a carry in; sum and carry out."""
    x = nv.Input(3)
    ends = full_adder(*columns(x, 3), name="full")
    return nv.Network(inputs=x, outputs=nv.Concatenate()(*ends))


def adder(length: int) -> nv.Network:
    """Two numbers in, their sum with one bit more out; highest bits first."""
    x = nv.Input(2 * length)
    wires = columns(x, 2 * length)
    carry: Wire = nv.Constant(0.0)
    result: list[Wire] = []
    for i in reversed(range(length)):
        one, carry = full_adder(wires[i], wires[length + i], carry, f"bit{i}")
        result = [one, *result]
    return nv.Network(inputs=x, outputs=nv.Concatenate()(carry, *result))


def values(rows: np.ndarray) -> np.ndarray:
    """The whole numbers that rows of bits stand for."""
    return rows @ 2 ** np.arange(rows.shape[1])[::-1]


def main() -> None:
    print("x1 x2 carry    sum carry")
    for row, found in zip(bits(3), circuit().forward(bits(3)), strict=True):
        print("{:2g} {:2g} {:5g}".format(*row), "{:6g} {:5g}".format(*found))
    rows, net = bits(8), adder(4)
    right = values(net.forward(rows)) == values(rows[:, :4]) + values(rows[:, 4:])
    print(f"\n4-bit adder: {right.sum()} of {len(rows)} sums are right")


if __name__ == "__main__":
    main()
