# SPDX-License-Identifier: BSD-3-Clause
"""Raw rows into ONNX models: what `Preprocessing.encode` makes of them, and answers."""

from __future__ import annotations

import datetime
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from PIL import Image
from scipy.special import ndtri

import nervure as nv
from nervure.cli.app import run
from nervure.data.image_files import read_pixels
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import (
    Amounts,
    ArrayInput,
    Category,
    Classes,
    Numeric,
    TableInput,
)
from nervure.data.scaling import Affine, Bins, Quantiles, fit_scaling
from nervure.exchange import _write_rows
from nervure.exchange._normal import normal_score
from nervure.exchange._writer import Writer
from nervure.network.network import Network

RANDOM = np.random.default_rng(3)


def network(record: Any, shape: Any = None) -> Network:
    """Gives what it is given: the encoded rows."""
    width = shape or (record.width,)
    net = Network([nv.Input(width), nv.Activation("linear", name="rows")])
    count = int(np.prod(width))
    names = tuple(f"y{i}" for i in range(count))
    target = Amounts(names, (0.0,) * count, (1.0,) * count)
    net.preprocessing = Preprocessing(record, target)
    return net


def table(*columns: Any) -> TableInput:
    return TableInput(tuple(c.name for c in columns), columns)


def encoded(net: Network, raw: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert net.preprocessing is not None
        return net.preprocessing.encode(raw)


# -- numbers ---------------------------------------------------------------------------

NUMBERS = np.array([0.5, -3.0, 2.25, np.nan, 7.0, 1e6, -1e6, 1.0, 2.0])
SCALINGS = {
    "standard": Affine(1.5, 4.0),
    "robust": Affine(1.5, 4.0, clip=3.0),
    "quantile": fit_scaling("quantile", RANDOM.normal(size=400) * 3),
    "steps": Quantiles((-3.0, -3.0, 0.5, 1.0, 1.0, 1.0, 2.25, 7.0, 7.0)),
    "piecewise": Bins((-3.0, 0.0, 0.5, 2.0, 7.0)),
    "one bin": Bins((2.0, 4.0)),
}


@pytest.mark.parametrize("flag", [False, True])
@pytest.mark.parametrize("name", SCALINGS)
def test_a_column_of_numbers(
    name: str, flag: bool, exported: Any, runtime: Any, columns: Any
) -> None:
    net = network(table(Numeric("x", SCALINGS[name], 0.75, flag=flag)))
    raw = {"x": NUMBERS}
    found = runtime(exported(net), columns(raw))["variable"]
    np.testing.assert_allclose(found, encoded(net, raw), rtol=1e-6, atol=1e-6)


def test_all_scalings_side_by_side(exported: Any, runtime: Any, columns: Any) -> None:
    """Kinds are written together, and what comes out stands in the record's order."""
    some = [
        Numeric(f"{name} {i}", scaling, 0.1 * i, flag=i % 2 == 0)
        for i in range(3)
        for name, scaling in SCALINGS.items()
    ]
    net = network(table(*some))
    raw = {c.name: RANDOM.permutation(NUMBERS) for c in some}
    found = runtime(exported(net), columns(raw))["variable"]
    np.testing.assert_allclose(found, encoded(net, raw), rtol=1e-6, atol=1e-6)


def test_normal_scores_to_the_last_digits() -> None:
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    writer = Writer(18, np.dtype(np.float64))
    name = normal_score(writer, "p", "score")
    graph = helper.make_graph(
        writer.nodes,
        "g",
        [helper.make_tensor_value_info("p", TensorProto.DOUBLE, ["n"])],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n"])],
        [numpy_helper.from_array(a, n) for n, a in writer.constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    tails = 10.0 ** -np.arange(1, 7)
    p = np.concatenate([np.linspace(1e-7, 1 - 1e-7, 5001), tails, 1 - tails, [0, 1]])
    (found,) = ReferenceEvaluator(model).run(None, {"p": p})
    wanted = ndtri(np.clip(p, 1e-7, 1 - 1e-7))
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


def test_dates_are_seconds_since_1970(
    exported: Any, runtime: Any, columns: Any
) -> None:
    days = pd.date_range("2019-03-01", periods=40, freq="31D")
    frame = pd.DataFrame({"day": days, "y": np.arange(40.0)})
    frame.loc[3, "day"] = pd.NaT
    dataset = nv.data.load(frame, target="y")
    net = network(dataset.preprocessing.inputs)
    seconds = np.array(
        [
            np.nan if day is pd.NaT else day.replace(tzinfo=datetime.UTC).timestamp()
            for day in frame["day"]
        ]
    )
    found = runtime(exported(net), columns({"day": seconds}))["variable"]
    np.testing.assert_allclose(found, dataset.inputs, rtol=1e-6, atol=1e-6)


# -- categories ------------------------------------------------------------------------

TEXTS = np.array(["b", "a", "", "z", "ü", "a"], object)


def none_for_empty(values: Any) -> list[Any]:
    return [value or None for value in values]


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("missing", [False, True])
def test_texts(
    embedded: bool, missing: bool, exported: Any, runtime: Any, columns: Any
) -> None:
    """Unknown ones and missing ones too; "" is what is missing."""
    column = Category("c", ("a", "b", "ü"), missing, embedded=embedded)
    net = network(table(column))
    found = runtime(exported(net), columns({"c": TEXTS}))["variable"]
    wanted = encoded(net, {"c": none_for_empty(TEXTS)})
    np.testing.assert_array_equal(found, wanted)


def test_an_empty_text_may_be_a_level(
    exported: Any, runtime: Any, columns: Any
) -> None:
    net = network(table(Category("c", ("", "a"), True)))
    found = runtime(exported(net), columns({"c": TEXTS}))["variable"]
    np.testing.assert_array_equal(found, encoded(net, {"c": TEXTS.tolist()}))


@pytest.mark.parametrize("embedded", [False, True])
def test_integers(embedded: bool, exported: Any, runtime: Any, columns: Any) -> None:
    column = Category("c", ("-3", "7", "12"), source="integer", embedded=embedded)
    net = network(table(column))
    raw = {"c": np.array([7, 12, 3, -3, 2**60])}
    model = exported(net)
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT64
    found = runtime(model, columns(raw))["variable"]
    np.testing.assert_array_equal(found, encoded(net, raw))


@pytest.mark.parametrize("embedded", [False, True])
def test_integers_of_which_some_were_missing(
    embedded: bool, exported: Any, runtime: Any, columns: Any
) -> None:
    column = Category("c", ("-3", "7", "12"), True, "integer", embedded=embedded)
    net = network(table(column))
    raw = {"c": np.array([7, 12, np.nan, 3, -3, 1e15])}
    found = runtime(exported(net), columns(raw))["variable"]
    np.testing.assert_array_equal(found, encoded(net, raw))
    half = runtime(exported(net), columns({"c": np.array([7.5])}))["variable"]
    assert not half.any()  # no level


@pytest.mark.parametrize("missing", [False, True])
def test_booleans(missing: bool, exported: Any, runtime: Any, columns: Any) -> None:
    net = network(table(Category("c", ("False", "True"), missing, "boolean")))
    values = np.array([True, False, True])
    raw = values.astype(float) if missing else values
    if missing:
        raw[2] = np.nan
    given = {"c": [True, False, None if missing else True]}
    found = runtime(exported(net), columns({"c": raw}))["variable"]
    np.testing.assert_array_equal(found, encoded(net, given))


# -- tables, from the source to the answers --------------------------------------------


def adult(rows: int = 240) -> pd.DataFrame:
    """A table of every kind of column, with holes in some."""
    rng = np.random.default_rng(11)
    age = rng.integers(17, 90, rows).astype(float)
    frame = pd.DataFrame(
        {
            "age": age,
            "fnlwgt": rng.exponential(2e5, rows),
            "hours": rng.integers(1, 99, rows),
            "job": rng.choice(["clerk", "farmer", "smith"], rows),
            "town": rng.choice([f"town {i}" for i in range(30)], rows),
            "member": rng.random(rows) < 0.3,
            "since": pd.to_datetime("2001-01-01")
            + pd.to_timedelta(rng.integers(0, 8000, rows), "D"),
            "sex": rng.integers(0, 3, rows),
        }
    )
    frame.loc[::7, "age"] = np.nan
    frame.loc[::9, "job"] = None
    frame["income"] = np.where(age + rng.normal(size=rows) * 20 > 50, ">50K", "<=50K")
    return frame


def raw_of(frame: pd.DataFrame, model: Any) -> dict[str, np.ndarray]:
    """The inputs of a model, of a frame: as its documentation says."""
    found = {}
    for given in model.graph.input:
        values = frame[given.name]
        kind = given.type.tensor_type.elem_type
        if pd.api.types.is_datetime64_any_dtype(values):
            values = values.astype("datetime64[us]").astype("int64") / 1e6
        if kind == onnx.TensorProto.STRING:
            values = values.astype(object).where(values.notna(), "")
        dtype = object if kind == onnx.TensorProto.STRING else None
        known = {
            onnx.TensorProto.DOUBLE: np.float64,
            onnx.TensorProto.INT64: np.int64,
            onnx.TensorProto.BOOL: np.bool_,
        }
        array = np.asarray(values, dtype or known[kind])
        found[given.name] = array.reshape(-1, 1)
    return found


@pytest.mark.parametrize("numbers", ["standard", "robust", "quantile", "piecewise"])
@pytest.mark.parametrize("target", ["income", "hours"])
def test_a_table_from_raw_rows_to_answers(
    numbers: Any, target: str, exported: Any, runtime: Any
) -> None:
    frame = adult()
    dataset = nv.data.load(
        frame,
        target=target,
        task="regression" if target == "hours" else None,
        numbers=numbers,
        columns={"sex": "one_hot"},
    )
    end = nv.Dense(1) if target == "hours" else nv.Dense(2, "softmax")
    net = nv.Network([*dataset.entrance(), nv.Dense(8, "relu"), end], seed=2)
    nv.fit(net, dataset, epochs=2, progress=False)
    new = adult(50)
    new.loc[3, "town"] = "elsewhere"
    new.loc[4, "job"] = "piper"
    model = exported(net)
    found = runtime(model, raw_of(new, model))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = net.predict(new)
        classes = net.predict_classes(new) if target == "income" else None
    if target == "hours":
        np.testing.assert_allclose(found["variable"], wanted, rtol=1e-5)
        return
    assert [y.name for y in model.graph.output] == ["label", "probabilities"]
    np.testing.assert_allclose(found["probabilities"], wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found["label"], classes)
    words = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(words["nervure.labels"]) == ["<=50K", ">50K"]
    kinds = json.loads(words["nervure.inputs"])
    assert kinds["since"] == "date"
    assert kinds["town"] == "text"
    assert kinds["member"] == "boolean"


def test_tabular_networks_are_exported_whole(exported: Any, runtime: Any) -> None:
    """The default for tables: members that share weights, codes, clipped numbers."""
    from nervure.sklearn import TabularClassifier

    frame = adult()
    net = nv.tabular
    assert net is not None
    model = TabularClassifier(epochs=1, random_state=0)
    model.fit(frame.drop(columns="income"), frame["income"])
    network = model.network_
    onnx_model = exported(network)
    found = runtime(onnx_model, raw_of(frame, onnx_model))
    wanted = model.predict_proba(frame.drop(columns="income"))
    np.testing.assert_allclose(found["probabilities"], wanted, rtol=1e-3, atol=1e-5)


# -- answers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels", [("no", "yes"), (3, 8), (False, True), (0.5, 2.5)], ids=str
)
def test_labels_keep_their_type(
    labels: Any, exported: Any, runtime: Any, columns: Any
) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(2, "softmax")], seed=4)
    numbers = TableInput(("x",), (Numeric("x", Affine()),))
    net.preprocessing = Preprocessing(numbers, Classes("y", labels))
    raw = {"x": np.linspace(-2, 2, 9)}
    found = runtime(exported(net), columns(raw))
    np.testing.assert_array_equal(found["label"], net.predict_classes(raw))
    assert np.asarray(found["label"]).ndim == 1


