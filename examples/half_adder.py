# SPDX-License-Identifier: BSD-3-Clause
"""A half adder of five NANDs, with connections within a layer.

              +---------+--> left --+
    x1, x2 -->|  both --+           +--> sum = x1 xor x2
              +---------+--> right -+
                 both ------------------> carry = x1 and x2

"both", "left" and "right" are one layer: all three are fed by the bits. But "both"
feeds "left" and "right" as well, which a list of layers cannot say and a graph can.
The carry is the NAND of "both" with itself.
"""

from __future__ import annotations

from nand import Wire, bits, columns, nand

import nervure as nv


def half_adder(x1: Wire, x2: Wire, name: str) -> tuple[Wire, Wire]:
    """Sum and carry of two bits."""
    both = nand(x1, x2, f"{name}.both")
    left = nand(x1, both, f"{name}.left")
    right = nand(x2, both, f"{name}.right")
    return nand(left, right, f"{name}.sum"), nand(both, both, f"{name}.carry")


def circuit() -> nv.Network:
    """Two bits in; sum and carry out."""
    x = nv.Input(2)
    ends = half_adder(*columns(x, 2), name="half")
    return nv.Network(inputs=x, outputs=nv.Concatenate(name="result")(*ends))


def main() -> None:
    table = circuit().trace(bits(2))
    gates = [name for name in table if name.startswith("half.")]
    print("x1 x2 ", *(f"{name.removeprefix('half.'):>6}" for name in gates))
    for i, (x1, x2) in enumerate(bits(2)):
        print(f"{x1:2g} {x2:2g} ", *(f"{table[name].a[i, 0]:6g}" for name in gates))


if __name__ == "__main__":
    main()
