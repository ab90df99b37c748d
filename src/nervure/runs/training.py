# SPDX-License-Identifier: BSD-3-Clause
"""The spec of a training run, written into its folder, and training from a spec."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nervure.data import Dataset
from nervure.ensemble.ensemble import Ensemble, EnsembleRun
from nervure.ensemble.training import member_folder
from nervure.runs.building import network_for, network_of
from nervure.runs.loading import take_weights
from nervure.spec.reading import load_spec
from nervure.spec.rows import load_data
from nervure.spec.stopping import EarlyStopping
from nervure.spec.tables import Spec, TrainingSpec
from nervure.training.described import labels_of
from nervure.training.fit import fit
from nervure.training.folder import RunFolder, RunFolderError
from nervure.training.run import Run

if TYPE_CHECKING:
    pass


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
    arguments = arguments_of(spec, dataset, overrides)
    return _fit(spec, dataset, None, directory=folder, **arguments)


def fit_arrays(spec: Spec, X: Any, y: Any, **overrides: Any) -> Run | EnsembleRun:
    """`fit_spec` on arrays; the spec says what goes in, by an input layer."""
    arguments = arguments_of(spec, X, overrides)
    return _fit(spec, X, y, **arguments)


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
    arguments = arguments_of(spec, rows, overrides)
    return _fit(spec, rows, y, directory=folder, resume=True, **arguments)


def arguments_of(
    spec: Spec, X: Any, overrides: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The arguments of `fit` after a spec, changed by ``overrides``."""
    record = X.preprocessing if isinstance(X, Dataset) else None
    training = spec.training or TrainingSpec()
    given = training.arguments(labels_of(record))
    given |= {"augmentation": spec.augmentation, **(overrides or {})}
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
