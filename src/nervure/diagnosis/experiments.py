# SPDX-License-Identifier: BSD-3-Clause
"""Experiments: what a record leaves open, tried on copies of the untrained network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nervure.data.ragged import one_each
from nervure.diagnosis.rows import skill
from nervure.executors import Data, Job, Stretch
from nervure.findings.facts import classes_of, evenly, task_of
from nervure.graph.objective import Objective
from nervure.graph.parameters import aligned_zeros
from nervure.network.network import Network
from nervure.optimizers import Adam, UpdateRule
from nervure.spec.tables import TrainingSpec
from nervure.training.learning_rate import search
from nervure.training.prepare import Prepared

Rows = npt.NDArray[np.int64]

FEW, SOME = 16, 256
STEPS = 200
RATES = (1e-3, 3e-3, 1e-2)


def _of_means(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Every row the mean of all."""
    mean = x.mean(axis=0, keepdims=True).astype(np.float32)
    return np.broadcast_to(mean, x.shape).copy()


class Laboratory:
    """Makes experiments within a time limit; each leaves the network as it is.

    Args:
        net: of which untrained copies are made.
        seconds: no experiment begins after so many.
    """

    def __init__(
        self,
        net: Network,
        prepared: Prepared,
        objective: Objective,
        training: TrainingSpec,
        seconds: float,
    ) -> None:
        self._net, self._prepared = net, prepared
        self._objective, self._training = objective, training
        self._ends = time.monotonic() + seconds
        self.left_out: list[str] = []

    def results(self) -> dict[str, float]:
        """What each experiment gave, by name; those that there was no time for miss."""
        found: dict[str, float] = {}
        tries: dict[str, Callable[[], float | None]] = {
            "rate": self.rate,
            "one batch": self.one_batch,
            "inputs": self.inputs,
            "shuffled": self.shuffled,
        }
        for name, experiment in tries.items():
            if time.monotonic() > self._ends:
                self.left_out.append(name)
                continue
            value = experiment()
            if value is not None:
                found[name] = value
        return found

    def _fresh(self) -> Network:
        """The network as it was before training."""
        net = self._net
        made = Network.from_graph(net.graph, seed=net.seed, dtype=net.dtype)
        made.freeze_layers(net.frozen)
        return made

    def rate(self) -> float | None:
        """A learning rate that suits the optimizer, by a range test of 100 steps."""
        rule = self._training.optimizer
        if not isinstance(rule, UpdateRule):
            return None
        net = self._fresh()
        size = min(self._training.batch_size, len(self._prepared.rows))
        job = self._job(net, rule, size)
        trainer = net.executor().trainer(job)
        try:
            with np.errstate(all="ignore"):
                tried = search(
                    trainer, np.geomspace(1e-6, 10, 120), self._prepared, job
                )
                return tried.suggestion
        except (ValueError, ArithmeticError):
            return None

    def one_batch(self) -> float | None:
        """The best skill that the net reaches on 16 rows, trained on these alone."""
        rows = self._few()
        if len(rows) < 4:
            return None
        batch = self._prepared.data.take(rows)
        best = -1.0
        for rate in RATES:
            net = self._fresh()
            job = replace(self._job(net, Adam(rate), len(rows)), data=batch)
            trainer = net.executor().trainer(job)
            order = np.tile(np.arange(len(rows)), STEPS)
            trainer.run(Stretch(order, [rate] * STEPS, 0), ())
            best = max(best, self._skill(net, batch))
            if best > 0.95 or time.monotonic() > self._ends:
                break
        return best

    def inputs(self) -> float | None:
        """Skill that the trained net loses where inputs are set to their means."""
        some = self._prepared.data.take(evenly(self._prepared.rows, 256))
        if any(x.dtype.kind not in "fu" for x in some.inputs) or self._net.graph.codes:
            return None
        arrays = [np.asarray(one_each(x, "doctor")) for x in some.inputs]
        flat = tuple(map(_of_means, arrays))
        return self._skill(self._net, some) - self._skill(
            self._net, replace(some, inputs=flat)
        )

    def shuffled(self) -> float | None:
        """Skill that true targets give beyond shuffled ones, on rows not seen.

        The untrained net is trained twice for `STEPS` steps on up to `SOME` rows: as
        they are, and with their targets dealt out anew.
        """
        rows = evenly(self._prepared.rows, 2 * SOME)
        if len(rows) < 4 * FEW:
            return None
        data = self._prepared.data
        own, others = data.take(rows[::2]), data.take(rows[1::2])
        rng = np.random.default_rng(self._training.seed)
        order = rng.permutation(own.rows)
        dealt = replace(own, targets=tuple(y[order] for y in own.targets))
        true, false = (
            self._skill(self._trained(some, RATES[1]), others) for some in (own, dealt)
        )
        return true - max(false, 0.0)

    def _trained(self, data: Data, rate: float) -> Network:
        """An untrained copy after `STEPS` steps on these rows, a few at a time."""
        net, size = self._fresh(), min(32, data.rows)
        job = replace(self._job(net, Adam(rate), size), data=data)
        rng = np.random.default_rng(self._training.seed)
        passes = -(-STEPS * size // data.rows)
        order = np.concatenate([rng.permutation(data.rows) for _ in range(passes)])
        trainer = net.executor().trainer(job)
        trainer.run(Stretch(order[: STEPS * size], [rate] * STEPS, 0), ())
        return net

    def _few(self) -> Rows:
        """Rows of as many classes as possible."""
        rows = self._prepared.rows
        targets = one_each(self._prepared.data.targets[0], "doctor")
        if task_of(targets[rows[:1024]]) != "classes":
            return evenly(rows, FEW)
        labels = classes_of(targets[rows])
        order = np.argsort(labels, kind="stable")
        return rows[evenly(order, FEW)]

    def _skill(self, net: Network, data: Data) -> float:
        target = one_each(data.targets[0], "doctor")
        with np.errstate(all="ignore"):
            found = net.executor().outputs(Data(data.inputs, scales=data.scales))[0]
            y = np.nan_to_num(one_each(found, "doctor").reshape(data.rows, -1))
            return float(skill(y, target, task_of(target)))

    def _job(self, net: Network, rule: UpdateRule, size: int) -> Job:
        slots = tuple(aligned_zeros(net.layout.size, net.dtype) for _ in rule.slots)
        return Job(
            self._objective,
            self._prepared.data,
            rule,
            slots,
            size,
            self._training.seed,
            regularizer=self._training.regularizer,
        )
