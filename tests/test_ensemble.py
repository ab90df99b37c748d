# SPDX-License-Identifier: BSD-3-Clause
"""Ensembles: members like single networks, averages, one file, resumed to the bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.cli.app import run as cli
from nervure.network.modelfile import model_bytes
from nervure.network.saving import contents_of_members
from nervure.runs.loading import from_bytes, load_network
from nervure.training.folder import RunFolder, RunFolderError
from nervure.training.sampler import bootstrap

QUICK: dict[str, Any] = {"epochs": 3, "batch_size": 16, "progress": False}


def values(ensemble: nv.Ensemble) -> list[bytes]:
    return [member.values.tobytes() for member in ensemble]


# -- training --------------------------------------------------------------------------


def test_members_are_what_single_networks_of_their_seeds_become(
    blobs: Any, make_net: Any
) -> None:
    X, y = blobs
    ensemble = nv.Ensemble.of(make_net(rate=0.2), 3, seed=7)
    run = ensemble.fit(X[:60], y[:60], validation=(X[60:], y[60:]), seed=4, **QUICK)
    for i in range(3):
        single = make_net(seed=7 + i, rate=0.2)
        alone = nv.fit(
            single, X[:60], y[:60], validation=(X[60:], y[60:]), seed=4 + i, **QUICK
        )
        assert single.values.tobytes() == ensemble[i].values.tobytes()
        assert (
            alone.history["validation_loss"] == run.runs[i].history["validation_loss"]
        )
    assert run.epoch == 9
    assert run.stopped is None
    assert run.directory is None


@pytest.mark.parametrize("bagged", [False, True])
def test_the_bits_do_not_depend_on_how_many_train_at_once(
    blobs: Any, make_net: Any, bagged: bool
) -> None:
    found = []
    for jobs in (1, 4):
        ensemble = nv.Ensemble.of(make_net(), 4)
        ensemble.fit(*blobs, bagged=bagged, jobs=jobs, validation=0.2, **QUICK)
        found.append(values(ensemble))
    assert found[0] == found[1]
    assert len({*found[0]}) == 4


def test_all_members_hold_out_the_same_rows(blobs: Any, make_net: Any) -> None:
    X, y = blobs
    seen: list[bytes] = []
    ensemble = nv.Ensemble.of(make_net(), 2)

    def look(target: np.ndarray, output: np.ndarray) -> float:
        if len(target) == 18:
            seen.append(target.tobytes())
        return 0.0

    ensemble.fit(X, y, validation=0.2, metrics=[look], jobs=1, **QUICK)
    assert len(seen) == 6
    assert len({*seen}) == 1


def test_bagged_members_learn_from_their_own_sample(blobs: Any, make_net: Any) -> None:
    """With all weight on rows that a sample lacks, that member's cost is 0."""
    X, y = blobs
    lacking = np.setdiff1d(np.arange(90), bootstrap(np.arange(90), seed=1))
    weights = np.isin(np.arange(90), lacking).astype(float)
    ensemble = nv.Ensemble.of(make_net(), 2)
    begun = values(ensemble)
    given = {**QUICK, "optimizer": nv.SGD(0.1), "sample_weight": weights, "metrics": ()}
    ensemble.fit(X, y, bagged=True, **given)
    assert values(ensemble)[1] == begun[1]
    assert values(ensemble)[0] != begun[0]


def test_lbfgs_and_early_stopping(blobs: Any, make_net: Any) -> None:
    X, y = blobs
    ensemble = nv.Ensemble.of(make_net(), 2)
    stopping = nv.EarlyStopping(patience=1, min_delta=10.0)
    run = ensemble.fit(X, y, optimizer="lbfgs", callbacks=stopping, **QUICK)
    assert [one.epoch for one in run.runs] == [2, 2]
    assert values(run.best_ensemble()) == values(ensemble)