def test_one_logistic_output_has_two_probabilities(
    exported: Any, runtime: Any, columns: Any
) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1, "logistic")], seed=4)
    numbers = TableInput(("x",), (Numeric("x", Affine()),))
    net.preprocessing = Preprocessing(numbers, Classes("y", ("no", "yes")))
    raw = {"x": np.linspace(-2, 2, 9)}
    found = runtime(exported(net), columns(raw))
    p = net.predict(raw)
    np.testing.assert_allclose(found["probabilities"], np.hstack([1 - p, p]), rtol=1e-6)
    np.testing.assert_array_equal(found["label"], net.predict_classes(raw))


def test_logarithms_become_probabilities(
    exported: Any, runtime: Any, columns: Any
) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(3, "log_softmax")], seed=4)
    numbers = TableInput(("x",), (Numeric("x", Affine()),))
    net.preprocessing = Preprocessing(numbers, Classes("y", ("a", "b", "c")))
    raw = {"x": np.linspace(-2, 2, 9)}
    found = runtime(exported(net), columns(raw))
    np.testing.assert_allclose(found["probabilities"], np.exp(net.predict(raw)), 1e-5)


def test_several_outputs_have_their_names_before_them(
    exported: Any, runtime: Any, columns: Any
) -> None:
    x = nv.Input(1)
    ends = [nv.Dense(1, name="low")(x), nv.Dense(2, name="rest")(x)]
    net = nv.Network(inputs=x, outputs=ends, seed=4)
    numbers = TableInput(("x",), (Numeric("x", Affine(1.0, 2.0)),))
    target = Amounts(("a", "b", "c"), (1e7, 2.0, 3.0), (4.0, 5.0, 6.0))
    net.preprocessing = Preprocessing(numbers, target)
    raw = {"x": np.linspace(-2, 2, 9)}
    found = runtime(exported(net), columns(raw))
    for name, wanted in zip(("low", "rest"), net.predict(raw), strict=True):
        np.testing.assert_allclose(found[f"{name}_variable"], wanted, rtol=1e-9)


