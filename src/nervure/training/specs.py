# SPDX-License-Identifier: BSD-3-Clause
"""The spec of a training run, written into its folder, and training from a spec."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nervure.data import Dataset, Raw, make_dataset, read, split
from nervure.data.preprocessing import Classes, Preprocessing
from nervure.defaults import TEST, default_spec
from nervure.ensemble import Ensemble
from nervure.losses import CustomLoss, Loss
from nervure.metrics import METRICS, Metric
from nervure.network import Network
from nervure.saving import described, network_of, take_weights
from nervure.spec import DataSpec, Spec, SpecError, TrainingSpec, load_spec
from nervure.training.callbacks import EarlyStopping
from nervure.training.ensemble import EnsembleRun, member_folder
from nervure.training.fit import fit
from nervure.training.folder import RunFolder, RunFolderError
from nervure.training.prepare import Rows
from nervure.training.run import Run

if TYPE_CHECKING:
    from nervure.training.session import Session, Settings

# -- from a run to its spec -----------------------------------------------------------


def spec_of(session: Session) -> Spec:
    """The spec of a run: its network, its data and its settings.

    What is code (see `code_of`) is left out: `resume` asks for it again.
    """
    net = session.net
    return dataclasses.replace(
        described(net),
        data=_data_of(session),
        training=_training_of(session.settings, net),
        augmentation=session.settings.augmentation,
    )


def _data_of(session: Session) -> DataSpec:
    known = session.folder.data if session.folder else None
    return known or DataSpec(validation=session.settings.validation)


def code_of(settings: Settings) -> list[str]:
    """Arguments of `fit` that are code, so that no file can hold them."""
    code = {
        "loss": any(isinstance(c.loss, CustomLoss) for c in settings.objective.costs),
        "metrics": _metric_names(settings.metrics) is None
        and settings.metrics is not None,
        "callbacks": bool(settings.callbacks),
    }
    return [name for name, found in code.items() if found]


def _training_of(settings: Settings, net: Network) -> TrainingSpec:
    record = net.preprocessing
    same = {f.name for f in dataclasses.fields(TrainingSpec)} & {
        f.name for f in dataclasses.fields(settings)
    }
    given = {name: getattr(settings, name) for name in same}
    given["loss"] = _loss_of(settings)
    given["metrics"] = _metric_names(settings.metrics)
    given["class_weight"] = _class_weight_of(settings.class_weight, labels_of(record))
    weights = tuple(cost.weight for cost in settings.objective.costs)
    given["learning_rates"] = settings.learning_rates or None
    given["freeze"] = tuple(e.name for e in net.graph.entries if e.name in net.frozen)
    given["loss_weights"] = None if set(weights) == {1.0} else weights
    return TrainingSpec(**given)


def _loss_of(settings: Settings) -> Loss | tuple[Loss, ...] | None:
    losses = tuple(cost.loss for cost in settings.objective.costs)
    if any(isinstance(one, CustomLoss) for one in losses):
        return None
    return losses[0] if len(losses) == 1 else losses


def _metric_names(metrics: Sequence[Any] | None) -> tuple[str, ...] | None:
    """Names of metrics; None where there are none given, or one of them is code."""
    if metrics is None:
        return None
    names = [one.name if isinstance(one, Metric) else one for one in metrics]
    by_name = all(
        (isinstance(name, str) and METRICS.get(name, one) == one) or one == name
        for name, one in zip(names, metrics, strict=True)
    )
    known = by_name and all(name in METRICS for name in names)
    return tuple(names) if known else None


def _class_weight_of(found: Any, labels: Sequence[object]) -> Any:
    """Class weights as a spec has them: by label, or by index without labels."""
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, Mapping):
        pairs = list(cast(Mapping[Any, Any], found).items())
    else:
        pairs = list(enumerate(cast(list[float], np.asarray(found).tolist())))
    return {str(labels[int(k)] if labels else int(k)): float(v) for k, v in pairs}


def labels_of(record: Preprocessing | None) -> tuple[object, ...]:
    """The labels of the classes that a network was trained for, in order."""
    known = record is not None and isinstance(record.target, Classes)
    return tuple(record.target.labels) if known else ()  # pyright: ignore


# -- from a spec to a run -------------------------------------------------------------


def fit_spec(
    spec: Spec,
    dataset: Dataset | None = None,
    *,
    directory: str | os.PathLike[str] | None = None,
    **overrides: Any,
) -> Run | EnsembleRun:
    """Train the network of a spec on its data; ``run.network`` is the result.

    A spec with ``[ensemble]`` trains an ensemble: ``run.ensemble``.

    Args:
        dataset: rows in place of those that ``spec.data`` names (see `load_data`).
        directory: run folder to be made.
        overrides: other arguments of `fit`; they go before those of the spec.

    Raises:
        SpecError, DataError, ValueError: a spec, data or arguments that do not fit.

    >>> import nervure as nv
    >>> from nervure.spec import parse_spec
    >>> spec = parse_spec('''
    ... [data]
    ... source = "iris"
    ... [[layer]]
    ... type = "dense"
    ... units = 3
    ... activation = "softmax"
    ... [training]
    ... epochs = 2
    ... ''')
    >>> fit_spec(spec, progress=False).epoch
    2
    """
    if dataset is None:
        dataset = load_data(spec.data, spec.seed, spec.dtype)
    folder = None if directory is None else RunFolder(directory, spec.data)
    arguments = _arguments(spec, dataset, overrides)
    return _fit(spec, dataset, None, directory=folder, **arguments)


def _fit(spec: Spec, rows: Any, y: Any, **arguments: Any) -> Run | EnsembleRun:
    """Train what the spec describes; rows are a `Dataset`, or arrays with ``y``."""
    network = network_for(spec, rows) if isinstance(rows, Dataset) else network_of(spec)
    several = spec.ensemble
    ensemble = None if several is None else Ensemble.of(network, several.members)
    weights = spec.training.weights if spec.training else None
    if weights is not None and not arguments.get("resume"):
        for one in [network] if ensemble is None else ensemble:
            take_weights(one, weights)
    if ensemble is None or several is None:
        return fit(network, rows, y, **arguments)
    return ensemble.fit(rows, y, bagged=several.bagged, **arguments)


def network_for(spec: Spec, dataset: Dataset) -> Network:
    """The network of a spec for these rows, beginning as they ask for."""
    record = dataset.preprocessing
    return network_of(spec, record.shape, None, record.categories, record)


def default_for(
    data: DataSpec, seed: int = 0, dtype: str = "float32", *, test: bool = True
) -> tuple[Spec, Dataset]:
    """The spec that is chosen for a source, and its rows.

    With ``test`` a part is held out where the source has no test part of its own.

    Raises:
        SpecError, DataError: see `read_data`.
    """
    raw = read_data(data)
    if raw.test is None and test:
        data = dataclasses.replace(data, test=TEST)
    data = dataclasses.replace(data, image_size=raw.image_size)
    dataset = load_data(data, seed, dtype, raw)
    return default_spec(dataset, data, seed), dataset


def read_data(data: DataSpec) -> Raw:
    """The source of a spec, read but not yet encoded.

    Raises:
        SpecError: no source.
        DataError: the source cannot be read or used.
    """
    if data.source is None:
        raise SpecError(
            "[data] no source; expected a data set, a file or a folder; add "
            'source = "..." under [data]'
        )
    target = data.target if isinstance(data.target, str | None) else list(data.target)
    return read(
        data.source,
        target=target,
        query=data.query,
        task=data.task,
        weights=data.weights,
        image_size=data.image_size,
    )


def load_data(
    data: DataSpec, seed: int = 0, dtype: str = "float32", raw: Raw | None = None
) -> Dataset:
    """The data set of a spec; training never sees ``test`` and ``calibration``.

    Statistics are those of the rows that are trained on. Where ``data.test`` is 0 the
    test part is the source's own, if it has one. ``raw`` is the source where it was
    read already.

    Raises:
        SpecError, DataError: see `read_data`.
    """
    raw = read_data(data) if raw is None else raw
    strata = raw.strata()

    def apart(rows: Rows, fraction: float) -> tuple[Rows, Rows]:
        of_rows = None if strata is None else strata[rows]
        kept, aside = split(len(rows), fraction, of_rows, seed)
        return rows[kept], rows[aside]

    rest, test = apart(np.arange(raw.rows), data.test)
    rest, calibration = apart(rest, data.calibration)
    train, held_out = apart(rest, data.validation)
    if len(train) == raw.rows:
        return make_dataset(raw, dtype=dtype, encodings=data.encodings)
    made = make_dataset(raw, train, held_out, dtype=dtype, encodings=data.encodings)
    if len(rest) == raw.rows:
        return made

    def part(rows: Rows) -> tuple[Any, Any] | None:
        return (made.inputs[rows], made.targets[rows]) if len(rows) else None

    return dataclasses.replace(
        made,
        inputs=made.inputs[rest],
        targets=made.targets[rest],
        weights=None if made.weights is None else made.weights[rest],
        test=part(test) or made.test,
        calibration=part(calibration),
        train_rows=np.searchsorted(rest, train) if len(held_out) else None,
        held_out_rows=np.searchsorted(rest, held_out) if len(held_out) else None,
    )


def resume(
    directory: str | os.PathLike[str],
    X: Any = None,
    y: Any = None,
    **overrides: Any,
) -> Run | EnsembleRun:
    """Go on with the run in a folder, to the bits it would have had without a break.

    Args:
        X, y: the data, where the run was begun on arrays rather than on a source.
        overrides: arguments of `fit`. Those that are code or arrays (a loss, metrics
            or callbacks that are functions, own validation data, sample weights) must
            be given again; others change the run from here on (``epochs=50``).

    Raises:
        RunFolderError: no run in the folder, other data, something to be given again.

    >>> import tempfile, nervure as nv
    >>> X, y = [[0.0], [1.0]], [1.0, 3.0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net = nv.Network([nv.Input(1), nv.Dense(1)], seed=0)
    ...     run = nv.fit(net, X, y, epochs=2, directory=f"{folder}/a", progress=False)
    ...     nv.resume(f"{folder}/a", X, y, epochs=5, progress=False).epoch
    5
    """
    folder = RunFolder(directory)
    if not folder.spec.exists():
        raise RunFolderError(
            f"[{folder.path}] holds no run: spec.toml is missing; expected a folder "
            "that nv.fit(directory=...) or nervure train made; check the path"
        )
    spec = load_spec(folder.spec)
    _check_given(folder, spec.ensemble is not None, overrides)
    rows = _data_again(folder, spec) if X is None else X
    folder.data = spec.data
    arguments = _arguments(spec, rows, overrides)
    return _fit(spec, rows, y, directory=folder, resume=True, **arguments)


def _arguments(spec: Spec, X: Any, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `fit` after a spec, changed by ``overrides``."""
    record = X.preprocessing if isinstance(X, Dataset) else None
    training = spec.training or TrainingSpec()
    given = training.arguments(labels_of(record))
    given |= {"augmentation": spec.augmentation, **overrides}
    if spec.network is not None and given["loss_weights"] is None:
        given["loss_weights"] = spec.network.loss_weights
    stopping = training.early_stopping
    own = any(isinstance(one, EarlyStopping) for one in given["callbacks"])
    if stopping and not own:
        given["callbacks"] = [*given["callbacks"], stopping]
    split_already = record is not None and X.held_out_rows is not None
    if spec.data.validation and not split_already:
        given.setdefault("validation", spec.data.validation)
    return given


def _check_given(
    folder: RunFolder, ensemble: bool, overrides: Mapping[str, Any]
) -> None:
    held = member_folder(folder, 0) if ensemble else folder
    missing = [name for name in held.given_again() if name not in overrides]
    if missing:
        names = ", ".join(f"{name}=..." for name in missing)
        raise RunFolderError(
            f"[{folder.path}] was begun with {' and '.join(missing)} that no file can "
            f"hold (code or arrays); expected the same again; pass them: "
            f"nv.resume(..., {names})"
        )


def _data_again(folder: RunFolder, spec: Spec) -> Dataset:
    if spec.data.source is None:
        raise RunFolderError(
            f"[{folder.path}] was begun on arrays, which are not in the folder; "
            "expected the same arrays; pass them: nv.resume(directory, X, y)"
        )
    return load_data(spec.data, spec.seed, spec.dtype)
