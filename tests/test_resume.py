# SPDX-License-Identifier: BSD-3-Clause
"""Runs that are killed, and go on to the bits they would have had."""

from __future__ import annotations

import errno
import importlib.util
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
import nervure.base.files
from nervure.base.files import TEMPORARY, WriteError
from nervure.network.modelfile import read_model
from nervure.runs.training import fit_spec
from nervure.spec.reading import load_spec, parse_spec
from nervure.spec.rows import load_data
from nervure.training.folder import RunFolder, RunFolderError

SCRIPT = Path(__file__).with_name("resume_script.py")
WAIT = 60


def _script() -> Any:
    found = importlib.util.spec_from_file_location("resume_script", SCRIPT)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


script = _script()


def start(*arguments: Any, **given: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", str(SCRIPT), *map(str, arguments)]
    return subprocess.Popen(command, text=True, **given)


def killed(case: str, folder: Path, point: str, count: int) -> None:
    """Train in another process until it kills itself."""
    process = start(case, folder, point, count)
    assert process.wait(WAIT) == -signal.SIGKILL


# -- what a run left -------------------------------------------------------------------


def _without_seconds(data: Any) -> Any:
    if isinstance(data, dict):
        return {k: _without_seconds(v) for k, v in data.items() if k != "seconds"}
    return data


def record(folder: Path) -> list[Any]:
    lines = (folder / "record.jsonl").read_text().splitlines()
    return [_without_seconds(json.loads(line)) for line in lines]


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob("step-*.safetensors"))


def left_by(run: nv.Run, folder: Path) -> dict[str, Any]:
    """Every bit that must be the same: weights, history, optimizer, sampler, files."""
    tensors, document = read_model(checkpoints(folder)[-1])
    model = nv.load(folder / "model.safetensors").parameters
    return {
        "weights": run.network.values.tobytes(),
        "history": {k: v for k, v in run.history.items() if k != "seconds"},
        "tensors": {name: array.tobytes() for name, array in tensors.items()},
        "state": _without_seconds(document["state"]),
        "ended": (run.epoch, run.step, run.best_epoch, run.stopped),
        "record": record(folder),
        "spec": (folder / "spec.toml").read_text(),
        "model": {name: array.tobytes() for name, array in model.items()},
        "leftovers": [p.name for p in folder.rglob("*") if p.name.endswith(TEMPORARY)],
    }  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What each case leaves when nothing breaks it."""
    known: dict[str, dict[str, Any]] = {}

    def of(case: str) -> dict[str, Any]:
        if case not in known:
            folder = tmp_path_factory.mktemp(case) / "run"
            known[case] = left_by(script.train(case, folder), folder)
            assert known[case]["leftovers"] == []
        return known[case]

    return of


# -- killed ----------------------------------------------------------------------------

KILLS = [
    ("adam", "step", 1),
    ("adam", "step", 8),
    ("adam", "replace", 6),
    ("adam", "log", 3),
    ("nesterov", "step", 17),
    ("nesterov", "replaced", 7),
    ("plateau", "step", 21),
    ("plateau", "log", 6),
    ("lbfgs", "replace", 6),
    ("limited", "replaced", 5),
    ("cut", "replaced", 4),
    ("maps", "step", 3),
    ("maps", "step", 8),
    ("maps", "replaced", 5),
]


@pytest.mark.parametrize(("case", "point", "count"), KILLS)
def test_a_killed_run_goes_on_to_the_same_bits(
    case: str, point: str, count: int, tmp_path: Path, whole: Any
) -> None:
    folder = tmp_path / "run"
    killed(case, folder, point, count)
    assert not (folder / "model.safetensors").exists()
    run = script.train(case, folder, resume=True)
    assert left_by(run, folder) == whole(case)


def test_running_statistics_are_kept_with_a_checkpoint(
    tmp_path: Path, whole: Any
) -> None:
    """Within an epoch: those of that step, which lie between the epochs' ones."""
    folder = tmp_path / "run"
    killed("maps", folder, "step", 7)
    tensors, document = read_model(checkpoints(folder)[-1])
    assert 0 < document["state"]["step"] % 5 < 5
    ended = np.frombuffer(whole("maps")["tensors"]["values"], np.float32)
    statistics = [s for s in script.maps().layout.segments if "running_" in s.name]
    assert len(statistics) == 4
    for segment in statistics:
        kept, last = segment.view(tensors["values"]), segment.view(ended)
        assert (kept != last).any()
        assert kept.any()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_killed_while_the_folder_is_made(
    count: int, tmp_path: Path, whole: Any
) -> None:
    folder = tmp_path / "run"
    killed("adam", folder, "replace", count)
    assert not (folder / "spec.toml").exists()
    run = script.train("adam", folder, resume=True)
    assert left_by(run, folder) == whole("adam")


