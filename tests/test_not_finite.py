# SPDX-License-Identifier: BSD-3-Clause
"""Predictions that are no numbers are counted and told at every door."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

import numpy as np
import pytest

import nervure as nv
from nervure.cli.app import run
from nervure.network.finite import NotFiniteError, NotFiniteWarning, tell_not_finite

ROWS = np.array([[0.5, 0.5], [0.25, 0.75], [1e30, 0.5], [0.5, -1e30]])
SAID = r"2 of 4 predictions are not finite \(first row 2, from 0\); expected numbers"


def table(folder: Path, target: str) -> Path:
    """A table whose last two rows are far from all others."""
    rng = np.random.default_rng(0)
    rows = [*rng.random((40, 2)).tolist()]
    say = (lambda a: f"{a:.3f}") if target == "amount" else (lambda a: "ny"[a > 0.5])
    lines = [f"{a},{b},{say(a)}" for a, b in rows]
    file = folder / f"{target}.csv"
    file.write_text("\n".join([f"a,b,{target}", *lines]) + "\n")
    far = folder / "far.csv"
    ends = [f"{a},{b},{say(a)}" for a, b in ROWS.tolist()]
    far.write_text("\n".join([f"a,b,{target}", *ends]) + "\n")
    return file


@pytest.fixture(params=["amount", "class"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A network of large weights, whose products overflow for large inputs."""
    data = nv.data.load(table(tmp_path, request.param), numbers="standard")
    units, activation = (1, None) if request.param == "amount" else (2, "softmax")
    layers = [nv.Input(2), nv.Dense(units, activation=activation)]
    net = nv.fit(nv.Network(layers), data, epochs=1).network
    net.parameters["dense.weight"][:] = 1e10
    file = tmp_path / "model.safetensors"
    net.save(file)
    return file


@pytest.mark.filterwarnings("default")  # the command tells them in lines
def test_predict_counts_them(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", str(model), str(model.parent / "far.csv")]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 5
    assert "warning: [predict] 2 of 4 predictions are not finite (first" in shown.err


def test_strict_fails_and_writes_nothing(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = model.parent / "out.csv"
    words = ["predict", str(model), str(model.parent / "far.csv"), "--strict"]
    assert run([*words, "--out", str(out)]) == 2
    assert "error: [predict] 2 of 4" in capsys.readouterr().err
    assert not out.exists()
    near = model.parent / "near.csv"
    near.write_text("\n".join((model.parent / "far.csv").read_text().split()[:3]))
    words[2] = str(near)  # what the message says to do
    assert run([*words, "--out", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 3


@pytest.mark.filterwarnings("default")
def test_evaluate_says_it(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["evaluate", str(model), str(model.parent / "far.csv")])
    assert code == 0, capsys.readouterr().err
    assert "[evaluate] 2 of 4 predictions are not fin" in capsys.readouterr().err


def test_networks_and_ensembles_warn() -> None:
    net = nv.Network([nv.Input(2), nv.Dense(2, activation="softmax")])
    net.parameters["dense.weight"][:] = 1e10
    for one in (net, nv.Ensemble([net, net.copy()])):
        with pytest.warns(NotFiniteWarning, match=r"\[predict\] " + SAID):
            found = one.predict_classes(ROWS)
        assert len(found) == 4


@pytest.mark.parametrize("name", ["NeuralNetClassifier", "MLPClassifier"])
def test_estimators_warn(name: str) -> None:
    pytest.importorskip("sklearn")
    kind = getattr(importlib.import_module("nervure.sklearn"), name)
    X = np.random.default_rng(0).random((20, 30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged
        fitted = kind(random_state=0).fit(X, (X[:, 0] > 0.5).astype(int))
    rows = np.stack([X[0], np.full(30, 1.7e308)])
    with pytest.warns(NotFiniteWarning, match=rf"\[{name}\] 1 of 2 predictions is not"):
        fitted.predict(rows)


def test_sequences_are_counted_by_rows() -> None:
    steps = nv.Ragged(np.array([[1.0], [np.inf], [2.0], [3.0]]), [1, 3])
    with pytest.raises(NotFiniteError, match=r"1 of 2 predictions is not .*\(row 1,"):
        tell_not_finite([steps], strict=True)
    tell_not_finite([nv.Ragged(np.array([[1.0], [2.0]]), [1, 1])], strict=True)
    tell_not_finite([np.full((2, 2), 1.5e308)], strict=True)  # only the sum is infinite
