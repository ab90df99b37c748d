# SPDX-License-Identifier: BSD-3-Clause
"""Operations of Keras between layers, such as ``x * 2``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nervure.base.words import short
from nervure.exchange._held import NotCoveredError
from nervure.exchange._keras_layers import affine
from nervure.exchange._keras_reader import Place, Value, alike
from nervure.layers import (
    Activation,
    Add,
    Divide,
    Layer,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
)

MODULES = ("keras.src.ops.", "keras.ops.")

PAIRS: dict[str, Layer] = {
    "Add": Add(),
    "Divide": Divide(),
    "Maximum": Maximum(),
    "Minimum": Minimum(),
    "Multiply": Multiply(),
    "Subtract": Subtract(),
    "TrueDivide": Divide(),
}

_LINES: dict[str, Callable[[float], tuple[float, float]]] = {
    "Add": lambda c: (1.0, c),
    "Divide": lambda c: (1 / c, 0.0),
    "Multiply": lambda c: (c, 0.0),
    "Subtract": lambda c: (1.0, -c),
    "TrueDivide": lambda c: (1 / c, 0.0),
}
"""Of a number behind a value: what it is multiplied by, and what is added."""

FUNCTIONS = {
    "Absolute": "abs",
    "Exp": "exp",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "Log": "log",
    "Negative": "negative",
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "logistic",
    "Silu": "silu",
    "Softplus": "softplus",
    "Sqrt": "sqrt",
    "Square": "square",
    "Tanh": "tanh",
}


def operation(at: Place, arguments: Sequence[Any]) -> Value:
    """An operation on values and numbers."""
    if at.kind in FUNCTIONS and len(arguments) == 1:
        return at.put(Activation(FUNCTIONS[at.kind]))
    if at.kind not in PAIRS or len(arguments) != 2:
        raise NotCoveredError("no layer stands for this operation")
    if len(at.inputs) == 2:
        return at.put(PAIRS[at.kind], *alike(at, at.inputs))
    return _with_number(at, arguments)


def _with_number(at: Place, arguments: Sequence[Any]) -> Value:
    numbers = [n for n in arguments if type(n) in (int, float)]
    if len(numbers) != 1 or at.kind not in _LINES:
        raise NotCoveredError(f"of {short(arguments)}")
    number, first = float(numbers[0]), type(arguments[0]) in (int, float)
    if first and at.kind == "Subtract":
        return affine(at, at.x, np.array(-1.0), np.array(number))
    if first and at.kind in ("Divide", "TrueDivide"):
        turned = at.put(Activation("reciprocal"))
        return affine(at, turned, np.array(number), np.array(0.0))
    if not number and at.kind in ("Divide", "TrueDivide"):
        raise NotCoveredError("a division by 0")
    scale, offset = _LINES[at.kind](number)
    return affine(at, at.x, np.array(scale), np.array(offset))
