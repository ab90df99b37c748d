# SPDX-License-Identifier: BSD-3-Clause
"""Schedules: the learning rate as a function of the step.

A schedule is a frozen description, evaluated for a stretch of steps at once. Steps
count the updates made before, from 0; epochs are steps over ``steps_per_epoch``, with
their fraction. Where ``epochs`` is None the schedule lasts as long as the training.

    rate at an epoch: Step(0.1, factor=0.5, epochs=10)
    as data:          {type = "step", start = 0.1, factor = 0.5, epochs = 10}

`ReduceOnPlateau` alone has a state, which the training loop carries and saves.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count, number
from nervure.base.described import Described, family
from nervure.base.named import read

Floats = npt.NDArray[np.float64]
Steps = npt.NDArray[Any]


@dataclass(frozen=True)
class Schedule(Described):
    """What every schedule declares: its ``kind`` and its values."""

    kind: ClassVar[str] = ""

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        """Learning rates of these steps; every value depends on its step alone."""
        raise NotImplementedError(self.kind)


Rate = float | Schedule
"""A number or a schedule; names and tables become schedules on creation."""


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate throughout.

    >>> Constant(0.1).values(np.arange(3), 1, 3).tolist()
    [0.1, 0.1, 0.1]
    """

    kind: ClassVar[str] = "constant"

    value: float

    def __post_init__(self) -> None:
        number(self.kind, "value", self.value, least=0)

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        return np.full(len(steps), float(self.value))