def test_killed_when_early_stopping_had_spoken(tmp_path: Path, whole: Any) -> None:
    """After the last epoch's checkpoint, before the model is written: no epoch more."""
    expected = whole("plateau")
    assert expected["ended"][3] is not None
    assert expected["ended"][0] < 40
    # Files written: the record, the first checkpoint, the spec, one a epoch.
    folder = tmp_path / "run"
    killed("plateau", folder, "replaced", 3 + expected["ended"][0])
    run = script.train("plateau", folder, resume=True)
    assert left_by(run, folder) == expected


def test_killed_again_and_again(tmp_path: Path, whole: Any) -> None:
    folder = tmp_path / "run"
    for point, count in (("step", 5), ("replace", 3), ("step", 3), ("log", 1)):
        killed("nesterov", folder, point, count)
    run = script.train("nesterov", folder, resume=True)
    assert left_by(run, folder) == whole("nesterov")


@pytest.mark.parametrize("steps", [9, 31])
def test_killed_from_outside_at_any_moment(
    steps: int, tmp_path: Path, whole: Any
) -> None:
    folder = tmp_path / "run"
    process = start("long", folder, "nothing", 0)
    try:
        while process.poll() is None:
            found = checkpoints(folder)
            if found and int(found[-1].stem[5:]) >= steps:
                break
    finally:
        process.kill()
    assert process.wait(WAIT) == -signal.SIGKILL
    run = script.train("long", folder, resume=True)
    assert left_by(run, folder) == whole("long")


def test_the_run_knows_nothing_of_the_process(tmp_path: Path, whole: Any) -> None:
    """nv.resume builds the network from the folder alone."""
    for case in ("adam", "nesterov", "plateau", "maps"):
        folder = tmp_path / case
        killed(case, folder, "step", 9)
        run = nv.resume(folder, script.X, script.Y, progress=False)
        expected = dict(whole(case))
        assert left_by(run, folder) == expected


# -- ended and interrupted -------------------------------------------------------------


@pytest.mark.parametrize("case", ["plateau", "limited", "cut", "adam", "lbfgs"])
def test_resuming_a_run_that_has_ended_changes_nothing(
    case: str, tmp_path: Path, whole: Any
) -> None:
    folder = tmp_path / "run"
    script.train(case, folder)
    run = nv.resume(folder, script.X, script.Y, progress=False)
    assert left_by(run, folder) == whole(case)


