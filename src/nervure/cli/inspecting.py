# SPDX-License-Identifier: BSD-3-Clause
"""``nervure inspect``: what a model, a spec, a run or a data set holds, in words."""

from __future__ import annotations

from pathlib import Path

import nervure as nv
from nervure.cli.recording import told_of
from nervure.cli.standard_input import from_standard_input
from nervure.cli.telling import calibrated
from nervure.data.image_folders import describe_images, find_images
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import (
    Classes,
    Reconstruction,
    SequenceInput,
    TableColumn,
    TableInput,
    Text,
)
from nervure.graph.summary import summary
from nervure.layers import Input
from nervure.runs.building import network_for, network_of
from nervure.spec.reading import load_spec
from nervure.spec.rows import load_data
from nervure.spec.tables import Spec
from nervure.spec.written import write_spec
from nervure.tuning.report import REPORT, read_report
from nervure.zoo import ARCHITECTURES

MOST_LABELS = 20


def inspect(path: str) -> str:
    """A description of what stands at a path, or of the data set of this name."""
    with from_standard_input(path) as place:
        return _inspect(place)


def _inspect(path: str) -> str:
    place = Path(path)
    if (place / REPORT).is_file():
        return read_report(place).summary()
    run = place.is_dir() and (place / "spec.toml").exists()
    if run and not (place / "model.safetensors").exists():
        return _spec(place / "spec.toml")
    if run:
        told = told_of(place)
        return "\n".join([_model(place / "model.safetensors"), *told])
    if place.suffix == ".safetensors":
        return _model(place)
    if place.suffix == ".toml":
        return _spec(place)
    if path in ARCHITECTURES and not place.exists():
        return summary(ARCHITECTURES[path].graph())
    images = find_images(place) if place.exists() else None
    if images is not None and not images.classes:
        return describe_images(images)
    return nv.data.load(path).summary()


def _model(path: Path) -> str:
    network = nv.load(path)
    record = network.preprocessing
    words = [] if record is None else ["", *_record(record)]
    if network.conformal is not None:
        words.append(calibrated(network))
    return "\n".join([network.summary(), *words])


def _record(record: Preprocessing) -> list[str]:
    shape = " x ".join(map(str, record.shape)) or "letters of a text"
    if isinstance(record.inputs, SequenceInput):
        shape = f"sequences of {record.inputs.name!r}, steps of {shape}"
    lines = [f"inputs: {shape}"]
    names = _features(record)
    if names:
        lines.append(f"features: {_listed(names)}")
    target = record.target
    if isinstance(target, Classes):
        count, labels = len(target.labels), _listed(list(map(str, target.labels)))
        return [*lines, f"target: {target.name}, {count} classes: {labels}"]
    if isinstance(target, Reconstruction):
        return [*lines, *_rebuilding(target)]
    what = "amounts"
    if target.quantiles:
        what = f"quantiles {', '.join(f'{q:g}' for q in target.quantiles)}"
    return [*lines, f"target: {_listed(list(target.names))} ({what})"]


def _features(record: Preprocessing) -> list[str]:
    """Names of the inputs of a table; those of a text together."""
    table = record.inputs
    if not isinstance(table, TableInput):
        return []
    return [name for column in table.columns for name in _named(column)]


def _named(column: TableColumn) -> list[str]:
    if not isinstance(column, Text):
        return column.features()
    words = f"{column.length:,} {column.unit} of {len(column.vocabulary):,}"
    return [f"{column.name} ({words})"]


def _rebuilding(target: Reconstruction) -> list[str]:
    lines = [f"target: the inputs themselves, through the code {target.code!r}"]
    if target.threshold is not None:
        share = f"{100 * target.quantile:g} % of the {target.rows} rows lie below"
        lines.append(f"anomaly: an error above {target.threshold:.4g} ({share})")
    return lines


def _listed(names: list[str]) -> str:
    rest = len(names) - MOST_LABELS
    more = f", ... ({rest:,} more)" if rest > 0 else ""
    return ", ".join(names[:MOST_LABELS]) + more


def _spec(path: Path) -> str:
    """The network's table if its input is known, and the spec as it is understood."""
    spec = load_spec(path)
    network = _network(spec)
    table = [] if network is None else [network.summary(), ""]
    return "\n".join([*table, write_spec(spec).rstrip()])


def _network(spec: Spec) -> nv.Network | None:
    """The network of a spec, if it says what comes in itself or by its data."""
    shaped = spec.network is not None and spec.network.input_shape is not None
    if shaped or any(isinstance(entry.layer, Input) for entry in spec.layers):
        return network_of(spec)
    if spec.data.source is None:
        return None
    return network_for(spec, load_data(spec.data, dtype=spec.dtype))