@dataclass(frozen=True)
class Step(Schedule):
    """Every ``epochs`` epochs times ``factor``: ``start factor^floor(e / epochs)``.

    >>> Step(1.0, factor=0.1, epochs=2).values(np.arange(5), 1, 5).round(3).tolist()
    [1.0, 1.0, 0.1, 0.1, 0.01]
    """

    kind: ClassVar[str] = "step"

    start: float
    factor: float = 0.1
    epochs: float = 10

    def __post_init__(self) -> None:
        number(self.kind, "start", self.start, above=0)
        number(self.kind, "factor", self.factor, above=0)
        number(self.kind, "epochs", self.epochs, above=0)

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        # In whole steps, so that no rounding moves an edge.
        length = _steps_of(self.epochs, steps_per_epoch)
        return self.start * np.power(self.factor, np.asarray(steps) // length)


@dataclass(frozen=True)
class Exponential(Schedule):
    """Times ``factor`` per epoch, smoothly: ``start factor^e``.

    >>> Exponential(1.0, factor=0.25).values(np.arange(3), 2, 4).tolist()
    [1.0, 0.5, 0.25]
    """

    kind: ClassVar[str] = "exponential"

    start: float
    factor: float = 0.95

    def __post_init__(self) -> None:
        number(self.kind, "start", self.start, above=0)
        number(self.kind, "factor", self.factor, above=0)

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        return self.start * np.power(self.factor, _epochs(steps, steps_per_epoch))


@dataclass(frozen=True)
class InverseTime(Schedule):
    """``start / (1 + decay e)``: half the rate after ``1 / decay`` epochs.

    Source: Bottou, *Stochastic Gradient Descent Tricks* (2012), sec. 5.2.

    >>> InverseTime(1.0, decay=1.0).values(np.arange(3), 1, 3).round(3).tolist()
    [1.0, 0.5, 0.333]
    """

    kind: ClassVar[str] = "inverse_time"

    start: float
    decay: float = 1.0

    def __post_init__(self) -> None:
        number(self.kind, "start", self.start, above=0)
        number(self.kind, "decay", self.decay, least=0)

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        return self.start / (1 + self.decay * _epochs(steps, steps_per_epoch))


@dataclass(frozen=True)
class Polynomial(Schedule):
    """From ``start`` to ``end``: ``end + (start - end) (1 - e / epochs)^power``.

    >>> Polynomial(1.0, epochs=4).values(np.arange(6), 1, 6).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    kind: ClassVar[str] = "polynomial"

    start: float
    end: float = 0.0
    power: float = 1.0
    epochs: float | None = None

    def __post_init__(self) -> None:
        number(self.kind, "start", self.start, above=0)
        number(self.kind, "end", self.end, least=0)
        number(self.kind, "power", self.power, above=0)
        _check_epochs(self.kind, self.epochs)

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        length = _length(self.epochs, steps_per_epoch, total_steps)
        left = 1 - np.minimum(np.asarray(steps, np.float64) / length, 1)
        return self.end + (self.start - self.end) * np.power(left, self.power)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from ``start`` down to ``end``, then again from ``start``.

    ``end + (start - end) (1 + cos(pi t / T)) / 2``, where ``t`` counts from the last
    restart. The first period ``T`` lasts ``epochs``, each further one ``growth``
    times as long. Without ``epochs`` there is one period, the whole training.

    Source: Loshchilov and Hutter, ICLR (2017), eq. 5.

    >>> Cosine(1.0, epochs=2).values(np.arange(5), 1, 5).round(3).tolist()
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """

    kind: ClassVar[str] = "cosine"

    start: float
    end: float = 0.0
    epochs: float | None = None
    growth: float = 1.0

    def __post_init__(self) -> None:
        number(self.kind, "start", self.start, above=0)
        number(self.kind, "end", self.end, least=0)
        number(self.kind, "growth", self.growth, least=1)
        _check_epochs(self.kind, self.epochs)

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        length = _length(self.epochs, steps_per_epoch, total_steps)
        t = np.asarray(steps, np.float64)
        if self.epochs is None:
            progress = np.minimum(t / length, 1)
        elif self.growth == 1:
            progress = np.mod(t, length) / length
        else:
            # Periods end at length (growth^k - 1) / (growth - 1), k = 1, 2, ...
            ends = self._ends(length, float(t.max(initial=0)))
            period = np.searchsorted(ends, t, side="right")
            begin = np.concatenate([[0.0], ends])[period]
            progress = (t - begin) / (length * np.power(self.growth, period))
        return self.end + (self.start - self.end) * (1 + np.cos(np.pi * progress)) / 2

    def _ends(self, length: float, last: float) -> Floats:
        ends = [length]
        while ends[-1] <= last:
            length *= self.growth
            ends.append(ends[-1] + length)
        return np.array(ends)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to ``peak`` and down again, once.

    From ``peak / start_divisor`` to ``peak`` over the share ``rise`` of the training,
    then down to ``peak / start_divisor / end_divisor`` at its last step.

    Args:
        peak: highest rate.
        rise: share of the steps that go up, fraction in (0, 1).
        start_divisor, end_divisor: at least 1.
        curve: ``"cosine"`` or ``"linear"``.
        epochs: length; None is the whole training.

    Source: Smith and Topin, *Super-Convergence* (2019), sec. 2 (linear); Howard and
    Gugger, *fastai* (2020), for the cosine.

    >>> cycle = OneCycle(1.0, rise=0.5, start_divisor=4, curve="linear")
    >>> cycle.values(np.arange(4), 1, 4).round(3).tolist()
    [0.25, 1.0, 0.5, 0.0]
    """

    kind: ClassVar[str] = "one_cycle"

    peak: float
    rise: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 1e4
    curve: str = "cosine"
    epochs: float | None = None

    def __post_init__(self) -> None:
        number(self.kind, "peak", self.peak, above=0)
        number(self.kind, "rise", self.rise, above=0, below=1)
        number(self.kind, "start_divisor", self.start_divisor, least=1)
        number(self.kind, "end_divisor", self.end_divisor, least=1)
        _check_epochs(self.kind, self.epochs)
        _check_word(self.kind, "curve", self.curve, ("cosine", "linear"))

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        length = _length(self.epochs, steps_per_epoch, total_steps)
        top, last = self.rise * length - 1, length - 1
        start = self.peak / self.start_divisor
        t = np.asarray(steps, np.float64)
        up = np.clip(t / top if top > 0 else t + 1, 0, 1)
        down = np.clip((t - top) / max(last - top, 1), 0, 1)
        rising = self._between(start, self.peak, up)
        falling = self._between(self.peak, start / self.end_divisor, down)
        return np.where(t <= top, rising, falling)

    def _between(self, begin: float, end: float, share: Floats) -> Floats:
        if self.curve == "cosine":
            share = (1 - np.cos(np.pi * share)) / 2
        return begin + (end - begin) * share


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Linear from the share ``start`` of another schedule's first rate up to it.

    At step ``k`` of ``n`` the rate is ``start + (1 - start) (k + 1) / n`` times the
    first rate of ``then``; after them ``then`` runs for the rest of the training.

    Args:
        then: number or schedule.
        epochs: length of the warm-up; fractions are allowed.
        steps: length in steps, instead of ``epochs``.
        start: fraction in [0, 1].

    Source: Goyal et al., arXiv:1706.02677 (2017), sec. 2.2.

    >>> WarmUp(0.4, steps=4).values(np.arange(6), 1, 6).round(3).tolist()
    [0.1, 0.2, 0.3, 0.4, 0.4, 0.4]
    """

    kind: ClassVar[str] = "warm_up"

    then: Rate
    epochs: float = 1.0
    steps: int | None = None
    start: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "then", _stateless(self.then, self.kind, "then"))
        number(self.kind, "epochs", self.epochs, above=0)
        number(self.kind, "start", self.start, least=0, most=1)
        if self.steps is not None:
            count(self.kind, "steps", self.steps, least=1)

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        length = self.steps or _steps_of(self.epochs, steps_per_epoch)
        later = np.maximum(np.asarray(steps) - length, 0)
        left = max(total_steps - length, 1)
        full = learning_rates(self.then, later, steps_per_epoch, left)
        share = np.minimum((np.asarray(steps, np.float64) + 1) / length, 1)
        return full * (self.start + (1 - self.start) * share)


