# SPDX-License-Identifier: BSD-3-Clause
"""The network and training that are chosen for sequences nobody wrote a spec for."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nervure as nv
from nervure.cli.app import run as command
from nervure.data import DataError, Dataset, load
from nervure.runs.building import network_of
from nervure.runs.training import fit_spec
from nervure.sklearn import NeuralNetClassifier, NeuralNetRegressor
from nervure.spec.defaults import default_spec
from nervure.spec.for_sequences import codes_in
from nervure.spec.reading import parse_spec
from nervure.spec.rows import default_for
from nervure.spec.tables import DataSpec
from nervure.spec.written import write_spec

QUICK = ("--set", "training.epochs=2")


def letters(rows: int = 60, codes: int = 7, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, codes, n) for n in rng.integers(3, 12, rows)]


def walks(rows: int = 60, features: int = 1, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 20, rows)
    return [rng.normal(size=(n, features)).cumsum(axis=0) for n in lengths]


def whole(rows: list[np.ndarray]) -> list[np.ndarray]:
    """Amounts that happen to be whole numbers from 0 on."""
    least = min(row.min() for row in rows)
    return [np.round(5 * (row - least)) for row in rows]


def parquet(path: Path, rows: list[np.ndarray], y: Any) -> Path:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    files.write_table(pa.table({"s": [r.tolist() for r in rows], "y": list(y)}), path)
    return path


def dataset_of(rows: list[np.ndarray], y: Any, **given: Any) -> Dataset:
    return load((pd.DataFrame({"s": [r.tolist() for r in rows]}), y), **given)


def kinds(spec: Any) -> list[str]:
    return [entry.layer.kind for entry in spec.layers]


def halves(rows: list[np.ndarray]) -> list[str]:
    return [("low", "high")[i % 2] for i in range(len(rows))]


# -- what is chosen --------------------------------------------------------------------

RECURRENT = ["bidirectional", "dropout", "bidirectional", "dropout", "dense"]
CHOSEN = {
    "amounts": (walks(), ["clip", *RECURRENT]),
    "several amounts": (walks(features=3), ["clip", *RECURRENT]),
    "whole amounts": (whole(walks()), ["normalize", "clip", *RECURRENT]),
    "several whole": (whole(walks(features=2)), ["normalize", "clip", *RECURRENT]),
    "codes": (letters(), ["embedding", *RECURRENT]),
}


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_it_fits_the_data_and_can_be_written(name: str, task: str) -> None:
    rows, wanted = CHOSEN[name]
    classes = task == "classification"
    y = halves(rows) if classes else [float(r.sum()) for r in rows]
    dataset = dataset_of(rows, y)
    spec = default_spec(dataset, DataSpec(validation=0.1), seed=3)
    assert kinds(spec) == wanted
    assert parse_spec(write_spec(spec)) == spec
    assert spec.training is not None
    assert spec.training.loss == (nv.CrossEntropy() if classes else nv.MSE())
    assert spec.training.optimizer.clip_norm == 1.0
    assert spec.training.early_stopping == nv.EarlyStopping(patience=50)
    assert nv.tabular.default(dataset).layers == spec.layers
    net = network_of(spec, dataset.inputs.shape[1:])
    given = {**spec.training.arguments(), "epochs": 1, "checkpoint_seconds": None}
    run = nv.fit(net, dataset, progress=False, **given)
    assert np.isfinite(run.history["loss"][0])
    assert run.network.predict(rows[:2]).shape == (2, 2 if classes else 1)


def test_whole_amounts_are_scaled_by_the_rows_trained_on() -> None:
    rows = whole(walks(features=2))
    rows[7] = rows[7] + 1000
    first = [np.delete(np.arange(60), 7), np.array([7])]
    dataset = dataset_of(rows, np.arange(60.0) / 7)
    dataset = dataclasses.replace(dataset, train_rows=first[0], held_out_rows=first[1])
    layer = default_spec(dataset, DataSpec()).layers[0].layer
    assert isinstance(layer, nv.Normalize)
    seen = np.concatenate([row for i, row in enumerate(rows) if i != 7])
    np.testing.assert_allclose(layer.mean, seen.mean(axis=0))
    np.testing.assert_allclose(layer.scale, seen.std(axis=0))


def test_a_step_that_is_always_the_same() -> None:
    rows = [np.column_stack([row, np.full(len(row), 4.0)]) for row in whole(walks())]
    spec = default_spec(dataset_of(rows, halves(rows)), DataSpec())
    layer = spec.layers[0].layer
    assert isinstance(layer, nv.Normalize)
    assert np.ravel(layer.scale)[1] == 1.0


WORDS = np.random.default_rng(0).zipf(1.5, 5_000)
CODES = {
    "letters": (letters(), 7),
    "words": ([WORDS[i : i + 10].clip(max=399) for i in range(0, 5_000, 10)], 400),
    "a gap in the codes": ([np.array([0, 9, 4] * 9)] * 3, 10),
    "yes and no": (letters(codes=2), 0),
    "a walk": (whole(walks(rows=300)), 0),
    "each number once": ([np.random.default_rng(0).permutation(60)], 0),
    "one number": ([np.full(9, 3.0)], 0),
    "below 0": ([row - 1 for row in letters()], 0),
    "halves": ([row / 2 for row in letters()], 0),
    "ids": ([row * 100_000 for row in letters()], 0),
}


@pytest.mark.parametrize("name", CODES)
def test_codes_and_amounts_are_told_apart(name: str) -> None:
    rows, wanted = CODES[name]
    found = nv.Ragged.of([np.asarray(row, float)[:, None] for row in rows])
    assert codes_in(found) == wanted


def test_codes_that_come_in_rows_held_out_alone_have_a_vector() -> None:
    rows = letters()
    rows[7] = np.array([11, 2])
    dataset = dataset_of(rows, halves(rows))
    kept = np.delete(np.arange(60), 7)
    dataset = dataclasses.replace(dataset, train_rows=kept, held_out_rows=np.array([7]))
    layer = default_spec(dataset, DataSpec()).layers[0].layer
    assert isinstance(layer, nv.Embedding)
    assert layer.categories == 12


def test_more_steps_are_gone_over_less_often_and_in_smaller_batches() -> None:
    def training(rows: int, length: int) -> Any:
        values = np.broadcast_to(np.zeros((1, 1), np.float32), (rows * length, 1))
        dataset = dataset_of(walks(4), [0.5, 1.5, 2.5, 3.0])
        long = dataclasses.replace(
            dataset, inputs=nv.Ragged(values, np.full(rows, length))
        )
        return default_spec(long, DataSpec())

    chosen = [training(*size) for size in ((100, 10), (5_000, 10), (20, 10**6))]
    assert [c.training.epochs for c in chosen] == [100, 12, 5]
    assert [c.training.batch_size for c in chosen] == [16, 32, 1]
    assert kinds(chosen[2]) == ["clip", "bidirectional", "dropout", "dense"]


# -- what it is worth ------------------------------------------------------------------


def test_it_tells_more_digits_than_features_do() -> None:
    """Rows of scikit-learn's digits, without those that are blank."""
    X, y = load_digits(return_X_y=True)
    images = [image[image.any(axis=1)] for image in X.reshape(-1, 8, 8)]
    test = np.arange(len(y)) % 3 == 2
    rows = [images[i] for i in np.flatnonzero(~test)]
    spec = nv.tabular.default(dataset := dataset_of(rows, y[~test]))
    run = fit_spec(spec, dataset, epochs=12, progress=False)
    others = [images[i] for i in np.flatnonzero(test)]
    found = np.mean(run.network.predict_classes(others) == y[test])

    def features(r: np.ndarray) -> np.ndarray:
        return np.concatenate([r.mean(axis=0), r.std(axis=0), r[0], r[-1], [len(r)]])

    simple = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    simple.fit([features(row) for row in rows], y[~test])
    assert found > 0.96
    assert found > simple.score([features(row) for row in others], y[test]) + 0.04


