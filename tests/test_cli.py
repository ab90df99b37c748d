# SPDX-License-Identifier: BSD-3-Clause
"""The command line, in real processes; what is refused, in this one."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.cli import main as nervure_main
from nervure.cli.app import run
from nervure.cli.judging import Judgement, judge
from nervure.cli.telling import report
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Amounts, ArrayInput, Classes
from nervure.serving.answers import Wanted, predictions
from nervure.spec import rows as spec_rows
from nervure.spec.defaults import TEST
from nervure.spec.reading import load_spec

COMMAND = [sys.executable, "-m", "nervure"]


def nervure(
    folder: Path, *words: object, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder and wait for it."""
    command = [*COMMAND, *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, **options
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def start(folder: Path, *words: object, **options: Any) -> subprocess.Popen[str]:
    """Start the command in a folder; what it tells comes on its stderr."""
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def told_here(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What the command tells in this process, which is not the one that trained."""
    assert run(list(map(str, words))) == 0
    return capsys.readouterr().out


def accuracy(text: str) -> float:
    found = re.search(r"accuracy ([\d.]+) %", text)
    assert found, text
    return float(found[1])


# -- digits, from training to predictions ---------------------------------------------


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder in which digits was trained with nothing said, and what was told."""
    folder = tmp_path_factory.mktemp("digits")
    done = nervure(folder, "train", "digits")
    assert done.returncode == 0, done.stderr
    assert "epoch 1/40  loss " in done.stderr
    return folder, done.stdout


def test_digits_reach_97_percent(digits: tuple[Path, str]) -> None:
    folder, told = digits
    assert accuracy(told) >= 97
    assert re.search(r"held-out accuracy [\d.]+ % \(\d+ of 270 rows\)", told)
    assert "most confused: " in told
    assert re.search(r"^true \\ predicted( +\d){10}  recall %$", told, re.M)
    assert re.search(r"^precision %( +\d+){10}$", told, re.M)
    assert re.search(
        r"^balanced accuracy 9.* %, log loss 0\.\d+, calibration", told, re.M
    )
    assert re.search(
        r"^loss of training 0\.\d+ \(cross entropy, label smoothing 0.05\)$", told, re.M
    )
    assert told.endswith(
        "saved in runs/digits-1 (model.safetensors, spec.toml, record.jsonl)\n"
    )
    names = {path.name for path in (folder / "runs" / "digits-1").iterdir()}
    assert names == {"spec.toml", "record.jsonl", "checkpoints", "model.safetensors"}


def test_the_chosen_spec_is_written_out(digits: tuple[Path, str]) -> None:
    """Training from it gives the same bits as training without."""
    folder, _ = digits
    spec = folder / "runs" / "digits-1" / "spec.toml"
    assert load_spec(spec).data.source == "digits"
    few = ["--set", "training.epochs=2", "-q"]
    for out, words in (("a", ["digits"]), ("b", ["--spec", str(spec)])):
        assert run(["train", *words, *few, "--out", str(folder / out)]) == 0
    one, two = (folder / out / "model.safetensors" for out in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_another_process_evaluates_what_was_held_out(
    digits: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The very rows that training was scored on, by the folder or by the model."""
    run_folder = digits[0] / "runs" / "digits-1"
    for model in (run_folder, run_folder / "model.safetensors"):
        line, *rest = told_here(capsys, "evaluate", model, "digits").splitlines(True)
        assert line == (
            "digits: the 270 rows held out, which training never saw (--all: every "
            "row)\n"
        )
        assert "".join(rest).rstrip("\n") in digits[1]
    told = told_here(capsys, "evaluate", run_folder, "digits", "--all")
    assert told.startswith(
        "digits: all 1,797 rows (those that it was trained on among them)\n"
        "digits accuracy 99"
    )


def test_a_model_without_its_run_says_that_it_does_not_know(
    digits: tuple[Path, str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = digits[0] / "runs" / "digits-1" / "model.safetensors"
    (here / "a.safetensors").write_bytes(model.read_bytes())
    told = told_here(capsys, "evaluate", "a.safetensors", "digits")
    assert told.startswith(
        "digits: all 1,797 rows (no spec.toml lies beside it: it may have seen some of "
        "them)\n"
    )


def test_data_that_have_changed_are_scored_whole(
    rows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(rows.parent)
    words = ["train", "rows.csv", "--target", "ill", "-q", "--out", "a"]
    told_here(capsys, *words, "--set", "training.epochs=2")
    told = told_here(capsys, "evaluate", "a", "rows.csv")
    assert told.startswith("rows.csv: the 45 rows held out, which training never saw")
    assert told_here(capsys, "evaluate", "a", rows.resolve()).startswith(f"{rows}: the")
    lines = rows.read_text().splitlines(True)
    (rows.parent / "more.csv").write_text("".join(lines))
    told = told_here(capsys, "evaluate", "a", "more.csv")
    assert told.startswith("more.csv: all 300 rows\nmore.csv accuracy")
    rows.write_text("".join(lines[:200]))
    told = told_here(capsys, "evaluate", "a", "rows.csv")
    assert told.startswith(
        "rows.csv: all 199 rows (the data have changed since it was trained on some of "
        "them)\n"
    )


def test_other_data_with_a_test_part_are_scored_on_it(
    digits: tuple[Path, str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = nv.data.load("digits")
    images, y = (data.inputs[..., 0] * 15).astype(np.uint8), data.targets
    np.savez("parts.npz", x_train=images[:1500, ..., None], y_train=y[:1500],
             x_test=images[1500:, ..., None], y_test=y[1500:])  # fmt: skip
    model = digits[0] / "runs" / "digits-1"
    told = told_here(capsys, "evaluate", model, "parts.npz")
    assert told.startswith("parts.npz: the 297 rows of its test part\n")
    told = told_here(capsys, "evaluate", model, "parts.npz", "--all")
    assert told.startswith("parts.npz: all 1,797 rows\n")


NOTHING_SAID = """
[[layer]]
type = "dense"
units = 3
activation = "softmax"
[training]
epochs = 1
"""


@pytest.mark.parametrize(
    ("data", "told", "split"),
    [
        (
            "",
            "held out, since the spec does not say: 15 % of the rows to score and 10 % "
            "to choose the best epoch by\n",
            (0.15, 0.1),
        ),
        (
            "[data]\ntest = 0.2\n",
            "held out, since the spec does not say: 10 % to choose the best epoch by\n",
            (0.2, 0.1),
        ),
        ("[data]\nvalidation = 0.2\n", "", (None, 0.2)),
        ("[data]\nvalidation = 0\n", "", (None, 0)),
    ],
)
def test_a_spec_that_holds_nothing_out_gets_the_split_of_no_spec(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    data: str,
    told: str,
    split: tuple[float | None, float],
) -> None:
    (here / "net.toml").write_text(data + NOTHING_SAID)
    found = told_here(capsys, "train", "iris", "--spec", "net.toml", "-q", "--out", "a")
    assert found.startswith(f"{told}iris: 150 rows")
    again = load_spec("a/spec.toml").data
    assert (again.test, again.validation) == split
    assert ("accuracy" in found) == any(split)
    same = told_here(capsys, "train", "--spec", "a/spec.toml", "-q", "--out", "b")
    assert "held out, since" not in same
    assert model_of(here / "a") == model_of(here / "b")


def test_an_architecture_by_its_name_is_scored(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--spec", "lenet1", "-q", "--set", "training.epochs=1"]
    told = told_here(capsys, "train", "digits", *words)
    assert "held-out accuracy" in told
    assert "for 1 epoch in" in told
    assert ", weights after 1 epoch\n" in told


def test_another_process_inspects(
    digits: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = digits[0] / "runs" / "digits-1"
    told = told_here(capsys, "inspect", folder / "model.safetensors")
    assert "dense_2.softmax" in told
    assert "target: digit, 10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in told
    with_run = told_here(capsys, "inspect", folder)
    assert with_run.startswith(told)
    assert re.search(
        r"\ntrained for 40 epochs, 1,720 steps in [\d.]+ s, weights after \d+ epochs\n"
        r" +loss  accuracy\n"
        r"training rows +[\d.]+ +[\d.]+\n"
        r"validation rows +[\d.]+ +[\d.]+\n"
        r"held-out \(270 rows\): loss [\d.]+, accuracy 0.9\d+, balanced accuracy ",
        with_run,
    )
    told = told_here(capsys, "inspect", folder / "spec.toml")
    assert 'loss = {type = "cross_entropy", label_smoothing = 0.05}' in told
    assert "50,826 parameters" in told
    assert told_here(capsys, "inspect", "digits").startswith("digits: 1,797 rows")


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.npz"])
def test_another_process_predicts(
    digits: tuple[Path, str], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder, _ = digits
    out = folder / name
    words = [folder / "runs" / "digits-1", "digits", "--out", out, "--probabilities"]
    told = told_here(capsys, "predict", *words)
    assert told == f"1,797 predictions written to {out}\n"
    found = columns_of(out)
    assert list(found) == ["prediction", *(f"probability_{i}" for i in range(10))]
    p = np.column_stack([found[f"probability_{i}"] for i in range(10)]).astype(float)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(p.argmax(axis=1), found["prediction"].astype(int))
    truth = nv.data.load("digits").targets
    assert np.mean(p.argmax(axis=1) == truth) > 0.97


def columns_of(path: Path) -> dict[str, Any]:
    if path.suffix == ".npz":
        return dict(np.load(path))
    if path.suffix == ".parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path)
        return {name: table[name].to_numpy() for name in table.column_names}
    with open(path, newline="") as file:
        head, *rows = csv.reader(file)
    return dict(zip(head, np.array(rows).T, strict=True))


def test_a_reader_that_leaves_is_no_error(digits: tuple[Path, str]) -> None:
    words = ["runs/digits-1", "digits", "--probabilities"]
    with start(digits[0], "predict", *words) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.npz"])
def test_columns_are_kept_beside_the_predictions(
    rows: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """As they are in a CSV file, letter by letter, whatever they are to the model."""
    folder = rows.parent
    few = ["--set", "training.epochs=2", "-q", "--out", folder / "a"]
    told_here(capsys, "train", rows, "--target", "ill", *few)
    new = folder / "new.csv"
    new.write_text("id,colour,age,day\n007,red,25.50,2024-02-03\n010,,75,\n")
    words = [folder / "a", new, "--keep", "id,age, day"]
    told_here(capsys, "predict", *words, "--out", folder / name)
    found = columns_of(folder / name)
    assert list(found) == ["id", "age", "day", "prediction"]
    assert found["id"].tolist() == ["007", "010"]
    assert found["age"].tolist() == ["25.50", "75"]
    assert found["day"].tolist() == ["2024-02-03", ""]


def test_columns_of_other_files_are_kept_by_their_types(
    rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pandas as pd

    folder = rows.parent
    few = ["--set", "training.epochs=2", "-q", "--out", folder / "a"]
    told_here(capsys, "train", rows, "--target", "ill", *few)
    frame = pd.DataFrame({"age": [25, 75], "colour": ["red", "blue, dark"]})
    frame["id"], frame["part"] = [1.5, None], [True, False]
    frame["day"] = pd.to_datetime(["2024-02-03T00:00", "2024-02-03T12:30"])
    frame.to_parquet(folder / "new.parquet")
    words = [folder / "a", folder / "new.parquet", "--keep", "age,id,part,day"]
    told = told_here(capsys, "predict", *words).splitlines()
    assert told[0] == "age,id,part,day,prediction"
    assert told[1].startswith("25,1.5,true,2024-02-03")
    assert told[2].startswith("75,,false,2024-02-03T12:30")


def test_what_is_piped_in_is_read(
    rows: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = rows.parent
    few = ["--set", "training.epochs=2", "-q", "--out", folder / "a"]
    told_here(capsys, "train", rows, "--target", "ill", *few)

    def piped(*words: object, data: bytes) -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return told_here(capsys, *words)

    new = b"age,colour,id\n25,red,007\n75,,008\n"
    told = piped("predict", folder / "a", "-", "--keep", "id", data=new)
    assert re.fullmatch(r"id,prediction\n007,(no|yes)\n008,(no|yes)\n", told)
    lines = b'{"age": 25, "colour": "red"}\n{"age": 75, "colour": null}\n'
    assert piped("predict", folder / "a", "-", data=lines).count("\n") == 3
    told = piped("evaluate", folder / "a", "-", data=rows.read_bytes())
    assert told.startswith("standard input: all 300 rows\nstandard input accuracy")
    told = piped("inspect", "-", data=gzip.compress(rows.read_bytes()))
    assert told.startswith("standard-input.csv.gz: 199 rows, 2 columns")


# -- other sources --------------------------------------------------------------------


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A CSV file with numbers, categories, missing values and text to predict."""
    rng = np.random.default_rng(5)
    path = tmp_path / "rows.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "ill", "colour"])
        for _ in range(300):
            age = int(rng.integers(20, 80))
            colour = ["red", "blue, dark", ""][rng.integers(3)]
            writer.writerow([age, "yes" if age > 50 else "no", colour])
    return path


def test_a_csv_file_with_a_target(rows: Path) -> None:
    folder = rows.parent
    done = nervure(folder, "train", rows, "--target", "ill", "-q")
    assert done.stderr == ""
    assert accuracy(done.stdout) > 90
    assert "target 'ill': 2 classes (no, yes)" in done.stdout
    (folder / "new.csv").write_text("colour,age\nred,25\n,75\n")
    done = nervure(folder, "predict", "runs/rows-1", "new.csv")
    assert done.stdout == "prediction\nno\nyes\n"


TOWNS = """
[data]
source = "towns.csv"
numbers = "robust"
validation = 0.1
[data.columns]
shop = "embedding"
[[layer]]
type = "dense"
units = 8
activation = "relu"
[[layer]]
type = "dense"
units = 1
[training]
epochs = 30
"""


def write_towns(path: Path) -> None:
    """A table whose target hangs on one of 40 towns, and on the number of a shop."""
    rng = np.random.default_rng(2)
    worth = rng.normal(size=40)
    lines = ["id,town,shop,size,price"]
    for i in range(2000):
        town, shop, size = rng.integers(40), rng.integers(3), rng.random()
        price = worth[town] + (shop == 1) + size
        lines.append(f"i{i},t{town},{shop},{size:.3f},{price:.4f}")
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("spec", [False, True])
def test_categories_of_a_table_are_embedded(
    here: Path, spec: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    write_towns(here / "towns.csv")
    (here / "net.toml").write_text(TOWNS)
    chosen = ["--spec", "net.toml"] if spec else ["towns.csv"]
    told = told_here(capsys, "train", *chosen, "-q", "--out", "a")
    town = "town (40), shop (3)" if spec else "town (40)"
    assert f"categories, embedded: {town}" in told
    found = re.search(r"loss (\S+) \(mse\)  r2 (\S+)", told)
    assert found
    assert float(found[2]) > 0.9
    text = (here / "a" / "spec.toml").read_text()
    assert 'type = "embed_columns"' in text
    assert ('columns = {shop = "embedding"}' in text) == spec
    (here / "new.csv").write_text("shop,town,size\n1,t1,0.5\n1,t1,\n2,ulm,0.5\n")
    done = nervure(here, "predict", "a", "new.csv")
    values = [float(line) for line in done.stdout.splitlines()[1:]]
    assert abs(values[0] - values[1]) < 0.3  # the median of size is near 0.5
    assert done.stderr == (
        "warning: [new.csv] column 'town': 1 rows hold categories that were not seen "
        "at least twice in training ('ulm'); they become the code of what is unknown\n"
    )
    told = told_here(capsys, "train", "--resume", "--out", "a", "-q",
                     "--set", "training.epochs=41")  # fmt: skip
    assert "for 41 epochs" in told or "early" in told


def test_a_regression_is_told_in_its_units(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["diabetes", "-q", "--set", "training.epochs=20", "--out", tmp_path / "a"]
    told = told_here(capsys, "train", *words)
    found = re.search(r"held-out: loss .*  r2 .*  rmse (.*) \(66 rows\)", told)
    assert found
    assert 40 < float(found[1]) < 80


def test_four_idx_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The test part of the folder's own is what is held out."""
    data = nv.data.load("digits")
    images = (data.inputs.reshape(-1, 8, 8) * 15).astype(np.uint8)
    folder = tmp_path / "idx"
    folder.mkdir()
    for part, rows in (("train", slice(None, 1500)), ("t10k", slice(1500, None))):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images[rows])
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", data.targets[rows])
    few = ["--set", "training.epochs=10", "-q", "--out", tmp_path / "a"]
    told = told_here(capsys, "train", folder, *few)
    assert "of 297 rows" in told
    assert accuracy(told) > 90


def write_idx(path: Path, array: np.ndarray[Any, Any]) -> None:
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes()))


# -- going on -------------------------------------------------------------------------

FEW = ["--set", "training.epochs=6", "--set", "training.checkpoint_steps=50"]

KILLED = """
import os, signal, sys
from nervure.cli.app import run
from nervure.training.folder import RunFolder
write = RunFolder.write_checkpoint
def write_and_die(self, state, fingerprint):
    write(self, state, fingerprint)
    if state.step >= 100:
        os.kill(os.getpid(), signal.SIGKILL)
RunFolder.write_checkpoint = write_and_die
run(sys.argv[1:])
"""


def model_of(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_resume_after_a_kill_gives_the_same_bits(tmp_path: Path) -> None:
    """43 steps are an epoch: the kill comes in the middle of one."""
    nervure(tmp_path, "train", "digits", *FEW, "--out", "whole", "-q")
    words = [sys.executable, "-c", KILLED, "train", "digits", *FEW, "-q"]
    assert subprocess.run(words, cwd=tmp_path).returncode == -signal.SIGKILL
    assert not (tmp_path / "runs" / "digits-1" / "model.safetensors").exists()
    done = nervure(tmp_path, "train", "digits", "--resume", "-q")
    assert "for 6 epochs" in done.stdout
    assert model_of(tmp_path / "runs" / "digits-1") == model_of(tmp_path / "whole")


def test_interrupt_and_resume(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = ["--set", "training.epochs=100000", "--set", "training.metrics=[]"]
    endless += ["--set", "training.early_stopping.patience=100000"]
    with start(tmp_path, "train", "iris", *endless, "--out", "a") as process:
        assert process.stderr
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "(interrupted)" in told
    assert told.endswith("interrupted; go on with: nervure train --resume --out a\n")
    few = ["--out", tmp_path / "a", "--set", "training.max_seconds=0.001"]
    told = told_here(capsys, "train", "--resume", *few)
    assert "max_seconds = 0.001 reached" in told


def test_live_progress_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    words = [*COMMAND, "train", "iris"]
    out = subprocess.DEVNULL
    with subprocess.Popen(words, cwd=tmp_path, stdout=out, stderr=theirs) as process:
        os.close(theirs)
        shown = read_all(ours)
    assert process.returncode == 0
    assert "\r" in shown
    assert re.search(r"[\nK]\d+/200( +[\d.]+){4} +[\d.]+ s\r\n$", shown)


def read_all(descriptor: int) -> str:
    pieces: list[bytes] = []
    try:
        while piece := os.read(descriptor, 1 << 16):
            pieces.append(piece)
    except OSError:  # how a terminal tells that the other end is closed
        pass
    os.close(descriptor)
    return b"".join(pieces).decode()


# -- what is refused ------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert run(list(words)) == 2
    return capsys.readouterr().err.splitlines()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["train"],
            "error: [train] neither a source nor --spec; expected data to train on; "
            "try: nervure train digits",
        ),
        (
            ["train", "digit"],
            "error: [source] unknown data set or file 'digit'; did you mean 'digits'? ",
        ),
        (
            ["train", "iris", "--set", "training.epoch=3"],
            "error: [--set] training.epoch: unknown key; did you mean 'epochs'? ",
        ),
        (
            ["train", "iris", "--set", "layer.2.units=-1"],
            "error: [--set] layer[2]: units = -1; use at least 1 as units",
        ),
        (
            ["train", "iris", "--set", "data.test=2"],
            "error: [--set] data: test = 2.0; expected a finite number (>= 0) and ",
        ),
        (
            ["train", "wine", "--resume"],
            "error: [--resume] found no run of wine in runs/; expected the folder of a "
            "run; name it with --out",
        ),
        (
            ["train", "--spec", "no.toml"],
            "error: [no.toml] cannot be read: no such file or directory; ",
        ),
        (
            ["train", "-"],
            "error: [train] standard input, which cannot be read again by --resume and "
            "evaluate; expected a file; save it first",
        ),
        (
            ["predict", "no.safetensors", "iris"],
            "error: [no.safetensors] cannot be read: no such file or directory; ",
        ),
        (
            ["predict", "no.safetensors", "iris", "--out", "a.xls"],
            "error: [a.xls] ends in '.xls'; expected one of .csv, .parquet, .npz; "
            "rename the file",
        ),
    ],
)
@pytest.mark.usefixtures("here")
def test_errors_without_a_traceback(
    capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    assert refused(capsys, *words)[0].startswith(line)


def test_every_fault_of_a_spec(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "net.toml").write_text('[[layer]]\ntype = "dens"\n[training]\nepoch = 1\n')
    found = refused(capsys, "train", "iris", "--spec", "net.toml")
    assert [line.split(": ")[1] for line in found] == [
        "[net.toml] training.epoch",
        "[net.toml] layer[0].type",
    ]


def test_an_earlier_run_is_not_overwritten(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "iris", "-q", "--out", "a", "--set", "training.epochs=1"]
    assert run(words) == 0
    before = model_of(here / "a")
    assert refused(capsys, *words)[0].startswith("error: [a] holds a run already; ")
    assert model_of(here / "a") == before


@pytest.mark.parametrize(
    ("sets", "fixed"),
    [
        (["data.test=0"], "data"),
        (["layer.2.units=3"], "layer"),
        (["training.optimizer.learning_rate=1"], "training.optimizer"),
        (
            ["dtype=float64", "training.batch_size=7", "training.epochs=3"],
            "dtype, training.batch_size",
        ),
        (["training.class_weight=balanced"], "training.class_weight"),
    ],
)
def test_what_cannot_change_in_a_run(
    digits: tuple[Path, str],
    capsys: pytest.CaptureFixture[str],
    sets: list[str],
    fixed: str,
) -> None:
    words = [word for text in sets for word in ("--set", text)]
    folder = str(digits[0] / "runs" / "digits-1")
    assert refused(capsys, "train", "--resume", "--out", folder, *words) == [
        f"error: [--set] {fixed} cannot change in a run that has begun; expected with "
        "--resume only training.epochs, training.max_steps, training.max_seconds, "
        "training.early_stopping, training.checkpoint_steps, "
        "training.checkpoint_seconds, training.executor, training.telemetry; leave it "
        "out, or begin a new run"
    ]


def test_a_source_is_read_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(here / "rows.csv", 40)
    calls: list[Any] = []
    read = spec_rows.read

    def counted(*given: Any, **more: Any) -> Any:
        calls.append(given)
        return read(*given, **more)

    monkeypatch.setattr(spec_rows, "read", counted)
    words = ["train", "rows.csv", "-q", "--out", "a", "--set", "training.epochs=1"]
    assert run(words) == 0
    assert calls == [("rows.csv",)]
    assert load_spec("a/spec.toml").data.test == TEST


def test_training_on_digits_imports_no_library_of_statistics(here: Path) -> None:
    code = (
        "import sys; from nervure.cli.app import run;"
        "code = run(['train', 'digits', '-q', '--out', 'a', '--set',"
        " 'training.epochs=1']);"
        "heavy = {'sklearn', 'scipy', 'pandas', 'duckdb', 'narwhals'};"
        "print(code, sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["0 []"], done.stderr


# -- several outputs ------------------------------------------------------------------


def table(path: Path, rows: int) -> np.ndarray:
    """Columns a, b and the targets u = a + b, v = a - b and high = u > 0."""
    X = np.random.default_rng(1).normal(size=(rows, 2))
    u, v = X.sum(axis=1), X[:, 0] - X[:, 1]
    high = np.where(u > 0, "yes", "no")
    lines = [
        f"{a},{b},{c},{d},{e}" for (a, b), c, d, e in zip(X, u, v, high, strict=True)
    ]
    path.write_text("\n".join(["a,b,u,v,high", *lines]) + "\n")
    return np.column_stack([u, v])


HEADS = """
outputs = ["one", "two"]
[data]
source = "rows.csv"
test = 0.25
{data}
[[layer]]
type = "dense"
units = 8
activation = "tanh"
name = "trunk"
[[layer]]
type = "dense"
units = {units}
activation = "{activation}"
name = "one"
inputs = ["trunk"]
[[layer]]
type = "dense"
units = {units}
activation = "{activation}"
name = "two"
inputs = ["trunk"]
[training]
optimizer = {{type = "adam", learning_rate = 0.05}}
epochs = 60
"""


def test_classes_of_every_output(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both outputs are about the one target, as an auxiliary classifier is."""
    table(here / "rows.csv", 200)
    spec = HEADS.format(data='target = "high"', units=2, activation="softmax")
    (here / "net.toml").write_text(spec)
    assert run(["train", "--spec", "net.toml", "-q", "--out", "a"]) == 0
    told = capsys.readouterr().out
    for name in ("one", "two"):
        assert re.search(
            rf"held-out {name} accuracy (9|100).* of 50 rows\); always", told
        )
    assert run(["evaluate", "a", "rows.csv"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^held-out two accuracy ", told, re.MULTILINE)
    assert run(["predict", "a", "rows.csv", "--probabilities"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == 200
    assert [*rows[0]] == [
        "one_prediction", "one_probability_no", "one_probability_yes",
        "two_prediction", "two_probability_no", "two_probability_yes",
    ]  # fmt: skip
    net = nv.load("a/model.safetensors")
    second = net.predict("rows.csv")[1]
    found = [float(row["two_probability_yes"]) for row in rows]
    np.testing.assert_allclose(found, second[:, 1], rtol=1e-6)


def test_amounts_of_every_output(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each output has a column of the targets, in the target's units."""
    expected = table(here / "rows.csv", 200)
    data = 'target = ["u", "v"]\nquery = "select a, b, u, v + 100 as v from data"'
    spec = HEADS.format(data=data, units=1, activation="linear")
    (here / "net.toml").write_text(spec)
    assert run(["train", "--spec", "net.toml", "-q", "--out", "a"]) == 0
    told = capsys.readouterr().out
    for name in ("one", "two"):
        assert re.search(rf"held-out {name}: loss .*  r2 0\.9\d*  rmse 0\.[0-3]", told)
    assert run(["predict", "a", "rows.csv", "--out", "out.npz"]) == 0
    found = np.load("out.npz")
    assert found.files == ["one_prediction", "two_prediction"]
    np.testing.assert_allclose(found["one_prediction"], expected[:, 0], atol=1)
    np.testing.assert_allclose(found["two_prediction"], expected[:, 1] + 100, atol=1)
    both = nv.load("a/model.safetensors").predict("rows.csv")
    assert [part.shape for part in both] == [(200, 1), (200, 1)]
    np.testing.assert_allclose(both[1][:, 0], found["two_prediction"], rtol=1e-6)


def test_models_that_do_not_suit(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = nv.Network([nv.Input(4), nv.Dense(1)])
    net.save("bare.safetensors")
    line = refused(capsys, "predict", "bare.safetensors", "iris")[0]
    assert "has no record of its data's preprocessing" in line
    words = ["train", "diabetes", "-q", "--out", "a", "--set", "training.epochs=1"]
    assert run(words) == 0
    line = refused(capsys, "predict", "a", "diabetes", "--probabilities")[0]
    assert line.startswith("error: [--probabilities] the model predicts amounts; ")


def test_an_earlier_prediction_is_kept(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "iris", "-q", "--out", "a", "--set", "training.epochs=1"]
    assert run(words) == 0
    line = refused(capsys, "predict", "a", "iris", "--out", "no/out.csv")[0]
    assert "cannot be written: there is no such folder" in line
    assert run(["predict", "a", "iris", "--out", "out.csv"]) == 0
    assert len((here / "out.csv").read_text().splitlines()) == 151


def test_wrong_usage_and_debug(tmp_path: Path) -> None:
    done = nervure(tmp_path, "frob")
    assert done.returncode == 2
    done = nervure(tmp_path, "train", "nothing")
    assert done.returncode == 2
    command = [*COMMAND, "train", "nothing", "--debug"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" in shown.stderr


def test_what_cannot_be_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told_here(capsys, "train", "iris", "-q", "--out", "a", "--set", "training.epochs=1")
    (here / "new.csv").write_text(
        "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm),"
        "prediction\n5,3,1,0.2,x\n"
    )
    for source, name, line in (
        ("iris", "id", "[--keep] iris has no columns to keep; expected a CSV, TSV, "),
        ("new.csv", "number", "[new.csv] unknown column 'number'; Known: petal length"),
        (
            "new.csv",
            "prediction",
            "[--keep] 'prediction' is the name of a column of predictions too; expected "
            "another; rename it with a query (SELECT ... AS ...)",
        ),
    ):
        told = refused(capsys, "predict", "a", source, "--keep", name)[0]
        assert told.startswith(f"error: {line}")


def test_a_search_is_told_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--trials", "2", "-q", "--set", "training.epochs=1", "--out", "a"]
    told = told_here(capsys, "tune", "iris", *words)
    again = told_here(capsys, "inspect", "a")
    assert again.rstrip("\n") in told
    assert again.startswith("2 trials: 2 complete\n\ntrial  validation_loss")
    (here / "a" / "report.json").write_text('{"trials": [{}]}')
    line = refused(capsys, "inspect", "a")[0]
    assert line.startswith("error: [a/report.json] is no report of a search ('value')")


def test_a_record_that_is_damaged_is_told_as_far_as_it_goes(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_here(capsys, "train", "iris", "-q", "--out", "a", "--set", "training.epochs=1")
    record = here / "a" / "record.jsonl"
    lines = record.read_text().splitlines()
    record.write_text("\n".join([*lines, "[1]", "{", '{"event": 3}', "\0" * 9]))
    assert "trained for 1 epoch, " in told_here(capsys, "inspect", "a")
    record.write_text('{"event": "end", "epochs": "x", "best_epoch": null}\n')
    assert "trained for 0 epochs, 0 steps" in told_here(capsys, "inspect", "a")
    record.unlink()
    assert "trained for" not in told_here(capsys, "inspect", "a")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert told_here(capsys, "--version") == f"nervure {nv.__version__}\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nervure tr", ["train"]),
        ("nervure train di", ["digits", "diabetes", "dishes/"]),
        ("nervure evaluate a dis", ["dishes/"]),
        ("nervure train --calib", ["--calibrate"]),
    ],
)
def test_a_shell_completes(here: Path, line: str, words: list[str]) -> None:
    (here / "dishes").mkdir()
    parts = line.split()
    environment = {"_NERVURE_COMPLETE": "complete_bash", "COMP_WORDS": line}
    environment |= {"COMP_CWORD": str(len(parts) - 1)}
    main = "import sys; from nervure.cli import main; sys.argv[0] = 'nervure'; main()"
    done = subprocess.run(
        [sys.executable, "-c", main],
        cwd=here,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == words, done.stderr


def test_help_is_there() -> None:
    done = nervure(Path.cwd(), "--help")
    for word in ("train", "predict", "evaluate", "inspect"):
        assert f"\n  {word} " in done.stdout


# -- words ----------------------------------------------------------------------------


def test_two_classes_from_one_logistic_output() -> None:
    record = Preprocessing(ArrayInput((2,)), Classes("y", ("no", "yes")))
    found = predictions(record, np.array([[0.2], [0.9]]), wanted=Wanted(True))
    assert found["prediction"].tolist() == ["no", "yes"]
    np.testing.assert_allclose(found["probability_no"], [0.8, 0.1])


def test_several_amounts_are_named() -> None:
    record = Preprocessing(
        ArrayInput((2,)), Amounts(("u", "v"), (1.0, 0.0), (2.0, 1.0))
    )
    found = predictions(record, np.array([[0.5, 3.0]]))
    assert {k: v.tolist() for k, v in found.items()} == {
        "prediction_u": [2.0],
        "prediction_v": [3.0],
    }


def test_many_classes_are_told_without_the_matrix() -> None:
    labels = tuple(f"class {i} with a name that is long" for i in range(20))
    confusion = np.eye(20, dtype=int) * 9
    confusion[3, 4] = 1
    values = {"loss": 0.5, "balanced accuracy": 0.9933, "log loss": 0.5}
    lines = report(Judgement(181, values, labels, confusion), "held-out").splitlines()
    assert lines[:7] == [
        "held-out accuracy 99.4 % (180 of 181 rows); always saying class 3 with a name",
        "  t...: 5.5 %",
        "balanced accuracy 99.3 %, log loss 0.5",
        "most confused: class 3 with a name t... taken for class 4 with a name t... (1 of",
        "  10)",
        "",
        "class                     rows  recall %  precision %",
    ]
    assert lines[7] == "class 3 with a name t...    10        90          100"
    assert lines[-1] == "(the 10 of 20 classes that are found least)"


def test_a_rare_class_that_is_missed_is_told_and_what_helps() -> None:
    """97 % accuracy that is worth nothing."""
    confusion, labels = np.array([[582, 0], [18, 0]]), ("no", "yes")
    values = {"loss": 0.14, "balanced accuracy": 0.5, "log loss": 0.1412}
    values |= {"ROC AUC": 0.5536, "average precision": 0.038}
    found = Judgement(600, values, labels, confusion)
    told = report(found, "held-out")
    assert told == (
        "held-out accuracy 97.0 % (582 of 600 rows); always saying no: 97.0 %\n"
        "balanced accuracy 50.0 %, log loss 0.1412\n"
        "ROC AUC 0.5536, average precision 0.038 of yes (3.0 % of the rows)\n"
        "most confused: yes taken for no (18 of 18)\n"
        "rare and missed: yes (0 of 18 found); to weigh rare classes more, train with:\n"
        "  --set training.class_weight=balanced\n"
        "\n"
        "true \\ predicted   no  yes  recall %\n"
        "no                582    .       100\n"
        "yes                18    .         0\n"
        "precision %        97    -\n"
    )
    assert "rare and missed" not in report(found, "held-out", weighted=True)
    found = Judgement(600, values, labels, np.array([[570, 12], [6, 12]]))
    assert "rare and missed" not in report(found, "held-out")


def test_probabilities_are_judged_whatever_the_form_of_the_output() -> None:
    """By scikit-learn: one logistic output, and two of a softmax."""
    import sklearn.metrics as theirs

    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(200, 2)).astype(np.float32), rng.random(200) < 0.1
    for units, activation in ((1, "logistic"), (2, "softmax")):
        net = nv.Network([nv.Input(2), nv.Dense(units, activation=activation)], seed=1)
        net.preprocessing = Preprocessing(ArrayInput((2,)), Classes("y", ("no", "yes")))
        (found,) = judge(net, X, y.astype(np.int32))
        p = net.predict(X)[:, -1]
        assert found.values["log loss"] == pytest.approx(theirs.log_loss(y, p), 1e-6)
        area = theirs.roc_auc_score(y, p)
        assert found.values["ROC AUC"] == pytest.approx(area, 1e-6)
        mean = theirs.average_precision_score(y, p)
        assert found.values["average precision"] == pytest.approx(mean, 1e-6)
        balanced = theirs.balanced_accuracy_score(y, p > 0.5)
        assert found.values["balanced accuracy"] == pytest.approx(balanced)
        (found,) = judge(net, X, ~y.astype(bool))  # now no is the rarer class
        mean = theirs.average_precision_score(y, 1 - p)
        assert found.values["average precision"] == pytest.approx(mean, 1e-6)


# -- how sure the network may be ------------------------------------------------------


def test_calibrated_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tenth of the rows left is kept apart; temperature and scores are in the file."""
    words = ["digits", "-q", "--set", "training.epochs=10", "--out", tmp_path / "a"]
    told = told_here(capsys, "train", *words, "--calibrate")
    found = re.search(r"calibrated on 153 rows .* \(lac\), temperature (\S+)", told)
    assert found
    assert 0.2 < float(found[1]) < 1  # labels were smoothed: not sure enough
    error = re.search(r"^balanced .*, calibration error ([\d.]+) %", told, re.M)
    assert error
    assert float(error[1]) < 4
    covered = re.search(r"90 % sets hold the truth of ([\d.]+) % of the rows", told)
    assert covered
    assert float(covered[1]) > 84
    assert load_spec(tmp_path / "a" / "spec.toml").data.calibration == 0.1
    assert "calibrated on 153 rows" in told_here(capsys, "inspect", tmp_path / "a")
    out = tmp_path / "out.npz"
    told_here(
        capsys, "predict", tmp_path / "a", "digits", "--out", out, "--interval", "0.9"
    )
    columns = columns_of(out)
    sets = np.column_stack([columns[f"in_set_{i}"] for i in range(10)])
    assert sets.dtype == bool
    assert sets[np.arange(1797), columns["prediction"]].all()


def test_without_calibration_the_rows_are_all_there(
    digits: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(
        capsys,
        "predict",
        str(digits[0] / "runs/digits-1"),
        "digits",
        "--interval",
        "0.9",
    )
    assert told == [
        "error: [--interval] the model holds no calibration; expected one that was "
        "trained with rows kept for it; use nervure train --calibrate"
    ]


def test_calibrated_amounts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["diabetes", "-q", "--set", "training.epochs=20", "--calibrate"]
    told = told_here(capsys, "train", *words, "--out", tmp_path / "a")
    assert re.search(r"90 % intervals hold the truth of [\d.]+ % .*\(width \d+", told)
    told = told_here(capsys, "predict", tmp_path / "a", "diabetes", "--interval", "0.5")
    rows = np.array([line.split(",") for line in told.splitlines()[1:]], float)
    assert told.splitlines()[0] == "prediction,low,high"
    np.testing.assert_allclose(rows[:, 0] - rows[:, 1], rows[:, 2] - rows[:, 0])
    assert refused(
        capsys, "predict", str(tmp_path / "a"), "diabetes", "--interval", "90"
    )
    again = refused(
        capsys,
        "train",
        "diabetes",
        "--resume",
        "--calibrate",
        "--out",
        str(tmp_path / "a"),
    )
    assert again[0].startswith("error: [--calibrate] a run that has begun keeps")


def test_quantiles_from_training_to_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model file knows what its outputs are; calibration makes them intervals."""
    loss = "training.loss={type='pinball', quantile=[0.9, 0.1, 0.5]}"
    sets = ["--set", loss, "--set", "layer.6.units=3", "--set", "training.epochs=20"]
    told = told_here(
        capsys, "train", "diabetes", "-q", *sets, "--calibrate", "--out", tmp_path / "a"
    )
    assert re.search(r"below quantile 0.1 0\.\d+  below quantile 0.5 0\.\d+", told)
    assert "(cqr)" in told
    told = told_here(capsys, "predict", tmp_path / "a", "diabetes", "--interval", "0.8")
    head, *lines = told.splitlines()
    assert head == "quantile_0.1,quantile_0.5,quantile_0.9,low,high"
    rows = np.array([line.split(",") for line in lines], float)
    assert (np.diff(rows[:, :3], axis=1) >= 0).all()
    moved = rows[:, 4] - rows[:, 2]
    np.testing.assert_allclose(rows[:, 0] - rows[:, 3], moved, atol=1e-9)
    told = told_here(capsys, "inspect", tmp_path / "a")
    assert "(quantiles 0.9, 0.1, 0.5)" in told
    told = told_here(capsys, "evaluate", tmp_path / "a", "diabetes")
    assert "rows held out, which training never saw" in told
    network = nv.load(tmp_path / "a" / "model.safetensors")
    assert network.evaluate(nv.data.load("diabetes"))["loss"] > 0


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (TypeError("a\nb"), 70, "error: TypeError: a\nerror: b\nThis is a fault of"),
        (KeyError("x"), 70, "error: KeyError: 'x'\nThis is a fault of nervure"),
        (MemoryError(), 2, "error: not enough memory for what was given; give less"),
        (RecursionError(), 2, "error: not enough depth for what was given; give less"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_no_error_shows_a_traceback(
    error: BaseException,
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("nervure.cli.app.app", fail)
    monkeypatch.setattr("sys.argv", ["nervure", "zoo"])
    with pytest.raises(SystemExit) as ended:
        nervure_main()
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(told)
