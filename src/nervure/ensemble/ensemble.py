# SPDX-License-Identifier: BSD-3-Clause
"""Ensemble: several networks for one task, whose outputs are averaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.checks import count
from nervure.base.files import WriteError
from nervure.base.html import html_lines
from nervure.base.words import many, short
from nervure.data.labels import Labels
from nervure.data.preprocessing import Preprocessing
from nervure.data.ragged import Ragged, one_each, packed
from nervure.ensemble.training import fit_members
from nervure.executors import Data, Rows, as_rows, count_of
from nervure.findings.finding import Finding
from nervure.graph.graph import Graph
from nervure.graph.objective import Cost, Objective, activation_of
from nervure.graph.parameters import LARGEST_SEED
from nervure.graph.summary import html_summary
from nervure.losses import CustomLoss
from nervure.network import predicting
from nervure.network.conformal import Conformal
from nervure.network.evaluation import evaluate
from nervure.network.modelfile import write_model
from nervure.network.network import Network
from nervure.network.saving import contents_of_members
from nervure.spec.tables import MOST_MEMBERS
from nervure.training.folder import RunFolder
from nervure.training.run import Run

Array = npt.NDArray[Any]


class Ensemble:
    """Networks whose outputs are averaged: ``y = 1/k sum_i y_i``.

    What is averaged is what the members give: probabilities after a softmax or a
    logistic, amounts after a regression. Of log-probabilities it is the probabilities,
    ``log 1/k sum_i exp y_i``.

    Args:
        members: networks with equal inputs and outputs; their layers in between may
            differ. `Ensemble.of` makes them from one network.

    Attributes:
        members: the networks.
        conformal: scores of calibration rows of the average, as of a `Network`.

    Raises:
        ValueError: no members, or members that do not fit each other.

    Source: Hansen and Salamon, *Neural network ensembles* (1990); with other beginnings
    alone, Lakshminarayanan, Pritzel, Blundell, *Simple and scalable predictive
    uncertainty estimation using deep ensembles* (2017); bagging: Breiman (1996).

    >>> import nervure as nv
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    >>> net = nv.Network([nv.Input(1), nv.Dense(2, activation="softmax")])
    >>> ensemble = nv.Ensemble.of(net, 3, seed=7)
    >>> run = ensemble.fit(X, y, optimizer=nv.SGD(0.5), epochs=50, progress=False)
    >>> ensemble.predict_classes(X).tolist()
    [0, 0, 1, 1]
    >>> ensemble.predict_members(X).shape, ensemble.variance(X).shape
    ((3, 4, 2), (4, 2))
    """

    def __init__(self, members: Sequence[Network]) -> None:
        self.members = _checked(members)
        self.conformal: Conformal | None = None

    @classmethod
    def of(
        cls, network: Network, members: int = 5, *, seed: int | None = None
    ) -> Ensemble:
        """Copies of a network that begin anew, from seeds ``seed, seed + 1, ...``.

        ``seed`` is by default the network's. Nothing is trained yet: see `fit`.
        """
        count("ensemble", "members", members, least=1, most=MOST_MEMBERS)
        first = network.seed if seed is None else seed
        count("ensemble", "seed", first, least=0, most=LARGEST_SEED - members + 1)
        return cls([network.begun_anew(first + i) for i in range(members)])

    # -- training -----------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        bagged: bool = False,
        jobs: int | None = None,
        **arguments: Any,
    ) -> EnsembleRun:
        """Train every member in place, several at once.

        All of them see the same data and hold out the same rows; member i shuffles and
        drops out by ``seed + i``. The result does not depend on ``jobs``.

        Args:
            X, y: as `nervure.fit` takes them.
            bagged: whether each member draws its training rows with replacement
                (a bootstrap sample), instead of taking all of them.
            jobs: members trained at once, by default as many as there are cores. Each
                has the threads that are left to it, at least one.
            arguments: those of `nervure.fit`. Callbacks are called by every member, on
                its own thread. ``directory`` gets a run folder for each member, with
                ``resume=True`` it goes on there.

        Raises:
            ValueError: see `nervure.fit`.
            DivergenceError: of a member; the others are stopped.
        """
        trained = fit_members(self.members, X, y, bagged=bagged, jobs=jobs, **arguments)
        self.conformal = None  # its scores are those of other weights
        folder = trained.folder
        run = EnsembleRun(self, trained.runs, folder.path if folder else None)
        if folder:
            try:
                _save(run, folder)
            finally:
                folder.release()
        return run

    # -- running ------------------------------------------------------------------

    def executor(self, name: str = "native") -> Average:
        """What gives the averaged outputs for rows that are ready."""
        return Average(self.members, name)

    def forward(self, X: Any, *, executor: str = "native") -> Any:
        """Averaged outputs for rows as the first layer takes them."""
        return predicting.alone(self.executor(executor).outputs(Data(self.arrays(X))))

    def predict(self, X: Any) -> Any:
        """Averaged outputs for raw rows (see `Network.predict`)."""
        return predicting.predict(self, X)

    def predict_classes(self, X: Any) -> Array:
        """The class that is most probable on average (see `Network.predict_classes`).

        A tie goes to the class that comes first.
        """
        return predicting.predict_classes(self, X)

    def predict_members(self, X: Any) -> Any:
        """What each member predicts, ``(members, rows, *output_shape)``.

        Amounts are in the units of the targets. A list for several outputs.
        """
        data = predicting.encoded(self, X)
        each = [
            predicting.decoded(self, one.executor().outputs(data))
            for one in self.members
        ]
        rows = (map(partial(one_each, where="ensemble"), some) for some in each)
        return predicting.alone([np.stack(some) for some in zip(*rows, strict=True)])

    def variance(self, X: Any) -> Any:
        """Variance between the members, ``1/k sum_i (y_i - y)^2``, ``(rows, ...)``.

        A list for several outputs.
        """
        found = self.predict_members(X)
        if isinstance(found, list):
            return [y.var(axis=0) for y in cast(list[Array], found)]
        return found.var(axis=0)

    def evaluate(
        self,
        X: Any,
        y: Any = None,
        *,
        loss: object = None,
        metrics: Any = None,
        sample_weight: Any = None,
    ) -> dict[str, float]:
        """Loss and metrics of the averaged outputs (see `Network.evaluate`)."""
        return evaluate(
            self, X, y, loss=loss, metrics=metrics, sample_weight=sample_weight
        )

    def exact(self, exact: bool = True) -> Ensemble:
        """A copy of which every member sums directly (see `Network.exact`)."""
        made = Ensemble([one.exact(exact) for one in self.members])
        made.conformal = self.conformal
        return made

    # -- what the members have in common --------------------------------------------

    @property
    def graph(self) -> Graph:
        """The first member's graph; inputs and outputs are those of all."""
        return self.members[0].graph

    @property
    def dtype(self) -> str:
        return self.members[0].dtype

    @property
    def preprocessing(self) -> Preprocessing | None:
        return self.members[0].preprocessing

    @preprocessing.setter
    def preprocessing(self, record: Preprocessing | None) -> None:
        for member in self.members:
            member.preprocessing = record

    def arrays(self, X: Any) -> tuple[Rows, ...]:
        """The inputs as arrays (see `Network.arrays`)."""
        return self.members[0].arrays(X)

    def targets(self, y: Any, objective: Objective | None = None) -> list[Rows]:
        """The targets as arrays, one per output (see `Network.targets`)."""
        return self.members[0].targets(y, objective)

    def objective(self, loss: object = None, loss_weights: object = None) -> Objective:
        """The loss of each output (see `Network.objective`)."""
        return self.members[0].objective(loss, loss_weights)

    # -- files and words ----------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write all members to one safetensors file; `nervure.load` reads it."""
        write_model(path, *contents_of_members(self.members, self))

    def summary(self) -> str:
        """The members' table of layers, and what they take together."""
        first = self.members[0].summary()
        total = sum(one.layout.count for one in self.members)
        seeds = ", ".join(str(one.seed) for one in self.members[:8])
        more = ", ..." if len(self) > 8 else ""
        return (
            f"{first}\n{len(self)} members (seeds {seeds}{more}), "
            f"{total:,} parameters together"
        )

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Network]:
        return iter(self.members)

    def __getitem__(self, index: int) -> Network:
        return self.members[index]

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self)}: {self.members[0]!r}>"

    def _repr_html_(self) -> str:
        """What notebooks show."""
        first = self.members[0]
        table = html_summary(first.graph, first.dtype, first.frozen)
        return table + html_lines([many(len(self), "member")])