def test_a_column_may_be_called_like_an_output(
    exported: Any, runtime: Any, columns: Any
) -> None:
    net = nv.Network([nv.Input(2), nv.Dense(2, "softmax", name="raw.inputs")], seed=4)
    some = [Numeric(name, Affine()) for name in ("label", "raw.z")]
    net.preprocessing = Preprocessing(table(*some), Classes("y", ("no", "yes")))
    raw = {"label": np.arange(3.0), "raw.z": np.arange(3.0)}
    found = runtime(exported(net), columns(raw))
    assert list(found) == ["label_1", "probabilities"]
    np.testing.assert_allclose(found["probabilities"], net.predict(raw), rtol=1e-5)


def test_ensembles_answer_alike(exported: Any, runtime: Any) -> None:
    dataset = nv.data.load("iris")
    net = nv.Network([nv.Input(4), nv.Dense(3, "softmax")])
    ensemble = nv.Ensemble.of(net, 3)
    ensemble.fit(dataset, epochs=2, progress=False)
    model = exported(ensemble)
    names = [x.name for x in model.graph.input]
    X = np.random.default_rng(0).uniform(0, 7, (20, 4))
    raw = {name: X[:, [i]] for i, name in enumerate(names)}
    found = runtime(model, raw)
    frame = dict(zip(names, X.T, strict=True))
    np.testing.assert_allclose(found["probabilities"], ensemble.predict(frame), 1e-5)
    np.testing.assert_array_equal(found["label"], ensemble.predict_classes(frame))


