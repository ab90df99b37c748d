# SPDX-License-Identifier: BSD-3-Clause
"""The network and training that are chosen where nobody wrote a spec."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import nervure as nv
from nervure.data import Dataset, load
from nervure.layers import Flatten
from nervure.losses import MSE, CrossEntropy
from nervure.runs.building import network_of
from nervure.spec.defaults import default_spec
from nervure.spec.reading import parse_spec
from nervure.spec.rows import default_for
from nervure.spec.tables import DataSpec
from nervure.spec.written import write_spec

SMALL = ("digits", "iris", "wine", "breast_cancer", "diabetes")


def of_rows(rows: int) -> Dataset:
    """As many rows as asked for; the values do not matter."""
    dataset = load("digits")
    return dataclasses.replace(dataset, inputs=np.zeros((rows, 1)))


@pytest.mark.parametrize("name", SMALL)
def test_it_fits_the_data_and_can_be_written(name: str) -> None:
    dataset = load(name)
    spec = default_spec(dataset, DataSpec(name), seed=3)
    assert parse_spec(write_spec(spec)) == spec
    net = network_of(spec, dataset.inputs.shape[1:])
    assert net.graph.output_shapes == ((dataset.preprocessing.outputs,),)
    assert spec.training is not None
    arguments = spec.training.arguments() | {"epochs": 1, "checkpoint_seconds": None}
    run = nv.fit(net, dataset, progress=False, **arguments)
    assert np.isfinite(run.history["loss"][0])


def test_images_are_flattened_and_labels_smoothed() -> None:
    spec = default_spec(load("digits"), DataSpec())
    assert isinstance(spec.layers[0].layer, Flatten)
    assert spec.training is not None
    assert spec.training.loss == CrossEntropy(label_smoothing=0.05)


def test_tables_keep_their_probabilities() -> None:
    spec = default_spec(load("iris"), DataSpec())
    assert spec.training is not None
    assert spec.training.loss == CrossEntropy()


def test_a_regression_ends_without_an_activation() -> None:
    spec = default_spec(load("diabetes"), DataSpec())
    assert spec.training is not None
    assert spec.training.loss == MSE()
    assert spec.layers[-1].layer.kind == "ensemble_mean"
    assert getattr(spec.layers[-2].layer, "activation", "") is None


def test_a_table_has_what_estimators_and_python_have() -> None:
    """One default for every door; training also stops at the best epoch."""
    dataset = load("iris", numbers="robust")
    spec, own = default_spec(dataset, DataSpec()), nv.tabular.default(dataset)
    assert spec.layers == own.layers
    assert spec.training is not None
    assert own.training is not None
    assert dataclasses.replace(spec.training, checkpoint_seconds=None) == own.training
    assert default_for(DataSpec("iris"))[0].data.numbers == "robust"
    asked = default_for(DataSpec("iris", numbers="standard"))[0]
    assert asked.data.numbers == "standard"
    assert asked.training is not None
    assert asked.training.early_stopping == nv.EarlyStopping(patience=100)


def test_more_rows_are_gone_over_less_often() -> None:
    found = [default_spec(of_rows(n), DataSpec()).training for n in (2_000, 60_000)]
    small, large = (f for f in found if f is not None)
    assert small.epochs > large.epochs
    assert small.batch_size < large.batch_size


@pytest.mark.parametrize(
    ("shape", "convolutions"),
    [((16, 16, 1), 1), ((28, 28, 1), 2), ((48, 64, 3), 3), ((128, 128, 3), 4)],
)
def test_images_begin_with_convolutions(
    shape: tuple[int, ...], convolutions: int
) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, *shape), np.uint8)
    spec = default_spec(load((pixels, [0, 1] * 10)), DataSpec())
    kinds = [entry.layer.kind for entry in spec.layers]
    assert kinds.count("conv2d") == convolutions
    net = network_of(spec, shape)
    assert [c.kind for c in spec.augmentation] == ["rotate", "scale", "shift"]
    last = [n for n in net.graph.nodes if n.layer.kind == "max_pool2d"][-1]
    assert 6 <= min(last.shape[:2]) <= 12
