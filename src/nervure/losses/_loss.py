# SPDX-License-Identifier: BSD-3-Clause
"""The loss contract: what every loss declares about itself.

A loss is a frozen dataclass: a description, without any state. Its ``formula`` gives
the cost of every row under NumPy (float64: the reference in tests) and under JAX; the
native executor looks its `Loss.engine_name` up in the engine's list of losses.

Legend: a ``(batch, outputs)`` what the network gives, z what its last activation takes,
t the target: ``(batch,)`` integer classes or ``(batch, outputs)`` values.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nervure.base.described import Described
from nervure.base.formulas import stop_gradient
from nervure.losses import _targets

Array = Any
"""An array of the module `xp` at hand: NumPy or JAX."""

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...]

TINY = 1e-30
"""Probabilities are kept above it before their logarithm: at most a cost of 69.1."""

_CONVOLUTIONS = {
    f"{way[0]}conv{n}d{way[1]}"
    for n in (1, 2, 3)
    for way in (("", ""), ("", "_transpose"), ("depthwise_", ""))
}
_NORMS = {"batch_norm", "layer_norm", "group_norm", "rms_norm", "normalize"}
AFFINE = frozenset({"linear", "dense", "ensemble_dense"} | _NORMS | _CONVOLUTIONS)
"""Outputs that may be any number: z, without an activation."""

ARRANGING = frozenset({"concatenate", "slice", "reshape", "flatten", "multiply", "add"})
"""Layers behind which an activation may still give the numbers: nothing is known."""

PROBABILITIES = frozenset(
    {"logistic", "gaussian_cdf", "hard_sigmoid", "heaviside", "softmax"}
)
"""Activations with values in [0, 1]."""


class LossError(ValueError):
    """A loss that does not fit the output layer, the target or the weights."""


@dataclass(frozen=True)
class LossExample:
    """A loss with outputs away from kinks and their targets: a row of the tests.

    Those of a loss that `Loss.aligns` are ``(batch, time, classes)``.
    """

    loss: Loss
    output: tuple[tuple[Any, ...], ...]
    target: tuple[int, ...] | tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Loss(Described):
    """What every loss declares. Subclass it as a frozen dataclass.

    Class attributes: ``kind`` is the name in specs and in the engine, ``task`` what the
    targets are ("regression", "classification" or "distribution"), ``fuses`` the
    activations whose input z the loss can take directly, ``accepts`` the activations of
    the output layer it can follow (None: any but those it ``refuses``; ``strict``: not
    through a reshaping layer either), ``one_hot`` whether classes become one-hot rows,
    ``takes_shares`` whether a target may be a mixture of others, ``threshold`` the
    output above which a single output says yes, ``aligns`` whether a row is a sequence
    of outputs whose target is one of labels, as `CTC` has it.
    """

    kind: ClassVar[str] = ""
    task: ClassVar[str] = "regression"
    fuses: ClassVar[tuple[str, ...]] = ()
    accepts: ClassVar[frozenset[str] | None] = None
    refuses: ClassVar[frozenset[str]] = frozenset()
    strict: ClassVar[bool] = False
    expects: ClassVar[str] = "values"
    remedy: ClassVar[str] = ""
    one_hot: ClassVar[bool] = False
    takes_shares: ClassVar[bool] = True
    threshold: ClassVar[float] = 0.5
    aligns: ClassVar[bool] = False

    # -- to be declared by every loss -------------------------------------------

    @classmethod
    def examples(cls) -> tuple[LossExample, ...]:
        """Losses of this class with outputs and targets, for the tests."""
        raise NotImplementedError(cls.__name__)

    def formula(self, xp: Any, output: Array, target: Array) -> Array:
        """Cost of every row, ``(batch,)``, in the array module ``xp``."""
        raise NotImplementedError(self.kind)

    # -- with defaults ----------------------------------------------------------

    def logits_formula(
        self, xp: Any, z: Array, target: Array, activation: str = ""
    ) -> Array:
        """Cost of every row from the input z of a fused activation; stable.

        Without ``activation`` it is the first that the loss fuses.
        """
        raise self.fail("no form on logits", "use formula on the outputs")

    def costs(self, xp: Any, output: Array, target: Array, activation: str) -> Array:
        """Cost of every row from what an output layer of this activation gives.

        Log-probabilities are logits of themselves, so they take the fused form.
        """
        if activation == "log_softmax" and self.fuses:
            return self.logits_formula(xp, output, target, activation)
        return self.formula(xp, output, target)

    def engine_name(self, activation: str = "") -> str:
        """Name in the engine; with ``activation``, of the fused form if there is one.

        >>> from nervure.losses import loss
        >>> loss("cross_entropy").engine_name("log_softmax")
        'softmax_cross_entropy'
        """
        if activation not in self.fuses:
            return self.kind
        return f"{activation.removeprefix('log_')}_{self.kind}"

    def attributes(self) -> dict[str, Attribute]:
        """What the engine reads: every number, word and tuple field."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            key: value
            for key, value in fields.items()
            if isinstance(value, int | float | str | tuple)
        }

    def check_output(
        self, kind: str, function: str | None, size: int, *, name: str | None = None
    ) -> None:
        """Whether an output layer fits: its ``kind``, activation and output count.

        Raises:
            LossError: its values are not what the loss expects.
        """
        found = activation_name(kind, function)
        vague = found in ARRANGING and not self.strict
        accepted = self.accepts is None or found in self.accepts or vague
        if accepted and found not in self.refuses:
            return
        gives = "z" if found in AFFINE else found
        raise self.fail(
            f"output layer '{name or kind}' gives {gives}, not {self.expects}",
            self.remedy,
        )

    def check_target(
        self,
        output_size: int,
        output_kind: str,
        target: npt.ArrayLike,
        *,
        dtype: npt.DTypeLike = np.float64,
    ) -> npt.NDArray[Any]:
        """The target as the engine takes it: int32 classes or rows of ``dtype``.

        ``output_kind`` is the activation of the output layer (`activation_name`).

        Raises:
            LossError: wrong shape, range or kind of numbers; names the first bad row.
        """
        found = _targets.plain(target, self.fail)
        if self.one_hot and _targets.are_classes(found, output_size):
            classes = _targets.classes(found, output_size, self.fail)
            return _targets.one_hot(classes, output_size, dtype)
        rows = _targets.rows(found, output_size, self.fail, dtype)
        self.check_values(rows)
        return rows

    def missing(self, target: npt.NDArray[Any]) -> npt.NDArray[np.bool_] | None:
        """Which targets say that there is none; None if the loss knows no such word."""
        return None

    def answers(self, activation: str) -> bool | None:
        """Whether each of several outputs answers a question of its own.

        ``activation`` is that of the output layer. None: that is not for the loss to
        say.
        """
        return False if activation in ("softmax", "log_softmax") else None

    # -- of losses that align -----------------------------------------------------

    def aligned_costs(
        self, xp: Any, y: Array, target: Array, steps: Array, form: str
    ) -> Array:
        """Cost of every row ``y (batch, time, ...)`` of so many steps; of labels.

        With ``form``, y is what an activation of this name takes.
        """
        raise self.fail("no loss of sequences of labels", "use ctc")

    def check_labels(
        self, values: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], size: int
    ) -> None:
        """Raises `LossError` for labels, of these rows, that no output stands for."""

    def fewest_steps(
        self, values: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], count: int
    ) -> npt.NDArray[np.int64]:
        """Steps that the labels of each of ``count`` rows need at least."""
        return np.ones(count, np.int64)

    def room(self, steps: int, labels: int) -> int:
        """Bytes that a row of so many steps and labels takes while it is aligned."""
        return 0

    def check_values(self, rows: npt.NDArray[Any]) -> None:
        """Raises `LossError` for finite values that the loss cannot take."""

    def fail(self, fact: str, remedy: str) -> LossError:
        """The error ``[kind] fact; remedy``."""
        return LossError(f"[{self.kind}] {fact}; {remedy}")


def activation_name(kind: str, function: str | None = None) -> str:
    """What an output layer is to a loss: its activation, else its kind.

    >>> activation_name("activation", "sigmoid"), activation_name("dense")
    ('logistic', 'dense')
    """
    name = function if kind == "activation" and function else kind
    return "logistic" if name == "sigmoid" else name


def mean_rows(values: Array) -> Array:
    """Mean over the outputs of every row."""
    return values.mean(axis=1)


def log_softmax(xp: Any, z: Array) -> Array:
    """``z - log sum exp z`` of every row, without overflow."""
    shifted = z - stop_gradient(xp, z).max(axis=1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))


def softplus(xp: Any, z: Array) -> Array:
    """``log(1 + exp z)`` without overflow.

    By `where`: the derivative of `maximum` compares its operands, which XLA may round
    in two ways, and that of `abs` is 0 at 0.
    """
    return xp.where(z > 0, z, 0) + xp.log1p(xp.exp(xp.where(z > 0, -z, z)))


def pick(xp: Any, values: Array, classes: Array) -> Array:
    """``values[i, classes[i]]`` of every row i."""
    return xp.take_along_axis(values, classes[:, None], axis=1)[:, 0]