def test_a_data_set_gives_its_preprocessing(tmp_path: Path) -> None:
    dataset = nv.data.load("diabetes")
    width = dataset.inputs.shape[1]
    net = nv.Network([nv.Input(width), nv.Dense(5, activation="tanh"), nv.Dense(1)])
    ensemble = nv.Ensemble.of(net, 3)
    ensemble.fit(dataset, **QUICK)
    assert all(one.preprocessing == dataset.preprocessing for one in ensemble)
    from sklearn.datasets import load_diabetes

    raw = load_diabetes(as_frame=True).data[:20]
    each = np.stack([one.predict(raw) for one in ensemble])
    assert each.mean() == pytest.approx(150, abs=60)  # in the target's units
    np.testing.assert_allclose(ensemble.predict(raw), each.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(ensemble.predict_members(raw), each, rtol=1e-6)
    np.testing.assert_allclose(ensemble.variance(raw), each.var(axis=0), rtol=1e-4)
    ensemble.save(tmp_path / "e.safetensors")
    again = nv.load(tmp_path / "e.safetensors")
    assert again.preprocessing == dataset.preprocessing
    np.testing.assert_array_equal(again.predict(raw), ensemble.predict(raw))


# -- averages --------------------------------------------------------------------------


def fixed(biases: list[float], activation: str | None) -> nv.Network:
    """A network whose output is the activation of these numbers for every row."""
    layers = [nv.Input(1), nv.Dense(len(biases), activation=activation)]
    net = nv.Network(layers, dtype="float64")
    net.parameters["dense.weight"][:] = 0
    net.parameters["dense.bias"] = biases
    return net


def test_probabilities_are_averaged_not_logits() -> None:
    third = [np.log(1.0), np.log(2.0)]  # softmax 1/3, 2/3
    ensemble = nv.Ensemble([fixed(third, "softmax"), fixed([9.0, 9.0], "softmax")])
    np.testing.assert_allclose(ensemble.forward([[0.0]]), [[5 / 12, 7 / 12]])
    np.testing.assert_allclose(ensemble.variance([[0.0]]), [[1 / 144, 1 / 144]])
    assert ensemble.predict_classes([[0.0]]).tolist() == [1]
    found = ensemble.evaluate([[0.0], [0.0]], [0, 1])
    mean = -(np.log(5 / 12) + np.log(7 / 12)) / 2
    assert found == {"loss": pytest.approx(mean), "accuracy": 0.5}


def test_of_log_probabilities_it_is_the_probabilities() -> None:
    third = [np.log(1.0), np.log(2.0)]
    pair = [fixed(third, "log_softmax"), fixed([9.0, 9.0], "log_softmax")]
    ensemble = nv.Ensemble(pair)
    np.testing.assert_allclose(np.exp(ensemble.forward([[0.0]])), [[5 / 12, 7 / 12]])
    loss = ensemble.evaluate([[0.0]], [1])["loss"]
    assert loss == pytest.approx(-np.log(7 / 12))


def test_several_outputs_and_other_layers_in_between() -> None:
    def net(units: int, seed: int) -> nv.Network:
        x = nv.Input(2)
        h = nv.Dense(units, activation="tanh")(x)
        ends = [nv.Dense(1, name="a")(h), nv.Dense(2, name="b")(h)]
        return nv.Network(inputs=x, outputs=ends, seed=seed)

    ensemble = nv.Ensemble([net(3, 1), net(5, 2)])
    X = [[0.5, -1.0], [2.0, 0.0], [1.0, 1.0]]
    a, b = ensemble.forward(X)
    assert a.shape == (3, 1)
    assert b.shape == (3, 2)
    one, other = (member.forward(X)[1] for member in ensemble)
    np.testing.assert_allclose(b, (one + other) / 2, rtol=1e-6)
    assert [part.shape for part in ensemble.predict_members(X)] == [
        (2, 3, 1),
        (2, 3, 2),
    ]
    assert [part.shape for part in ensemble.variance(X)] == [(3, 1), (3, 2)]
    ensemble.fit(X, {"a": [1.0, 2.0, 3.0], "b": np.ones((3, 2))}, **QUICK)
    assert "a_r2" in ensemble.evaluate(X, [[1.0, 2.0, 3.0], np.ones((3, 2))])


def test_a_loss_that_is_a_function() -> None:
    def loss(output: Any, target: Any) -> tuple[float, Any]:
        return float(np.mean((output - target) ** 2)), 2 * (output - target) / len(
            output
        )

    ensemble = nv.Ensemble([fixed([1.0], None), fixed([2.0], None)])
    assert ensemble.evaluate([[0.0]], [4.5], loss=loss)["loss"] == pytest.approx(9.0)


# -- files -----------------------------------------------------------------------------


def test_one_file(tmp_path: Path, blobs: Any, make_net: Any) -> None:
    ensemble = nv.Ensemble.of(make_net(), 3, seed=5)
    ensemble.save(tmp_path / "e.safetensors")
    again = nv.load(tmp_path / "e.safetensors")
    assert isinstance(again, nv.Ensemble)
    assert values(again) == values(ensemble)
    assert [member.seed for member in again] == [5, 6, 7]
    assert again.forward(blobs[0]).tobytes() == ensemble.forward(blobs[0]).tobytes()
    assert again.summary() == ensemble.summary()
    assert "3 members (seeds 5, 6, 7), 153 parameters together" in again.summary()
    data = model_bytes(*contents_of_members(ensemble.members, ensemble))
    assert data == (tmp_path / "e.safetensors").read_bytes()
    assert values(from_bytes(data)) == values(ensemble)
    with pytest.raises(nv.ModelFileError, match="holds an ensemble of 3; expected one"):
        load_network(tmp_path / "e.safetensors")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda d: d.update(ensemble=[]),
            "ensemble: found a list of 0; expected a list",
        ),
        (lambda d: d.update(ensemble=3), "ensemble: found 3; expected a list of 1 to"),
        (lambda d: d["ensemble"].pop(), "'1/dense.bias': no such parameter"),
        (lambda d: d["ensemble"].append(5), "member 2] network.nodes: found nothing"),
        (lambda d: d["ensemble"].append(d["ensemble"][0]), "'2/dense.bias': missing"),
        (
            lambda d: d["ensemble"][1]["network"]["nodes"][1].update(name="other"),
            "member 1] network.outputs[0]: unknown layer 'dense'",
        ),
    ],
)
def test_files_that_contradict_themselves(
    tmp_path: Path, change: Any, text: str
) -> None:
    from nervure.network.modelfile import read_model, write_model

    path = tmp_path / "e.safetensors"
    nv.Ensemble([fixed([1.0], None), fixed([2.0], None)]).save(path)
    tensors, document = read_model(path)
    change(document)
    write_model(path, tensors, document)
    with pytest.raises(nv.ModelFileError) as error:
        nv.load(path)
    assert text in str(error.value)


