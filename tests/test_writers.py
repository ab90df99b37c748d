# SPDX-License-Identifier: BSD-3-Clause
"""Writers: other tools get what the record has; one that fails stops no training."""

from __future__ import annotations

import struct
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.cli.app import run as command
from nervure.training.writers import Writer


class Kept(Writer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.about: dict[str, Any] = {}
        self.numbers: list[tuple[int, dict[str, float]]] = []
        self.texts: list[tuple[int, str, str]] = []
        self.counts: list[tuple[int, str]] = []
        self.closed = 0

    def open(self, about: Any) -> None:
        self.about = dict(about)

    def values(self, step: int, values: Any) -> None:
        self.numbers.append((step, dict(values)))

    def text(self, step: int, name: str, text: str) -> None:
        self.texts.append((step, name, text))

    def histogram(self, step: int, name: str, counts: Any) -> None:
        self.counts.append((step, name))

    def close(self) -> None:
        self.closed += 1

    def series(self, name: str) -> dict[int, float]:
        return {step: v[name] for step, v in self.numbers if name in v}


def net() -> nv.Network:
    layers = [nv.Input(2), nv.Dense(4, "relu"), nv.Dense(3, "softmax")]
    return nv.Network(layers, seed=0)


def fit(blobs: Any, writer: Any, **given: Any) -> nv.Run:
    given = {"epochs": 3, "batch_size": 16, "progress": False, **given}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nv.FindingWarning)
        return nv.fit(net(), *blobs, callbacks=[writer], validation=0.2, **given)


def wild(writer: Any) -> nv.Run:
    """A run that is told while it goes on what is wrong with it."""
    X = np.random.default_rng(0).normal(size=(240, 2)).astype(np.float32)
    rows = X, (X[:, 0] * X[:, 1] > 0).astype(np.int64)
    return fit(rows, writer, optimizer=nv.Adam(3.0), epochs=8, batch_size=16)


