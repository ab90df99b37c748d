# SPDX-License-Identifier: BSD-3-Clause
"""The inverse of the normal distribution function, in double, of plain operators.

Source: Wichura, *Algorithm AS 241: The percentage points of the normal distribution*,
Applied Statistics 37 (1988), PPND16: a relative error of about 1e-16. Of its three
ranges the outermost, beyond probabilities of exp(-25), is left out: ranks are cut at
1e-7 before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nervure.exchange._writer import Writer

TAIL = 1e-7
"""Probabilities nearer to 0 and 1 are cut off, as `nervure.data.scaling` does."""

_MIDDLE = 0.425
_CENTRE = (
    (
        3.3871328727963666080,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_FLANK = (
    (
        1.42343711074968357734,
        4.63033784615654529590,
        5.76949722146069140550,
        3.64784832476320460504,
        1.27045825245236838258,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187,
        1.67638483018380384940,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)


class _Doubles:
    """Operators on doubles, with constants beside them."""

    def __init__(self, writer: Writer, name: str) -> None:
        self._writer, self._name = writer, name

    def number(self, value: float) -> str:
        return self._writer.constant(value, f"{self._name}.number", np.float64)

    def __call__(self, operator: str, *inputs: str | float) -> str:
        names = [x if isinstance(x, str) else self.number(x) for x in inputs]
        return self._writer.node(operator, names, f"{self._name}.{operator.lower()}")

    def polynomial(self, x: str, coefficients: Sequence[float]) -> str:
        """By Horner's rule; the constant term comes first."""
        *lower, total = coefficients
        found = self("Mul", x, total)
        for coefficient in reversed(lower[1:]):
            found = self("Mul", self("Add", found, coefficient), x)
        return self("Add", found, lower[0])

    def ratio(self, x: str, parts: Sequence[Sequence[float]]) -> str:
        above, below = (self.polynomial(x, part) for part in parts)
        return self("Div", above, below)


def normal_score(writer: Writer, rank: str, name: str) -> str:
    """The normal scores of ranks in [0, 1], doubles."""
    of = _Doubles(writer, name)
    p = of("Clip", rank, TAIL, 1 - TAIL)
    q = of("Sub", p, 0.5)
    centre = of("Sub", _MIDDLE**2, of("Mul", q, q))
    inner = of("Mul", q, of.ratio(centre, _CENTRE))
    tail = of("Min", p, of("Sub", 1.0, p))
    flank = of("Sub", of("Sqrt", of("Neg", of("Log", tail))), 1.6)
    outer = of("Mul", of("Sign", q), of.ratio(flank, _FLANK))
    middle = of("LessOrEqual", of("Abs", q), _MIDDLE)
    return of("Where", middle, inner, outer)
