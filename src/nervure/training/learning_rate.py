# SPDX-License-Identifier: BSD-3-Clause
"""find_learning_rate: one step at each of many growing rates, to see which are good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count, number
from nervure.base.extras import needed
from nervure.executors import Job, Stretch, Trainer
from nervure.graph.parameters import LARGEST_SEED, aligned_zeros
from nervure.optimizers import UpdateRule
from nervure.optimizers import optimizer as find_optimizer
from nervure.regularizers import regularizer as find_regularizer
from nervure.training.checks import check_trainable
from nervure.training.prepare import Prepared, prepare
from nervure.training.sampler import epoch_order

if TYPE_CHECKING:
    from nervure.network.network import Network

Floats = npt.NDArray[np.float64]
Rows = Iterator[npt.NDArray[np.int64]]

MEMORY = 0.9
"""Share of the smoothed loss that each step keeps."""

DIVERGED = 4.0
"""A smoothed loss of so many times the best one ends the search."""

MARGIN = 10.0
"""Where the loss is lowest, the rate is about to be too high: it is divided by this."""

SETTLING = 10
"""Steps, 1 / (1 - MEMORY), whose mean is of too few batches to be called the best."""

_SHOWN = 10


@dataclass(frozen=True, eq=False)
class LearningRateSearch:
    """What was found: ``losses[i]`` is the cost of batch i before the step that it
    made at ``rates[i]``.

    ``smoothed`` is their exponential mean, freed of the bias of its beginning as in
    Adam. ``stopped`` says why the search ended before the highest rate, if it did.
    """

    rates: Floats
    losses: Floats
    stopped: str | None = None

    @cached_property
    def smoothed(self) -> Floats:
        return smooth(self.losses)

    @property
    def suggestion(self) -> float:
        """A tenth of the rate at the lowest smoothed loss, within the rates tried.

        Raises:
            ValueError: the loss did not fall at any rate.
        """
        if self._lowest is None:
            raise ValueError(
                "[find_learning_rate] the loss fell at no rate from "
                f"{self.rates[0]:g} to {self.rates[-1]:g}; expected that some rate "
                "trains the network; begin with untrained weights, a smaller lowest= "
                "or a larger highest="
            )
        return float(max(self.rates[self._lowest] / MARGIN, self.rates[0]))

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses over the rates with Matplotlib (extra ``plot``).

        Returns:
            The axes drawn on: ``ax``, or new ones.
        """
        if ax is None:
            ax = _axes()
        ax.semilogx(self.rates, self.losses, alpha=0.3, label="loss of the batch")
        ax.semilogx(self.rates, self.smoothed, label="smoothed")
        if self._lowest is not None:
            label = f"suggestion {self.suggestion:.2g}"
            ax.axvline(self.suggestion, linestyle="--", color="black", label=label)
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss")
        ax.legend()
        return ax

    @cached_property
    def _lowest(self) -> int | None:
        """Where the smoothed loss is lowest; None if it only rises."""
        begin = _settling(len(self.losses))
        lowest = begin + int(self.smoothed[begin:].argmin())
        return lowest if lowest > begin else None

    def __repr__(self) -> str:
        last, lowest = len(self.rates) - 1, self._lowest
        even = np.linspace(0, last, min(_SHOWN, last + 1)).round().astype(int).tolist()
        lines = ["learning rate    smoothed loss"]
        for i in sorted({*even} if lowest is None else {*even, lowest}):
            mark = "  lowest" if i == lowest else ""
            lines.append(f"{self.rates[i]:13.3g}{self.smoothed[i]:17.5g}{mark}")
        if self.stopped:
            lines.append(f"stopped: {self.stopped}")
        found = "none" if lowest is None else f"{self.suggestion:.2g}"
        return "\n".join([*lines, f"suggestion: {found}"])


