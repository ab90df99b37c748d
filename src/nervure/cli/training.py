# SPDX-License-Identifier: BSD-3-Clause
"""``nervure train``: from a source and perhaps a spec to a run folder."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import nervure as nv
from nervure.base.folders import numbered, numbers
from nervure.base.words import is_table, many
from nervure.cli.judging import judge
from nervure.cli.rebuilding import (
    beside_pca,
    judge_codes,
    told_rebuilt,
    values_of,
)
from nervure.cli.recording import record_scores, record_values
from nervure.cli.scoring import held_out, training_of
from nervure.cli.standard_input import refuse_standard_input
from nervure.cli.telling import calibrated, reports, told_intervals, told_scores
from nervure.data import Dataset, Raw
from nervure.ensemble.ensemble import EnsembleRun
from nervure.forecasting.forecaster import scores_of
from nervure.forecasting.scoring import with_intervals
from nervure.layers.source import Input
from nervure.runs.training import fit_spec, resume
from nervure.serving.answers import answering
from nervure.spec.for_series import check_intervals, with_quantiles
from nervure.spec.reading import apply_sets, parse_spec, read_tables
from nervure.spec.rows import default_for, held_apart, load_data, read_data
from nervure.spec.tables import DataSpec, Spec, SpecError, TrainingSpec
from nervure.spec.written import spec_to_dict
from nervure.training.table import duration
from nervure.training.writers import Writer, writer
from nervure.uncertainty.calibration import calibrate
from nervure.zoo import ARCHITECTURES

RUNS = Path("runs")
INTERRUPTED = 130
WHOLE = "whole"
"""The folder, in that of a run, of the one on all steps of a series."""

CALIBRATION = 0.1
"""Fraction of the rows that --calibrate keeps apart."""

MAY_CHANGE = (
    "epochs",
    "max_steps",
    "max_seconds",
    "early_stopping",
    "checkpoint_steps",
    "checkpoint_seconds",
    "executor",
    "telemetry",
)
"""Keys of [training] that do not decide about the bits of the steps already taken."""


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    source: str | None = None
    spec: Path | None = None
    target: str | list[str] | None = None
    sets: tuple[str, ...] = ()
    out: Path | None = None
    resume: bool = False
    calibrate: bool = False
    quiet: bool = False
    logs: tuple[str, ...] = ()
    series: tuple[tuple[str, Any], ...] = ()
    refit: bool = False
    autoencoder: int | None = None
    intervals: str | None = None


def train(request: Request) -> int:
    """Train as asked, tell how good the network is and where it lies; the exit code."""
    if request.resume:
        return _go_on(request)
    refuse_standard_input(request.source, "train")
    spec, dataset = asked_for(request)
    _check_of_series(request, spec)
    how: dict[str, Any] = {"progress": not request.quiet}
    if request.logs:
        how["callbacks"] = _writers(request, spec)
    with new_folder(request, spec.data, RUNS) as folder:
        print(dataset.summary(), flush=True)
        run = fit_spec(spec, dataset, directory=folder, **how)
        return _finish(run, spec, dataset, folder, request)


def _check_of_series(request: Request, spec: Spec) -> None:
    """Raises where options of a series are given without one."""
    for option, given in (("refit", request.refit), ("intervals", request.intervals)):
        if given and spec.data.series is None:
            raise SpecError(
                f"[--{option}] the source is taken as rows, not as a series; expected "
                "--time and --horizon; leave the option out"
            )


def _go_on(request: Request) -> int:
    folder = request.out or latest_folder(request.source, RUNS)
    if request.autoencoder is not None:
        raise SpecError(
            "[--autoencoder] a run that has begun keeps its network; expected the "
            "option with a new run; leave it out"
        )
    if request.calibrate:
        raise SpecError(
            "[--calibrate] a run that has begun keeps the rows apart that it began "
            "with; expected the option with a new run; leave it out"
        )
    where = folder / "spec.toml"
    spec, changed = _spec(where, request), _spec(where, request, request.sets)
    fixed = _fixed(spec, changed)
    if fixed:
        raise SpecError(
            f"[--set] {', '.join(fixed)} cannot change in a run that has begun; "
            f"expected with --resume only training.{', training.'.join(MAY_CHANGE)}; "
            "leave it out, or begin a new run"
        )
    training = changed.training or TrainingSpec()
    dataset = load_data(spec.data, spec.seed, spec.dtype)
    arguments = training.arguments() if request.sets else {}
    overrides = {
        key: value
        for key, value in arguments.items()
        if key in MAY_CHANGE or key == "callbacks"
    }
    if request.logs:
        kept = overrides.get("callbacks", [])
        overrides["callbacks"] = [*kept, *_writers(request, spec)]
    print(dataset.summary(), flush=True)
    run = resume(folder, dataset, progress=not request.quiet, **overrides)
    return _finish(run, changed, dataset, folder, request)


def _writers(request: Request, spec: Spec) -> list[Writer]:
    """What hands on what the run tells, to the tools that were asked for."""
    if spec.ensemble is not None:
        raise SpecError(
            "[--log] an ensemble trains several networks at once; expected one; leave "
            "the option or --ensemble out"
        )
    return [writer(text) for text in request.logs]


def _fixed(spec: Spec, changed: Spec) -> list[str]:
    """Keys whose values differ, but decide about the bits of the run."""
    words = {"layers": "layer"}
    fixed = [words.get(key, key) for key in _differing(spec, changed)]
    before, after = (one.training or TrainingSpec() for one in (spec, changed))
    keys = [key for key in _differing(before, after) if key not in MAY_CHANGE]
    return [key for key in fixed if key != "training"] + [
        f"training.{key}" for key in keys
    ]


def _differing(one: Any, other: Any) -> list[str]:
    names = [field.name for field in fields(one)]
    return [name for name in names if getattr(one, name) != getattr(other, name)]


# -- spec and data --------------------------------------------------------------------


def asked_for(request: Request) -> tuple[Spec, Dataset]:
    """The spec that the user gave or that suits the data, and the data."""
    return _described(request) if request.spec else _chosen(request)


def _described(request: Request) -> tuple[Spec, Dataset]:
    """The spec that the user gave, and its data."""
    assert request.spec is not None
    if request.autoencoder is not None:
        raise SpecError(
            "[--autoencoder] beside --spec, which says what the network is; expected "
            "one of the two; leave one out (a spec has a table [autoencoder] and a "
            'layer that is named "code")'
        )
    if request.intervals is not None:
        raise SpecError(
            "[--intervals] a spec says by its loss what the network gives; expected "
            "the option without --spec; leave it out, or set training.loss = {type = "
            '"pinball", quantile = [0.05, 0.5, 0.95]} and as many outputs for each step'
        )
    spec = _spec(request.spec, request, request.sets)
    raw = read_data(spec.data)
    if spec.data.validation is None:
        data = held_apart(spec.data, raw)
        print(_held_apart(spec.data, data, raw), flush=True)
        spec = replace(spec, data=data)
    return spec, load_data(spec.data, spec.seed, spec.dtype, raw)


def _held_apart(said: DataSpec, data: DataSpec, raw: Raw) -> str:
    """What is held out where the spec does not say."""
    parts = [f"{100 * (data.validation or 0):g} % to choose the best epoch by"]
    if raw.test is not None:
        parts.insert(0, "the source's test part to score")
    elif said.test is None:
        parts.insert(0, f"{100 * (data.test or 0):g} % of the rows to score")
    return f"held out, since the spec does not say: {' and '.join(parts)}"


def _spec(path: Path, request: Request, sets: tuple[str, ...] = ()) -> Spec:
    by_name = str(path) in ARCHITECTURES and not path.exists()
    tables = {"network": {"zoo": str(path)}} if by_name else read_tables(path)
    return parse_spec(apply_sets(_with_data(tables, request), sets), str(path))


def _with_data(tables: dict[str, Any], request: Request) -> dict[str, Any]:
    """The tables with the source and target of the command line, if given."""
    said = {"source": request.source, "target": request.target}
    named = {key: value for key, value in said.items() if value is not None}
    apart = {"calibration": CALIBRATION} if request.calibrate else {}
    data: object = tables.get("data", {})
    if not is_table(data):
        return tables
    series: dict[str, Any] = {}
    if request.series:
        there: object = data.get("series", {})
        given = {**(there if is_table(there) else {}), **dict(request.series)}
        _check_series(given)
        series["series"] = given
    return {**tables, "data": {**apart, **data, **named, **series}}


def _check_series(said: dict[str, Any]) -> None:
    """Raises where options of a series are given, but not what makes it one."""
    options = {"time": "the column of its times", "horizon": "steps to forecast"}
    for name, what in options.items():
        if name not in said:
            given = ", ".join(f"--{key}" for key in said)
            raise SpecError(
                f"[--{name}] {given} without --{name}; expected of a series {what} "
                f"too; add --{name}"
            )


def _chosen(request: Request) -> tuple[Spec, Dataset]:
    """The default spec for the user's data, with single keys changed."""
    if request.source is None:
        raise SpecError(
            "[train] neither a source nor --spec; expected data to train on; try: "
            "nervure train digits"
        )
    if request.intervals is not None:
        check_intervals(request.intervals, "--intervals")
    asked = _asked(request)
    spec, dataset = default_for(asked.data, asked.seed, asked.dtype, asked.autoencoder)
    if request.intervals == "pinball" and spec.data.series is not None:
        spec = _of_quantiles(spec, request)
    tables = apply_sets(spec_to_dict(spec), request.sets)
    return parse_spec(tables, "--set"), dataset


