# SPDX-License-Identifier: BSD-3-Clause
"""Generation goes step by step, and says what whole sequences would."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.cli.app import run
from nervure.executors.stepper import Drawing, fits, stepper_of
from nervure.network.generating import stream
from nervure.network.stepping import Reader, shares, written

BODIES: dict[str, list[Any]] = {
    "simple_rnn": [nv.SimpleRNN(6, True)],
    "lstm": [nv.LSTM(6, True, peepholes=True), nv.LSTM(5, True, layer_norm=True)],
    "gru": [nv.GRU(6, True), nv.Dropout(0.5), nv.GRU(5, True, reset_after=False)],
    "last state": [nv.GRU(6)],
    "stateful": [nv.LSTM(6, True, stateful=1)],
    "attention": [
        nv.PositionEmbedding(40),
        nv.TransformerBlock(2, causal=True),
        nv.TransformerBlock(1, causal=True, norm="post"),
    ],
    "rotary": [nv.MultiHeadAttention(2, causal=True, rotary=True), nv.LayerNorm()],
}


def network(*body: Any, classes: int = 5, dtype: str = "float64") -> nv.Network:
    ends = [nv.Input((None,)), nv.Embedding(classes, 4)]
    layers = [*ends, *body, nv.Dense(classes, activation="softmax")]
    return nv.Network(layers, seed=3, dtype=dtype)


@pytest.mark.parametrize("name", BODIES)
def test_step_by_step_is_as_whole_sequences(name: str) -> None:
    net = network(*BODIES[name])
    codes = np.random.default_rng(0).integers(0, 5, 33)  # a cache grows twice
    reader = Reader(net)
    found = [reader(int(code)) for code in codes]
    whole = [net.forward([codes[: i + 1]])[0] for i in range(len(codes))]
    last = [np.atleast_2d(rows)[-1] for rows in whole]
    np.testing.assert_allclose(np.exp(found), last, rtol=1e-9)


def with_states(dtype: str = "float64") -> nv.Network:
    """First states that were learned, and an output from the last cell."""
    codes = nv.Input((None,))
    x = nv.Embedding(5, 4)(codes)
    begin = nv.Learned(6, initializer=nv.initializers.Normal(std=1.0))
    lstm = nv.LSTM(6, True)(x, begin, nv.Learned(6))
    end = nv.Dense(5, activation="softmax")(nv.Concatenate()(lstm["cell"], begin))
    return nv.Network(inputs=codes, outputs=end, seed=3, dtype=dtype)


def test_layers_along_an_axis_of_the_last_state() -> None:
    behind = [nv.GRU(6), nv.Reshape((3, 2)), nv.PositionEmbedding(3)]
    behind += [nv.MultiHeadAttention(2), nv.Flatten()]
    net, codes = network(*behind), [0, 3, 1, 4]
    whole = np.atleast_2d(net.forward([np.array(codes)])[0])[-1]
    reader = Reader(net)
    plain = [reader(code) for code in codes][-1]
    np.testing.assert_allclose(np.exp(plain), whole, rtol=1e-12)
    with stepper_of(net.executor(), shares=True) as stepper:
        np.testing.assert_allclose(stepper.read(codes), whole, rtol=1e-12)
    assert len(nv.generate(net, codes, 9)) == 9


def test_what_only_a_whole_sequence_tells_is_refused() -> None:
    codes = nv.Input((None,))
    x = nv.Embedding(5, 4)(codes)
    first = nv.GRU(6, True)(x)
    end = nv.Dense(5, activation="softmax")(nv.GRU(6, True)(x, first["state"]))
    net = nv.Network(inputs=codes, outputs=end)
    with pytest.raises(ValueError, match=r"\[gru_1\] it begins with what another"):
        nv.generate(net, [0], 3)


NETS: dict[str, Any] = {name: partial(network, *body) for name, body in BODIES.items()}
NETS["states"] = with_states


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETS)
def test_the_engine_goes_step_by_step_as_the_plain_form_does(
    name: str, dtype: str
) -> None:
    net = NETS[name](dtype=dtype)
    assert fits(net.graph)
    rtol = 1e-12 if dtype == "float64" else 2e-5
    codes = np.random.default_rng(0).integers(0, 5, 33).tolist()
    for _ in range(2):  # the second time with what the first one has left behind
        reader = Reader(net)
        with stepper_of(net.executor(), shares=True) as stepper:
            for code in codes:
                found = stepper.read([code])
                np.testing.assert_allclose(found, np.exp(reader(code)), rtol=rtol)


@pytest.mark.parametrize(
    "how",
    [
        Drawing(),
        Drawing(temperature=0),
        Drawing(0.7, seed=2**63 + 5),
        Drawing(1.5, top_k=3),
        Drawing(top_p=0.6, seed=1),
        Drawing(0.9, top_k=4, top_p=0.9),
    ],
)
def test_the_engine_draws_what_the_plain_form_does(how: Drawing) -> None:
    net = network(*BODIES["gru"])
    expected = list(written(Reader(net), [0, 3], 150, how))
    drawn = nv.generate(net, [0, 3], 150, **vars(how))
    assert drawn.tolist() == expected
    assert len(set(expected)) > (how.temperature > 0)


def test_ties_are_kept_in_order() -> None:
    """Of equal shares the first are drawn, in the engine as in the plain form."""
    net = network(classes=3)
    net.parameters["embedding.weight"][:] = 0
    net.parameters["dense.bias"][:] = 0
    for how in (Drawing(top_k=2), Drawing(top_p=0.5)):
        expected = list(written(Reader(net), [0], 50, how))
        assert nv.generate(net, [0], 50, **vars(how)).tolist() == expected
        assert set(expected) == {0, 1}


@dataclass(frozen=True)
class Doubled(nv.layers.Formula):
    kind = "doubled"

    def output_shape(self, *inputs: Any) -> Any:
        return inputs[0]

    def formula(self, xp: Any, parameters: Any, *inputs: Any, info: Any) -> Any:
        return 2 * inputs[0]


def test_a_layer_in_python_is_stepped_through_in_python() -> None:
    net = network(Doubled(), nv.GRU(6, True))
    assert not fits(net.graph)
    assert nv.generate(net, [0], 9).shape == (9,)


def test_the_same_seed_draws_the_same() -> None:
    net = network(nv.GRU(6, True), dtype="float32")
    first = nv.generate(net, [0, 1], 50, seed=4)
    assert (first == nv.generate(net, [0, 1], 50, seed=4)).all()
    assert (first != nv.generate(net, [0, 1], 50, seed=5)).any()
    assert set(first) == set(range(5))
    likeliest = nv.generate(net, [0, 1], 20, temperature=0, seed=1)
    assert (likeliest == nv.generate(net, [0, 1], 20, top_k=1, seed=2)).all()
    assert nv.generate(net, [0], 0).shape == (0,)


def test_it_draws_by_probabilities() -> None:
    """Of a network that always says the same: shares to within 4 deviations."""
    net = network(classes=3)
    net.parameters["embedding.weight"][:] = 0
    net.parameters["dense.bias"][:] = np.log([0.6, 0.3, 0.1])
    drawn = nv.generate(net, [0], 4000)
    found = np.bincount(drawn, minlength=3) / 4000
    np.testing.assert_allclose(found, [0.6, 0.3, 0.1], atol=4 * 0.5 / 4000**0.5)


def test_what_is_drawn_from() -> None:
    logs = np.log([0.1, 0.4, 0.3, 0.2])
    np.testing.assert_allclose(shares(logs), [0.1, 0.4, 0.3, 0.2])
    squares = np.array([0.01, 0.16, 0.09, 0.04]) / 0.3
    np.testing.assert_allclose(shares(logs, 0.5), squares)
    np.testing.assert_allclose(shares(logs, top_k=2), [0, 4 / 7, 3 / 7, 0])
    np.testing.assert_allclose(shares(logs, top_p=0.7), [0, 4 / 7, 3 / 7, 0])
    np.testing.assert_allclose(shares(logs, top_p=0.71), [0, 4 / 9, 3 / 9, 2 / 9])
    assert shares(logs, 0).tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_is_no_number_is_not_drawn_from(temperature: float) -> None:
    net = network(nv.GRU(6, True))
    net.parameters["dense.bias"][1] = np.nan
    with pytest.raises(nv.NotFiniteError, match=r"not finite at step 0 \(from 0\)"):
        nv.generate(net, [0], 5, temperature=temperature)
    net.parameters["dense.bias"][1] = -1e9  # a code that never comes
    assert 1 not in nv.generate(net, [0], 20, temperature=temperature)


def letter_network(text: str) -> nv.Network:
    record = nv.data.letters(text)
    net = network(nv.GRU(6, True), classes=record.outputs)
    net.preprocessing = record
    return net


def test_letters_from_file_to_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = letter_network("hello, wörld")
    net.save(tmp_path / "net.safetensors")
    again = nv.load(tmp_path / "net.safetensors")
    text = nv.generate(again, "held", 12, seed=1)
    assert len(text) == 12
    assert set(text) <= set("hello, wörld")
    assert text == nv.generate(net, "held", 12, seed=1)
    words = ["--prompt", "held", "--steps", "12", "--seed", "1"]
    assert run(["generate", str(tmp_path / "net.safetensors"), *words]) == 0
    assert capsys.readouterr().out == f"held{text}\n"
    assert "".join(stream(net, "held", 12, seed=1)) == text


def test_texts_are_rows_as_others_are() -> None:
    net = letter_network("hello")
    found = net.predict(["hello", "hell"])
    assert found.lengths.tolist() == [5, 4]
    np.testing.assert_allclose(found.values.sum(axis=1), 1, rtol=1e-6)
    assert set(net.predict_classes("hole")[0]) <= set("hello")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda net: nv.generate(net, "hexl", 1), "letter 'x' in text 0; expected one"),
        (lambda net: nv.generate(net, "", 1), "[generate] an empty prompt"),
        (lambda net: nv.generate(net, [], 1), "[generate] an empty prompt"),
        (lambda net: nv.generate(net, [9], 1), "whole numbers from 0 to 3, in a list"),
        (lambda net: nv.generate(net, [0.5], 1), "expected codes, whole numbers"),
        (lambda net: nv.generate(net, [0], -1), "[generate] steps = -1; expected a"),
        (lambda net: nv.generate(net, [0], 1, temperature=-1), "temperature"),
        (lambda net: nv.generate(net, [0], 1, top_k=0), "top_k"),
        (lambda net: nv.generate(net, [0], 1, top_p=1.5), "top_p"),
        (
            lambda net: nv.generate(network(nv.GRU(3, True)), "he", 1),
            "set net.preprocessing = nv.data.letters(text)",
        ),
        (
            lambda net: nv.generate(network(nv.GRU(3, True, reverse=True)), [0], 1),
            "it sees whole sequences, expected a layer that goes step by step",
        ),
        (
            lambda net: nv.generate(network(nv.MultiHeadAttention(2)), [0], 1),
            "generate with recurrent layers forwards, or causal attention",
        ),
        (
            lambda net: nv.generate(network(nv.PositionEmbedding(4)), [0], 9),
            "9 steps with those of the prompt, expected at most 4; generate fewer steps",
        ),
        (
            lambda net: nv.generate(nv.Network([nv.Input(3), nv.Dense(2)]), [0], 1),
            "expected one output and one input of codes; begin with nv.Input((None,))",
        ),
        (lambda net: nv.data.letters(""), "an empty text; give one of some letters"),
        (lambda net: net.predict([]), "expected a text, or a list of them"),
        (lambda net: net.predict(["a"]), "letter 'a' in text 0"),
        (lambda net: net.predict(["h", ""]), "text 1 is ''"),
    ],
)
def test_errors_name_place_fact_and_remedy(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        make(letter_network("hello"))


def test_the_command_line_names_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "net.safetensors")
    letter_network("hello").save(file)
    assert run(["predict", file, "iris"]) == 2
    assert "use nervure generate MODEL --prompt" in capsys.readouterr().err
    assert run(["generate", file, "--prompt", "hx"]) == 2
    assert "letter 'x'" in capsys.readouterr().err
