# SPDX-License-Identifier: BSD-3-Clause
"""Pictures: what is drawn is what was measured, on the axes that were asked for."""

from __future__ import annotations

import importlib
import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv

matplotlib = pytest.importorskip("matplotlib", reason="Matplotlib is not installed")


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    matplotlib.use("agg")
    yield
    importlib.import_module("matplotlib.pyplot").close("all")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nv.Run:
    """A run of a deep logistic net, whose first layers learn slowly."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 6)).astype(np.float32)
    hidden = [nv.Dense(8, "sigmoid", name=f"hidden{i}") for i in range(4)]
    layers = [nv.Input(6), *hidden, nv.Dense(3, "softmax", name="last")]
    return nv.fit(
        nv.Network(layers, seed=0),
        X,
        rng.integers(0, 3, 200),
        optimizer=nv.SGD(0.1),
        epochs=4,
        validation=0.2,
        progress=False,
        directory=tmp_path_factory.mktemp("plot") / "run",
    )


LAYERS = ["hidden0", "hidden1", "hidden2", "hidden3", "last"]


# -- of a training --------------------------------------------------------------------


def test_history_of_a_run_its_record_its_folder_and_its_series(run: nv.Run) -> None:
    for found in (run, run.record, run.directory, run.history):
        panels = nv.plot.history(found)
        names = [panel.get_ylabel() for panel in panels]
        assert names == ["loss", "accuracy", "learning rate"]
        own, held = panels[0].get_lines()[:2]
        assert list(own.get_ydata()) == run.history["loss"]
        assert list(held.get_ydata()) == run.history["validation_loss"]
        best = [line.get_label() for line in panels[0].get_lines()[2:]]
        known = [f"best, after {run.best_epoch + 1}"]
        assert best == ([] if found is run.history else known)


def test_the_speed_of_learning_is_the_error_signal_layer_by_layer(run: nv.Run) -> None:
    ax = nv.plot.learning_speed(run)
    lines = ax.get_lines()
    assert [line.get_label() for line in lines] == LAYERS
    assert ax.get_yscale() == "log"
    drawn = np.array([line.get_ydata() for line in lines])
    np.testing.assert_array_equal(drawn, run.record["delta"].T)
    assert (np.diff(np.median(drawn, axis=1)) > 0).all()  # earlier layers are slower
    assert lines[0].get_xdata().tolist() == run.record.steps.tolist()
    shades = [sum(matplotlib.colors.to_rgb(line.get_color())) for line in lines]
    assert shades == sorted(shades)


@pytest.mark.parametrize("measure", ["gradient", "ratio"])
def test_other_measures_are_of_weights(run: nv.Run, measure: str) -> None:
    ax = nv.plot.learning_speed(run, measure=measure)
    weights = [i for i, p in enumerate(run.record.parameters) if "weight" in p]
    drawn = [line.get_ydata() for line in ax.get_lines()]
    np.testing.assert_array_equal(np.array(drawn), run.record[measure][:, weights].T)


def test_the_flow_of_the_gradient_falls_to_the_left(run: nv.Run) -> None:
    ax = nv.plot.gradient_flow(run)
    assert [text.get_text() for text in ax.get_xticklabels()] == LAYERS
    first, last = (line.get_ydata() for line in ax.get_lines())
    delta = run.record["delta"]
    np.testing.assert_array_equal(first, np.median(delta[:5], axis=0))
    np.testing.assert_array_equal(last, np.median(delta[-5:], axis=0))


@pytest.mark.parametrize(
    ("of", "column", "whose"),
    [
        ("a", "a_histogram", "layers"),
        ("delta", "delta_histogram", "layers"),
        ("gradient", "gradient_histogram", "parameters"),
        ("weight", "norm_histogram", "parameters"),
    ],
)
def test_distributions(run: nv.Run, of: str, column: str, whose: str) -> None:
    panels = nv.plot.distributions(run, of=of)
    titles = [panel.get_title() for panel in panels]
    assert titles == list(getattr(run.record, whose))
    events = [event for event in run.record.of("step") if column in event]
    for i, panel in enumerate(panels):
        shares = panel.images[0].get_array()
        counts = np.array([event[column][i] for event in events])
        wanted = counts / counts.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(shares, wanted.T)


def test_more_layers_than_panels_or_a_legend_can_show() -> None:
    layers = [nv.Input(2), *[nv.Dense(2, "tanh") for _ in range(40)]]
    net = nv.Network(layers, seed=0)
    given = {"loss": "mse", "epochs": 1, "progress": False, "telemetry": True}
    deep = nv.fit(net, np.ones((8, 2)), np.ones((8, 2)), **given)
    labels = [line.get_label() for line in nv.plot.learning_speed(deep).get_lines()]
    named = [label for label in labels if not label.startswith("_")]
    assert len(labels) == 40
    assert len(named) <= 13
    assert named[0] == "dense"
    assert named[-1] == "dense_39"
    assert len(nv.plot.distributions(deep)) <= 16


def test_what_has_nothing_to_be_drawn(run: nv.Run) -> None:
    net = nv.Network([nv.Input(1), nv.Dense(1)])
    blind = nv.fit(net, [[0.0], [1.0]], [0.0, 1.0], epochs=1, progress=False)
    for draw in (
        nv.plot.learning_speed,
        nv.plot.gradient_flow,
        nv.plot.distributions,
    ):
        with pytest.raises(ValueError, match=r"\[plot\] the record has no sampled"):
            draw(blind)
        with pytest.raises(TypeError, match=r"\[plot\] 3; expected a run, its record"):
            draw(3)
    with pytest.raises(ValueError, match=r"\[plot\] unknown measure 'grad'; did you"):
        nv.plot.learning_speed(run, measure="grad")
    with pytest.raises(ValueError, match=r"\[plot\] unknown quantity 'b'"):
        nv.plot.distributions(run, of="b")
    ax = nv.plot.learning_speed(run)
    with pytest.raises(ValueError, match=r"\[plot.distributions\] 1 axes for 5 panels"):
        nv.plot.distributions(run, ax)


# -- of answers -----------------------------------------------------------------------


def test_a_confusion_matrix_counts_rows() -> None:
    target = [0, 0, 1, 2, 2, 2]
    output = np.eye(3)[[0, 1, 1, 2, 2, 0]]
    ax = nv.plot.confusion(target, output, labels=["a", "b", "c"])
    numbers = [[text.get_text() for text in ax.texts[i : i + 3]] for i in (0, 3, 6)]
    assert numbers == [["1", "1", "0"], ["0", "1", "0"], ["1", "0", "2"]]
    shares = ax.images[0].get_array()
    np.testing.assert_allclose(shares, [[0.5, 0.5, 0], [0, 1, 0], [1 / 3, 0, 2 / 3]])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"\[plot.confusion\] 2 labels for 3 classes"):
        nv.plot.confusion(target, output, labels=["a", "b"])


def test_many_classes_have_colours_alone() -> None:
    ax = nv.plot.confusion(np.arange(30), np.eye(30))
    assert not ax.texts


def test_reliability_is_the_curve() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], 300)
    y = rng.integers(0, 3, 300)
    curve = nv.uncertainty.reliability_curve(y, p)
    ax = nv.plot.reliability(y, p)
    dots = ax.collections[-1].get_offsets()
    np.testing.assert_allclose(
        dots, np.column_stack([curve.confidence, curve.accuracy])
    )
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert f"calibration error {curve.error:.3g}" in names


# -- of weights -----------------------------------------------------------------------


def test_filters_are_a_sheet() -> None:
    net = nv.Network([nv.Input((8, 8, 1)), nv.Conv2D(5, 3)], seed=0)
    sheet = np.ma.filled(nv.plot.filters(net).images[0].get_array(), np.nan)
    assert sheet.shape == (2 * 4 + 1, 3 * 4 + 1)
    weight = net.parameters["conv2d.weight"][:, :, 0, 0]
    np.testing.assert_allclose(sheet[1:4, 1:4], weight / np.abs(weight).max())
    assert np.isnan(sheet[0]).all()
    assert nv.plot.filters(net, most=1).images[0].get_array().shape == (5, 5)
    coloured = nv.Network([nv.Input((8, 8, 3)), nv.Conv2D(4, 3)], seed=0)
    pixels = nv.plot.filters(coloured).images[0].get_array()
    assert pixels.shape == (9, 9, 3)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_rows_lie_where_their_principal_components_put_them(run: nv.Run) -> None:
    net = run.network
    X = np.random.default_rng(1).normal(size=(50, 6))
    y = np.arange(50) % 2
    ax = nv.plot.embeddings(net, X, y)
    assert ax.get_title().startswith("hidden3, ")
    a = net.trace(X)["hidden3"].a.astype(np.float64)
    points = np.concatenate([dots.get_offsets() for dots in ax.collections])
    spread = np.linalg.eigvalsh(np.cov(a.T))[::-1]
    np.testing.assert_allclose(np.var(points, axis=0, ddof=1), spread[:2], rtol=1e-5)
    assert [len(dots.get_offsets()) for dots in ax.collections] == [25, 25]
    own = nv.plot.embeddings(net, X, np.linspace(0, 1, 50), layer="hidden0")
    assert own.get_title().startswith("hidden0, ")
    assert len(own.collections[0].get_offsets()) == 50


def test_many_rows_are_thinned(run: nv.Run) -> None:
    X = np.random.default_rng(1).normal(size=(4100, 6))
    ax = nv.plot.embeddings(run.network, X, np.arange(4100) % 3)
    shown = sum(len(dots.get_offsets()) for dots in ax.collections)
    assert 1000 < shown <= 2000


def test_codes_of_an_embedding_have_their_numbers() -> None:
    net = nv.Network([nv.Input(1), nv.Embedding(6, 4, name="words")], seed=0)
    ax = nv.plot.embeddings(net)
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2", "3", "4", "5"]
    assert len(ax.collections[0].get_offsets()) == 6


def test_what_cannot_be_embedded(run: nv.Run) -> None:
    net = run.network
    with pytest.raises(ValueError, match=r"\[plot.embeddings\] no rows, and no embe"):
        nv.plot.embeddings(net)
    with pytest.raises(ValueError, match=r"unknown layer 'hiden0'; did you mean 'hid"):
        nv.plot.embeddings(net, np.zeros((3, 6)), layer="hiden0")
    with pytest.raises(ValueError, match=r"'hidden3' gives 8 numbers for each of 1;"):
        nv.plot.embeddings(net, np.zeros((1, 6)))
    lstm = nv.Network([nv.Input((None, 2)), nv.LSTM(3), nv.Dense(1)])
    with pytest.raises(ValueError, match=r"rows are sequences of several lengths"):
        nv.plot.embeddings(lstm, [np.ones((3, 2)), np.ones((1, 2))])


# -- of the graph ---------------------------------------------------------------------


def drawn(net: object) -> ElementTree.Element:
    return ElementTree.fromstring(nv.plot.architecture(net).svg)


def words(svg: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in svg.iter() if text.tag.endswith("text")]


def branched() -> nv.Network:
    x = nv.Input(4)
    first, second = nv.Dense(8, "tanh")(x), nv.Dense(8, "relu", name="a<b")(x)
    y = nv.Dense(4, name="sum")(nv.Concatenate()(x, first, second))
    ends = [nv.Dense(1)(nv.Add()(y, x)), nv.Dense(3, "softmax")(y)]
    return nv.Network(inputs=x, outputs=ends)


def test_an_architecture_shows_layers_shapes_and_parameters(tmp_path: Path) -> None:
    net = branched()
    svg = drawn(net)
    said = words(svg)
    for text in ("a<b", "dense 8 tanh", "8, 40 parameters", "4, 84 parameters"):
        assert text in said
    file = nv.plot.architecture(net).save(tmp_path / "net.svg")
    assert file.read_text() == nv.plot.architecture(net)._repr_svg_()
    assert repr(nv.plot.architecture(net)).startswith("<Drawing of ")
    assert nv.plot.architecture(net.graph) == nv.plot.architecture(net)


def boxes(svg: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    found = [
        r for r in svg.iter() if r.tag.endswith("rect") and "box" in r.get("class")
    ]
    return [
        tuple(float(r.get(name)) for name in ("x", "y", "width", "height"))
        for r in found
    ]


def points(path: str) -> np.ndarray[Any, Any]:
    """Corners of a path of lines and curves."""
    at, found = [0.0, 0.0], []
    for letter, rest in re.findall(r"([MHVQC])([-\d. ]*)", path):
        numbers = [float(n) for n in rest.split()]
        if letter == "H":
            at = [numbers[0], at[1]]
        elif letter == "V":
            at = [at[0], numbers[0]]
        else:
            at = numbers[-2:]
        found.append(at)
    return np.array(found)


@pytest.mark.parametrize("name", ["branched", "resnet20", "googlenet"])
def test_no_box_hides_another_and_no_edge_passes_through_one(name: str) -> None:
    net = branched() if name == "branched" else getattr(nv.zoo, name)()
    svg = drawn(net)
    places = boxes(svg)
    assert len(places) == len(net.graph.entries)
    width, height = float(svg.get("width")), float(svg.get("height"))
    for i, (x, y, w, h) in enumerate(places):
        assert x >= 0
        assert x + w <= width
        assert y + h <= height
        for a, b, c, d in places[:i]:
            assert x + w <= a or a + c <= x or y + h <= b or b + d <= y
    edges = [p.get("d", "") for p in svg.iter() if p.get("class") == "edge"]
    reads = {(f, n.group) for n in net.graph.nodes for f in groups_of(net, n)}
    assert len(edges) == len({(f, g) for f, g in reads if f != g})
    for path in edges:
        corners = points(path)
        for (x1, y1), (x2, y2) in itertools.pairwise(corners):
            for t in np.linspace(0.05, 0.95, 10):
                px, py = x1 + t * (x2 - x1), y1 + t * (y2 - y1)
                inside = [
                    (x, y) for x, y, w, h in places if x < px < x + w and y < py < y + h
                ]
                assert not inside, (path, inside)


def groups_of(net: nv.Network, node: Any) -> list[str]:
    return [net.graph.nodes[i].group for i in node.inputs]


def test_a_thousand_layers_are_drawn() -> None:
    net = nv.Network([nv.Input(2), *[nv.Dense(2) for _ in range(1000)]])
    assert len(boxes(drawn(net))) == 1001
