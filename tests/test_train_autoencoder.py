# SPDX-License-Identifier: BSD-3-Clause
"""Autoencoders by ``nervure train --autoencoder`` and specs: rows are their target."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.cli.app import run
from nervure.data.preprocessing import Preprocessing
from nervure.network.modelfile import ModelFileError, read_model, write_model
from nervure.network.scoring import explained_by_pca
from nervure.runs.training import fit_spec, resume
from nervure.serving.answers import Wanted
from nervure.serving.model import open_served
from nervure.spec.reading import load_spec, parse_spec
from nervure.spec.rows import load_data
from nervure.tuning.search import default_space

COMMAND = [sys.executable, "-m", "nervure"]
FEW = ["--set", "training.epochs=3", "-q"]


def nervure(folder: Path, *words: object) -> str:
    """Run the command in a folder; what it tells."""
    command = [*COMMAND, *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def told_here(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert run(list(map(str, words))) == 0
    return capsys.readouterr().out


def flat(text: str) -> str:
    return " ".join(text.split())


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def write_table(path: Path, rows: int = 300) -> None:
    """Two hidden numbers in several columns; some values are missing."""
    rng = np.random.default_rng(3)
    hidden = rng.normal(size=(rows, 2))
    lines = ["age,length,width,colour,place,one,label"]
    for i, (a, b) in enumerate(hidden):
        width = "" if rng.random() < 0.1 else f"{a - b:.3f}"
        colour = ["red", "green", "blue"][int(np.digitize(a, [-0.5, 0.5]))]
        values = (f"{50 + 9 * a:.2f}", f"{b:.3f}", width, colour, f"p{i % 105}", 1)
        lines.append(",".join(map(str, (*values, "yes" if b > 0 else "no"))))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which a table was trained on, and what was told."""
    folder = tmp_path_factory.mktemp("table")
    write_table(folder / "rows.csv")
    words = ["--autoencoder", 3, "--target", "label", "-q", "--out", folder / "a"]
    words += ["--set", "training.epochs=60"]
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        assert run(["train", *map(str, [folder / "rows.csv", *words])]) == 0
    return folder, told.getvalue()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "rows.csv", 80)
    return tmp_path


# -- a table, from training to predictions ---------------------------------------------


def test_what_was_made_of_a_table_is_told(table: tuple[Path, str]) -> None:
    folder, text = table
    told = flat(text)
    for line in (
        "rows.csv: 300 rows, 6 columns -> 7 inputs",
        "left out of the inputs: 'label', named as the target",
        "target: the inputs themselves",
        "numbers, standardized: age, length, width",
        "categories, one-hot: colour (3)",
        "missing values, filled and flagged: width (",
        'place (104 categories; data.columns.place = "one_hot" keeps it)',
        "one (constant)",
        "% of the validation rows lie below it (autoencoder.quantile)",
        "PCA with 3 components explains ",
        f"saved in {folder / 'a'} (model.safetensors, spec.toml, record.jsonl)",
    ):
        assert line in told, text
    found = re.search(
        r"held-out: mean squared error ([\d.]+), ([\d.]+) % of the variance explained "
        r"\(45 rows, code of 3 numbers\)",
        told,
    )
    assert found is not None, text
    assert float(found[2]) > 70
    spec = load_spec(folder / "a" / "spec.toml")
    assert spec.autoencoder is not None
    assert spec.autoencoder.code == 3
    assert spec.data.task == "reconstruction"


def test_a_process_trains_and_another_predicts(here: Path) -> None:
    """By hand, as the documents have it."""
    told = nervure(here, "train", "rows.csv", "--autoencoder", 2, *FEW)
    assert told.endswith(
        "saved in runs/rows-1 (model.safetensors, spec.toml, record.jsonl)\n"
    )
    found = rows_of(nervure(here, "predict", "runs/rows-1", "rows.csv"))
    assert list(found[0]) == ["code_1", "code_2", "score", "anomaly"]
    assert len(found) == 80