def _of_quantiles(spec: Spec, request: Request) -> Spec:
    """The default with quantiles; where it is trained once more, for all epochs.

    Errors of the first network move the quantiles of the second, which then has to be
    trained as long: the longer, the narrower they are.
    """
    spec = with_quantiles(spec)
    if not request.refit:
        return spec
    print(
        "--refit trains both networks for all epochs, so that their quantiles compare"
    )
    training = spec.training or TrainingSpec()
    return replace(spec, training=replace(training, early_stopping=None))


def _asked(request: Request) -> Spec:
    """What the command line says of the data, before a network can be chosen."""
    base: dict[str, Any] = {"layer": [{"type": "flatten"}]}
    early = _sets(request, r"data\.|dtype|training\.seed|autoencoder\.")
    if request.autoencoder is not None:
        base = {"autoencoder": {"code": request.autoencoder}}
    elif any(text.startswith("autoencoder.") for text in early):
        base = {"autoencoder": {}}
    return parse_spec(apply_sets(_with_data(base, request), early), "--set")


def _sets(request: Request, key: str) -> list[str]:
    return [text for text in request.sets if re.match(key, text)]


# -- folders --------------------------------------------------------------------------


def _name(source: str | None) -> str:
    stem = Path(source or "run").resolve().name.split(".")[0]
    return re.sub(r"[^\w-]+", "_", stem)[:60] or "run"


