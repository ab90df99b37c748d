# SPDX-License-Identifier: BSD-3-Clause
"""CustomLoss: a loss that is a user's own Python function of NumPy arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from nervure.base.order import positional, target_comes_first
from nervure.losses import _targets
from nervure.losses._loss import Array, Attribute, Loss, LossError

Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class CustomLoss(Loss):
    """A function ``(target, output)`` or ``(target, output, weights)`` as a loss.

    Its parameters say by their names which is which (``y_true, y_pred`` do too), so
    that ``(output, target)`` is called as it asks for. It returns ``(value,
    gradient)``: the cost of the batch (its weighted mean over the rows, a number) and
    ``dvalue/doutput``. Only with a third parameter can it take ``sample_weight`` and
    ``class_weight``; it then gets an array or None. The arrays it is given are
    read-only. It runs on the native executor alone: there is no formula for JAX.

    Shape:
        output ``(batch, outputs)``; target ``(batch, columns)``, or ``(batch,)`` where
        it was given so; weights ``(batch,)``; gradient ``(batch, outputs)``.

    Raises:
        LossError: names that do not say which is the target; what the function returns
            has another shape or is not finite.

    >>> import numpy as np
    >>> def distance(target, output):
    ...     return np.mean((output - target) ** 4), 4 * (output - target) ** 3 / 2
    >>> own = CustomLoss(distance)
    >>> value, gradient = own.evaluate(np.array([[1.0], [2.0]]), np.zeros((2, 1)))
    >>> value, gradient.tolist()
    (8.5, [[2.0], [16.0]])
    """

    kind: ClassVar[str] = "custom"
    takes_shares: ClassVar[bool] = False

    function: Callable[..., object] = field(repr=False)
    name: str = ""

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise LossError(
                f"[custom loss] {self.function!r} is no function; give a function of "
                f"(target, output) that returns (value, gradient)"
            )
        if not self.name:
            own = getattr(self.function, "__name__", type(self.function).__name__)
            object.__setattr__(self, "name", own)
        if target_comes_first(self.function) is None:
            found = ", ".join(one.name for one in positional(self.function))
            raise self.fail(
                f"its parameters ({found}) do not say which is the target",
                "name them (target, output), in the order that is meant",
            )

    @property
    def takes_weights(self) -> bool:
        """Whether there is a parameter ``weights``, or a third without default."""
        return self._weights_by() != ""

    def _weights_by(self) -> str:
        try:
            parameters = inspect.signature(self.function).parameters
        except (TypeError, ValueError):  # some built-in callables tell nothing
            return ""
        if "weights" in parameters:
            return "name"
        given = [p for p in positional(self.function) if p.default is p.empty]
        return "position" if len(given) >= 3 else ""

    def evaluate(
        self, output: Floats, target: Floats, weights: Floats | None = None
    ) -> tuple[float, Floats]:
        """Cost of the batch and its gradient, checked; the gradient has output's dtype.

        Raises:
            LossError: a wrong shape, a value that is not finite, or weights that the
                function does not take.
        """
        by = self._weights_by()
        if weights is not None and not by:
            raise self.fail(
                "sample_weight or class_weight is given, but the function takes "
                "(target, output)",
                "add a third parameter, weights",
            )
        pair = (_read_only(target), _read_only(output))
        pair = pair if target_comes_first(self.function) else pair[::-1]
        shown = None if weights is None else _read_only(weights)
        if by == "name":
            returned = self.function(*pair, weights=shown)
        else:
            returned = self.function(*pair, shown) if by else self.function(*pair)
        value, gradient = self._pair(returned)
        return self._value(value), self._gradient(gradient, output)

    def _pair(self, returned: object) -> tuple[object, object]:
        pair = cast(tuple[object, ...], returned)
        if not isinstance(returned, tuple) or len(pair) != 2:
            found = type(cast(object, returned)).__name__
            raise self.fail(
                f"the function returned {found}, expected a pair",
                "return (value, gradient)",
            )
        return pair[0], pair[1]

    def _value(self, found: object) -> float:
        value = np.asarray(found)
        if value.size != 1 or value.dtype.kind not in "iuf":
            raise self.fail(
                f"value has shape {value.shape} and type {value.dtype}, expected one "
                f"number",
                "return the mean cost of the batch",
            )
        if not np.isfinite(value).all():
            raise self.fail(
                f"value is {value.item()}, expected a finite number",
                "keep logarithms and quotients away from 0",
            )
        return float(value.item())

    def _gradient(self, found: object, output: Floats) -> Floats:
        gradient = np.asarray(found)
        if gradient.shape != output.shape or gradient.dtype.kind not in "iuf":
            raise self.fail(
                f"gradient has shape {gradient.shape} and type {gradient.dtype}, "
                f"expected {output.shape} numbers like the output",
                "return dvalue/doutput",
            )
        finite = np.isfinite(gradient).reshape(len(output), -1).all(axis=1)
        if not finite.all():
            raise self.fail(
                f"gradient of row {int(np.argmin(finite))} is not finite",
                "keep logarithms and quotients away from 0",
            )
        return np.ascontiguousarray(gradient, output.dtype)

    def check_target(
        self,
        output_size: int,
        output_kind: str,
        target: npt.ArrayLike,
        *,
        dtype: npt.DTypeLike = np.float64,
    ) -> npt.NDArray[Any]:
        """Finite numbers; what they mean is the function's affair."""
        found = _targets.plain(target, self.fail)
        if _targets.fit_int32(found) and found.ndim == 1:
            return found.astype(np.int32)
        return np.ascontiguousarray(found.reshape(len(found), -1), dtype)

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        raise self.fail(
            "a Python function of NumPy arrays has no formula for JAX or single rows",
            'use executor="native" or a built-in loss',
        )

    def engine_name(self, activation: str = "") -> str:
        raise self.fail("not a loss of the engine", "call evaluate on each batch")

    def attributes(self) -> dict[str, Attribute]:
        raise self.fail(
            "a Python function cannot be written to a file",
            "give the loss again in Python, or use a built-in loss",
        )

    def fail(self, fact: str, remedy: str) -> LossError:
        return LossError(f"[custom loss '{self.name}'] {fact}; {remedy}")


def _read_only(array: Floats) -> Floats:
    view = array.view()
    view.flags.writeable = False
    return view