def test_predictions_are_codes_errors_and_anomalies(
    table: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = table
    odd = "90,-3,9,green,p1,1,no\n"
    with (folder / "rows.csv").open() as file:
        lines = [next(file) for _ in range(20)]
    (folder / "some.csv").write_text("".join(lines) + odd)
    words = ["predict", folder / "a", folder / "some.csv", "--keep", "label"]
    found = rows_of(told_here(capsys, *words))
    assert list(found[0]) == ["label", "code_1", "code_2", "code_3", "score", "anomaly"]
    ae = nv.Autoencoder.load(folder / "a" / "model.safetensors")
    codes = ae.encode(folder / "some.csv")
    scores = np.array([float(row["score"]) for row in found])
    np.testing.assert_allclose([float(row["code_2"]) for row in found], codes[:, 1])
    np.testing.assert_allclose(scores, ae.score(folder / "some.csv"), rtol=1e-4)
    assert ae.threshold is not None
    above = ["true" if one else "false" for one in scores > ae.threshold]
    assert [row["anomaly"] for row in found] == above
    assert found[-1]["anomaly"] == "true"
    assert above.count("true") < 5


def test_the_rows_held_out_are_evaluated(
    table: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, text = table
    model, source = folder / "a", folder / "rows.csv"
    told = flat(told_here(capsys, "evaluate", model, source))
    every = flat(told_here(capsys, "evaluate", model, source, "--all"))
    assert "the 45 rows held out, which training never saw" in told
    found = re.search(r"held-out: mean squared error .* code of 3 numbers\)", told)
    assert found is not None
    assert found[0] in flat(text)
    assert "all 300 rows (those that it was trained on among them)" in every


def test_the_code_and_the_threshold_are_inspected(
    table: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = told_here(capsys, "inspect", table[0] / "a")
    assert "target: the inputs themselves, through the code 'code'" in told
    assert re.search(
        r"anomaly: an error above [\d.]+ \(99 % of the validation rows", told
    )
    assert "variance explained by PCA 0." in told


def test_the_threshold_is_the_quantile_of_the_validation_rows(here: Path) -> None:
    spec = parse_spec(
        '[data]\nsource = "rows.csv"\nvalidation = 0.3\n'
        "[autoencoder]\ncode = 2\nquantile = 0.8\n[training]\nepochs = 3\n"
    )
    dataset = load_data(spec.data)
    fit_spec(spec, dataset, directory="a", progress=False)
    ae = nv.Autoencoder.load("a/model.safetensors")
    held = dataset.targets[dataset.held_out_rows]
    again = ae.decode(ae.encoder.predict(held))
    scores = ((again - held) ** 2).mean(axis=1)
    assert ae.threshold == pytest.approx(np.quantile(scores, 0.8), rel=1e-5)
    few = parse_spec(
        '[data]\nsource = "rows.csv"\nvalidation = 0.1\n'
        "[autoencoder]\ncode = 2\n[training]\nepochs = 1\n"
    )
    target = fit_spec(few, progress=False).network.preprocessing.target
    assert target.rows == "training"


def test_answers_over_http_and_onnx_are_those_of_the_command_line(
    table: tuple[Path, str],
) -> None:
    folder, _ = table
    served = open_served(folder / "a")
    rows = {"age": [50.0], "length": [0.1], "width": [None], "colour": ["red"]}
    rows |= {"place": ["p1"], "one": [1]}
    inputs, _ = served.encode(rows)
    columns = served.columns(served.outputs(inputs), Wanted())
    assert [*columns] == ["code_1", "code_2", "code_3", "score", "anomaly"]
    ort = pytest.importorskip("onnxruntime")
    assert run(["export", str(folder / "a"), "--out", str(folder / "a.onnx")]) == 0
    session = ort.InferenceSession(folder / "a.onnx")
    given = {
        one.name: np.array([[0.3]] if "double" in one.type else [["red"]])
        for one in session.get_inputs()
    }
    given["age"], given["length"] = np.array([[50.0]]), np.array([[0.1]])
    given["width"] = np.array([[np.nan]])
    codes, score = session.run(None, given)
    np.testing.assert_allclose(codes[0, 0], columns["code_1"][0], rtol=1e-4)
    np.testing.assert_allclose(score[0, 0], columns["score"][0], rtol=1e-4)


# -- what is trained on ----------------------------------------------------------------


def test_digits_leave_their_labels_out(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = told_here(capsys, "train", "digits", "--autoencoder", 8, *FEW, "--out", "a")
    assert "left out: the targets 'digit'\n" in told
    ae = nv.Autoencoder.load("a/model.safetensors")
    again = ae.reconstruct("digits")
    assert again.shape == (1797, 8, 8, 1)
    assert again.min() >= 0
    assert again.max() <= 1
    found = told_here(capsys, "predict", "a", "digits")
    assert len(rows_of(found)) == 1797


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 22)])
def test_images_without_classes_pass_convolutions(
    here: Path, capsys: pytest.CaptureFixture[str], height: int, width: int
) -> None:
    image = pytest.importorskip("PIL.Image")
    (here / "pictures").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (30, height, width, 3), np.uint8)
    for i, one in enumerate(pixels):
        image.fromarray(one).save(here / "pictures" / f"{i:02}.png")
    words = ["train", "pictures", "--autoencoder", 4, *FEW, "--out", "a"]
    told = told_here(capsys, *words, "--set", f"data.image_size=[{height}, {width}]")
    assert "PCA with 4 components" in told
    kinds = [entry.layer.kind for entry in load_spec(here / "a" / "spec.toml").layers]
    assert kinds.count("conv2d") == kinds.count("conv2d_transpose") == 2
    found = rows_of(told_here(capsys, "predict", "a", "pictures"))
    assert found[0]["file"] == "00.png"
    assert len(found) == 30
    assert nv.Autoencoder.load("a/model.safetensors").decoder.graph.output_shapes == (
        (height, width, 3),
    )


