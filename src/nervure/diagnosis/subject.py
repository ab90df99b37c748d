# SPDX-License-Identifier: BSD-3-Clause
"""Subject: what there is to look at, of a run, a folder, a spec or a network."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nervure.base.words import short
from nervure.data import DataError, Dataset
from nervure.data.ragged import one_each
from nervure.diagnosis.experiments import Laboratory
from nervure.diagnosis.rows import Study, read, skill, words_of
from nervure.ensemble.ensemble import EnsembleRun
from nervure.ensemble.training import MEMBERS
from nervure.executors import Data
from nervure.findings.case import Case
from nervure.findings.facts import Facts, Task, evenly, facts_of, looked_at, task_of
from nervure.graph.graph import Graph
from nervure.graph.objective import Objective
from nervure.network.modelfile import ModelFileError
from nervure.network.network import Network
from nervure.record import NAME, Record, RecordError
from nervure.runs.building import network_for, network_of
from nervure.runs.loading import load_network
from nervure.runs.training import arguments_of, rows_for
from nervure.spec.reading import load_spec
from nervure.spec.rows import load_data
from nervure.spec.tables import Spec, TrainingSpec
from nervure.training.prepare import Prepared, prepare
from nervure.training.run import Run


class DiagnosisError(ValueError):
    """Something that no diagnosis can be made of."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What there is to look at; each part may be missing.

    Attributes:
        network: as it is now, trained or not.
        prepared, objective: its rows, and what it is to learn of them.
        dataset: the rows as a source gave them, where it did.
        trained: whether the network is the result of the training.
        path: the run folder or spec file, where it was read from one.
        missing: what could not be looked at, and why.
    """

    spec: Spec
    graph: Graph | None = None
    network: Network | None = None
    prepared: Prepared | None = None
    objective: Objective | None = None
    dataset: Dataset | None = None
    record: Record = field(default_factory=Record)
    trained: bool = False
    path: Path | None = None
    missing: tuple[str, ...] = ()

    def case(self, trials: Mapping[str, Any] | None = None) -> Case:
        """What is known for the rules, rows looked at as a whole."""
        return Case(
            self.spec,
            self.graph,
            self.objective,
            self._facts(),
            self.record,
            deep=self._deep,
            trials=trials or {},
            deep_scales=self._scales,
            deep_targets=self._target_scales,
        )

    def trials(self, seconds: float) -> dict[str, float]:
        """What experiments say, within a time limit; empty where none can be made."""
        if self.network is None or self.prepared is None or self.objective is None:
            return {}
        if self.prepared.data.ragged:
            return {}
        training = self.spec.training or TrainingSpec()
        return Laboratory(
            self.network, self.prepared, self.objective, training, seconds
        ).results()

    def _facts(self) -> Facts | None:
        known = Facts.of_event(self.record.latest("data"))
        if known is not None or self.prepared is None or self.graph is None:
            return known
        if self.prepared.data.ragged:
            return None
        assert self.objective is not None
        p = self.prepared
        return facts_of(self.graph, self.objective, p.data, p.rows, p.validation)

    @cached_property
    def _deep(self) -> dict[str, Any]:
        """What the rows as a whole say, and how the network does on them."""
        p = self.prepared
        if p is None or len(p.rows) < 8 or p.data.ragged:
            return {}
        held, target = p.validation, _target(p.data)
        if _gives_back(p.data):
            return self._skills(p, task_of(target)) if self.trained else {}
        words = () if self.graph is None else words_of(self.graph)
        study = Study(p.data, p.rows, held, words)
        place, told, next_told = study.telling
        by, moved = study.shifted
        found: dict[str, Any] = {
            "linear": study.yields.linear,
            "kernel": study.yields.kernel,
            "best": study.yields.best,
            "shift_by": by,
            "shifted": moved,
            "disagreement": study.disagreement,
            "agreement": study.agreement,
            "telling": place,
            "told": told,
            "next_told": next_told,
        }
        if self.trained and self.network is not None:
            found |= self._skills(p, study.task)
        return {k: float(v) for k, v in found.items()}

    def _skills(self, p: Prepared, task: Task) -> dict[str, float]:
        """Of the network, on rows it was trained on and on those held out."""
        if self.network is None:
            return {}
        parts = {"own": p.data.take(evenly(p.rows, _LOOKED_AT))}
        if p.validation is not None:
            some = evenly(np.arange(p.validation.rows), _LOOKED_AT)
            parts["held_out"] = p.validation.take(some)
        found: dict[str, float] = {}
        for name, data in parts.items():
            with np.errstate(all="ignore"):
                y = self.network.executor().outputs(
                    Data(data.inputs, scales=data.scales)
                )[0]
                y = one_each(y, "doctor").reshape(len(y), -1)
                known = skill(np.nan_to_num(y), _target(data), task)
            found[name] = known
        return found

    @cached_property
    def _scales(self) -> tuple[Any, Any] | None:
        """Means and deviations of the features of the only input."""
        p = self.prepared
        if p is None or len(p.data.inputs) != 1 or p.data.ragged:
            return None
        some = p.data.take(looked_at(p.data, p.rows, _LOOKED_AT))
        x = np.asarray(read(some)[0], np.float64)
        if x.ndim > 2 or x.shape[1] > _COLUMNS:  # pixels are of one kind
            return _brief(x.mean()), _brief(max(x.std(), 1e-12))
        std = x.std(axis=0)
        scale = np.where(std > 0, std, 1.0)
        return [_brief(m) for m in x.mean(axis=0)], [_brief(s) for s in scale]

    @cached_property
    def _target_scales(self) -> tuple[list[float], list[float]] | None:
        """Means and deviations of the only target's columns."""
        p = self.prepared
        if p is None or len(p.data.targets) != 1 or p.data.ragged:
            return None
        target = _target(p.data)
        if target.ndim != 2:
            return None
        y = target[p.rows].astype(np.float64)
        std = y.std(axis=0)
        if not (std > 0).all():
            return None
        return [_brief(m) for m in y.mean(axis=0)], [_brief(s) for s in std]