@dataclass(frozen=True)
class Chain(Schedule):
    """Schedules one after another, each on its own clock.

    ``parts`` are pairs of a rate (number or schedule) and its epochs; the last goes
    on to the end of the training.

    >>> Chain(((0.1, 2), (0.01, 1))).values(np.arange(4), 1, 4).tolist()
    [0.1, 0.1, 0.01, 0.01]
    """

    kind: ClassVar[str] = "chain"

    parts: Sequence[tuple[Rate, float]]

    def __post_init__(self) -> None:
        parts: list[tuple[Rate, float]] = []
        for part in _items(self.kind, "parts", self.parts):
            if not isinstance(part, Sequence) or len(cast(Sequence[Any], part)) != 2:
                raise ValueError(
                    f"[{self.kind}] parts holds {part!r}; expected pairs of a rate and "
                    f"its epochs; write parts = [[0.1, 5], [0.01, 5]]"
                )
            found, epochs = cast(Sequence[Any], part)
            found = _stateless(found, self.kind, "parts")
            parts.append((found, number(self.kind, "epochs", epochs, above=0)))
        object.__setattr__(self, "parts", tuple(parts))

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        t, begin = np.asarray(steps), 0
        result = np.zeros(len(t))
        for position, (found, epochs) in enumerate(self.parts):
            length = _steps_of(epochs, steps_per_epoch)
            if position == len(self.parts) - 1:
                length = max(total_steps - begin, 1)
            clock = np.maximum(t - begin, 0)
            rates = learning_rates(found, clock, steps_per_epoch, length)
            result = np.where(t >= begin, rates, result)
            begin += length
        return result


@dataclass(frozen=True)
class Product(Schedule):
    """The product of rates and schedules, at every step.

    >>> Product((0.5, Step(1.0, epochs=1))).values(np.arange(2), 1, 2).tolist()
    [0.5, 0.05]
    """

    kind: ClassVar[str] = "product"

    factors: Sequence[Rate]

    def __post_init__(self) -> None:
        items = _items(self.kind, "factors", self.factors)
        factors = tuple(_stateless(item, self.kind, "factors") for item in items)
        object.__setattr__(self, "factors", factors)

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        result = np.ones(len(steps))
        for factor in self.factors:
            result = result * learning_rates(
                factor, steps, steps_per_epoch, total_steps
            )
        return result