def test_arrays_need_no_targets(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = np.random.default_rng(1).normal(size=(60, 5)).astype(np.float32)
    np.save("x.npy", rows)
    np.savez("x.npz", X=rows)
    np.savez("xy.npz", X=rows, y=np.arange(60) % 3)
    codes: list[str] = []
    for source in ("x.npy", "x.npz", "xy.npz"):
        out = ["--out", source.replace(".", "-")]
        told = told_here(capsys, "train", source, "--autoencoder", 2, *FEW, *out)
        assert ("left out: the targets 'y'" in told) == (source == "xy.npz")
        assert "numbers, standardized: 5 features" in told
        codes.append(told_here(capsys, "predict", out[1], "x.npy"))
    assert codes[0] == codes[1] == codes[2]


def test_every_column_is_an_input_where_no_target_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = told_here(capsys, "train", "rows.csv", "--autoencoder", 2, *FEW)
    note = "no target: every column is an input (data.target names columns to be left"
    assert note in told
    assert "categories, one-hot: colour (3), label (2)" in told


def test_idx_images_need_no_labels(here: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 5), np.uint8)
    header = b"\x00\x00\x08\x03" + np.array(images.shape, ">i4").tobytes()
    (here / "idx").mkdir()
    for name in ("train", "t10k"):
        file = here / "idx" / f"{name}-images-idx3-ubyte"
        file.write_bytes(header + images.tobytes())
    found = nv.data.load(here / "idx", task="reconstruction")
    assert found.inputs.shape == (20, 6, 5, 1)
    assert found.test is not None
    np.testing.assert_allclose(found.targets, images.reshape(20, -1) / 255, rtol=1e-6)
    assert "left out: the labels" not in found.description
    labels = b"\x00\x00\x08\x01" + np.array([20], ">i4").tobytes() + bytes(20)
    (here / "idx" / "train-labels-idx1-ubyte").write_bytes(labels)
    found = nv.data.load(here / "idx", task="reconstruction")
    assert "left out: the labels" in found.description
    alone = nv.data.load(file, task="reconstruction")
    assert alone.inputs.shape == (20, 6, 5, 1)