_LOOKED_AT = 1024
_COLUMNS = 64


def _brief(value: float) -> float:
    return float(f"{value:.6g}")


def _target(data: Data) -> npt.NDArray[Any]:
    """The first target, which is one for each row."""
    return one_each(data.targets[0], "doctor")


def _gives_back(data: Data) -> bool:
    """Whether the targets are the inputs: what simple models do there says nothing."""
    x, y = one_each(data.inputs[0], "doctor"), _target(data)
    if y.ndim != 2 or math.prod(x.shape[1:]) != y[0].size:
        return False
    own = np.asarray(x[:64]).reshape(len(y[:64]), -1) * data.scale_of(0)
    return bool(np.allclose(own, y[:64]))


# -- from what is given ---------------------------------------------------------------


def subject_of(found: Any, X: Any = None, y: Any = None) -> Subject:
    """What there is to look at.

    Raises:
        DiagnosisError: nothing a diagnosis can be made of.
        SpecError, RecordError: a file that cannot be read.
    """
    if isinstance(found, Subject):
        return found
    if isinstance(found, Run):
        return of_run(found)
    if isinstance(found, Network):
        return of_network(found, X, y)
    if isinstance(found, Spec):
        return of_spec(found, X, y)
    if isinstance(found, str | os.PathLike):
        return of_path(Path(cast(str, found)), X, y)
    if isinstance(found, EnsembleRun):
        raise DiagnosisError(
            "[diagnose] the run of an ensemble; expected that of one network; pass one "
            "of run.runs"
        )
    raise DiagnosisError(
        f"[diagnose] {short(found)}; expected a run, the folder of one, a spec, or a "
        "network with X and y; pass one of them"
    )


def of_run(run: Run) -> Subject:
    """A run of this process."""
    return Subject(
        spec=run.watch.case(live=False).spec,
        graph=run.network.graph,
        network=run.network,
        prepared=run.prepared,
        objective=run.objective,
        record=run.record,
        trained=run.step > 0,
        path=run.directory,
    )