@dataclass(frozen=True)
class PlateauState:
    """Where `ReduceOnPlateau` stands; `dataclasses.asdict` makes JSON of it."""

    scale: float = 1.0
    best: float | None = None
    waited: int = 0
    resting: int = 0


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Lowers the rate when a metric no longer improves.

    After ``patience`` epochs without an improvement by more than ``min_delta`` the
    rate is multiplied by ``factor``; the next ``cooldown`` epochs do not count.

    The training loop holds a `PlateauState`, calls ``update(state, metric)`` at the
    end of every epoch and trains with ``scaled(values, state)``.

    Args:
        start: number or schedule that is scaled.
        factor: fraction in (0, 1).
        patience: epochs, at least 1.
        min_delta: smallest change that counts.
        cooldown: epochs.
        lowest: the rate is not lowered below this.
        monitor: name in the history; None is the validation loss, or the training
            loss without validation data.
        mode: ``"min"`` if lower is better, ``"max"`` if higher is; None as the
            metric that is monitored says.

    >>> plateau = ReduceOnPlateau(0.1, factor=0.5, patience=1)
    >>> state = plateau.update(plateau.update(PlateauState(), 1.0), 1.0)
    >>> plateau.scaled(plateau.values(np.arange(1), 1, 1), state).tolist()
    [0.05]
    """

    kind: ClassVar[str] = "reduce_on_plateau"

    start: Rate
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0
    lowest: float = 0.0
    monitor: str | None = None
    mode: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _stateless(self.start, self.kind, "start"))
        number(self.kind, "factor", self.factor, above=0, below=1)
        count(self.kind, "patience", self.patience, least=1)
        number(self.kind, "min_delta", self.min_delta, least=0)
        count(self.kind, "cooldown", self.cooldown, least=0)
        number(self.kind, "lowest", self.lowest, least=0)
        if self.mode is not None:
            _check_word(self.kind, "mode", self.mode, ("min", "max"))

    def values(self, steps: Steps, steps_per_epoch: int, total_steps: int) -> Floats:
        return learning_rates(self.start, steps, steps_per_epoch, total_steps)

    def scaled(self, values: Floats, state: PlateauState) -> Floats:
        """The rates of `values` under this state."""
        return np.maximum(values * state.scale, np.minimum(values, self.lowest))

    def update(
        self, state: PlateauState, metric: float, *, larger_is_better: bool = False
    ) -> PlateauState:
        """The state after an epoch that ended with this value of the metric.

        ``larger_is_better`` is what the metric says; ``mode`` goes before it.
        """
        upwards = larger_is_better if self.mode is None else self.mode == "max"
        if _improves(state.best, metric, self.min_delta, upwards):
            resting = max(state.resting - 1, 0)
            return PlateauState(state.scale, float(metric), 0, resting)
        if state.resting > 0:
            return dataclasses.replace(state, waited=0, resting=state.resting - 1)
        if state.waited + 1 < self.patience:
            return dataclasses.replace(state, waited=state.waited + 1)
        scale = state.scale * self.factor
        return PlateauState(scale, state.best, 0, self.cooldown)


def _improves(best: float | None, metric: float, delta: float, upwards: bool) -> bool:
    if best is None:
        return math.isfinite(metric)
    return (metric - best if upwards else best - metric) > delta


SCHEDULES: tuple[type[Schedule], ...] = family(
    Schedule,
    (
        Constant,
        Step,
        Exponential,
        InverseTime,
        Polynomial,
        Cosine,
        OneCycle,
        WarmUp,
        Chain,
        Product,
        ReduceOnPlateau,
    ),
)


def schedule(
    found: str | Mapping[str, object] | Schedule, where: str = "schedule"
) -> Schedule:
    """The schedule that a table or a schedule stands for.

    Raises:
        ValueError: an unknown name (the candidates are listed), key or value.

    >>> schedule({"type": "warm_up", "then": {"type": "cosine", "start": 0.1}}).then
    Cosine(start=0.1, end=0.0, epochs=None, growth=1.0)
    """
    return read(found, Schedule, where)


def rate(found: object, where: str, name: str) -> Rate:
    """The positive number or schedule that the field ``name`` of ``where`` stands for.

    Raises:
        ValueError: it is none of both.

    >>> rate(0.1, "sgd", "learning_rate")
    0.1
    """
    if isinstance(found, str | Mapping | Schedule):
        return schedule(cast(Any, found), f"{where}.{name}")
    return number(where, name, found, above=0)


def learning_rates(
    found: Rate, steps: Steps, steps_per_epoch: int, total_steps: int
) -> Floats:
    """Learning rates of these steps, of a number or a schedule.

    >>> learning_rates(0.1, np.arange(2), 10, 100).tolist()
    [0.1, 0.1]
    """
    if isinstance(found, Schedule):
        return found.values(steps, steps_per_epoch, total_steps)
    return np.full(len(steps), float(found))


def _epochs(steps: Steps, steps_per_epoch: int) -> Floats:
    return np.asarray(steps, np.float64) / steps_per_epoch


def _steps_of(epochs: float, steps_per_epoch: int) -> int:
    return max(round(epochs * steps_per_epoch), 1)


def _length(epochs: float | None, steps_per_epoch: int, total_steps: int) -> int:
    if epochs is None:
        return max(total_steps, 1)
    return _steps_of(epochs, steps_per_epoch)


def _check_epochs(where: str, epochs: float | None) -> None:
    if epochs is not None:
        number(where, "epochs", epochs, above=0)


def _check_word(where: str, name: str, found: str, words: tuple[str, ...]) -> None:
    if found not in words:
        expected = " or ".join(map(repr, words))
        raise ValueError(
            f"[{where}] {name} = {found!r}; expected {expected}; change {name}"
        )


def _items(where: str, name: str, found: object) -> Sequence[object]:
    items = cast(Sequence[object], found)
    if isinstance(found, list | tuple) and items:
        return items
    raise ValueError(
        f"[{where}] {name} = {found!r}; expected a list of one or more; add an entry"
    )


def _stateless(found: object, where: str, name: str) -> Rate:
    """A rate inside of another schedule: anything but `ReduceOnPlateau`."""
    inner = rate(found, where, name)
    if isinstance(inner, ReduceOnPlateau):
        raise ValueError(
            f"[{where}.{name}] reduce_on_plateau inside of another schedule; expected "
            f"it outermost, since it has a state; write reduce_on_plateau with the "
            f"other as its start"
        )
    return inner