@dataclass(frozen=True)
class EnsembleRun:
    """The runs of an ensemble's members.

    Attributes:
        ensemble: the ensemble that was trained.
        runs: the run of each member.
        directory: the run folder, or None.
    """

    ensemble: Ensemble
    runs: tuple[Run, ...]
    directory: Path | None = None

    @property
    def epoch(self) -> int:
        """Epochs finished by all members together."""
        return sum(run.epoch for run in self.runs)

    @property
    def findings(self) -> list[Finding]:
        """What seems to be wrong with members: each kind once, of the first of them."""
        found = [finding for run in self.runs for finding in run.findings]
        return list({one.code: one for one in reversed(found)}.values())[::-1]

    @property
    def seconds(self) -> float:
        """Time that the members have spent in training, together."""
        return sum(run.seconds for run in self.runs)

    @property
    def stopped(self) -> str | None:
        """``"interrupted"`` if a member was; else None."""
        interrupted = any(run.stopped == "interrupted" for run in self.runs)
        return "interrupted" if interrupted else None

    def best_ensemble(self) -> Ensemble:
        """A copy with the weights of each member's best epoch."""
        return Ensemble([run.best_network() for run in self.runs])


def _save(run: EnsembleRun, folder: RunFolder) -> None:
    try:
        run.best_ensemble().save(folder.model)
    except WriteError as error:
        raise WriteError(
            f"{error}; the trained ensemble is still in memory: write it elsewhere "
            "with ensemble.save(path)"
        ) from error