def of_network(net: Network, X: Any, y: Any) -> Subject:
    """A network and rows that nobody has seen it train on."""
    from nervure.spec.written import described

    if X is None:
        raise DiagnosisError(
            "[diagnose] a network without rows; expected what it is to learn from; "
            "call nv.diagnose((net, X, y))"
        )
    objective = net.objective()
    prepared = prepare(net, X, y, objective)
    return Subject(described(net), net.graph, net, prepared, objective)


def of_spec(
    spec: Spec, X: Any = None, y: Any = None, path: Path | None = None
) -> Subject:
    """A spec that nobody has trained; its rows where they can be had."""
    rows, missing = (X, ()) if X is not None else _data_of(spec)
    if isinstance(rows, Dataset):
        return _with_rows(spec, network_for(spec, rows), rows, None, path, missing)
    if rows is not None:
        return _with_rows(spec, network_of(spec), rows, y, path, missing)
    try:
        net = network_of(spec)
    except ValueError:  # nobody says what goes in
        return Subject(spec, path=path, missing=missing)
    return Subject(spec, net.graph, net, path=path, missing=missing)


def of_path(path: Path, X: Any = None, y: Any = None) -> Subject:
    """The folder of a run, or a spec file."""
    if (path / MEMBERS).is_dir():
        first = path / MEMBERS / "0"
        raise DiagnosisError(
            f"[{path}] holds the run of an ensemble; expected that of one network; ask "
            f"for one of its members: {first}"
        )
    if path.is_dir():
        return _of_folder(path, X, y)
    if path.name == NAME:
        return _of_folder(path.parent, X, y)
    return of_spec(load_spec(path), X, y, path)


def _of_folder(folder: Path, X: Any, y: Any) -> Subject:
    if not (folder / "spec.toml").exists() and not (folder / NAME).exists():
        raise DiagnosisError(
            f"[{folder}] holds no run: neither spec.toml nor {NAME}; expected a folder "
            "that nv.fit(directory=...) or nervure train made; check the path"
        )
    missing: list[str] = []
    spec = Spec()
    if (folder / "spec.toml").exists():
        spec = load_spec(folder / "spec.toml")
    else:
        missing.append("spec.toml is missing: nothing is said of the spec")
    try:
        record = Record.read(folder)
    except RecordError as error:
        record = Record()
        missing.append(str(error))
    if not record.of("step"):
        missing.append(
            "the record has no sampled steps (telemetry=False, or an earlier version): "
            "nothing is said of layers"
        )
    found = of_spec(spec, X, y, folder) if spec.layers or spec.network else None
    net, why = _trained(folder)
    missing += list(why)
    if found is None:
        return Subject(spec, record=record, path=folder, missing=tuple(missing))
    return dataclasses.replace(
        found,
        network=net or found.network,
        trained=net is not None,
        record=record,
        missing=(*missing, *found.missing),
    )


def _trained(folder: Path) -> tuple[Network | None, tuple[str, ...]]:
    model = folder / "model.safetensors"
    if not model.exists():
        return None, ("there is no model yet: nothing is said of what it learned",)
    try:
        return load_network(model), ()
    except ModelFileError as error:
        return None, (str(error),)


def _data_of(spec: Spec) -> tuple[Dataset | None, tuple[str, ...]]:
    if spec.data.source is None:
        return None, ("the spec names no data: pass them to have them looked at",)
    try:
        return load_data(spec.data, spec.seed, spec.dtype), ()
    except (DataError, OSError) as error:
        return None, (f"the data cannot be read: {error}",)


def _with_rows(
    spec: Spec,
    net: Network,
    rows: Any,
    y: Any,
    path: Path | None,
    missing: tuple[str, ...],
) -> Subject:
    given = arguments_of(spec, rows)
    dataset = rows if isinstance(rows, Dataset) else None
    if dataset is not None:
        rows = rows_for(spec, net, dataset)
    objective = net.objective(given["loss"], given["loss_weights"])
    prepared = prepare(
        net,
        rows,
        y,
        objective,
        validation=given.get("validation"),
        class_weight=given.get("class_weight"),
        seed=spec.seed,
    )
    return Subject(
        spec, net.graph, net, prepared, objective, dataset, path=path, missing=missing
    )