def new_folder(
    request: Request, data: DataSpec, within: Path
) -> AbstractContextManager[Path]:
    """The folder that is asked for, or the next of a source: ``<source>-<number>``."""
    if request.out is not None:
        return nullcontext(request.out)
    return numbered(_name(data.source), within)


def latest_folder(source: str | None, within: Path) -> Path:
    """The folder that `new_folder` gave last.

    Raises:
        SpecError: there is none.
    """
    known = numbers(_name(source), within) if source else []
    if known:
        return within / f"{_name(source)}-{known[-1]}"
    raise SpecError(
        f"[--resume] found no run of {source or 'no source'} in {within}/; expected "
        "the folder of a run; name it with --out"
    )


# -- the end --------------------------------------------------------------------------


def _finish(
    run: nv.Run | EnsembleRun,
    spec: Spec,
    dataset: Dataset,
    folder: Path,
    request: Request,
) -> int:
    network = nv.load(folder / "model.safetensors")
    print(_trained(run))
    if dataset.origins is not None:
        network = _finish_series(network, dataset, folder)
    elif spec.autoencoder is not None:
        _judge_autoencoder(network, dataset, folder)
    else:
        _judge(network, spec, dataset, folder)
    record = "members" if isinstance(run, EnsembleRun) else "record.jsonl"
    print(f"saved in {folder} (model.safetensors, spec.toml, {record})")
    if run.stopped == "interrupted":
        print(f"interrupted; go on with: nervure train --resume --out {folder}")
        return INTERRUPTED
    if dataset.origins is not None:
        scores = _scores_of_both(network, run, dataset, spec)
        return _whole(scores, spec, folder, request)
    return 0


def _finish_series(network: Any, dataset: Dataset, folder: Path) -> Any:
    """Put intervals into the model; tell how good forecasts of the latest steps are.

    Returns:
        The model as it is saved.
    """
    sure = with_intervals(network, dataset)
    if sure is not None:
        sure.save(folder / "model.safetensors")
    network = sure or network
    print(told_intervals(network))
    found = scores_of(network, dataset)
    if found:
        print(told_scores(found, "held-out"))
    for one in found:
        which = one.target if len(found) > 1 else ""
        record_values(folder, one.values(), "held-out", one.rows, which)
    return network


