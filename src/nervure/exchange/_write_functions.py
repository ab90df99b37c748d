# SPDX-License-Identifier: BSD-3-Clause
"""Functions of single elements as ONNX operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nervure.exchange._site import Site
from nervure.exchange._writer import Value
from nervure.layers.activation import SELU_ALPHA, SELU_SCALE

Write = Callable[[Site, str], str]


def activation(at: Site, x: Value) -> Value:
    return at.like(x, _ACTIVATIONS[at.layer.function](at, x.name))


def _plain(operator: str, **attributes: Any) -> Write:
    def write(at: Site, x: str) -> str:
        return at.last(operator, [x], **attributes)

    return write


def _linear(at: Site, x: str) -> str:
    return x


def _heaviside(at: Site, x: str) -> str:
    above = at.step("Greater", [x, at.number(0.0, "zero")], "above")
    return at.writer.cast(above, at.writer.dtype, at.node.name)


def _gaussian_cdf(at: Site, x: str, last: Any = None) -> str:
    scaled = at.step("Mul", [x, at.number(math.sqrt(0.5), "root")], "scaled")
    shifted = at.step("Add", [at.step("Erf", [scaled]), at.number(1.0, "one")])
    return (last or at.last)("Mul", [shifted, at.number(0.5, "half")])


def _scaled_tanh(at: Site, x: str) -> str:
    inner = at.step("Mul", [x, at.number(2 / 3, "inner")], "scaled")
    return at.last("Mul", [at.step("Tanh", [inner]), at.number(1.7159, "outer")])


def _leaky_relu(at: Site, x: str) -> str:
    return at.last("LeakyRelu", [x], alpha=_alpha(at))


def _elu(at: Site, x: str) -> str:
    return at.last("Elu", [x], alpha=_alpha(at))


def _alpha(at: Site) -> float:
    return float(at.layer.attributes(())["alpha"])


def _gelu(at: Site, x: str) -> str:
    if at.writer.opset >= 20:
        return at.last("Gelu", [x])
    return at.last("Mul", [x, _gaussian_cdf(at, x, at.step)])


def _gelu_tanh(at: Site, x: str) -> str:
    if at.writer.opset >= 20:
        return at.last("Gelu", [x], approximate="tanh")
    square = at.step("Mul", [x, x], "square")
    cube = at.step("Mul", [square, x], "cube")
    part = at.step("Mul", [cube, at.number(0.044715, "cubic")], "part")
    inner = at.step("Add", [x, part], "inner")
    u = at.step("Mul", [inner, at.number(math.sqrt(2 / math.pi), "root")], "u")
    one = at.step("Add", [at.step("Tanh", [u]), at.number(1.0, "one")], "above")
    half = at.step("Mul", [x, at.number(0.5, "half")], "half_x")
    return at.last("Mul", [half, one])


def _silu(at: Site, x: str) -> str:
    return at.last("Mul", [x, at.step("Sigmoid", [x])])


def _relu6(at: Site, x: str) -> str:
    return at.last("Clip", [x, at.number(0.0, "low"), at.number(6.0, "high")])


def _mish(at: Site, x: str) -> str:
    return at.last("Mul", [x, at.step("Tanh", [at.step("Softplus", [x])])])


def _celu(at: Site, x: str) -> str:
    """Celu itself is of singles alone."""
    alpha = at.number(_alpha(at), "alpha")
    below = at.step("Elu", [at.step("Div", [x, alpha])], alpha=1.0)
    return at.last("Mul", [below, alpha])


def _thresholded_relu(at: Site, x: str) -> str:
    return at.last("ThresholdedRelu", [x], alpha=_alpha(at))


def _square(at: Site, x: str) -> str:
    return at.last("Mul", [x, x])


_ACTIVATIONS: dict[str, Write] = {
    "linear": _linear,
    "heaviside": _heaviside,
    "logistic": _plain("Sigmoid"),
    "gaussian_cdf": _gaussian_cdf,
    "tanh": _plain("Tanh"),
    "scaled_tanh": _scaled_tanh,
    "relu": _plain("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _plain("Selu", alpha=SELU_ALPHA, gamma=SELU_SCALE),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "softplus": _plain("Softplus"),
    "softsign": _plain("Softsign"),
    "hard_sigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    "relu6": _relu6,
    "hard_silu": _plain("HardSwish"),
    "mish": _mish,
    "celu": _celu,
    "thresholded_relu": _thresholded_relu,
    "negative": _plain("Neg"),
    "abs": _plain("Abs"),
    "square": _square,
    "sqrt": _plain("Sqrt"),
    "reciprocal": _plain("Reciprocal"),
    "exp": _plain("Exp"),
    "log": _plain("Log"),
    "erf": _plain("Erf"),
    "sin": _plain("Sin"),
    "cos": _plain("Cos"),
    "tan": _plain("Tan"),
    "arcsin": _plain("Asin"),
    "arccos": _plain("Acos"),
    "arctan": _plain("Atan"),
    "sinh": _plain("Sinh"),
    "cosh": _plain("Cosh"),
    "arcsinh": _plain("Asinh"),
    "arccosh": _plain("Acosh"),
    "arctanh": _plain("Atanh"),
    "sign": _plain("Sign"),
    "floor": _plain("Floor"),
    "ceil": _plain("Ceil"),
    "round": _plain("Round"),
}