def test_a_run_can_be_made_longer(tmp_path: Path) -> None:
    rule = {"optimizer": nv.Adam(0.01), "validation": 0.2, "progress": False}
    short = nv.fit(
        script.net(), script.X, script.Y, epochs=2, directory=tmp_path / "a", **rule
    )
    assert short.epoch == 2
    run = nv.resume(tmp_path / "a", script.X, script.Y, epochs=5, progress=False)
    long = nv.fit(
        script.net(), script.X, script.Y, epochs=5, directory=tmp_path / "b", **rule
    )
    assert run.network.values.tobytes() == long.network.values.tobytes()
    assert run.history["loss"] == long.history["loss"]
    assert run.seconds >= short.seconds


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to a process")
def test_control_c_leaves_a_usable_model_to_go_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start("nesterov", folder, "interrupt", 0, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 0
    word, why, epoch, step = output.splitlines()[-1].split()
    assert (word, why) == ("stopped", "interrupted")
    assert record(folder)[-1]["stopped"] == "interrupted"
    found = nv.load(folder / "model.safetensors").forward(script.X)
    assert np.isfinite(found).all()
    epochs = int(epoch) + 2
    given = {"checkpoint_steps": None, "epochs": epochs, "callbacks": [print_nothing]}
    run = script.train("nesterov", folder, resume=True, **given)
    fresh = script.train("nesterov", tmp_path / "fresh", **given)
    assert run.step == fresh.step > int(step)
    assert left_by(run, folder) == left_by(fresh, tmp_path / "fresh") | {
        "spec": (folder / "spec.toml").read_text()
    }


def print_nothing(run: nv.Run) -> None:
    """Stands for a callback of the user."""


def test_an_interrupt_in_this_process(tmp_path: Path) -> None:
    """Within an epoch: the engine ends the stretch, and the state is whole."""

    class Press(nv.Callback):
        def on_epoch_end(self, run: nv.Run) -> None:
            if run.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    run = script.train("adam", None, checkpoint_steps=None, callbacks=[Press()])
    assert run.stopped == "interrupted"
    assert run.epoch == 2
    assert np.isfinite(run.network.values).all()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# -- damage ----------------------------------------------------------------------------


def broken(case: str, folder: Path) -> list[Path]:
    killed(case, folder, "step", 14)
    found = checkpoints(folder)
    assert len(found) == 2
    return found


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: bytes(len(b))]
)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    damage: Any, tmp_path: Path, whole: Any
) -> None:
    latest = broken("adam", tmp_path / "run")[-1]
    latest.write_bytes(damage(latest.read_bytes()))
    run = script.train("adam", tmp_path / "run", resume=True)
    assert left_by(run, tmp_path / "run") == whole("adam")


def test_damage_to_all_checkpoints_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for path in broken("adam", folder):
        path.write_bytes(b"nonsense")
    with pytest.raises(RunFolderError) as caught:
        script.train("adam", folder, resume=True)
    text = str(caught.value)
    assert text.startswith(f"[{folder}] no checkpoint can be read (")
    assert text.endswith("expected one in checkpoints/; begin a new run")


