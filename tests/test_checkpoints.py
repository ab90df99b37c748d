# SPDX-License-Identifier: BSD-3-Clause
"""Checkpoints and records are compared with what they belong to."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.network.modelfile import ModelFileError, read_model, write_model
from nervure.optimizers import ReduceOnPlateau
from nervure.training.checkpoint import DamagedError, read
from nervure.training.folder import RunFolder, RunFolderError

RNG = np.random.default_rng(4)
X = RNG.normal(size=(24, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
PLATEAU = ReduceOnPlateau(0.1, patience=1)


def network() -> nv.Network:
    layers = [nv.Input(3), nv.Dense(4, "tanh"), nv.Dense(2, "softmax")]
    return nv.Network(layers, seed=1)


def train(folder: Path, epochs: int = 3, **more: Any) -> nv.Run:
    rule = nv.SGD(PLATEAU, momentum=0.9)
    given = {"epochs": epochs, "batch_size": 8, "optimizer": rule, **more}
    return nv.fit(network(), X, Y, progress=False, directory=folder, **given)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun") / "run"
    train(folder)
    return folder


@pytest.fixture
def run(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "run"))


def latest(run: Path) -> Path:
    return max((run / "checkpoints").iterdir())


def change(path: Path, edit: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    tensors, document = read_model(path)
    edit(tensors, document)
    write_model(path, tensors, document)


def put(*keys: Any, value: Any) -> Callable[..., None]:
    def edit(_: Any, document: dict[str, Any]) -> None:
        place: Any = document
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return edit


def drop(*keys: str) -> Callable[..., None]:
    def edit(_: Any, document: dict[str, Any]) -> None:
        place = document
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return edit


EDITS: dict[str, tuple[Callable[..., None], str]] = {
    "no state": (drop("state"), "state: missing; expected a table"),
    "a state that is a list": (
        put("state", value=[1]),
        "state: found a list of 1; exp",
    ),
    "no epoch": (drop("state", "epoch"), "state.epoch: missing; expected an integer"),
    "an epoch of text": (
        put("state", "epoch", value="3"),
        "state.epoch: found text '3'",
    ),
    "another epoch": (put("state", "epoch", value=2), "state.history: contradicts the"),
    "another step": (put("state", "step", value=8), "state.step: contradicts the rest"),
    "an epoch below 0": (put("state", "epoch", value=-1), "state.epoch: contradicts"),
    "seconds below 0": (put("state", "seconds", value=-1), "state.seconds: contradict"),
    "a history of text": (
        put("state", "history", "loss", value=["a", 1, 2]),
        "state.history.loss[0]: unknown value 'a'; did you mean 'nan'? Known: nan, -inf",
    ),
    "a history too short": (
        put("state", "history", "loss", value=[1]),
        "state.history: contradicts the rest",
    ),
    "a best epoch to come": (put("state", "best", "epoch", value=3), "state.best: con"),
    "a best of nothing": (
        put("state", "best", value=None),
        "state.best: found nothing",
    ),
    "an unknown key": (put("state", "best", "x", value=1), "state.best.x: unknown key"),
    "much patience": (put("state", "best", "waited", value=9), "state.best.waited: co"),
    "a plateau that grows": (
        put("state", "plateau", "scale", value=1e9),
        "state.plateau.scale: contradicts",
    ),
    "monitors of numbers": (
        put("state", "monitors", value={"a": 1}),
        "state.monitors.a",
    ),
    "no fingerprint": (drop("fingerprint"), "fingerprint: missing"),
    "a fingerprint of lists": (
        put("fingerprint", "dtype", value=[]),
        "fingerprint.dtyp",
    ),
    "a record below 0": (
        put("record_bytes", value=-5),
        "state.record_bytes: contradic",
    ),
    "a later format": (
        put("checkpoint", value=2),
        "state.format: contradicts the rest",
    ),
    "costs of another type": (
        lambda tensors, _: tensors.update(costs=np.zeros(2, np.float32)),
        "state.costs: contradicts the rest",
    ),
    "costs that are not finite": (
        lambda tensors, _: tensors.update(
            costs=np.array([np.nan]), weights=np.array([1.0])
        ),
        "state.costs: contradicts the rest",
    ),
    "costs without weights": (
        lambda tensors, _: tensors.update(costs=np.zeros(2)),
        "state.weights: contradicts the rest",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_checkpoint_that_contradicts_itself_is_passed_over(
    name: str, run: Path
) -> None:
    """It ended in KeyError, TypeError or worse, or was believed."""
    edit, fact = EDITS[name]
    path = latest(run)
    change(path, edit)
    with pytest.raises(DamagedError) as caught:
        read(path)
    assert str(caught.value).startswith(f"[{path}] {fact}")
    again = train(run, 5, resume=True)  # from the checkpoint before it
    assert again.epoch == 5
    assert np.array_equal(again.network.values, train(run / "new", 5).network.values)


def test_without_any_that_can_be_read_the_last_fault_is_told(run: Path) -> None:
    for path in (run / "checkpoints").iterdir():
        change(path, drop("state"))
    message = (
        rf"^\[{re.escape(str(run))}\] no checkpoint can be read \(\[.*\] state: missing; "
        r"expected a table; .*\); expected one in checkpoints/; begin a new run$"
    )
    with pytest.raises(RunFolderError, match=message):
        train(run, 5, resume=True)


@pytest.mark.parametrize(
    ("edit", "fact"),
    [
        (
            lambda t, _: t.update(values=t["values"].astype(np.float64)),
            "array 'values' is float64 (64,); expected float32 (64,), for the network, ",
        ),
        (
            lambda t, _: t.update({"slot.0": t["slot.0"][:16]}),
            "array 'slot.0' is float32 (16,); expected float32 (64,), for the network, ",
        ),
        (
            lambda t, _: t.update({"slot.1": t["slot.0"]}),
            "array 'slot.1' is float32 (64,); expected none, for the network, optim",
        ),
        (
            lambda t, _: t.pop("best"),
            "array 'best' is missing; expected float32 (64,), for the network, optimiz",
        ),
    ],
)
def test_arrays_of_another_run_are_refused(
    edit: Callable[..., None], fact: str, run: Path
) -> None:
    """A float64 array was rounded into the state, a missing one left as it was."""
    path = latest(run)
    change(path, edit)
    with pytest.raises(RunFolderError) as caught:
        train(run, 5, resume=True)
    assert str(caught.value).startswith(f"[{path}] {fact}")


def test_a_record_is_cut_between_lines(run: Path) -> None:
    record = run / "record.jsonl"
    change(latest(run), put("record_bytes", value=record.stat().st_size - 7))
    train(run, 5, resume=True)
    lines = record.read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert [e for e in events if e in ("epoch", "end")][-3:] == [
        "epoch",
        "epoch",
        "end",
    ]


def test_a_run_whose_record_is_gone_goes_on(run: Path) -> None:
    (run / "record.jsonl").unlink()
    assert train(run, 4, resume=True).epoch == 4
    assert '"event": "end"' in (run / "record.jsonl").read_text()


def test_a_run_whose_record_is_damaged_goes_on(run: Path) -> None:
    record = run / "record.jsonl"
    record.write_bytes(b"5\n" + record.read_bytes()[2:])
    with pytest.warns(UserWarning, match=r"is no event.*the run goes on without it"):
        assert train(run, 4, resume=True).epoch == 4


@pytest.mark.parametrize("line", ["5", '{"again": 5}', "[" * 9000, "\udcff", ""])
def test_a_first_line_of_anything_asks_for_nothing(line: str, run: Path) -> None:
    text = (line + "\n").encode(errors="surrogateescape")
    (run / "record.jsonl").write_bytes(text)
    assert RunFolder(run).given_again() == []


# -- preprocessing and network ---------------------------------------------------------

TABLE = {"a": X[:, 0].tolist(), "b": X[:, 1].tolist(), "c": X[:, 2].tolist()}


def loaded(target: list[Any]) -> nv.data.Dataset:
    import pandas as pd

    return nv.data.load(pd.DataFrame({**TABLE, "y": target}), target="y")


def saved(path: Path, dataset: nv.data.Dataset, outputs: int) -> dict[str, Any]:
    ends = "softmax" if outputs > 1 else None
    net = nv.Network([nv.Input(3), nv.Dense(outputs, ends)], seed=0)
    net.preprocessing = dataset.preprocessing
    net.save(path)
    return read_model(path)[1]


LABELS = ["no", "yes", "perhaps"]
CLASSES = [LABELS[i % 3] for i in range(24)]


@pytest.mark.parametrize(
    ("target", "outputs", "fact"),
    [
        (CLASSES, 5, "output 'dense' gives 5 numbers for a target of 3 classes; expe"),
        (CLASSES, 1, "output 'dense' gives 1 number for a target of 3 classes; expec"),
        (X[:, 0].tolist(), 5, "output 'dense' gives 5 numbers for a target of 1 amou"),
    ],
)
def test_a_file_whose_record_is_of_other_outputs_is_refused(
    tmp_path: Path, target: list[Any], outputs: int, fact: str
) -> None:
    """Fewer labels than outputs were an IndexError in `predict`, amounts accepted."""
    path = tmp_path / "model.safetensors"
    saved(path, loaded(target), outputs)
    with pytest.raises(ModelFileError) as caught:
        nv.load(path)
    assert str(caught.value).startswith(
        f"[{path}] its network and preprocessing do not fit together: {fact}"
    )
    assert str(caught.value).endswith(
        "; expected the file as it was saved; save it again"
    )


def test_two_classes_may_have_one_output(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    layers = [nv.Input(3), nv.Dense(1, "logistic")]
    net = nv.Network(layers, seed=0)
    nv.fit(net, loaded([LABELS[i % 2] for i in range(24)]), epochs=1, progress=False)
    net.save(path)
    assert nv.load(path).predict_classes({**TABLE}).dtype.kind == "U"


def test_a_file_whose_record_is_of_other_inputs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    net = nv.Network([nv.Input(4), nv.Dense(3, "softmax")])
    net.preprocessing = loaded(CLASSES).preprocessing
    net.save(path)
    with pytest.raises(
        ModelFileError, match=r"inputs of shape \(4,\) for rows of shap"
    ):
        nv.load(path)


@pytest.mark.parametrize("record", [5, [], "x", {}, {"version": 9}])
def test_a_record_that_is_none_is_told_with_its_file(
    tmp_path: Path, record: object
) -> None:
    path = tmp_path / "model.safetensors"
    saved(path, loaded(CLASSES), 3)
    change(path, put("preprocessing", value=record))
    with pytest.raises(ModelFileError) as caught:
        nv.load(path)
    assert str(caught.value).startswith(f"[{path}] ")


def test_scores_of_another_task_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved(path, loaded(CLASSES), 3)

    def edit(tensors: dict[str, Any], document: dict[str, Any]) -> None:
        tensors["conformal/scores"] = np.array([0.1, 0.2])
        document["conformal"] = {"method": "absolute", "seed": None}

    change(path, edit)
    with pytest.raises(
        ModelFileError, match=r"calibration do not fit together: scores"
    ):
        nv.load(path)


def test_training_refuses_a_network_of_other_outputs() -> None:
    dataset = loaded(CLASSES)
    net = nv.Network([nv.Input(3), nv.Dense(5, "softmax")])
    message = (
        r"^\[fit\] output 'dense' gives 5 numbers for a target of 3 classes; expected "
        r"one for each; change the last layer$"
    )
    with pytest.raises(ValueError, match=message):
        nv.fit(net, dataset, progress=False)
