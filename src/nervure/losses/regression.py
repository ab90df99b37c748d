# SPDX-License-Identifier: BSD-3-Clause
"""Losses of values: how far the outputs a lie from the targets t."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nervure.base.checks import number
from nervure.losses import _targets
from nervure.losses._loss import (
    ARRANGING,
    Array,
    Attribute,
    Loss,
    LossExample,
    mean_rows,
)

_OUTPUT = ((0.5, -1.25, 2.0), (0.1, 0.2, -3.0))
_TARGET = ((1.0, 0.0, 1.75), (-0.4, 0.9, 0.5))


@dataclass(frozen=True)
class Quadratic(Loss):
    """Half the squared distance of a row, ``1/2 sum (a - t)^2``.

    Its mean over the batch is ``C = 1/(2n) sum ||t - a||^2``, so that
    ``dC/da = (a - t) / n``. Integer classes become one-hot rows.

    Shape:
        output and target ``(batch, outputs)``, costs ``(batch,)``.

    Source: Nielsen, *Neural Networks and Deep Learning* (2015), eq. 6.

    >>> import numpy as np
    >>> Quadratic().formula(np, np.array([[3.0, 4.0]]), np.zeros((1, 2))).tolist()
    [12.5]
    """

    kind: ClassVar[str] = "quadratic"
    one_hot: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        return (LossExample(cls(), _OUTPUT, _TARGET),)

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        return 0.5 * ((output - target) ** 2).sum(axis=1)


@dataclass(frozen=True)
class MSE(Loss):
    """Mean squared error, ``mean (a - t)^2`` over the outputs.

    Integer classes become one-hot rows; the cost then is the Brier score over K.

    Shape:
        output and target ``(batch, outputs)``, costs ``(batch,)``.

    Source: Goodfellow, Bengio, Courville, *Deep Learning* (2016), eq. 5.4.

    >>> import numpy as np
    >>> MSE().formula(np, np.array([[3.0, 4.0]]), np.zeros((1, 2))).tolist()
    [12.5]
    """

    kind: ClassVar[str] = "mse"
    one_hot: ClassVar[bool] = True

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        return (LossExample(cls(), _OUTPUT, _TARGET),)

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        return mean_rows((output - target) ** 2)


@dataclass(frozen=True)
class MAE(Loss):
    """Mean absolute error, ``mean |a - t|`` over the outputs; slope 0 at the kink.

    Shape:
        output and target ``(batch, outputs)``, costs ``(batch,)``.

    Source: Hastie, Tibshirani, Friedman, *Elements of Statistical Learning*, 2nd ed.
    (2009), sec. 10.6.

    >>> import numpy as np
    >>> MAE().formula(np, np.array([[3.0, -4.0]]), np.zeros((1, 2))).tolist()
    [3.5]
    """

    kind: ClassVar[str] = "mae"

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        return (LossExample(cls(), _OUTPUT, _TARGET),)

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        return mean_rows(xp.abs(output - target))


@dataclass(frozen=True)
class Huber(Loss):
    """Quadratic near the target, linear beyond ``delta``; mean over the outputs.

    ``1/2 d^2`` for ``|d| <= delta``, else ``delta (|d| - delta / 2)``, ``d = a - t``.

    Shape:
        output and target ``(batch, outputs)``, costs ``(batch,)``.

    Raises:
        ValueError: ``delta`` is not positive.

    Source: Huber, *Annals of Mathematical Statistics* 35 (1964), 73-101.

    >>> import numpy as np
    >>> Huber().formula(np, np.array([[0.5], [3.0]]), np.zeros((2, 1))).tolist()
    [0.125, 2.5]
    """

    kind: ClassVar[str] = "huber"

    delta: float = 1.0

    def __post_init__(self) -> None:
        number(self.kind, "delta", self.delta, above=0)

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        return tuple(LossExample(cls(d), _OUTPUT, _TARGET) for d in (1.0, 0.35))

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        distance = xp.abs(output - target)
        near = xp.minimum(distance, self.delta)
        return mean_rows(near * (distance - 0.5 * near))


@dataclass(frozen=True)
class LogCosh(Loss):
    """``log cosh(a - t)``: about ``d^2/2`` near, ``|d| - log 2`` far.

    Computed as ``|d| + log(1 + exp(-2|d|)) - log 2``, which does not overflow, and for
    ``|d| < 3/4`` as ``-log(1 - tanh^2 d) / 2``, which does not cancel near 0; the cost
    of a row is the mean over its outputs.

    Shape:
        output and target ``(batch, outputs)``, costs ``(batch,)``.

    Source: Green, *IEEE Trans. Medical Imaging* 9 (1990), as the potential log cosh.

    >>> import numpy as np
    >>> costs = LogCosh().formula(np, np.array([[1.0], [1000.0]]), np.zeros((2, 1)))
    >>> costs.round(4).tolist()
    [0.4338, 999.3069]
    """

    kind: ClassVar[str] = "log_cosh"

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        return (LossExample(cls(), _OUTPUT, _TARGET),)

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        d = output - target
        distance, near = xp.abs(d), xp.abs(d) < 0.75
        slope = xp.tanh(xp.where(near, d, 0.0))
        far = distance + xp.log1p(xp.exp(-2 * distance)) - math.log(2)
        return mean_rows(xp.where(near, -0.5 * xp.log1p(-(slope**2)), far))


@dataclass(frozen=True)
class Poisson(Loss):
    """Negative log-likelihood of counts, ``mean a - t log(a + epsilon)``.

    The output is the rate, so it must not be negative: end with softplus. The term
    ``log t!``, which does not depend on the output, is left out.

    Shape:
        output and target ``(batch, outputs)``, targets >= 0, costs ``(batch,)``.

    Raises:
        ValueError: ``epsilon`` is not positive.
        LossError: the output layer may be negative, or a target is.

    Source: McCullagh and Nelder, *Generalized Linear Models*, 2nd ed. (1989), sec. 6.2;
    epsilon as in PyTorch's ``PoissonNLLLoss``.

    >>> import numpy as np
    >>> Poisson().formula(np, np.array([[1.0]]), np.array([[2.0]])).round(4).tolist()
    [1.0]
    """

    kind: ClassVar[str] = "poisson"
    accepts: ClassVar[frozenset[str] | None] = frozenset(
        {"softplus", "relu", "relu6", "logistic", "gaussian_cdf"}
        | {"hard_sigmoid", "softmax", "constant"}
    )
    expects: ClassVar[str] = "a rate, which must not be negative"
    remedy: ClassVar[str] = 'add activation="softplus" to the last layer'

    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        number(self.kind, "epsilon", self.epsilon, above=0)

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        output = ((0.5, 1.25), (3.0, 0.75))
        return (LossExample(cls(), output, ((1.0, 0.0), (2.0, 5.0))),)

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        return mean_rows(output - target * xp.log(output + self.epsilon))

    def check_values(self, rows: npt.NDArray[Any]) -> None:
        remedy = "use another loss, or correct the counts"
        _targets.require(rows >= 0, rows, "a count of at least 0", remedy, self.fail)


@dataclass(frozen=True)
class Pinball(Loss):
    """Quantile loss, ``max(q e, (q - 1) e)`` with ``e = t - a``; mean over outputs.

    ``quantile`` is one number in (0, 1) for all outputs, or a tuple with one quantile
    per output; a target with one column then serves all of them. Of several targets
    the quantiles of each stand side by side: ``a[:, Q i + k]`` is quantile k of Q, of
    target i.

    Shape:
        output ``(batch, targets quantiles)``, target the same or ``(batch, targets)``,
        costs ``(batch,)``.

    Raises:
        ValueError: a quantile outside (0, 1), or none.
        LossError: there is not one output per quantile, of each target.

    Source: Koenker and Bassett, *Econometrica* 46 (1978), 33-50.

    >>> import numpy as np
    >>> over, under = Pinball(0.9).formula(np, np.array([[1.0], [-1.0]]), 0.0)
    >>> round(float(over), 3), round(float(under), 3)
    (0.1, 0.9)
    """

    kind: ClassVar[str] = "pinball"

    quantile: float | tuple[float, ...] = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.quantile, list):  # as TOML and JSON hold it
            object.__setattr__(self, "quantile", tuple(self.quantile))
        if not self.quantiles:
            raise self.fail("no quantile", "give at least one in (0, 1)")
        for value in self.quantiles:
            number(self.kind, "quantile", value, above=0, below=1)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles, also of a single one."""
        one = self.quantile
        return one if isinstance(one, tuple) else (one,)

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        kinds = (cls(), cls(0.8), cls((0.1, 0.5, 0.9)))
        output = tuple((*row, -1.5) for row in _OUTPUT)
        target = tuple((*row, 0.3) for row in _TARGET)
        return (
            *(LossExample(loss, _OUTPUT, _TARGET) for loss in kinds),
            LossExample(cls((0.1, 0.9)), output, target),
        )

    def attributes(self) -> dict[str, Attribute]:
        return {"quantiles": tuple(float(q) for q in self.quantiles)}

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        error = target - output
        count = error.shape[-1] // len(self.quantiles)
        own = self.quantiles * count if len(self.quantiles) > 1 else self.quantiles
        q = xp.asarray(own, dtype=output.dtype)
        return mean_rows(xp.where(error >= 0, q, q - 1) * error)

    def check_output(
        self, kind: str, function: str | None, size: int, *, name: str | None = None
    ) -> None:
        wanted = len(self.quantiles)
        if size % wanted:
            raise self.fail(
                f"output layer '{name or kind}' has {size} outputs, expected one per "
                f"quantile ({wanted})",
                f"use units={wanted}, times the number of targets",
            )

    def check_target(
        self,
        output_size: int,
        output_kind: str,
        target: npt.ArrayLike,
        *,
        dtype: npt.DTypeLike = np.float64,
    ) -> npt.NDArray[Any]:
        found = _targets.plain(target, self.fail)
        found = found.reshape(len(found), -1)
        each, columns = len(self.quantiles), found.shape[1]
        if each > 1 and columns in (1, output_size // each):
            found = np.repeat(found, output_size // columns, axis=1)
        return _targets.rows(found, output_size, self.fail, dtype)


@dataclass(frozen=True)
class Cosine(Loss):
    """``1 - cos(a, t)``: the direction of a row counts, not its length.

    A row whose output or target is shorter than 1e-12 has no direction: its cost is 1
    and its gradient 0.

    Shape:
        output and target ``(batch, outputs)``, costs ``(batch,)`` in [0, 2].

    Raises:
        LossError: there is one output only, whose cosine is just a sign.

    Source: Manning, Raghavan, Schütze, *Introduction to Information Retrieval* (2008),
    eq. 6.10.

    >>> import numpy as np
    >>> Cosine().formula(np, np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])).tolist()
    [1.0]
    """

    kind: ClassVar[str] = "cosine"

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        return (LossExample(cls(), _OUTPUT, _TARGET),)

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        aa, tt = (output * output).sum(axis=1), (target * target).sum(axis=1)
        directed = (aa > 1e-24) & (tt > 1e-24)
        # Ones stand in where the quotient is not taken, so that JAX's gradient is 0.
        lengths = xp.sqrt(xp.where(directed, aa, 1.0)) * xp.sqrt(
            xp.where(directed, tt, 1.0)
        )
        return xp.where(directed, 1 - (output * target).sum(axis=1) / lengths, 1.0)

    def check_output(
        self, kind: str, function: str | None, size: int, *, name: str | None = None
    ) -> None:
        if size < 2 and kind not in ARRANGING:
            raise self.fail(
                f"output layer '{name or kind}' has 1 output, which has no direction",
                "use at least 2 units, or mse",
            )