def test_members_in_a_file_that_do_not_fit_each_other(tmp_path: Path) -> None:
    from nervure.network.modelfile import read_model, write_model

    path = tmp_path / "e.safetensors"
    nv.Ensemble([fixed([1.0], None), fixed([2.0], None)]).save(path)
    tensors, document = read_model(path)
    document["ensemble"][1]["network"]["nodes"][1]["layer"]["activation"] = "tanh"
    write_model(path, tensors, document)
    with pytest.raises(
        nv.ModelFileError, match=r"its members do not fit together: .*1"
    ):
        nv.load(path)


# -- run folders -----------------------------------------------------------------------

KILLED = """
import os, signal, sys
import numpy as np
import nervure as nv
from nervure.training.folder import RunFolder

written, write = 0, RunFolder.write_checkpoint

def write_and_die(self, state, fingerprint):
    global written
    path = write(self, state, fingerprint)
    written += 1
    if written == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return path

RunFolder.write_checkpoint = write_and_die
X = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)
layers = [nv.Input(3), nv.Dense(6, activation="relu"), nv.Dropout(0.3)]
net = nv.Network([*layers, nv.Dense(2, activation="softmax")])
nv.Ensemble.of(net, 3, seed=6).fit(
    X, y, bagged=True, jobs=1, epochs=3, batch_size=8, validation=0.2, seed=6,
    checkpoint_steps=3, directory=sys.argv[1], progress=False,
)
"""
X3 = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
Y3 = (X3[:, 0] > 0).astype(int)


