# SPDX-License-Identifier: BSD-3-Clause
"""The claims of the examples, and that each runs as a script."""

from __future__ import annotations

import importlib
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nervure as nv

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
Import = Callable[[str], ModuleType]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports an example by name, as a script beside it would."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    names = [path.stem for path in EXAMPLES.glob("*.py")]
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


def run(name: str, *arguments: str) -> str:
    """What a script prints."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# -- as scripts ------------------------------------------------------------------------


def test_the_indicator_script() -> None:
    out = run("interval_indicator.py")
    assert re.search(r"^indicator +0 +0 +1 +1 +1 +0 +0$", out, re.M)
    assert re.search(r"^ +160 +0\.01733 +2\.7726 +1\.1e-07$", out, re.M)


def test_the_nand_script() -> None:
    rows = [line.split() for line in run("nand.py").splitlines()]
    assert rows == [
        ["x1", "x2", "z", "NAND"],
        ["0", "0", "3", "1"],
        ["0", "1", "1", "1"],
        ["1", "0", "1", "1"],
        ["1", "1", "-1", "0"],
    ]


def test_the_half_adder_script() -> None:
    rows = [line.split() for line in run("half_adder.py").splitlines()]
    assert rows[0] == ["x1", "x2", "both", "left", "right", "sum", "carry"]
    found = " ".join("".join(row) for row in rows[1:])
    assert found == "0011100 0111010 1010110 1101101"


def test_the_full_adder_script() -> None:
    out = run("full_adder.py")
    rows = [tuple(map(int, line.split())) for line in out.splitlines()[1:9]]
    assert all(2 * carry + total == a + b + c for a, b, c, total, carry in rows)
    assert len(set(rows)) == 8
    assert out.splitlines()[-1] == "4-bit adder: 256 of 256 sums are right"


def test_the_deep_sigmoid_script_on_scikit_learns_digits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NERVURE_MNIST", "digits")
    lines = run("deep_sigmoid.py").splitlines()
    assert lines[0].startswith("learning speed |dC/db| of each hidden layer; 1000 ima")
    assert "digits (scikit-learn's; name a folder for MNIST)" in lines[0]
    cells = [line.split() for line in lines[2:]]
    shape = [(int(row[0]), int(row[1])) for row in cells]
    assert shape == [(n, epoch) for epoch in (0, 5, 30) for n in range(1, 5)]
    assert all(len(row) == 3 + int(row[0]) for row in cells)


def test_an_lstm_reads_digits_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERVURE_MNIST", "digits")
    lines = run("rows_as_sequences.py").splitlines()
    assert lines[0] == "digits: 1,438 images as 8 steps of 8 pixels"
    found = re.match(r"learning rate 0\.0001: ([\d.]+)% of the test images", lines[-1])
    assert found is not None
    assert float(found[1]) > 95


def test_the_default_for_sequences_beats_features_of_them() -> None:
    lines = run("sequences_by_default.py", "digits").splitlines()
    assert lines[0] == "1,438 sequences of 8 to 8 steps"
    default, simple = (
        float(re.match(pattern, line)[1])
        for pattern, line in zip(
            (r"by default: ([\d.]+)% of 359", r"logistic regression .*: ([\d.]+)%"),
            lines[1:],
            strict=True,
        )
    )
    assert default > 97 > 92 > simple


def test_strips_of_digits_are_read(
    example: Import, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = example("digit_strips")
    for name, value in {"STRIPS": 800, "TEST_STRIPS": 60, "UNITS": 32}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "RATES", ((6, 0.01), (2, 0.002)))
    monkeypatch.setattr(sys, "argv", ["digit_strips.py", "digits"])
    module.main()
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"digits: 800 strips of 2\d to 5\d steps", lines[0])
    rates = [re.search(r"label error rate ([\d.]+)% of 2\d\d digits", x) for x in lines]
    assert float(rates[2][1]) < 15
    beam = re.fullmatch(r"beam search of width 8: ([\d.]+)%", lines[3])
    assert float(beam[1]) < 15
    assert all("  read as  " in line for line in lines[4:9])


def test_codes_of_an_autoencoder_tell_digits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NERVURE_MNIST", "digits")
    picture = tmp_path / "codes.png"
    words = ["--epochs", "30", "--picture", str(picture)]
    lines = run("autoencoder.py", *words).splitlines()
    assert lines[0] == "digits: 1,438 images of 8 x 8"
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = re.match(r"a linear classifier of the codes tells ([\d.]+)%", lines[-1])
    assert found is not None
    assert float(found[1]) > 90


def test_an_lstm_remembers_more_letters_than_n_grams(tmp_path: Path) -> None:
    """Each line ends as it began, seven letters before."""
    ends = np.random.default_rng(0).choice(list("abcdefgh"), 6_000)
    file, out = tmp_path / "lines.txt", tmp_path / "net.safetensors"
    file.write_text("".join(f"{end}......{end}\n" for end in ends))
    words = ["--text", str(file), "--units", "64", "--steps", "400"]
    lines = run("characters.py", *words, "--out", str(out)).splitlines()
    grams, lstm = (float(re.findall(r"([\d.]+) bits", one)[0]) for one in lines[1:3])
    # Two letters of 3 bits, and five dots that may be the last five or not.
    assert grams == pytest.approx((2 * 3 + 2 * 1) / 9, abs=0.03)
    assert lstm < 0.6  # one letter are 3 / 9
    net = nv.load(out)
    assert nv.generate(net, "b......b\nc......", 1, temperature=0) == "c"


def test_a_transformer_writes_letters(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("abcdefgh\n" * 900)
    words = ["--text", str(file), "--transformer", "--steps", "60"]
    lines = run("characters.py", *words)
    found = re.match(r"transformer: ([\d.]+) bits", lines.splitlines()[2])
    assert found is not None
    assert float(found[1]) < 0.5


def test_air_passengers_are_forecast_better_than_by_the_year_before() -> None:
    lines = run("forecast.py", "--origins", "2").splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["1959-11", "1959-12"]
    assert lines[2].split()[2] == "47.8"
    own, naive = map(float, re.findall(r"[\d.]+\d", lines[3]))
    assert own < naive / 2
    own, naive = map(float, re.findall(r"[\d.]+\d", lines[4]))
    assert own < 1 < naive
    assert re.match(r"90 % intervals hold (100|[89]\d)\.\d% of the values", lines[5])


# -- the indicator of [1, 2] -----------------------------------------------------------


def test_two_perceptrons_are_the_indicator(example: Import) -> None:
    below, above = np.nextafter([1.0, 2.0], [0.0, 3.0])
    x = np.array([-5.0, 0.0, below, 1.0, 1.5, 2.0, above, 7.0]).reshape(-1, 1)
    found = example("interval_indicator").indicator().forward(x)
    assert found[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 0, 0]


def test_perceptrons_are_not_trained_and_logistic_nodes_are(example: Import) -> None:
    indicator = example("interval_indicator").indicator
    x = np.linspace(0, 3, 60).reshape(-1, 1)
    y = indicator().forward(x)
    with pytest.raises(nv.layers.LayerError, match='train with activation="logistic"'):
        nv.fit(indicator(), x, y, progress=False)
    net = indicator("logistic", 4.0)
    before = net.evaluate(x, y, loss="mse")["loss"]
    nv.fit(net, x, y, loss="mse", optimizer=nv.Adam(0.05), epochs=99, progress=False)
    assert net.evaluate(x, y, loss="mse")["loss"] < 0.6 * before


def test_the_area_of_the_error_falls_as_one_over_the_steepness(
    example: Import,
) -> None:
    module = example("interval_indicator")
    found = {s: module.errors(s) for s in module.STEEPNESSES}
    for steepness, (area, _) in found.items():
        assert area * steepness == pytest.approx(4 * math.log(2), rel=3e-4)
    for steepness in (40, 80, 160):  # one logistic tail at the distance 0.1
        tail = 1 / (1 + math.exp(0.1 * steepness))
        assert found[steepness][1] == pytest.approx(tail, rel=0.02)


def test_at_the_jumps_the_error_stays_one_half(example: Import) -> None:
    net = example("interval_indicator").indicator("logistic", 1000.0)
    np.testing.assert_allclose(net.forward([[1.0], [2.0]]), 0.5)


# -- circuits --------------------------------------------------------------------------


def test_the_nand_is_a_perceptron_with_the_weights_of_the_textbook(
    example: Import,
) -> None:
    net = example("nand").circuit()
    assert net.parameters["nand.weight"].tolist() == [[-2], [-2]]
    assert net.parameters["nand.bias"].tolist() == [3]
    found = net.forward([[a, b] for a, b in product([0, 1], repeat=2)])
    assert found[:, 0].tolist() == [1, 1, 1, 0]


def test_the_half_adder(example: Import) -> None:
    net = example("half_adder").circuit()
    found = net.forward([[a, b] for a, b in product([0, 1], repeat=2)])
    assert found.tolist() == [[0, 0], [1, 0], [1, 0], [0, 1]]


def test_the_half_adder_has_connections_within_a_layer(example: Import) -> None:
    """ "left" is fed by a bit, as "both" is, and by "both"."""
    graph = example("half_adder").circuit().graph

    def sources(name: str) -> set[str]:
        (feed,) = graph.nodes[graph.index[name]].inputs
        return {graph.nodes[i].group for i in graph.nodes[feed].inputs}

    assert sources("half.both") == {"slice", "slice_1"}
    assert sources("half.left") == {"slice", "half.both"}
    assert sources("half.right") == {"slice_1", "half.both"}


def test_every_node_of_the_adders_is_a_nand(example: Import) -> None:
    net = example("full_adder").adder(4)
    weights = [v for name, v in net.parameters.items() if name.endswith("weight")]
    biases = [v for name, v in net.parameters.items() if name.endswith("bias")]
    assert len(weights) == len(biases) == 4 * 13
    assert all(w.tolist() == [[-2], [-2]] for w in weights)
    assert all(b.tolist() == [3] for b in biases)


def test_the_full_adder(example: Import) -> None:
    net = example("full_adder").circuit()
    for row in product([0, 1], repeat=3):
        total, carry = net.forward([row])[0].tolist()
        assert 2 * carry + total == sum(row)


@pytest.mark.parametrize("length", [1, 4])
def test_adders_of_any_length(length: int, example: Import) -> None:
    net = example("full_adder").adder(length)
    numbers = range(2**length)
    pairs = list(product(numbers, repeat=2))
    rows = [[int(bit) for n in pair for bit in f"{n:0{length}b}"] for pair in pairs]
    found = net.forward(rows).astype(int)
    sums = [int("".join(map(str, row)), 2) for row in found.tolist()]
    assert sums == [a + b for a, b in pairs]


# -- deep logistic nets ----------------------------------------------------------------


def check_first_layers_are_slow(module: Any, images: Any, digits: Any) -> None:
    for hidden, seed in product((2, 3, 4), range(3)):
        net = module.network(images.shape[1], hidden, seed)
        speeds = module.speeds(net, images, digits)
        assert len(speeds) == hidden
        assert speeds == sorted(speeds)
        assert speeds[0] < speeds[-1] / 3 ** (hidden - 1)


def test_earlier_layers_learn_more_slowly_on_digits(example: Import) -> None:
    module = example("deep_sigmoid")
    check_first_layers_are_slow(module, *module.load("digits")[:2])


def test_earlier_layers_learn_more_slowly_on_mnist(
    example: Import, mnist_folder: Path
) -> None:
    module = example("deep_sigmoid")
    images, digits, name = module.load(str(mnist_folder))
    assert (images.shape, images.max(), name) == ((1000, 784), 1.0, mnist_folder.name)
    check_first_layers_are_slow(module, images, digits)


def test_the_deepest_net_stays_slow_while_it_trains(example: Import) -> None:
    module = example("deep_sigmoid")
    images, digits, _ = module.load("digits")
    curve = module.measure(images, digits, 4, epochs=5)
    assert len(curve) == 6
    assert all(row[0] < row[-1] / 20 for row in curve)


def test_the_speed_is_the_norm_of_the_bias_gradient(example: Import) -> None:
    module = example("deep_sigmoid")
    images, digits, _ = module.load("digits")
    net = module.network(64, 2)
    trace = net.trace(images, digits, loss="quadratic")
    norms = [np.linalg.norm(trace[f"hidden_{i}"].gradient["bias"]) for i in (1, 2)]
    np.testing.assert_allclose(module.speeds(net, images, digits), norms, rtol=1e-4)


def test_without_matplotlib_the_plot_says_what_to_install(
    example: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit) as caught:
        example("learning_speed_plot").draw({1: [[0.1]]}, "x.svg")
    assert str(caught.value) == (
        '[plot] no matplotlib; --plot needs it; pip install "nervure[plot]"'
    )


def test_the_plot_is_drawn(example: Import, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    curves = {1: [[0.1], [0.01]], 2: [[0.1, 0.2], [0.01, 0.02]]}
    example("learning_speed_plot").draw(curves, str(tmp_path / "a.svg"))
    assert (tmp_path / "a.svg").read_text().count("axes_") >= 2
    assert os.listdir(tmp_path) == ["a.svg"]