def find_learning_rate(
    net: Network,
    X: Any,
    y: Any = None,
    *,
    loss: object = None,
    optimizer: object = "adam",
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    regularizer: object = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    loss_weights: object = None,
    seed: int = 0,
    executor: str = "native",
    threads: int | None = None,
) -> LearningRateSearch:
    """The learning-rate range test: one step at each of many growing rates.

    Trains a copy; ``net`` stays as it is. The search ends where the smoothed loss
    exceeds four times its best or is no longer finite. ``suggestion`` is a tenth of
    the rate at the lowest smoothed loss: steadier than the rate of steepest descent,
    which a lucky batch moves by orders of magnitude.

    Args:
        X, y, loss, regularizer, sample_weight, class_weight, loss_weights, executor,
            threads: as in `fit`.
        optimizer: name, table or optimizer; its own learning rate is not used.
        lowest, highest: the rates between which the search grows, evenly in the
            logarithm.
        steps: number of rates, at least 2.
        batch_size: rows per step.
        seed: keys the batches and dropout.

    Raises:
        ValueError: arguments or data that do not fit.
        ArithmeticError: the cost is not finite before anything is trained.

    Source: Smith, *Cyclical Learning Rates for Training Neural Networks* (WACV 2017),
    section 3.3; the tenth as in Howard and Gugger, *Deep Learning for Coders* (2020),
    chapter 5.

    >>> import nervure as nv
    >>> net = nv.Network([nv.Input(1), nv.Dense(1)], seed=0)
    >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> search = nv.find_learning_rate(net, X, 3 * X, optimizer="sgd")
    >>> 0.01 < search.suggestion < 0.5
    True
    """
    number("find_learning_rate", "lowest", lowest, above=0)
    number("find_learning_rate", "highest", highest, above=lowest)
    count("find_learning_rate", "steps", steps, least=2)
    count("find_learning_rate", "batch_size", batch_size, least=1)
    count("find_learning_rate", "seed", seed, least=0, most=LARGEST_SEED)
    seed, rule = int(seed), _stepwise(optimizer)
    check_trainable(net.graph, net.frozen)
    net = net.copy()
    objective = net.objective(loss, loss_weights)
    weights = {"sample_weight": sample_weight, "class_weight": class_weight}
    prepared = prepare(net, X, y, objective, **weights)
    rows = len(prepared.rows)
    size = rows if rule.full_batch else min(batch_size, rows)
    some = regularizer is not None
    job = Job(
        objective=objective,
        data=prepared.data,
        optimizer=rule,
        slots=tuple(aligned_zeros(net.layout.size, net.dtype) for _ in rule.slots),
        batch_size=size,
        seed=seed,
        regularizer=find_regularizer(cast(Any, regularizer)) if some else None,
        threads=threads,
    )
    rates = np.geomspace(lowest, highest, steps)
    return search(net.executor(executor).trainer(job), rates, prepared, job)


def search(
    trainer: Trainer, rates: Floats, prepared: Prepared, job: Job
) -> LearningRateSearch:
    """A step at each of the rates, with the batches that `fit` would take."""
    return _search(trainer, rates, _batches(prepared, job.batch_size, job.seed))


def _stepwise(optimizer: object) -> UpdateRule:
    rule = find_optimizer(cast(Any, optimizer))
    if isinstance(rule, UpdateRule):
        return rule
    raise ValueError(
        f"[find_learning_rate] {rule.kind} has no learning rate; expected an optimizer "
        'that works step by step; use e.g. optimizer="adam"'
    )


def _search(trainer: Trainer, rates: Floats, batches: Rows) -> LearningRateSearch:
    """A step at each rate until the loss is far above its best."""
    losses: list[float] = []
    stopped = None
    for i, rate in enumerate(rates.tolist()):
        found = trainer.run(Stretch(next(batches), [rate], i), ())
        if not found.finite:
            stopped = (
                f"the loss is not finite after a step at {rates[max(i - 1, 0)]:.3g}"
            )
            break
        losses.append(float(found.costs[0]))
        smoothed = smooth(np.array(losses))[_settling(len(rates)) :]
        if len(smoothed) and 0 < DIVERGED * smoothed.min() < smoothed[-1]:
            stopped = f"at {rate:.3g} the loss is {DIVERGED:g} times its best"
            break
    if not losses:
        raise ArithmeticError(
            "[find_learning_rate] the cost of the first batch is not finite; expected "
            "a finite one before training; scale the inputs or the initial weights"
        )
    return LearningRateSearch(rates[: len(losses)], np.array(losses), stopped)


def _settling(steps: int) -> int:
    return min(SETTLING, steps // 4)


def _batches(prepared: Prepared, size: int, seed: int) -> Rows:
    """Batches of one epoch after another, in the orders that `fit` takes."""
    epoch = 0
    while True:
        order = epoch_order(prepared.rows, seed, epoch)
        for begin in range(0, len(order), size):
            yield order[begin : begin + size]
        epoch += 1


def smooth(losses: Floats) -> Floats:
    """Exponential mean of the values so far, divided by the weight it has gathered.

    >>> smooth(np.array([3.0, 3.0, 3.0])).round(12).tolist()
    [3.0, 3.0, 3.0]
    """
    mean, means = 0.0, np.empty(len(losses))
    for i, value in enumerate(losses.tolist()):
        mean = MEMORY * mean + (1 - MEMORY) * value
        means[i] = mean / (1 - MEMORY ** (i + 1))
    return means


def _axes() -> Any:
    return needed("matplotlib.pyplot", "find_learning_rate").subplots()[1]
