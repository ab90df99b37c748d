# SPDX-License-Identifier: BSD-3-Clause
"""Stochastic solvers of the MLP: batches, steps and their state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.checks import number
from nervure.executors import Data, Job, Stretch
from nervure.executors.native import NativeTrainer
from nervure.graph.objective import Objective
from nervure.graph.parameters import ALIGNMENT, Floats, aligned_zeros
from nervure.optimizers import SGD, Adam, UpdateRule
from nervure.regularizers import L2
from nervure.sklearn._perceptron import Perceptron
from nervure.training.telemetry import Off, Telemetry

Rows = npt.NDArray[np.int64]

LONGEST_CALL = 1e9
"""Floating-point operations that the engine does before Python looks up: Ctrl-C."""

SMALLEST_RATE = 1e-6


@dataclass(frozen=True)
class _Momentum(SGD):
    """`SGD` that also takes the momentum 1 that scikit-learn allows."""

    def check(self) -> None:
        number(self.kind, "momentum", self.momentum, least=0, most=1)


class Solver:
    """An update rule with its state: what `partial_fit` goes on with.

    Attributes:
        learning_rate: of the next step.
        steps: updates made.
    """

    def __init__(
        self,
        rule: UpdateRule,
        perceptron: Perceptron,
        schedule: str = "constant",
        power_t: float = 0.5,
    ) -> None:
        self.rule = rule
        self.schedule, self.power_t = schedule, power_t
        self.learning_rate = self.first_rate = float(cast(float, rule.learning_rate))
        self.steps = 0
        values = perceptron.values
        self.slots = tuple(aligned_zeros(values.size, values.dtype) for _ in rule.slots)

    @property
    def looks_ahead(self) -> bool:
        return len(self.slots) == 2 and isinstance(self.rule, SGD)

    def begin(self, values: Floats) -> None:
        """Take over weights that may have been changed since the last step."""
        self.slots = tuple(map(_aligned, self.slots))
        if self.looks_ahead:
            moved = values != self._ahead()
            self.slots[1][moved] = (values - self._momentum())[moved]

    # scikit-learn's weights are Nesterov's look-ahead point; the engine's are the
    # position, and the point is where it takes the gradient.

    def hide(self, values: Floats) -> None:
        """From scikit-learn's weights to the engine's."""
        if self.looks_ahead:
            values[:] = self.slots[1]

    def show(self, values: Floats) -> None:
        """From the engine's weights to scikit-learn's."""
        if self.looks_ahead:
            values[:] = self._ahead()

    def _momentum(self) -> Floats:
        return cast(SGD, self.rule).momentum * self.slots[0]

    def _ahead(self) -> Floats:
        return self.slots[1] + self._momentum()

    def end_epoch(self, samples: int) -> None:
        """The rate of the next epoch; ``samples`` have been seen so far."""
        if self.schedule == "invscaling":
            self.learning_rate = self.first_rate / (samples + 1) ** self.power_t

    def stops(self, why: str, verbose: object) -> bool:
        """Whether training ends now; an adaptive rate is lowered first."""
        if self.schedule != "adaptive":
            _say(f"{why} Stopping.", verbose)
            return True
        if self.learning_rate <= SMALLEST_RATE:
            _say(f"{why} Learning rate too small. Stopping.", verbose)
            return True
        self.learning_rate /= 5.0
        _say(f"{why} Setting learning rate to {self.learning_rate:f}", verbose)
        return False


def make_solver(estimator: Any, perceptron: Perceptron) -> Solver:
    """The solver of an estimator's parameters, at its beginning."""
    schedule = estimator.learning_rate if estimator.solver == "sgd" else "constant"
    return Solver(_rule(estimator), perceptron, schedule, estimator.power_t)


def _rule(estimator: Any) -> UpdateRule:
    rate = float(estimator.learning_rate_init)
    if estimator.solver == "adam":
        beta1, beta2 = float(estimator.beta_1), float(estimator.beta_2)
        return Adam(rate, beta1, beta2, float(estimator.epsilon), epsilon_hat=True)
    momentum = float(estimator.momentum)
    return _Momentum(
        rate, momentum, bool(estimator.nesterovs_momentum) and momentum > 0
    )