def per_epoch(run: nv.Run) -> list[int]:
    return [run.step // run.epoch * (i + 1) for i in range(run.epoch)]


# -- what is handed on ----------------------------------------------------------------


def test_epochs_and_sampled_steps_go_by_the_number_of_the_step(blobs: Any) -> None:
    kept = Kept()
    run = fit(blobs, kept)
    for name in ("loss", "validation_loss", "accuracy", "learning_rate"):
        wanted = dict(zip(per_epoch(run), run.history[name], strict=True))
        assert kept.series(name) == wanted
    steps = run.record.steps.tolist()
    delta = run.record["delta"]
    for i, layer in enumerate(run.record.layers):
        wanted = dict(zip(steps, delta[:, i], strict=True))
        assert kept.series(f"delta/{layer}") == wanted
    assert kept.series("ratio/dense.weight")
    assert (0, "a_histogram/dense") in kept.counts
    assert kept.about["training.batch_size"] == 16
    assert kept.about["training.optimizer"] == "adam"
    assert "type=dense units=4 activation=relu" in kept.about["layer"]
    assert kept.closed == 1


def test_findings_are_texts() -> None:
    kept = Kept()
    run = wild(kept)
    codes = [event["code"] for event in run.record.of("finding")]
    assert codes
    assert [name for _, name, _ in kept.texts] == [f"finding/{c}" for c in codes]
    assert run.findings[0].remedy in " ".join(text for _, _, text in kept.texts)


def test_gates_have_names_of_their_own() -> None:
    layers = [nv.Input((5, 1)), nv.GRU(3), nv.Dense(1)]
    X, kept = np.random.default_rng(0).normal(size=(40, 5, 1)), Kept()
    recurrent = nv.Network(layers, seed=0)
    nv.fit(recurrent, X, X[:, 0], epochs=1, progress=False, callbacks=[kept])
    for name in ("gate_mean/gru.keep", "echo/gru", "growth/gru"):
        assert kept.series(name)


def test_telemetry_is_on_where_a_writer_reads_it_and_off_where_it_is_not_wanted(
    blobs: Any,
) -> None:
    assert fit(blobs, Kept()).record.of("step")
    assert not fit(blobs, lambda run: None).record.of("step")
    kept = Kept()
    run = fit(blobs, kept, telemetry=False)
    assert not run.record.of("step")
    assert [step for step, _ in kept.numbers] == per_epoch(run)


def test_a_resumed_run_hands_on_what_is_new(blobs: Any, tmp_path: Path) -> None:
    first, second, whole = Kept(), Kept(), Kept()
    fit(blobs, first, directory=tmp_path / "run", epochs=2)
    again = {"progress": False, "callbacks": [second]}
    nv.resume(tmp_path / "run", *blobs, epochs=4, **again)
    fit(blobs, whole, epochs=4)
    for name in ("loss", "accuracy"):
        both = {**first.series(name), **second.series(name)}
        assert both == whole.series(name)
        assert not first.series(name).keys() & second.series(name).keys()


def test_a_record_is_handed_on_later(blobs: Any, tmp_path: Path) -> None:
    live, later = Kept(), Kept()
    fit(blobs, live, directory=tmp_path / "run")
    later.write(nv.Record.read(tmp_path / "run"))
    known = {name for _, values in live.numbers for name in values}
    assert {"loss", "delta/dense"} <= known
    for name in known:
        assert later.series(name) == live.series(name)
    assert later.counts == live.counts
    assert later.closed == 1


def test_what_is_not_finite_is_left_out() -> None:
    layout = {"event": "layout", "layers": ["a"], "parameters": []}
    step = {"event": "step", "step": 0, "cost": "nan", "delta": ["inf"], "rate": 0.1}
    epoch = {"event": "epoch", "epoch": 0, "loss": "nan", "accuracy": 0.5}
    kept = Kept()
    kept.write(nv.Record([layout, step, epoch]))
    assert [values for _, values in kept.numbers] == [{"accuracy": 0.5}, {"rate": 0.1}]


def test_a_resumed_run_can_do_without(blobs: Any, tmp_path: Path) -> None:
    fit(blobs, Kept(), directory=tmp_path / "run", epochs=2)
    assert nv.resume(tmp_path / "run", *blobs, epochs=3, progress=False).epoch == 3


def test_a_writer_is_for_one_run_at_a_time(blobs: Any) -> None:
    kept = Kept()
    several = nv.Ensemble([net(), net()])
    given = {"epochs": 2, "progress": False, "callbacks": [kept]}
    several.fit(*blobs, jobs=1, **given)
    assert kept.closed == 2
    text = r"\[Kept\] two runs at once; expected one; make one for each"
    kept.on_begin(fit(blobs, Kept()))
    with pytest.raises(ValueError, match=text):
        kept.on_begin(fit(blobs, Kept()))


class Broken(Kept):
    def values(self, step: int, values: Any) -> None:
        super().values(step, values)
        raise OSError("no room left")


def test_a_tool_that_fails_is_warned_of_once_and_training_goes_on(blobs: Any) -> None:
    broken = Broken()
    with pytest.warns(UserWarning, match=r"^\[Broken\] OSError: no room left; traini"):
        run = fit(blobs, broken)
    assert run.epoch == 3
    assert len(broken.numbers) == 1
    assert broken.closed == 0


# -- TensorBoard ----------------------------------------------------------------------


def events(folder: Path) -> Iterator[Any]:
    """The events of TensorBoard's files: length, checksum, bytes, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    for file in sorted(folder.glob("events.out.tfevents.*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            yield Event.FromString(data[at + 12 : at + 12 + size])
            at += size + 16


def test_tensorboard_reads_back_what_was_told(blobs: Any, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    run = fit(blobs, nv.TensorBoard(tmp_path / "logs"))
    found: dict[str, dict[int, float]] = {}
    histograms: dict[str, Any] = {}
    texts: list[str] = []
    for event in events(tmp_path / "logs"):
        for value in event.summary.value:
            kind = value.WhichOneof("value")
            if kind == "simple_value":
                found.setdefault(value.tag, {})[event.step] = value.simple_value
            elif kind == "histo":
                histograms[value.tag] = value.histo
            else:
                texts.append(value.tag)
    loss = np.float32(run.history["loss"])
    assert found["loss"] == dict(zip(per_epoch(run), loss, strict=True))
    delta = np.float32(run.record["delta"][:, 0])
    assert found["delta/dense"] == dict(zip(run.record.steps, delta, strict=True))
    kept = histograms["a_histogram/dense_1"]
    last = [e for e in run.record.of("step") if "a_histogram" in e][-1]
    assert list(kept.bucket) == last["a_histogram"][1]
    assert kept.num == sum(last["a_histogram"][1])
    assert len(kept.bucket_limit) == len(kept.bucket)
    assert any(tag.startswith("spec") for tag in texts)


def test_the_command_line_hands_on_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    monkeypatch.chdir(tmp_path)
    asked = ["train", "iris", "--quiet", "--out", "run", "--log", "tensorboard=logs"]
    assert command([*asked, "--set", "training.epochs=2"]) == 0
    again = [
        "train",
        "--resume",
        "--quiet",
        "--out",
        "run",
        "--log",
        "tensorboard=logs",
    ]
    assert command([*again, "--set", "training.epochs=3"]) == 0
    steps = [
        event.step
        for event in events(tmp_path / "logs")
        for value in event.summary.value
        if value.tag == "loss"
    ]
    assert len(steps) == 3
    assert steps == sorted(steps)
    for words, text in (
        (["--log", "tensorbord"], "[log] unknown tool 'tensorbord'; did you mean 'ten"),
        (["--log", "mlflow", "--ensemble", "2"], "[--log] an ensemble trains several"),
    ):
        assert command(["train", "iris", "--quiet", "--out", "other", *words]) == 2
        assert text in capsys.readouterr().err
        assert not (tmp_path / "other").exists()


# -- MLflow and trackio ---------------------------------------------------------------


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("mlflow", reason="MLflow is not installed")
        pytest.importorskip("sqlalchemy", reason="MLflow keeps runs by SQLAlchemy")
        monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        monkeypatch.chdir(tmp_path)
        module.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
        module.set_experiment("own")
        yield module
        module.end_run()


def test_mlflow_has_the_series_the_settings_and_the_findings(mlflow: Any) -> None:
    writer = nv.MLflow("first", experiment="wild")
    run = wild(writer)
    assert mlflow.active_run() is None
    client = mlflow.MlflowClient()
    (experiment,) = client.search_experiments(filter_string="name = 'wild'")
    (kept,) = client.search_runs([experiment.experiment_id])
    assert kept.info.run_name == "first"
    assert kept.info.status == "FINISHED"
    assert kept.data.params["training.batch_size"] == "16"
    loss = client.get_metric_history(kept.info.run_id, "loss")
    found = {metric.step: metric.value for metric in loss}
    assert found == dict(zip(per_epoch(run), run.history["loss"], strict=True))
    delta = client.get_metric_history(kept.info.run_id, "delta/dense")
    assert len(delta) == len(run.record.steps)
    code = run.record.of("finding")[0]["code"]
    assert run.findings[0].cause in kept.data.tags[f"finding.{code}"]


def test_a_run_of_mlflow_that_is_active_goes_on(mlflow: Any, blobs: Any) -> None:
    with mlflow.start_run(run_name="outer") as outer:
        fit(blobs, nv.MLflow())
        assert mlflow.active_run().info.run_id == outer.info.run_id
    known = mlflow.MlflowClient().get_run(outer.info.run_id).data.metrics
    assert "validation_loss" in known


def test_trackio_keeps_them(
    blobs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reason = "trackio is not installed"
        storage = pytest.importorskip("trackio.sqlite_storage", reason=reason)
        run = fit(blobs, nv.Trackio("blobs", "first"))
        rows = storage.SQLiteStorage.get_logs("blobs", "first")
    found = {row["step"]: row["loss"] for row in rows if "loss" in row}
    assert found == dict(zip(per_epoch(run), run.history["loss"], strict=True))


def test_whatever_has_the_same_functions_takes_its_place(blobs: Any) -> None:
    told: list[tuple[str, Any]] = []
    library = SimpleNamespace(
        init=lambda **given: told.append(("init", given)),
        log=lambda values, step: told.append(("log", (step, values))),
        finish=lambda: told.append(("finish", None)),
    )
    run = fit(blobs, nv.Trackio("blobs", library=library))
    assert told[0][0] == "init"
    assert told[0][1]["project"] == "blobs"
    assert told[0][1]["config"]["training.epochs"] == 3
    assert told[-1][0] == "finish"
    losses = [v["loss"] for _, (_, v) in told[1:-1] if "loss" in v]
    assert losses == run.history["loss"]


@pytest.mark.parametrize(
    ("library", "writer"),
    [
        ("tensorboardX", lambda: nv.TensorBoard("logs")),
        ("mlflow", nv.MLflow),
        ("trackio", lambda: nv.Trackio("blobs")),
    ],
)
def test_a_tool_that_is_not_there_is_told_before_the_first_step(
    library: str, writer: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    extra = "tensorboard" if library == "tensorboardX" else library
    text = rf"expected the extra '{extra}'; run: pip install \"nervure\[{extra}\]\""
    with pytest.raises(ImportError, match=text):
        fit(blobs, writer())