class Average:
    """Runs the members one after the other and averages what they give."""

    def __init__(self, members: Sequence[Network], executor: str) -> None:
        self._members, self._executor = members, executor

    def outputs(self, data: Data, *, batch_size: int | None = None) -> list[Rows]:
        """The average output for every row; sums are taken in float64, in order."""
        graph, dtype = self._members[0].graph, self._members[0].dtype
        ends = graph.outputs
        logs = [graph.nodes[i].layer.kind == "log_softmax" for i in ends]
        sums = [
            np.zeros((count_of(graph, data, i), *graph.nodes[i].shape)) for i in ends
        ]
        for member in self._members:
            found = member.executor(self._executor).outputs(data, batch_size=batch_size)
            for total, y, log in zip(sums, found, logs, strict=True):
                total += np.exp(packed(y), dtype=np.float64) if log else packed(y)
        k = len(self._members)
        return [
            as_rows(graph, data, i, _mean(total, k, log, dtype))
            for i, total, log in zip(ends, sums, logs, strict=True)
        ]

    def row_costs(
        self, data: Data, objective: Objective
    ) -> tuple[list[Rows], npt.NDArray[np.float64]]:
        """Average outputs and the cost of every row.

        Raises:
            LossError: a loss is a Python function, which has no cost of single rows.
        """
        outputs, costs = self.outputs(data), np.zeros(data.rows)
        for i, cost in enumerate(objective.costs):
            costs += cost.weight * _costs(cost, outputs[cost.output], data, i)
        return outputs, costs


def _costs(cost: Cost, output: Rows, data: Data, i: int) -> npt.NDArray[np.float64]:
    """Of each row for one output; of sequences, by the weights of their steps."""
    target, steps = data.targets[i], data.steps_of(i)
    if cost.loss.aligns:
        return _aligned(cost, output, cast(Any, target))
    known = packed(target)
    y = packed(output).reshape(len(known), -1).astype(np.float64)
    if isinstance(cost.loss, CustomLoss):
        return np.full(data.rows, cost.loss.evaluate(y, known, data.weights)[0])
    costs = cost.loss.costs(np, y, known, cost.activation)
    if not isinstance(target, Ragged):
        return costs
    if steps is not None:
        costs = costs * steps.packed()
    return np.add.reduceat(costs, target.offsets[:-1]) / data.step_scale(i)


def _aligned(cost: Cost, output: Rows, target: Labels) -> npt.NDArray[np.float64]:
    """Of each row whose steps have a sequence of labels together."""
    y = output if isinstance(output, Ragged) else Ragged.of_array(output)
    steps, labels = y.to_array().astype(np.float64), target.filled()
    form = cost.form_of_output
    return cost.loss.aligned_costs(np, steps, labels, y.lengths, form)


def _mean(total: Array, members: int, log: bool, dtype: str) -> Array:
    with np.errstate(divide="ignore"):  # a probability of 0
        mean = np.log(total / members) if log else total / members
    return mean.astype(dtype)


# -- members that fit each other ------------------------------------------------------


def _checked(members: Sequence[Network]) -> tuple[Network, ...]:
    plain = isinstance(cast(object, members), list | tuple)
    several = tuple(members if plain else cast(list[Network], []))
    if not 1 <= len(several) <= MOST_MEMBERS:
        raise ValueError(
            f"[ensemble] members = {short(members)}; expected 1 to {MOST_MEMBERS:,} "
            "networks in a list; use nv.Ensemble.of(network, 5) to make them from one"
        )
    for i, one in enumerate(several):
        if not isinstance(cast(object, one), Network):
            raise ValueError(
                f"[ensemble] member {i} is {short(one)}; expected an nv.Network; pass "
                "a list of them"
            )
        if any(one is other for other in several[:i]):
            raise ValueError(
                f"[ensemble] member {i} is the same network as an earlier one; "
                "expected different ones; use its copy()"
            )
        _compare(several[0], one, i)
    return several


def _compare(first: Network, other: Network, index: int) -> None:
    """Raises where a member cannot be averaged with the first."""
    before, after = _ends(first), _ends(other)
    for what, value in before.items():
        if after[what] != value:
            raise ValueError(
                f"[ensemble] member {index} has {what} {after[what]}, member 0 has "
                f"{value}; expected the same; leave it out or train it alike"
            )
    if other.preprocessing != first.preprocessing:
        raise ValueError(
            f"[ensemble] member {index} was trained on data encoded in another way "
            "than member 0's; expected the same; train them on one Dataset"
        )


def _ends(net: Network) -> dict[str, object]:
    graph = net.graph
    return {
        "dtype": net.dtype,
        "input shapes": graph.input_shapes,
        "outputs": graph.output_names,
        "output shapes": graph.output_shapes,
        "output activations": [
            activation_of(graph.nodes[i].layer) for i in graph.outputs
        ],
    }