class Descent:
    """Epochs of steps over one data set."""

    def __init__(
        self,
        perceptron: Perceptron,
        objective: Objective,
        data: Data,
        solver: Solver,
        batch_size: int,
        alpha: float,
        telemetry: Telemetry | Off,
    ) -> None:
        self._perceptron, self._objective = perceptron, objective
        self._data, self._solver = data, solver
        self._telemetry = telemetry
        self._epochs = 0
        self.costs: list[float] = []  # of the steps of the last epoch
        self._batch_size, self._alpha = batch_size, alpha
        self._trainers: dict[int, NativeTrainer] = {}
        self._penalized: dict[int, float] = {}
        solver.begin(perceptron.values)
        flops = max(1, perceptron.net.graph.flops) * 3 * batch_size
        self._longest = max(1, int(LONGEST_CALL / flops))
        self._squares = perceptron.squares() if alpha else 0.0

    def epoch(self, order: Rows) -> tuple[float, float]:
        """Take the steps of an epoch; means over its rows of cost and penalty.

        NaN: the numbers became infinite, and training cannot go on.
        """
        perceptron, solver = self._perceptron, self._solver
        solver.hide(perceptron.values)
        try:
            parts = list(self._stretches(order))
        finally:  # Ctrl-C comes between two stretches
            solver.show(perceptron.values)
        costs, weights, rows = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        self.costs = costs.tolist()
        self._epochs += 1
        if len(costs) < -(-len(order) // self._batch_size):
            return float("nan"), 0.0
        return float(costs @ rows / len(order)), self._penalty(weights, rows)

    def _stretches(self, order: Rows) -> Any:
        size, count = self._batch_size, len(order)
        whole = count // size * size
        longest = self._longest if self._data.weights is None else 1
        telemetry, begin = self._telemetry, 0
        while begin < count:
            seen = telemetry.until(self._solver.steps)
            most = longest if seen is None else max(1, min(longest, seen))
            end = min(begin + most * size, whole) if begin < whole else count
            rows = order[begin:end]
            steps = -(-(end - begin) // size)
            trainer = self._trainer(rows, steps)
            rates = [self._solver.learning_rate] * steps
            telemetry.before(self._solver.steps, order[begin:])
            result = trainer.run(Stretch(rows, rates, self._solver.steps), ())
            taken = len(result.costs)
            cost = float(result.costs[-1]) if taken else math.nan
            telemetry.after(self._epochs, rates[0], cost)
            self._solver.steps += taken
            yield result.costs, result.weights, np.full(taken, (end - begin) / steps)
            if not result.finite:
                return
            begin = end

    def _trainer(self, rows: Rows, steps: int) -> NativeTrainer:
        """The steps' trainer: the penalty is divided by the weight of a batch."""
        size, weights = len(rows) // steps, self._data.weights
        weight = float(size if weights is None else weights[rows].sum())
        if size not in self._trainers:
            self._trainers[size] = self._make_trainer(size)
        if self._alpha and self._penalized.get(size) != weight:
            strength = self._alpha / weight if weight > 0 else 0.0
            self._trainers[size].penalize(L2(strength))
            self._penalized[size] = weight
        return self._trainers[size]

    def _make_trainer(self, size: int) -> NativeTrainer:
        job = Job(
            objective=self._objective,
            data=self._data,
            optimizer=self._solver.rule,
            slots=self._solver.slots,
            batch_size=size,
            seed=0,
        )
        return self._perceptron.executor.trainer(job)

    def _penalty(self, weights: Any, rows: Any) -> float:
        """Mean of ``alpha / 2 |W|^2 / w`` over the batches, ``w`` their weight.

        The squares are known at the ends of the epoch and taken as a line between.
        """
        if not self._alpha:
            return 0.0
        before, self._squares = self._squares, self._perceptron.squares()
        if not math.isfinite(self._squares):
            return math.inf
        steps = len(rows)
        squares = before + (self._squares - before) * np.arange(steps) / steps
        shares = rows / np.where(weights > 0, weights, np.inf)
        return float(0.5 * self._alpha * (squares @ shares) / rows.sum())


def _aligned(slot: Floats) -> Floats:
    """The array on a cache line: where it was unpickled, it is not."""
    if slot.ctypes.data % ALIGNMENT == 0:
        return slot
    copy = aligned_zeros(slot.size, slot.dtype)
    copy[:] = slot
    return copy


def _say(text: str, verbose: object) -> None:
    if verbose:
        print(text)
