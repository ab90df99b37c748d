# SPDX-License-Identifier: BSD-3-Clause
"""Activation: the functions that turn a node's weighted sum z into its output a."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from nervure.base.formulas import erf, gaussian_cdf, logistic
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


@dataclass(frozen=True)
class Function:
    """One activation: its formula, its cost and whether it takes an ``alpha``.

    ``operations`` counts additions, products, divisions, comparisons and
    transcendental functions as one each, per element. ``domain`` is where it is
    defined, if not everywhere; a ``step`` has no slope but 0.
    """

    formula: Callable[[Any, Array, float], Array]
    operations: int
    alpha: float | None = None
    domain: tuple[float, float] | None = None
    step: bool = False


# -- the formulas: a = phi(z) in the array module xp; alpha where it says so --------
# At a kink the derivative is that of the flatter side, as in the kernels: hence `where`
# rather than `maximum` and `minimum`, whose derivatives JAX halves at a tie. The
# comparisons are such that a NaN stays one.


def _linear(xp: Any, z: Array, alpha: float) -> Array:
    return z


def _heaviside(xp: Any, z: Array, alpha: float) -> Array:
    return (z > 0).astype(z.dtype)


def _logistic(xp: Any, z: Array, alpha: float) -> Array:
    return logistic(xp, z)


def _gaussian_cdf(xp: Any, z: Array, alpha: float) -> Array:
    return gaussian_cdf(xp, z)


def _tanh(xp: Any, z: Array, alpha: float) -> Array:
    return xp.tanh(z)


def _scaled_tanh(xp: Any, z: Array, alpha: float) -> Array:
    return 1.7159 * xp.tanh(z * (2 / 3))


def _relu(xp: Any, z: Array, alpha: float) -> Array:
    return xp.where(z <= 0, 0.0, z)


def _leaky_relu(xp: Any, z: Array, alpha: float) -> Array:
    return xp.where(z > 0, z, alpha * z)


def _elu(xp: Any, z: Array, alpha: float) -> Array:
    return xp.where(z > 0, z, alpha * xp.expm1(xp.where(z > 0, 0.0, z)))


SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def _selu(xp: Any, z: Array, alpha: float) -> Array:
    return SELU_SCALE * _elu(xp, z, SELU_ALPHA)


def _gelu(xp: Any, z: Array, alpha: float) -> Array:
    return z * gaussian_cdf(xp, z)


def _gelu_tanh(xp: Any, z: Array, alpha: float) -> Array:
    u = math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)
    return 0.5 * z * (1 + xp.tanh(u))


def _silu(xp: Any, z: Array, alpha: float) -> Array:
    return z * logistic(xp, z)


def _softplus(xp: Any, z: Array, alpha: float) -> Array:
    return xp.logaddexp(z, xp.zeros_like(z))


def _softsign(xp: Any, z: Array, alpha: float) -> Array:
    return z / (1 + xp.abs(z))


def _between(xp: Any, z: Array, high: float) -> Array:
    return xp.where(z <= 0, 0.0, xp.where(z >= high, high, z))


def _hard_sigmoid(xp: Any, z: Array, alpha: float) -> Array:
    return _between(xp, z * (1 / 6) + 0.5, 1.0)


def _relu6(xp: Any, z: Array, alpha: float) -> Array:
    return _between(xp, z, 6.0)


def _hard_silu(xp: Any, z: Array, alpha: float) -> Array:
    return z * _hard_sigmoid(xp, z, alpha)


def _mish(xp: Any, z: Array, alpha: float) -> Array:
    return z * xp.tanh(_softplus(xp, z, alpha))


def _celu(xp: Any, z: Array, alpha: float) -> Array:
    return _elu(xp, z / alpha, 1.0) * alpha


def _thresholded_relu(xp: Any, z: Array, alpha: float) -> Array:
    return xp.where(z <= alpha, 0.0, z)


def _erf(xp: Any, z: Array, alpha: float) -> Array:
    return erf(xp, z)


def _of(name: str) -> Callable[[Any, Array, float], Array]:
    """The function that the array module has under this name."""

    def formula(xp: Any, z: Array, alpha: float) -> Array:
        return getattr(xp, name)(z)

    return formula


FUNCTIONS: dict[str, Function] = {
    "linear": Function(_linear, 0),
    "heaviside": Function(_heaviside, 1, step=True),
    "logistic": Function(_logistic, 4),
    "gaussian_cdf": Function(_gaussian_cdf, 4),
    "tanh": Function(_tanh, 1),
    "scaled_tanh": Function(_scaled_tanh, 3),
    "relu": Function(_relu, 1),
    "leaky_relu": Function(_leaky_relu, 2, alpha=0.01),
    "elu": Function(_elu, 3, alpha=1.0),
    "selu": Function(_selu, 4),
    "gelu": Function(_gelu, 5),
    "gelu_tanh": Function(_gelu_tanh, 9),
    "silu": Function(_silu, 5),
    "softplus": Function(_softplus, 5),
    "softsign": Function(_softsign, 3),
    "hard_sigmoid": Function(_hard_sigmoid, 4),
    "relu6": Function(_relu6, 2),
    "hard_silu": Function(_hard_silu, 5),
    "mish": Function(_mish, 7),
    "celu": Function(_celu, 5, alpha=1.0),
    "thresholded_relu": Function(_thresholded_relu, 1, alpha=1.0),
    "negative": Function(_of("negative"), 1),
    "abs": Function(_of("abs"), 1),
    "square": Function(_of("square"), 1),
    "sqrt": Function(_of("sqrt"), 1, domain=(0, math.inf)),
    "reciprocal": Function(_of("reciprocal"), 1),
    "exp": Function(_of("exp"), 1),
    "log": Function(_of("log"), 1, domain=(0, math.inf)),
    "erf": Function(_erf, 1),
    "sin": Function(_of("sin"), 1),
    "cos": Function(_of("cos"), 1),
    "tan": Function(_of("tan"), 1, domain=(-math.pi / 2, math.pi / 2)),
    "arcsin": Function(_of("arcsin"), 1, domain=(-1, 1)),
    "arccos": Function(_of("arccos"), 1, domain=(-1, 1)),
    "arctan": Function(_of("arctan"), 1),
    "sinh": Function(_of("sinh"), 1),
    "cosh": Function(_of("cosh"), 1),
    "arcsinh": Function(_of("arcsinh"), 1),
    "arccosh": Function(_of("arccosh"), 1, domain=(1, math.inf)),
    "arctanh": Function(_of("arctanh"), 1, domain=(-1, 1)),
    "sign": Function(_of("sign"), 1, step=True),
    "floor": Function(_of("floor"), 1, step=True),
    "ceil": Function(_of("ceil"), 1, step=True),
    "round": Function(_of("rint"), 1, step=True),
}
_WITH_ALPHA = tuple(n for n, f in FUNCTIONS.items() if f.alpha is not None)
ALIASES = {"sigmoid": "logistic"}


def _layers() -> dict[str, type[Layer]]:
    """Activations that are layers of their own, by name."""
    kinds = cast("tuple[type[Layer], ...]", Layer.kinds)
    return {each.kind: each for each in kinds if each.activates}


@dataclass(frozen=True)
class Activation(Layer):
    """A function of each node's weighted sum: ``a = phi(z)``, element by element.

    ================  ========================================================
    function          phi(z)
    ================  ========================================================
    linear            z
    heaviside         1 for z > 0, else 0 (the perceptron; cannot be trained)
    logistic          1 / (1 + exp(-z)), also called sigmoid
    gaussian_cdf      Phi(z), the standard normal distribution function
    tanh              tanh(z)
    scaled_tanh       1.7159 tanh(2 z / 3)
    relu              max(z, 0)
    leaky_relu        z for z > 0, else alpha z (alpha 0.01)
    elu               z for z > 0, else alpha (exp(z) - 1) (alpha 1)
    selu              1.0507 elu(z) with alpha 1.6733
    gelu              z Phi(z)
    gelu_tanh         z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2
    silu              z / (1 + exp(-z))
    softplus          log(1 + exp(z))
    softsign          z / (1 + abs(z))
    hard_sigmoid      z / 6 + 1 / 2 clipped to [0, 1]
    relu6             z clipped to [0, 6]
    hard_silu         z times hard_sigmoid(z)
    mish              z tanh(softplus(z))
    celu              z for z > 0, else alpha (exp(z / alpha) - 1) (alpha 1)
    thresholded_relu  z for z > alpha, else 0 (alpha 1)
    ================  ========================================================

    Further functions, named as NumPy names them: negative, abs, square, sqrt,
    reciprocal, exp, log, erf, sin, cos, tan, arcsin, arccos, arctan, sinh, cosh,
    arcsinh, arccosh, arctanh; and steps, which cannot be trained: sign, floor, ceil,
    round (halves to even).

    Shape:
        input ``(batch, ...)``, output the same.

    Args:
        function: a name of the table; ``sigmoid`` is stored as ``logistic``.
        alpha: slope (leaky_relu) or depth (elu, celu) left of 0, or a threshold, at
            least 0, of celu above 0; None takes the table's. Others have no alpha.

    Raises:
        LayerError: an unknown function, or an ``alpha`` that does not belong.

    Source: LeCun, Bottou, Orr, Müller, *Efficient BackProp* (1998), section 4.4
    (scaled_tanh); Clevert et al. (2016), eq. 15 (elu); Klambauer et al. (2017),
    eq. 2 (selu); Hendrycks, Gimpel (2016), section 2 (gelu); Howard et al. (2019),
    section 5.2 (hard_silu); Misra (2020), eq. 1 (mish); Barron (2017), eq. 2 (celu);
    Konda et al. (2015), eq. 3 (thresholded_relu); Sitzmann et al. (2020), eq. 5 (sin);
    Goodfellow, Bengio, Courville, *Deep Learning* (2016), section 6.3 (the others).

    >>> import numpy as np
    >>> from nervure.layers import INFERENCE, Activation
    >>> layer = Activation("leaky_relu", alpha=0.1)
    >>> layer.formula(np, {}, np.array([[-2.0, 3.0]]), info=INFERENCE)
    array([[-0.2,  3. ]])
    """

    kind: ClassVar[str] = "activation"

    function: str
    alpha: float | None = None

    def __post_init__(self) -> None:
        function = ALIASES.get(self.function, self.function)
        object.__setattr__(self, "function", function)
        if function in _layers():
            raise self.fail(
                f"{function} is a layer of its own, no function of single elements",
                f"use nv.{_layers()[function].__name__}()",
            )
        if function not in FUNCTIONS:
            raise LayerError(
                unknown("activation", "function", function, activation_names())
            )
        self._check_alpha()

    def _check_alpha(self) -> None:
        if self.alpha is None:
            return
        if FUNCTIONS[self.function].alpha is None:
            raise self.fail(
                f"{self.function} has no alpha, found alpha = {self.alpha}",
                f"leave it out, or use {', '.join(_WITH_ALPHA)}",
            )
        if not hasattr(self.alpha, "__float__") or not 0 <= self.alpha < math.inf:
            raise self.fail(f"alpha = {self.alpha!r}", "use a number of at least 0")
        if self.function == "celu" and self.alpha == 0:
            raise self.fail("alpha = 0", "use a number above 0")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        every = tuple(Example(cls(name), ((5,),)) for name in FUNCTIONS)
        return (
            *every,
            Example(cls("elu", alpha=0.3), ((7,),)),
            Example(cls("leaky_relu", alpha=0.2), ((2, 3),)),
            Example(cls("celu", alpha=0.7), ((3,),)),
            Example(cls("thresholded_relu", alpha=0.5), ((3,),)),
        )

    @property
    def domain(self) -> tuple[float, float] | None:
        return FUNCTIONS[self.function].domain

    @property
    def untrainable(self) -> str | None:
        """Why backpropagation cannot pass this layer, and what to do; or None."""
        if not FUNCTIONS[self.function].step:
            return None
        smooth = "logistic" if self.function == "heaviside" else "tanh"
        return (
            f"{self.function} has derivative 0 wherever it exists, so backpropagation "
            f'learns nothing through it; train with activation="{smooth}" (its smooth '
            "version) or set the weights by hand"
        )

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def flops(self, *inputs: Shape) -> int:
        return FUNCTIONS[self.function].operations * math.prod(inputs[0])

    def attributes(self, *inputs: Shape) -> dict[str, Attribute]:
        return {"function": self.function, "alpha": self._alpha}

    def formula(
        self, xp: Any, parameters: Mapping[str, Array], *inputs: Array, info: Pass
    ) -> Array:
        return FUNCTIONS[self.function].formula(xp, inputs[0], self._alpha)

    @property
    def _alpha(self) -> float:
        default = FUNCTIONS[self.function].alpha
        return float(default or 0.0) if self.alpha is None else float(self.alpha)


def activation_names() -> tuple[str, ...]:
    """Every name that `activation_layer` knows, aliases included.

    >>> "sigmoid" in activation_names(), "softmax" in activation_names()
    (True, True)
    """
    return (*FUNCTIONS, *ALIASES, *_layers())


def activation_layer(activation: str | Layer) -> Layer:
    """The layer that an activation's name stands for; a layer stands for itself.

    Raises:
        LayerError: the name is unknown; the message lists the names there are.

    >>> activation_layer("relu")
    Activation(name=None, function='relu', alpha=None)
    >>> activation_layer("softmax")
    Softmax(name=None)
    """
    if isinstance(activation, Layer):
        return activation
    if activation in _layers():
        return _layers()[activation]()
    if ALIASES.get(activation, activation) not in FUNCTIONS:
        raise LayerError(
            unknown("activation", "activation", activation, activation_names())
        )
    return Activation(activation)
