# SPDX-License-Identifier: BSD-3-Clause
"""The spec of a training run, written into its folder, and training from a spec."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from nervure.data import Dataset
from nervure.ensemble.ensemble import Ensemble, EnsembleRun
from nervure.ensemble.training import member_folder
from nervure.graph.node import Entry
from nervure.network import autoencoding
from nervure.network.network import Network
from nervure.network.scoring import find_threshold
from nervure.runs.building import network_for, network_of
from nervure.runs.loading import take_weights
from nervure.spec.autoencoders import chain_of, terms_of
from nervure.spec.reading import load_spec
from nervure.spec.rows import load_data
from nervure.spec.stopping import EarlyStopping
from nervure.spec.tables import Spec, SpecError, TrainingSpec
from nervure.training.described import labels_of
from nervure.training.fit import fit
from nervure.training.folder import RunFolder, RunFolderError
from nervure.training.run import Run


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
    if folder is not None and spec.autoencoder is not None:
        folder.chain = _whole_chain(spec, dataset)
    arguments = arguments_of(spec, dataset, overrides)
    return _fit(spec, dataset, None, directory=folder, **arguments)


def fit_arrays(spec: Spec, X: Any, y: Any, **overrides: Any) -> Run | EnsembleRun:
    """`fit_spec` on arrays; the spec says what goes in, by an input layer."""
    arguments = arguments_of(spec, X, overrides)
    return _fit(spec, X, y, **arguments)


def _fit(spec: Spec, rows: Any, y: Any, **arguments: Any) -> Run | EnsembleRun:
    """Train what the spec describes; rows are a `Dataset`, or arrays with ``y``."""
    network = network_for(spec, rows) if isinstance(rows, Dataset) else network_of(spec)
    if spec.autoencoder is not None:
        return _fit_autoencoder(spec, network, rows, **arguments)
    several = spec.ensemble
    ensemble = None if several is None else Ensemble.of(network, several.members)
    weights = spec.training.weights if spec.training else None
    if weights is not None and not arguments.get("resume"):
        for one in [network] if ensemble is None else ensemble:
            take_weights(one, weights)
    if ensemble is None or several is None:
        return fit(network, rows, y, **arguments)
    return ensemble.fit(rows, y, bagged=several.bagged, **arguments)


def _fit_autoencoder(spec: Spec, network: Network, rows: Any, **arguments: Any) -> Run:
    """Train an autoencoder; its model says from which error on rows are anomalies."""
    if not isinstance(rows, Dataset):
        raise SpecError(
            "[autoencoder] arrays without a record of how they were read; expected a "
            "Dataset; in Python use nv.Autoencoder and its fit"
        )
    weights = spec.training.weights if spec.training else None
    if weights is not None and not arguments.get("resume"):
        take_weights(network, weights)
    run = fit(network, rows_for(spec, network, rows), **arguments)
    _find_thresholds(spec, run, rows)
    return run


def rows_for(spec: Spec, network: Network, rows: Dataset) -> Dataset:
    """Rows with targets for all that the network of a spec gives.

    Beside the reconstruction an autoencoder gives what its code costs.
    """
    if spec.autoencoder is None or len(network.graph.outputs) == 1:
        return rows
    found = terms_of(spec, rows.preprocessing.input_shape, rows.preprocessing)
    wanted = autoencoding.targets_of(network.graph, found, rows.targets)
    return dataclasses.replace(rows, targets=np.hstack(wanted))


def _find_thresholds(spec: Spec, run: Run, rows: Dataset) -> None:
    """Put it into the network, and into the model file with its best weights."""
    assert spec.autoencoder is not None
    quantile, best = spec.autoencoder.quantile, run.best_network()
    find_threshold(best, rows, quantile)
    if np.array_equal(best.values, run.network.values):
        run.network.preprocessing = best.preprocessing
    else:
        find_threshold(run.network, rows, quantile)
    if run.directory is not None:
        best.save(RunFolder(run.directory).model)


def _whole_chain(spec: Spec, dataset: Dataset) -> Spec:
    """The spec with all layers of its autoencoder, the input first."""
    record = dataset.preprocessing
    layers = chain_of(spec, record.input_shape, record)
    return dataclasses.replace(spec, layers=tuple(map(Entry, layers)))


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
    folder.data, folder.chain = spec.data, spec if spec.autoencoder else None
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
    if spec.autoencoder is not None:
        found = terms_of(spec, None if record is None else record.input_shape, record)
        own = autoencoding.arguments_of(found)
        given |= {key: one for key, one in own.items() if key not in (overrides or {})}
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