# -- the bits, and what is worth it ----------------------------------------------------

VARIANTS = {
    "noise": "noise = 0.1",
    "sparsity": "sparsity = [0.1, 0.5]",
    "beta": "beta = 0.1",
    "contraction": "contraction = 0.1",
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_goes_on_to_the_bits_it_would_have_had(here: Path, variant: str) -> None:
    """And its own spec, without a word of the terms, trains the same network."""
    spec = parse_spec(
        f'[data]\nsource = "rows.csv"\nvalidation = 0.3\n'
        f"[autoencoder]\ncode = 2\n{VARIANTS[variant]}\n[training]\nepochs = 4\n"
    )
    fit_spec(spec, directory="whole", progress=False)

    def stop(run: Any) -> None:
        if run.epoch == 2:
            run.stop("enough")

    fit_spec(spec, directory="cut", progress=False, callbacks=[stop])
    resume("cut", progress=False, callbacks=[])
    fit_spec(load_spec("whole/spec.toml"), directory="again", progress=False)
    wanted = Path("whole/model.safetensors").read_bytes()
    assert Path("again/model.safetensors").read_bytes() == wanted
    assert Path("cut/model.safetensors").read_bytes() == wanted


def test_without_hidden_layers_it_explains_what_pca_does(here: Path) -> None:
    """Baldi and Hornik (1989); the share is that of the covariance's eigenvectors."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6))
    rows = (rows + 0.3 * rng.normal(size=rows.shape)).astype(np.float32)
    np.save("x.npy", rows)
    spec = parse_spec("""
        dtype = "float64"
        [data]
        source = "x.npy"
        test = 0.25
        [autoencoder]
        [[layer]]
        type = "dense"
        units = 2
        name = "code"
        [[layer]]
        type = "dense"
        units = 6
        [training]
        epochs = 100
        optimizer = {type = "lbfgs", tolerance = 0, gradient_tolerance = 1e-9}
    """)
    dataset = load_data(spec.data, dtype="float64")
    net = fit_spec(spec, dataset, progress=False).network
    assert dataset.test is not None
    _, held = dataset.test
    mean = dataset.targets.mean(axis=0)
    axes = np.linalg.eigh(np.cov(dataset.targets.T))[1][:, -2:]
    lost = (((held - mean) @ (axes @ axes.T) + mean - held) ** 2).mean()
    share = 1 - lost / held.var(axis=0).mean()
    assert explained_by_pca(dataset.targets, held, 2) == pytest.approx(share, rel=1e-9)
    again = nv.Autoencoder.of(net)
    error = ((again.decode(again.encoder.predict(held)) - held) ** 2).mean()
    assert 1 - error / held.var(axis=0).mean() == pytest.approx(share, abs=1e-3)


def test_the_loss_of_terms_is_seen_by_the_doctor_and_the_tuner(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "rows.csv", "--autoencoder", 2, *FEW, "--out", "a"]
    told_here(capsys, *words, "--set", "autoencoder.beta=0.1")
    assert run(["doctor", "a"]) in (0, 1)
    assert "error" not in capsys.readouterr().err
    space = default_space(load_spec("a/spec.toml"))
    assert "layer.1.units" in space
    assert "layer.2.units" not in space


def test_sparsity_by_default_has_a_logistic_code(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "rows.csv", "--autoencoder", 2, *FEW, "--out", "a"]
    told_here(capsys, *words, "--set", "autoencoder.sparsity=[0.1, 1.0]")
    codes = nv.Autoencoder.load("a/model.safetensors").encode("rows.csv")
    assert codes.min() > 0
    assert codes.max() < 1


def test_an_own_threshold_is_saved(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(100, 4))
    layers: Any = [nv.Input(4), nv.Dense(2)], [nv.Dense(4)]
    ae = nv.Autoencoder(*layers, dtype="float64")
    ae.find_threshold(rows, 0.9)
    ae.save(tmp_path / "a.safetensors")
    found = nv.Autoencoder.load(tmp_path / "a.safetensors")
    assert found.threshold == ae.threshold
    assert found.is_anomaly(rows).tolist() == ae.is_anomaly(rows).tolist()
    assert found.is_anomaly(rows).sum() == 10


# -- files of strangers ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"code": "nowhere"}, "unknown layer 'nowhere'"),
        ({"code": 3}, "target.code: found 3; expected text"),
        ({"threshold": -1.0}, "threshold -1.0 at quantile 0.99; expected one of at"),
        ({"quantile": 2.0}, "at quantile 2.0; expected one of at least 0, at a"),
        ({"rows": "all"}, "unknown value 'all'"),
        ({"extra": 1}, "target.extra: unknown key"),
    ],
)
def test_a_record_that_is_none_is_refused(
    table: tuple[Path, str], tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    tensors, document = read_model(table[0] / "a" / "model.safetensors")
    document.pop("format")
    document["preprocessing"]["target"] |= change
    write_model(tmp_path / "a.safetensors", tensors, document)
    with pytest.raises(ModelFileError, match=re.escape(text)):
        nv.load(tmp_path / "a.safetensors")


def test_an_ensemble_of_them_is_refused(
    table: tuple[Path, str], tmp_path: Path
) -> None:
    tensors, document = read_model(table[0] / "a" / "model.safetensors")
    record = document.pop("preprocessing")
    document = {"ensemble": [document, document], "preprocessing": record}
    several = {f"{i}/{name}": x for i in range(2) for name, x in tensors.items()}
    write_model(tmp_path / "a.safetensors", several, document)
    with pytest.raises(ModelFileError, match="an ensemble of autoencoders; expected"):
        nv.load(tmp_path / "a.safetensors")


def test_a_record_goes_to_json_and_back(table: tuple[Path, str]) -> None:
    record = nv.load(table[0] / "a" / "model.safetensors").preprocessing
    assert record is not None
    assert Preprocessing.from_json(json.dumps(record.to_json())) == record
    assert record.task == "reconstruction"
    assert record.target_names == ()
    with pytest.raises(ValueError, match="no target, not classes; use decode_targets"):
        record.decode_classes([0])
    with pytest.raises(ValueError, match="a network that gives its inputs again"):
        record.encode_targets([1])


# -- what is refused -------------------------------------------------------------------

BAD = {
    "none": (["--autoencoder", "0"], "autoencoder: code = 0; expected a finite number"),
    "wide": (
        ["--autoencoder", "9"],
        "[autoencoder] a code of 9 for rows of 9 numbers (as encoded), which it can "
        "hold as they are; expected fewer than 9; make it narrower, or set one of "
        "autoencoder.noise, masking, l1, sparsity, contraction, beta",
    ),
    "task": (
        ["--autoencoder", "2", "--set", "data.task=regression"],
        'data.task: found "regression" beside [autoencoder]; expected "reconstruction"',
    ),
    "spec": (
        ["--autoencoder", "2", "--spec", "net.toml"],
        "[--autoencoder] beside --spec, which says what the network is; expected one",
    ),
    "ensemble": (
        ["--autoencoder", "2", "--ensemble", "2"],
        "ensemble: found beside [autoencoder]; expected one of the two",
    ),
    "calibrate": (
        ["--autoencoder", "2", "--calibrate"],
        "data.calibration: found beside [autoencoder]; expected rows without a target",
    ),
    "series": (
        ["--autoencoder", "2", "--time", "age", "--horizon", "2"],
        "data.series: found beside [autoencoder]; expected rows without a target",
    ),
    "resume": (
        ["--autoencoder", "2", "--resume", "--out", "a"],
        "[--autoencoder] a run that has begun keeps its network",
    ),
    "target": (
        ["--autoencoder", "2", "--target", "nothing"],
        "[rows.csv] unknown target column 'nothing'",
    ),
    "no code": (
        ["--set", "autoencoder.noise=0.1"],
        'autoencoder.code: missing; expected a number of values, or a [[layer]] named "',
    ),
    "no table": (
        ["--set", "data.task=reconstruction"],
        'data.task: found "reconstruction" without [autoencoder]; expected both',
    ),
    "embedding": (
        ["--autoencoder", "2", "--set", "data.columns.place=embedding"],
        "[rows.csv] column 'place' as codes for an embedding; expected values that can",
    ),
    "text": (
        ["--autoencoder", "2", "--set", "data.columns.place=text"],
        "[rows.csv] column 'place' as codes for an embedding; expected values that can",
    ),
    "both sparse": (
        [
            *("--autoencoder", "2", "--set", "autoencoder.l1=0.1"),
            *("--set", "autoencoder.sparsity=[0.1, 1.0]"),
        ],
        "l1 and sparsity; expected one way to make codes sparse",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    words, text = BAD[case]
    assert run(["train", "rows.csv", "-q", *words]) == 2
    assert text in capsys.readouterr().err
    assert not Path("runs/rows-1/spec.toml").exists()


def test_free_text_is_left_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("left", "right", "up", "down", "round")
    texts = (" ".join(words[(i // k) % 5] for k in (1, 5, 25)) for i in range(100))
    rows = (f"{i % 9},{i * i % 31},{text}" for i, text in enumerate(texts))
    Path("notes.csv").write_text("\n".join(["a,b,note", *rows]))
    told = told_here(
        capsys,
        *("train", "notes.csv", "--autoencoder", 1, "--set", "training.epochs=1"),
    )
    assert "note (free text, only codes of its words)" in told


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a,b\n1,2\n1,2\n1,2\n1,2\n", "no column is left to learn from (dropped: a"),
        ("a,b\n1,2\n", "1 rows are too few to hold some out"),
        ("a,b\n", "no rows; expected at least 2"),
    ],
    ids=["constant", "one row", "empty"],
)
def test_tables_of_which_nothing_is_learnt(
    here: Path, capsys: pytest.CaptureFixture[str], content: str, text: str
) -> None:
    Path("bad.csv").write_text(content)
    assert run(["train", "bad.csv", "--autoencoder", "1", "-q"]) == 2
    assert text in capsys.readouterr().err


CODE = '[[layer]]\ntype = "dense"\nunits = 2\nname = "code"\n'
END = '[[layer]]\ntype = "dense"\nunits = 7\n'


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (END, '[autoencoder] none of the layers is named "code"; expected one that'),
        (CODE, "[autoencoder] a decoder without layers"),
        (
            CODE + '[[layer]]\ntype = "dense"\nunits = 3\n',
            "[autoencoder] rows of shape (7,) and a decoder that gives (3,); expected",
        ),
        (
            f'{CODE}inputs = ["input"]\n{END}',
            "[autoencoder] layer[0] has inputs; expected a chain",
        ),
    ],
)
def test_layers_that_are_no_autoencoder(here: Path, layers: str, text: str) -> None:
    data = '[data]\nsource = "rows.csv"\ntarget = "label"\n'
    spec = parse_spec(f"{data}[autoencoder]\n{layers}")
    with pytest.raises(ValueError, match=re.escape(text)):
        fit_spec(spec, progress=False)


def test_a_code_that_is_said_twice_is_the_same(here: Path) -> None:
    spec = parse_spec(
        f'[data]\nsource = "rows.csv"\n[autoencoder]\ncode = 3\n{CODE}{END}'
    )
    text = '[autoencoder] code = 3, and a layer "code" of 2; expected the same'
    with pytest.raises(ValueError, match=re.escape(text)):
        fit_spec(spec, progress=False)


@pytest.mark.parametrize("option", ["--probabilities", "--interval=0.9"])
def test_it_predicts_nothing_else(
    table: tuple[Path, str], capsys: pytest.CaptureFixture[str], option: str
) -> None:
    folder, _ = table
    words = ["predict", folder / "a", folder / "rows.csv", option]
    assert run(list(map(str, words))) == 2
    found = capsys.readouterr().err
    assert "the model is an autoencoder, which gives codes and errors" in found