def killed(folder: Path, point: int) -> None:
    words = [sys.executable, "-c", KILLED, str(folder), str(point)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    wanted = -signal.SIGKILL if point else 0
    assert done.returncode == wanted, done.stderr


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("ensemble") / "whole"
    killed(folder, 0)
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("point", [4, 6, 9, 15])
def test_a_killed_ensemble_goes_on_to_the_same_bits(
    tmp_path: Path, whole: bytes, point: int
) -> None:
    folder = tmp_path / "run"
    killed(folder, point)
    run = nv.resume(folder, X3, Y3, progress=False)
    assert (folder / "model.safetensors").read_bytes() == whole
    assert [one.epoch for one in run.runs] == [3, 3, 3]


def test_killed_while_the_folders_are_made(tmp_path: Path, whole: bytes) -> None:
    folder = tmp_path / "run"
    killed(folder, 2)
    with pytest.raises(RunFolderError, match="holds no run"):
        nv.resume(folder, X3, Y3)
    killed(folder, 0)
    assert (folder / "model.safetensors").read_bytes() == whole


def test_control_c_stops_all_members(tmp_path: Path, blobs: Any, make_net: Any) -> None:
    def press(run: nv.Run) -> None:
        if run.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    given = {**QUICK, "epochs": 30}
    ensemble = nv.Ensemble.of(make_net(), 3)
    run = ensemble.fit(
        *blobs, callbacks=press, directory=tmp_path / "run", jobs=1, **given
    )
    assert run.stopped == "interrupted"
    assert [one.epoch for one in run.runs][1:] == [0, 0]
    assert nv.load(tmp_path / "run" / "model.safetensors").members
    again = nv.resume(tmp_path / "run", *blobs, callbacks=(), progress=False)
    whole = nv.Ensemble.of(make_net(), 3)
    whole.fit(*blobs, **given)
    assert values(again.ensemble) == values(whole)


def test_a_run_is_not_mixed_with_another(
    tmp_path: Path, blobs: Any, make_net: Any
) -> None:
    folder = tmp_path / "run"
    nv.Ensemble.of(make_net(), 2).fit(*blobs, directory=folder, **QUICK)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(RunFolderError, match="holds a run already"):
        nv.Ensemble.of(make_net(), 2).fit(*blobs, directory=folder, **QUICK)
    three = nv.Ensemble.of(make_net(), 3)
    with pytest.raises(RunFolderError, match="holds a run of 2 members; expected one"):
        three.fit(*blobs, directory=folder, resume=True, **QUICK)
    with pytest.raises(RunFolderError, match="trained with other input 0"):
        nv.resume(folder, blobs[0] + 1, blobs[1])
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert not RunFolder(folder / "members" / "0").untrained()


# -- bad input -------------------------------------------------------------------------


def nets(*given: dict[str, Any]) -> list[nv.Network]:
    plain = {"units": 2, "inputs": 3, "activation": "softmax", "dtype": "float32"}
    every = [{**plain, **one} for one in given]
    return [
        nv.Network(
            [nv.Input(o["inputs"]), nv.Dense(o["units"], activation=o["activation"])],
            dtype=o["dtype"],
        )
        for o in every
    ]


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ([], "[ensemble] members = []; expected 1 to 1,000 networks in a list"),
        (nets({})[0], "expected 1 to 1,000 networks in a list"),
        (["model.safetensors"], "member 0 is 'model.safetensors'; expected an nv.Netw"),
        (nets({}, {"units": 3}), "member 1 has output shapes ((3,),), member 0 has"),
        (nets({}, {"inputs": 4}), "member 1 has input shapes ((4,),), member 0 has"),
        (nets({}, {"dtype": "float64"}), "member 1 has dtype float64, member 0 has"),
        (nets({}, {"activation": None}), "member 1 has output activations ['dense']"),
        ([*nets({}), *nets({})[:0]] * 2, "member 1 is the same network as an earlier"),
    ],
)
def test_members_that_cannot_be_averaged(members: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"^\[ensemble\]") as error:
        nv.Ensemble(members)
    assert text in str(error.value)