def test_estimators_have_the_same_default() -> None:
    rows = letters(160)
    y = np.array(["odd" if row[0] % 2 else "even" for row in rows])
    model = NeuralNetClassifier(optimizer=nv.Adam(0.01), epochs=25, random_state=0).fit(
        rows, y
    )
    assert model.score(rows, y) > 0.95
    layers = [entry.layer.kind for entry in model.network_.graph.entries]
    assert layers == ["input", "embedding", *RECURRENT]
    assert model.predict_proba(rows[:2]).shape == (2, 2)
    again = NeuralNetRegressor(epochs=2, random_state=0)
    again.fit(whole(walks(features=2)), np.arange(60.0))
    assert again.network_.graph.entries[1].layer.kind == "normalize"
    many = nv.Ragged(np.random.default_rng(0).normal(size=(9, 2, 2)), [4, 5])
    again.fit(many, [0.0, 1.0])
    kinds = [entry.layer.kind for entry in again.network_.graph.entries]
    assert kinds[:4] == ["input", "flatten", "normalize", "clip"]


# -- on the command line ---------------------------------------------------------------


def test_a_parquet_file_from_training_to_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = letters(200)
    starts = [("even", "odd")[row[0] % 2] for row in rows]
    parquet(tmp_path / "s.parquet", rows, starts)
    words = ["train", "s.parquet", "--target", "y", "--out", "run", "-q"]
    assert command([*words, "--set", "training.epochs=30"]) == 0
    out = capfd.readouterr().out.replace("\n  ", " ")
    assert (
        "network, since no spec says one: embeds steps as 7 codes "
        '(data.columns.s = "standard" takes them for amounts), then 2 layers of 48 GRU '
        "units in both directions (--spec takes another)"
    ) in out
    assert "held-out accuracy 100.0 %" in out
    parquet(tmp_path / "new.parquet", [np.array([1, 2]), np.array([4])], ["", ""])
    assert command(["predict", "run", "new.parquet"]) == 0
    assert capfd.readouterr().out.split() == ["prediction", "odd", "even"]
    parquet(tmp_path / "odd.parquet", [np.array([1, 9]), np.array([4])], ["", ""])
    assert command(["predict", "run", "odd.parquet"]) == 2
    said = capfd.readouterr().err.replace("\n", " ")
    assert "9 in row 0, step 1" in said


