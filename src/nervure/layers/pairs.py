# SPDX-License-Identifier: BSD-3-Clause
"""Arithmetic of values of one shape: differences, quotients, extremes, comparisons.

Where shapes differ, `Broadcast` brings them to one first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nervure.base.words import unknown
from nervure.layers._layer import (
    Array,
    Attribute,
    Example,
    Layer,
    LayerError,
    Pass,
    Shape,
)
from nervure.layers.merge import same_shape


@dataclass(frozen=True)
class _Elementwise(Layer):
    """Element by element of inputs of one shape."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return same_shape(self, inputs)

    def flops(self, *inputs: Shape) -> int:
        return max(1, len(inputs) - 1) * math.prod(inputs[0])


@dataclass(frozen=True)
class _Pair(_Elementwise):
    """Of two inputs."""

    native: ClassVar[str] = "pair"
    arity: ClassVar[int | None] = 2

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((4,), (4,))), Example(cls(), ((2, 3), (2, 3))))

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"function": self.kind}


@dataclass(frozen=True)
class Subtract(_Pair):
    """Difference of two inputs: ``y = a - b``.

    Shape:
        inputs ``(batch, ...)``, both the same; output the same.

    Raises:
        LayerError: the shapes differ.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Subtract
    >>> Subtract().formula(np, {}, np.ones((1, 2)), np.eye(1, 2), info=INFERENCE)
    array([[0., 1.]])
    """

    kind: ClassVar[str] = "subtract"

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        a, b = inputs
        return a - b


@dataclass(frozen=True)
class Divide(_Pair):
    """Quotient of two inputs: ``y = a / b``.

    Shape:
        inputs ``(batch, ...)``, both the same; output the same.

    Raises:
        LayerError: the shapes differ.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Divide
    >>> Divide().formula(np, {}, np.ones((1, 2)), np.full((1, 2), 4), info=INFERENCE)
    array([[0.25, 0.25]])
    """

    kind: ClassVar[str] = "divide"

    @property
    def domain(self) -> tuple[float, float] | None:
        return (0, math.inf)

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        a, b = inputs
        return a / b


@dataclass(frozen=True)
class Power(_Pair):
    """One input to the power of another: ``y = a^b``.

    The derivative by b is taken as 0 where a is not positive.

    Shape:
        inputs ``(batch, ...)``, both the same; output the same.

    Raises:
        LayerError: the shapes differ.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Power
    >>> a, b = np.array([[2.0, 9.0]]), np.array([[3.0, 0.5]])
    >>> Power().formula(np, {}, a, b, info=INFERENCE)
    array([[8., 3.]])
    """

    kind: ClassVar[str] = "power"

    @property
    def domain(self) -> tuple[float, float] | None:
        return (0, math.inf)

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        a, b = inputs
        return a**b


COMPARISONS: dict[str, Callable[[Array, Array], Array]] = {
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
}


@dataclass(frozen=True)
class Compare(_Pair):
    """1 where two inputs compare as asked for, else 0.

    Shape:
        inputs ``(batch, ...)``, both the same; output the same.

    Args:
        function: "less", "less_equal", "greater", "greater_equal", "equal" or
            "not_equal".

    Raises:
        LayerError: an unknown function, or the shapes differ.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Compare
    >>> a, b = np.array([[2.0, 9.0]]), np.array([[3.0, 0.5]])
    >>> Compare("less").formula(np, {}, a, b, info=INFERENCE)
    array([[1., 0.]])
    """

    kind: ClassVar[str] = "compare"

    function: str

    def __post_init__(self) -> None:
        if self.function not in COMPARISONS:
            raise LayerError(unknown("compare", "function", self.function, COMPARISONS))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return tuple(Example(cls(name), ((4,), (4,))) for name in COMPARISONS)

    @property
    def untrainable(self) -> str | None:
        """Why nothing below it can learn."""
        return (
            "a comparison has derivative 0 wherever it exists, so that layers below it "
            "cannot learn; expected inputs that do not learn; compare data, or use a "
            "smooth function such as nv.Activation('logistic') of the difference"
        )

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"function": self.function}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        a, b = inputs
        return COMPARISONS[self.function](a, b).astype(a.dtype)


@dataclass(frozen=True)
class Where(_Elementwise):
    """One input where a condition holds, another elsewhere: ``y = a if s else b``.

    The condition is the first input; it holds where it is above 0.

    Shape:
        three inputs ``(batch, ...)``, all the same; output the same.

    Raises:
        LayerError: the shapes differ.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Where
    >>> s, a, b = np.array([[1.0, 0.0]]), np.array([[2.0, 3.0]]), np.array([[4.0, 5.0]])
    >>> Where().formula(np, {}, s, a, b, info=INFERENCE)
    array([[2., 5.]])
    """

    kind: ClassVar[str] = "where"
    arity: ClassVar[int | None] = 3

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example(cls(), ((4,),) * 3), Example(cls(), ((2, 3),) * 3))

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        s, a, b = inputs
        return xp.where(s > 0, a, b)


@dataclass(frozen=True)
class _Extreme(_Elementwise):
    """Of several inputs."""

    native: ClassVar[str] = "extreme"
    arity: ClassVar[int | None] = None
    least: ClassVar[bool] = False

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(cls(), ((4,), (4,))),
            Example(cls(), ((2, 3),) * 3),
            Example(cls(), ((5,),)),
        )

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"least": int(self.least)}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        def extreme(a: Array, b: Array) -> Array:
            kept = a <= b if self.least else a >= b
            return xp.where(kept | (a != a), a, b)

        return functools.reduce(extreme, inputs)


@dataclass(frozen=True)
class Maximum(_Extreme):
    """The largest of the inputs, element by element; of equal ones the first.

    Shape:
        inputs ``(batch, ...)``, all the same; output the same.

    Raises:
        LayerError: the shapes differ.

    Source: Goodfellow et al., *Maxout networks* (2013), section 2.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Maximum
    >>> Maximum().formula(np, {}, np.ones((1, 2)), np.eye(1, 2) * 3, info=INFERENCE)
    array([[3., 1.]])
    """

    kind: ClassVar[str] = "maximum"


@dataclass(frozen=True)
class Minimum(_Extreme):
    """The smallest of the inputs, element by element; of equal ones the first.

    Shape:
        inputs ``(batch, ...)``, all the same; output the same.

    Raises:
        LayerError: the shapes differ.

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Minimum
    >>> Minimum().formula(np, {}, np.ones((1, 2)), np.eye(1, 2) * 3, info=INFERENCE)
    array([[1., 0.]])
    """

    kind: ClassVar[str] = "minimum"
    least: ClassVar[bool] = True