def test_members_of_other_data(blobs: Any) -> None:
    one, other = nets({}, {})
    one.preprocessing = nv.data.load("iris").preprocessing
    with pytest.raises(
        ValueError, match="member 1 was trained on data encoded in anoth"
    ):
        nv.Ensemble([one, other])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"jobs": 0}, "[ensemble] jobs = 0; expected a whole number (>= 1)"),
        ({"bagged": "yes"}, "[ensemble] bagged = 'yes'; expected true or false"),
        ({"epoch": 3}, "[ensemble] unknown argument 'epoch'; did you mean 'epochs'?"),
        ({"epochs": 0}, "[fit] epochs = 0; expected a whole number (>= 1)"),
        ({"seed": 2**64 - 1}, "[ensemble] seed = 18446744073709551615; expected"),
        ({"resume": True}, "[fit] resume without a folder"),
    ],
)
def test_arguments_that_do_not_fit(given: Any, text: str, blobs: Any) -> None:
    ensemble = nv.Ensemble(nets({"inputs": 2, "units": 3}, {"inputs": 2, "units": 3}))
    begun = values(ensemble)
    with pytest.raises((ValueError, TypeError)) as error:
        ensemble.fit(*blobs, **{"progress": False, **given})
    assert text in str(error.value)
    assert values(ensemble) == begun


@pytest.mark.parametrize("members", [0, 2.5, 1001])
def test_how_many(members: Any, make_net: Any) -> None:
    with pytest.raises(
        ValueError, match=r"\[ensemble\] members = .*; expected a whole"
    ):
        nv.Ensemble.of(make_net(), members)


def test_a_member_that_diverges_is_named(blobs: Any, make_net: Any) -> None:
    X, y = blobs
    net = nv.Network([nv.Input(2), nv.Dense(1)])
    ensemble = nv.Ensemble.of(net, 2)
    with pytest.raises(nv.DivergenceError, match=r"member 0 of the ensemble"):
        ensemble.fit(X, y, jobs=1, optimizer=nv.SGD(1e30), **QUICK)


# -- spec and command line -------------------------------------------------------------


def test_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--set", "training.epochs=2", "--set", "ensemble.bagged=true"]
    assert cli(["train", "iris", "--ensemble", "2", *words]) == 0
    told = capsys.readouterr()
    assert "trained 2 members of" in told.out
    assert "for 2 epochs each; their times add up to" in told.out
    assert "(model.safetensors, spec.toml, members)" in told.out
    assert "epoch 4/4  member" in told.err
    folder = tmp_path / "runs" / "iris-1"
    spec = nv.load_spec(folder / "spec.toml")
    assert spec.ensemble is not None
    assert spec.ensemble.members == 2
    assert spec.ensemble.bagged
    before = (folder / "model.safetensors").read_bytes()
    assert cli(["train", "--resume", "--out", str(folder), "-q"]) == 0
    assert (folder / "model.safetensors").read_bytes() == before
    capsys.readouterr()
    assert cli(["evaluate", str(folder), "iris"]) == 0
    assert "held-out accuracy" in capsys.readouterr().out
    assert cli(["predict", str(folder), "iris", "--probabilities"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 151
    assert cli(["inspect", str(folder)]) == 0
    assert "2 members (seeds 0, 1)" in capsys.readouterr().out
    assert cli(["train", "--resume", "--out", str(folder), "--ensemble", "3"]) == 2
    assert "ensemble cannot change in a run that has begun" in capsys.readouterr().err