# -- arrays and images -----------------------------------------------------------------


def test_bytes_are_scaled(exported: Any, runtime: Any, rng: Any) -> None:
    net = network(ArrayInput((4, 3, 2), 1 / 255), (4, 3, 2))
    X = rng.integers(0, 256, (5, 4, 3, 2)).astype(np.uint8)
    found = runtime(exported(net), {"X": X})["variable"]
    np.testing.assert_allclose(found, (X / 255.0).reshape(5, -1), rtol=1e-6)


def test_arrays_are_standardized_in_double(exported: Any, runtime: Any) -> None:
    record = ArrayInput((2,), 1.0, (1e9, 5.0), (2.0, 3.0))
    net = network(record, (2,))
    X = np.array([[1e9 + 1, 2.0], [1e9 - 4, 8.0]])
    found = runtime(exported(net), {"X": X})["variable"]
    np.testing.assert_allclose(found, [[0.5, -1], [-2, 1]], rtol=1e-6)


def test_flat_rows_are_taken_as_images(exported: Any, runtime: Any, rng: Any) -> None:
    net = nv.Network([nv.Input((4, 4, 1)), nv.Conv2D(2, 3), nv.Flatten(), nv.Dense(2)])
    net.preprocessing = Preprocessing(
        ArrayInput((16,), 1 / 255), Amounts(("a", "b"), (0.0, 0.0), (1.0, 1.0))
    )
    X = rng.integers(0, 256, (3, 16)).astype(np.uint8)
    found = runtime(exported(net), {"X": X})["variable"]
    np.testing.assert_allclose(found, net.predict(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(31, 20), (8, 6), (5, 11), (200, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_size_are_resized_as_files_are(
    size: tuple[int, int],
    channels: int,
    exported: Any,
    runtime: Any,
    rng: Any,
    tmp_path: Path,
) -> None:
    """But for what rounding between the two axes does: at most two grey levels."""
    shape = (8, 6, channels)
    net = network(ArrayInput(shape, 1 / 255), shape)
    pixels = rng.integers(0, 256, (*size, channels)).astype(np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    wanted = read_pixels(path, shape[:2], channels).astype(float).reshape(1, -1)
    model = exported(net, resize=True)
    shown = [d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert shown[:3] == ["batch", "height", "width"]
    found = runtime(model, {"X": pixels[None]})["variable"] * 255
    assert np.abs(found - wanted).max() <= 2 + 1e-3
    if size == shape[:2]:
        np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize(
    ("record", "options", "text"),
    [
        (ArrayInput((4,), 1 / 255), {}, "a network of arrays of shape (4,)"),
        (ArrayInput((4, 4, 1)), {}, "a network of arrays of shape (4, 4, 1)"),
        (table(Numeric("x", Affine())), {}, "a network of a table"),
        (ArrayInput((4, 4, 1), 1 / 255), {"opset": 17}, "opset 17; expected at least"),
        (ArrayInput((4, 4, 1), 1 / 255), {"preprocessing": False}, "without prepro"),
    ],
)
def test_what_cannot_be_resized(
    record: Any, options: Any, text: str, tmp_path: Path
) -> None:
    net = network(record, getattr(record, "shape", None))
    with pytest.raises(nv.ExchangeError) as error:
        nv.export(net, tmp_path / "a.onnx", resize=True, **options)
    assert text in str(error.value)
    assert not list(tmp_path.iterdir())


# -- without, and what is not known ----------------------------------------------------


def test_without_preprocessing_the_network_alone(exported: Any, runtime: Any) -> None:
    net = network(table(Numeric("x", Affine(5.0, 2.0))))
    model = exported(net, preprocessing=False)
    X = np.array([[1.0], [2.0]], np.float32)
    np.testing.assert_array_equal(runtime(model, {"input": X})["rows"], X)


def test_kinds_of_records_that_are_not_known_are_all_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(_write_rows.SCALINGS, Bins)
    monkeypatch.delitem(_write_rows.COLUMNS, Category)
    bins = Numeric("b", SCALINGS["piecewise"])
    net = network(table(bins, Category("c", ("x", "y"))))
    with pytest.raises(nv.ExchangeError) as error:
        nv.export(net, tmp_path / "a.onnx")
    assert str(error.value) == (
        "[export] ONNX cannot hold the preprocessing of column 'b' (bins); column 'c' "
        "(category); expected numbers, dates, categories or arrays; use "
        "preprocessing=False (nervure export --no-raw) and encode rows with "
        "net.preprocessing.encode"
    )
    assert not list(tmp_path.iterdir())


def test_metadata_is_kept(exported: Any) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1)])
    model = exported(net, metadata={"author": "me"})
    words = {entry.key: entry.value for entry in model.metadata_props}
    assert words == {"author": "me", "nervure.version": nv.__version__}
    assert model.producer_name == "nervure"


# -- on the command line ---------------------------------------------------------------


def test_the_command_exports_a_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    runtime: Any,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", "digits", "--set", "training.epochs=2", "-q"]) == 0
    capsys.readouterr()
    assert run(["export", "runs/digits-1", "--out", "digits.onnx"]) == 0
    size = Path("digits.onnx").stat().st_size
    assert capsys.readouterr().out == (
        "input   X: uint8 (batch, 8, 8, 1)\n"
        "output  label: int64 (batch)\n"
        "output  probabilities: float (batch, 10)\n"
        f"written to digits.onnx ({size:,} bytes)\n"
    )
    model = onnx.load("digits.onnx")
    onnx.checker.check_model(model, full_check=True)
    words = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(words["nervure.training"])["epochs"] == 2
    assert 'source = "digits"' in words["nervure.spec"]
    net = nv.load("runs/digits-1/model.safetensors")
    X = nv.data.load("digits").inputs[:100]
    found = runtime(model, {"X": X})
    np.testing.assert_allclose(found["probabilities"], net.predict(X), 1e-4, 1e-6)
    np.testing.assert_array_equal(found["label"], net.predict_classes(X))


def test_the_command_names_the_file_after_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nv.Network([nv.Input(1), nv.Dense(1)]).save("small.safetensors")
    assert run(["export", "small.safetensors", "--no-raw", "--opset", "21"]) == 0
    assert onnx.load("small.onnx").opset_import[0].version == 21


def test_equal_networks_give_equal_bytes(tmp_path: Path) -> None:
    net = network(table(Numeric("x", Affine(5.0, 2.0)), Category("c", ("x", "y"))))
    for name in ("a.onnx", "b.onnx"):
        nv.export(net.copy(), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