def _whole(scores: Any, spec: Spec, folder: Path, request: Request) -> int:
    """Train on all steps, as long and in the same way, if that is asked for.

    That network lies in a folder of its own: the first one is what was scored, with
    ``scores`` that hold for the second too.
    """
    if not request.refit:
        print(
            "--refit trains once more on all steps, to forecast what comes after them"
        )
        return 0
    inner = folder / WHOLE
    if (inner / "spec.toml").exists():
        run = resume(inner, progress=not request.quiet)
    else:
        again = _of_all_steps(spec)
        run = fit_spec(again, directory=inner, progress=not request.quiet)
    network = nv.load(inner / "model.safetensors")
    network.conformal = scores
    network.save(inner / "model.safetensors")
    print(f"{_trained(run)}, on all steps")
    if network.conformal is None:
        print(told_intervals(network))
    print(
        f"saved in {inner}; forecast with: nervure predict {inner} {spec.data.source}"
    )
    return INTERRUPTED if run.stopped == "interrupted" else 0


def _scores_of_both(
    scored: Any, run: nv.Run | EnsembleRun, dataset: Dataset, spec: Spec
) -> Any:
    """The errors that hold for the network on all steps too.

    Those of outputs are in units of the windows, so that they do. Those of quantiles
    do where both networks were trained equally long: not those of the epoch that was
    best for the steps held out, but those after the last.
    """
    scores = scored.conformal
    if scores is None or scores.method != "cqr":
        return scores
    early = spec.training is not None and spec.training.early_stopping is not None
    if early or isinstance(run, EnsembleRun):
        return None
    sure = with_intervals(run.network, dataset)
    return None if sure is None else sure.conformal


def _of_all_steps(spec: Spec) -> Spec:
    """The spec with nothing held out, for as many inputs as there are then."""
    nothing = {"validation": 0.0, "test": 0.0, "calibration": 0.0}
    layers = tuple(one for one in spec.layers if not isinstance(one.layer, Input))
    training = spec.training or TrainingSpec()
    return replace(
        spec,
        layers=layers if len(spec.layers) - len(layers) == 1 else spec.layers,
        data=replace(spec.data, **nothing),
        training=replace(training, early_stopping=None),
    )


def _judge(network: Any, spec: Spec, dataset: Dataset, folder: Path) -> None:
    """Calibrate the model, if that was asked for; tell how good it is."""
    if dataset.calibration is not None:
        network = calibrate(network, dataset)
        network.save(folder / "model.safetensors")
        print(calibrated(network))
    rows = held_out(dataset)
    if rows is not None:
        training = training_of(spec)
        found = judge(network, rows.inputs, rows.targets, training.loss)
        print(reports(found, rows.name, weighted=training.class_weight is not None))
        record_scores(folder, found, rows.name)


def _judge_autoencoder(network: Any, dataset: Dataset, folder: Path) -> None:
    """Tell how much of the rows held out comes back, and how much PCA gives."""
    rows, record = held_out(dataset), network.preprocessing
    if rows is None:
        return
    scoring = answering(network)
    found = judge_codes(scoring, record, rows.inputs, rows.targets)
    found = beside_pca(found, scoring, dataset, rows.targets)
    print(told_rebuilt(found, scoring, record, rows.name))
    record_values(folder, values_of(found), rows.name, found.rows)


def _trained(run: nv.Run | EnsembleRun) -> str:
    if isinstance(run, EnsembleRun):
        count = run.ensemble.members[0].layout.count
        epochs = [one.epoch for one in run.runs]
        same, most = min(epochs) == max(epochs), many(max(epochs), "epoch")
        several = most if same else f"{min(epochs):,} to {most}"
        return (
            f"trained {many(len(epochs), 'member')} of {many(count, 'parameter')} for "
            f"{several} each; their times add up to {duration(run.seconds)}"
        )
    count = run.network.layout.count
    early = f"\n({run.stopped})" if run.stopped else ""
    best = many(run.best_epoch + 1, "epoch")
    kept = f", weights after {best}" if run.best_epoch >= 0 else ""
    return (
        f"trained {many(count, 'parameter')} for {many(run.epoch, 'epoch')} in "
        f"{duration(run.seconds)}{kept}{early}"
    )