# -- refusals --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ended") / "run"
    script.train("adam", folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def refused(folder: Path, call: Any) -> str:
    before = contents(folder)
    with pytest.raises(RunFolderError) as caught:
        call()
    assert contents(folder) == before
    return str(caught.value)


def test_a_run_folder_is_not_written_over(ended: Path) -> None:
    assert refused(ended, lambda: script.train("adam", ended)) == (
        f"[{ended}] holds a run already; expected a new folder; continue it with "
        "nv.resume (nervure train --resume), or choose another"
    )


def other(**given: Any) -> Any:
    def call(folder: Path) -> Any:
        X, Y = given.pop("X", script.X), given.pop("Y", script.Y)
        arguments = script.CASES["adam"] | {"batch_size": 12, "seed": 5} | given
        net = arguments.pop("net", None) or script.net()
        return nv.fit(
            net, X, Y, directory=folder, resume=True, progress=False, **arguments
        )

    return call


def wider() -> nv.Network:
    layers = [nv.Input(6), nv.Dense(9, activation="relu"), nv.Dropout(0.25)]
    return nv.Network([*layers, nv.Dense(3, activation="softmax")])


OTHERS = {
    "input 0": other(X=script.X + 1),
    "target 0": other(Y=script.Y[::-1].copy()),
    "weights": other(class_weight="balanced"),
    "batch size": other(batch_size=13),
    "seed": other(seed=6),
    "optimizer": other(optimizer=nv.Adam(0.5)),
    "loss": other(loss="focal"),
    "regularizer": other(regularizer=nv.L2(0.1)),
    "shuffle": other(shuffle=False),
    "layers": other(net=wider()),
    "dtype": other(net=script.net().astype("float64")),
    "validation": other(validation=0.1),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_changes_the_bits_is_refused(what: str, ended: Path) -> None:
    text = refused(ended, lambda: OTHERS[what](ended))
    assert text.startswith(f"[{ended}] was trained with other ")
    assert what in text
    assert text.endswith(
        "; expected the same, so that the same bits come out; pass what it was begun "
        "with, or begin a new run"
    )


def test_within_an_epoch_other_metrics_lack_their_outputs(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    script.train("adam", folder, metrics=[], max_steps=7)
    text = refused(folder, lambda: script.train("adam", folder, resume=True))
    assert text.endswith(
        "] array 'output.0' is missing; expected float32 (70, 2), for the network, "
        "optimizer and metrics at hand; pass those it was begun with"
    )


def test_resuming_asks_for_the_arrays(ended: Path) -> None:
    assert refused(ended, lambda: nv.resume(ended)) == (
        f"[{ended}] was begun on arrays, which are not in the folder; expected the "
        "same arrays; pass them: nv.resume(directory, X, y)"
    )


def test_resuming_asks_for_code_and_own_arrays(tmp_path: Path) -> None:
    def loss(output: np.ndarray, target: np.ndarray, weights: Any) -> Any:
        return float((output**2).mean()), 2 * output / output.size

    def metric(target: np.ndarray, output: np.ndarray, weights: Any) -> float:
        return 0.5

    X, Y, folder = script.X, script.Y, tmp_path / "run"
    given = {
        "loss": loss,
        "metrics": ["accuracy", metric],
        "callbacks": [print_nothing],
        "validation": (X[:9] + 0.5, Y[:9]),
        "sample_weight": np.ones(70),
    }
    nv.fit(script.net(), X, Y, epochs=1, directory=folder, progress=False, **given)
    text = refused(folder, lambda: nv.resume(folder, X, Y, callbacks=[]))
    assert text == (
        f"[{folder}] was begun with loss and metrics and validation and sample_weight "
        "that no file can hold (code or arrays); expected the same again; pass them: "
        "nv.resume(..., loss=..., metrics=..., validation=..., sample_weight=...)"
    )
    again = {**given, "epochs": 2, "progress": False}
    assert nv.resume(folder, X, Y, **again).epoch == 2


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(RunFolderError) as caught:
            nv.resume(folder)
        assert str(caught.value) == (
            f"[{folder}] holds no run: spec.toml is missing; expected a folder that "
            "nv.fit(directory=...) or nervure train made; check the path"
        )


# -- specs -----------------------------------------------------------------------------

SPEC = """
[data]
source = "iris"
validation = 0.2
test = 0.2
[[layer]]
type = "dense"
units = 8
activation = "tanh"
[[layer]]
type = "dense"
units = 3
activation = "softmax"
[training]
epochs = 6
seed = 4
optimizer = {type = "adam", learning_rate = 0.05}
class_weight = {setosa = 2.0}
early_stopping = {patience = 3}
"""


def test_a_spec_is_trained_and_resumed_from_its_folder_alone(tmp_path: Path) -> None:
    spec = parse_spec(SPEC)
    whole = fit_spec(spec, directory=tmp_path / "a", progress=False)
    short = fit_spec(spec, directory=tmp_path / "b", progress=False, max_steps=9)
    assert short.step == 9
    run = nv.resume(tmp_path / "b", progress=False, max_steps=None)
    assert run.network.values.tobytes() == whole.network.values.tobytes()
    assert run.history["validation_loss"] == whole.history["validation_loss"]
    assert len(run.history["loss"]) <= 6
    written = load_spec(tmp_path / "a" / "spec.toml")
    assert written.data == spec.data
    assert written.training.early_stopping == nv.EarlyStopping(patience=3)
    assert written.training.class_weight == {"setosa": 2.0}
    raw = [[5.1, 3.5, 1.4, 0.2]]
    model = nv.load(tmp_path / "b" / "model.safetensors")
    assert model.predict_classes(np.array(raw)).tolist() == ["setosa"]


def test_rows_of_a_spec_are_parted_once() -> None:
    data = load_data(parse_spec(SPEC).data, seed=4)
    assert data.inputs.shape == (120, 4)
    assert (len(data.train_rows), len(data.held_out_rows)) == (96, 24)
    assert data.test[0].shape == (30, 4)
    rows = np.concatenate([data.inputs, data.test[0]])
    everything = nv.data.load("iris", dtype="float32").inputs
    assert len(rows) == len(everything)
    train = data.inputs[data.train_rows]
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)  # statistics of these
    assert np.abs(rows.mean(axis=0)).max() > 1e-4


def test_what_a_run_writes_as_spec_reads_back(ended: Path) -> None:
    spec = load_spec(ended / "spec.toml")
    assert [entry.layer.kind for entry in spec.layers] == [
        "input", "dense", "dropout", "dense",
    ]  # fmt: skip
    assert spec.data.validation == 0.2
    assert spec.training.checkpoint_steps == 4
    assert spec.training.optimizer == script.CASES["adam"]["optimizer"]
    assert spec.training.batch_size == 12


def test_a_graph_with_two_outputs_resumes_from_its_spec(tmp_path: Path) -> None:
    x, z = nv.Input(6, name="x"), nv.Input(2, name="z")
    h = nv.Dense(4, activation="tanh")(nv.Concatenate()(z, x))
    value, classes = nv.Dense(1, name="value")(h), nv.Dense(2, activation="softmax")(h)

    def fresh() -> nv.Network:
        return nv.Network(inputs=[x, z], outputs=[value, classes], seed=1)

    X, Y = [script.X, script.X[:, :2]], [script.X[:, 0], script.Y]
    given = {"loss": ["huber", "cross_entropy"], "loss_weights": [0.5, 2.0]}
    given |= {"metrics": [], "progress": False}
    whole = nv.fit(fresh(), X, Y, epochs=3, **given)
    nv.fit(fresh(), X, Y, epochs=1, directory=tmp_path / "run", **given)
    run = nv.resume(tmp_path / "run", X, Y, epochs=3, progress=False)
    assert run.network.values.tobytes() == whole.network.values.tobytes()
    assert run.network.graph.output_names == whole.network.graph.output_names


def test_a_folder_that_cannot_be_made_is_said_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="cannot be made"):
        script.train("adam", tmp_path / "file" / "run")


# -- a disk that is full --------------------------------------------------------------


def full_from(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From now on writing a file of this name fails as on a full disk."""
    make = nervure.base.files._create  # pyright: ignore

    def create(temporary: Path) -> int:
        if name in temporary.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return make(temporary)

    monkeypatch.setattr("nervure.base.files._create", create)


@pytest.mark.parametrize("name", ["record.jsonl", "step-", "spec.toml"])
@pytest.mark.parametrize("folder", ["run", "a/b/run"])
def test_a_folder_that_cannot_be_begun_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, folder: str
) -> None:
    full_from(monkeypatch, name)
    with pytest.raises(WriteError, match="cannot be written: the disk is full"):
        script.train("adam", tmp_path / folder)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_the_user_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    full_from(monkeypatch, "spec.toml")
    with pytest.raises(WriteError, match="the disk is full"):
        script.train("adam", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_run_outlives_a_disk_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any
) -> None:
    """It warns once, trains to its end, and leaves what can be gone on with."""
    weights = whole("adam")["weights"]

    def fill(run: nv.Run) -> None:
        if run.epoch == 2:
            full_from(monkeypatch, "step-")

    text = (
        "the disk is full; expected room and permission for a file; free some space "
        r"or choose another folder \(nothing was changed\); training goes on, and "
        "tries again at each checkpoint"
    )
    with pytest.warns(UserWarning, match=text) as warned:
        run = script.train("adam", tmp_path / "run", callbacks=[fill])
    assert len(warned) == 1
    assert run.network.values.tobytes() == weights
    assert nv.load(tmp_path / "run" / "model.safetensors").layout.count
    monkeypatch.undo()
    given = {"callbacks": [], "progress": False}
    again = nv.resume(tmp_path / "run", script.X, script.Y, **given)
    assert again.network.values.tobytes() == weights


def test_a_model_that_cannot_be_saved_is_still_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1)], seed=0)
    before = net.values.copy()
    full_from(monkeypatch, "model")
    text = (
        r"model.safetensors\] cannot be written: the disk is full; .*; the trained "
        r"network is still in memory: write it elsewhere with network.save\(path\)"
    )
    with pytest.raises(WriteError, match=text):
        nv.fit(
            net, [[0.0], [1.0]], [1.0, 3.0], directory=tmp_path / "a", progress=False
        )
    assert (net.values != before).any()
    net.save(tmp_path / "elsewhere.safetensors")


def test_a_line_that_does_not_fit_leaves_whole_lines(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stops the write within the line, as a full disk does."""
    folder = RunFolder(tmp_path)
    folder.record.write_text('{"event": "begin"}\n')
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, old[1]))
    try:
        with pytest.raises(WriteError, match="the file is larger than allowed"):
            folder.log({"event": "epoch", "loss": 0.25, "epoch": 3, "seconds": 1.5})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert folder.record.read_text() == '{"event": "begin"}\n'
    shutil.rmtree(tmp_path)
    with pytest.raises(WriteError, match=r"record.jsonl\] cannot be written: there is"):
        folder.log({"event": "epoch"})