TOLD = [
    (walks(), (), "takes steps as amounts, then"),
    (whole(walks(features=2)), (), "scales steps as amounts (whole numbers), then"),
    (
        whole(walks()),
        (),
        'scales steps as amounts (whole numbers; data.columns.s = "embedding" takes '
        "them for codes), then",
    ),
    (whole(walks()), ("--set", "data.columns.s=embedding"), "embeds steps as "),
    (letters(), ("--set", "data.columns.s=standard"), "takes steps as amounts, then"),
]


@pytest.mark.parametrize(("rows", "words", "said"), TOLD)
def test_what_was_chosen_is_told_and_can_be_changed(
    rows: list[np.ndarray],
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = parquet(tmp_path / "s.parquet", rows, halves(rows))
    out = tmp_path / "run"
    done = command(
        ["train", str(file), "--target", "y", "--out", str(out), *QUICK, *words]
    )
    found = capfd.readouterr()
    assert done == 0, found.err
    assert f"network, since no spec says one: {said}" in found.out.replace("\n  ", " ")


def test_the_spec_of_a_run_trains_the_same_network(tmp_path: Path) -> None:
    file = parquet(tmp_path / "s.parquet", whole(walks()), halves(walks()))
    spec, dataset = default_for(DataSpec(str(file), target="y"))
    again = parse_spec(write_spec(spec))
    given = {"epochs": 1, "progress": False, "checkpoint_seconds": None}
    runs = [fit_spec(one, dataset, **given) for one in (spec, again)]
    one, other = (run.network.predict(walks()[:3]) for run in runs)
    np.testing.assert_array_equal(one, other)


NO_CODES = [
    (walks(), "holds numbers that are no whole ones from 0 on; expected steps of one"),
    (whole(walks(features=2)), "holds steps of 2 numbers; expected steps of one code"),
]


@pytest.mark.parametrize(("rows", "said"), NO_CODES)
def test_what_cannot_be_codes(rows: list[np.ndarray], said: str) -> None:
    with pytest.raises(DataError, match=f"column 's' as 'embedding' {said}"):
        dataset_of(rows, halves(rows), columns={"s": "embedding"})


def test_encodings_that_sequences_do_not_have() -> None:
    text = r"column 's' of sequences as 'robust'; expected 'standard', or 'embedding'"
    with pytest.raises(DataError, match=text):
        dataset_of(walks(), halves(walks()), columns={"s": "robust"})