def test_a_moved_folder_is_the_same_run(tmp_path: Path, whole: Any) -> None:
    killed("adam", tmp_path / "here", "step", 9)
    shutil.move(tmp_path / "here", tmp_path / "there")
    run = nv.resume(tmp_path / "there", script.X, script.Y, progress=False)
    assert left_by(run, tmp_path / "there") == whole("adam")


def test_another_value_to_monitor_begins_the_best_anew(tmp_path: Path) -> None:
    net = script.net()
    given = {"validation": 0.3, "batch_size": 12, "progress": False}
    nv.fit(
        net, script.X, script.Y, epochs=3, directory=tmp_path / "a", **given,
        callbacks=[nv.EarlyStopping(patience=9)],
    )  # fmt: skip
    with pytest.warns(
        UserWarning, match=r"monitored validation_loss so far, from here"
    ):
        run = nv.resume(
            tmp_path / "a", script.X, script.Y, epochs=5, progress=False,
            callbacks=[nv.EarlyStopping(patience=9, monitor="validation_accuracy")],
        )  # fmt: skip
    accuracy = run.history["validation_accuracy"]
    assert run.best_epoch == 3 + int(np.argmax(accuracy[3:]))


def test_other_metrics_have_a_value_for_each_epoch(tmp_path: Path) -> None:
    given = {"batch_size": 12, "progress": False, "directory": tmp_path / "a"}
    nv.fit(script.net(), script.X, script.Y, epochs=2, metrics=[], **given)
    run = nv.resume(
        tmp_path / "a", script.X, script.Y, epochs=3, metrics=["accuracy"],
        progress=False,
    )  # fmt: skip
    assert [math.isnan(a) for a in run.history["accuracy"]] == [True, True, False]
    assert len(run.history["loss"]) == 3
