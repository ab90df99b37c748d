# SPDX-License-Identifier: BSD-3-Clause
"""Columns of free text: words, what is learnt of them, layers, and all that follows."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import polars as pl
import pytest

import nervure as nv
from nervure.cli.app import run
from nervure.data import DataError, load
from nervure.data._errors import DataWarning
from nervure.data.meaning import tokens as of_tokens
from nervure.data.meaning.tokens import LONGEST, learnt, mean_words, tokens
from nervure.data.preprocessing import Preprocessing
from nervure.data.records import Category, Classes, Numeric, TableInput, Text
from nervure.data.scaling import Affine
from nervure.diagnosis.rows import Study
from nervure.layers import INFERENCE, Pass
from nervure.layers.entrance import TextCodes, entrance
from nervure.serving.app import make_app
from nervure.serving.model import described, open_served
from nervure.serving.service import Limits, Service
from nervure.sklearn import NeuralNetClassifier, TableEncoder, TabularClassifier

GOOD = ("great", "lovely", "fine", "excellent", "happy", "pleasant")
BAD = ("awful", "broken", "terrible", "poor", "sad", "slow")
ELSE = [
    "the",
    "room",
    "staff",
    "bed",
    "view",
    "price",
    "was",
    "and",
    "very",
    "we",
    "found",
    "hotel",
    "city",
    "near",
]


def reviews(rows: int = 300, seed: int = 0) -> dict[str, list[Any]]:
    """Bookings that tell rows apart, texts of which some are missing, and what hangs on
    their words alone."""
    rng = np.random.default_rng(seed)
    table: dict[str, list[Any]] = {n: [] for n in ("booking", "review", "city", "good")}
    for i in range(rows):
        good = bool(i % 2)
        words = [
            *rng.choice(ELSE, rng.integers(4, 9)),
            rng.choice(GOOD if good else BAD),
        ]
        rng.shuffle(words)
        table["booking"].append(f"{rng.integers(2**60):015x}-{i}")
        table["review"].append(None if i % 60 == 59 else " ".join(words))
        table["city"].append(("Rome", "Oslo", "Lima")[i % 3])
        table["good"].append("yes" if good else "no")
    return table


def write(path: Path, table: dict[str, list[Any]]) -> Path:
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(table)
        rows.writerows(zip(*table.values(), strict=True))
    return path


def noted(data: Any) -> list[str]:
    """What is said of free text and of what is dropped."""
    begins = ("free text", "dropped", "missing")
    return [line for line in data.description if line.startswith(begins)]


# -- words and characters --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't PANIC: 42 towels, a_b!", ["don't", "panic", "42", "towels", "a_b"]),
        ("l\u2019\xe9t\xe9 E\u0301t\u0301", ["l'\xe9t\xe9", "\xe9t\u0301"]),
        ("Stra\xdfe STRASSE", ["strasse", "strasse"]),
        ("foo-bar 'quoted' x''y", ["foo", "bar", "quoted", "x", "y"]),
        ("\uff34\uff52\uff59", ["try"]),  # full width
        ("日本語abc テ 2024", ["日", "本", "語", "abc", "テ", "2024"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("ok 👍🏽❤️", ["ok", "👍", "🏽", "❤"]),
        ("", []),
        (" .,;\n\t", []),
    ],
)
def test_the_words_of_a_text(text: str, words: list[str]) -> None:
    assert tokens(text, "words", 99) == words


def test_the_characters_of_a_text() -> None:
    assert tokens(" No \n way! ", "characters", 99) == list("no way!")
    assert tokens("e\u0301X", "characters", 99) == ["\xe9", "x"]
    assert tokens("abcdef", "characters", 3) == ["a", "b", "c"]


LONG = [
    pytest.param(text, id=repr(text[:6]))
    for text in ("a" * 10**6, "ab " * 10**6, " " * 10**6, "'" * 10**6, "a'" * 10**6)
]


@pytest.mark.parametrize("text", LONG)
def test_no_more_of_a_long_text_is_kept_than_asked_for(text: str) -> None:
    for unit in ("words", "characters"):
        found = tokens(text, unit, 5)  # pyright: ignore[reportArgumentType]
        assert len(found) <= 5
    assert mean_words([text]) <= 1_000


def counted(*texts: str, rows: list[int] | None = None, unit: Any = "words") -> Any:
    counts = np.array(rows or [1] * len(texts))
    return learnt(texts, counts, unit)


def test_a_vocabulary_holds_what_two_rows_have_those_of_most_rows_first() -> None:
    kept, length, covered = counted("b a a x", "b a y", "b c z", "c")
    assert kept == ("b", "a", "c")  # a and c are in two rows each
    assert length == 4
    assert covered == 7 / 10  # x, y and z are in one row each
    kept, _, _ = counted("one row", "another", rows=[2, 1])
    assert kept == ("one", "row")


def test_a_vocabulary_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a b c d", "a b c", "a b"]
    assert counted(*texts)[0] == ("a", "b", "c")
    monkeypatch.setattr(of_tokens, "MOST_TOKENS", 2)
    assert counted(*texts)[0] == ("a", "b")
    monkeypatch.setattr(of_tokens, "MOST_TEXTS", 2)
    assert counted("p q", "a", "p", "a")[0] == ("p",)  # every second
    word = "w" * (of_tokens.LONGEST_TOKEN + 1)
    assert counted(word, word, "a", "a")[0] == ()


def test_so_much_of_a_text_is_kept_that_19_of_20_are_whole() -> None:
    texts = [*(f"w{i} a" for i in range(95)), *("a " * 50 for _ in range(5))]
    assert counted(*texts)[1] == 2
    assert counted(*texts[:-1], "a b c")[1] == 50 - 48  # still 95 of 100
    assert counted(*texts[5:], *texts[95:])[1] == 50
    assert counted(*(["a " * 10**5] * 3))[1] == LONGEST["words"]


# -- what a column is ------------------------------------------------------------------


def test_a_column_of_sentences_is_taken_as_text_and_said() -> None:
    data = load(reviews(), target="good")
    assert noted(data) == [
        "free text: review (the first 9 words of each text; vocabulary of 26, 100% of "
        'the words of the training rows; data.columns.review = "characters" reads '
        'characters, data.columns.review = "drop" leaves it out)',
        "missing values, filled and flagged: review (5 of 300, texts without words)",
        "dropped: booking (300 different texts in 300 rows: looks like an identifier; "
        'data.columns.booking = "text" takes its words)',
    ]
    assert data.preprocessing.categories == (TextCodes(28, 9),)


ROWS = 60
OTHERS = {
    "a UUID": [f"{i:08x}-41d4-a716-4466-{i:012x}" for i in range(ROWS)],
    "names": [f"Ann{i} Smith{i}" for i in range(ROWS)],
    "numbers in a row": [f"{i} {i + 1} {i + 2} {i + 3}" for i in range(ROWS)],
    "few sentences": [f"this is text {i % 7}" for i in range(ROWS)],
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_free_text_stays_what_it_was(name: str) -> None:
    table = {"t": OTHERS[name], "x": [i % 13 for i in range(ROWS)]}
    table["y"] = ["a", "b"] * (ROWS // 2)
    data = load(table, target="y")
    assert not any(line.startswith("free text") for line in data.description)
    named = load(table, target="y", columns={"t": "characters"})
    assert "free text: t (the first" in named.summary()
    assert "characters of each text" in named.summary()


def test_words_that_stand_alone_are_said() -> None:
    texts = ["很好的房间和服务" + chr(0x4E00 + i) for i in range(ROWS)]
    data = load({"t": texts, "y": ["a", "b"] * 30}, target="y")
    assert "; each character of its script is a word; data.columns" in data.summary()


@pytest.mark.parametrize(
    ("values", "use", "text"),
    [
        (
            list(pd.date_range("2020-01-01", periods=ROWS)),
            "text",
            r"column 't' holds dates; expected text, numbers or booleans for free text; "
            "choose another encoding",
        ),
        (
            [f"a{i} b{i} c{i}" for i in range(ROWS)],
            None,
            r"dropped: t \(60 different texts, without a word that is in two rows\)",
        ),
        ([""] * ROWS, "text", r"t \(1 different text, without a word that is in two"),
        (
            ["a b c"] * ROWS,
            "txt",
            r"encoding of column 't': 'txt'; did you mean 'text'",
        ),
        ([1, "a"] * 30, "text", "column 't' holds int and str; expected numbers, text"),
    ],
)
def test_columns_that_cannot_be_text(values: Any, use: Any, text: str) -> None:
    columns = None if use is None else {"t": use}
    with pytest.raises(DataError, match=text):
        load({"t": values, "y": ["a", "b"] * 30}, target="y", columns=columns)


def test_numbers_and_truth_values_may_be_asked_for_as_text() -> None:
    table = {"n": [i % 3 for i in range(ROWS)], "b": [i % 2 > 0 for i in range(ROWS)]}
    table["y"] = ["a", "b"] * 30
    data = load(table, target="y", columns={"n": "text", "b": "text"})
    n, b = data.preprocessing.inputs.columns
    assert (n.vocabulary, b.vocabulary) == (("0", "1", "2"), ("false", "true"))
    assert data.inputs[:3].tolist() == [[2, 2], [3, 3], [4, 2]]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", "pandas", "polars"])
def test_every_kind_of_table_gives_the_same_codes(tmp_path: Path, suffix: str) -> None:
    table = reviews(80)
    frames: dict[str, Callable[[], Any]] = {
        ".csv": lambda: write(tmp_path / "t.csv", table),
        ".parquet": lambda: _parquet(tmp_path / "t.parquet", table),
        "pandas": lambda: pd.DataFrame(table),
        "polars": lambda: pl.DataFrame(table),
    }
    source = frames[suffix]()
    plain = load(table, target="good")
    found = load(source, target="good")
    assert found.inputs.tolist() == plain.inputs.tolist()
    assert found.preprocessing == plain.preprocessing


def _parquet(path: Path, table: dict[str, list[Any]]) -> Path:
    pl.DataFrame(table).write_parquet(path)
    return path


def test_rows_held_out_have_no_say() -> None:
    table = reviews(100)
    held = load(table, target="good", held_out=0.3, seed=1).held_out_rows
    assert held is not None
    for row in held:
        table["review"][row] = "unheard of in training, unheard " * 9
    data = load(table, target="good", held_out=0.3, seed=1)
    (text,) = [c for c in data.preprocessing.inputs.columns if isinstance(c, Text)]
    assert not {"unheard", "of", "training"} & {*text.vocabulary}
    assert text.length < 10
    assert (data.inputs[held][:, -text.length :] == 1).mean() > 0.7


# -- codes -----------------------------------------------------------------------------


@pytest.fixture
def record() -> Preprocessing:
    """A number, and a text of up to four words of three that are known."""
    text = Text("t", ("good", "bad", "room"), 4)
    number = Numeric("x", Affine(mean=0.0, scale=1.0))
    table = TableInput(("t", "x"), (number, text))
    return Preprocessing(table, Classes("y", ("a", "b")))


def test_words_stand_at_the_end_of_a_row(record: Preprocessing) -> None:
    texts = ["A good room", "bad", None, "", "good " * 10**5, "good strange bad"]
    found = record.encode({"t": texts, "x": [7] * 6})
    assert found.tolist() == [
        [7, 0, 1, 2, 4],
        [7, 0, 0, 0, 3],
        [7, 0, 0, 0, 0],
        [7, 0, 0, 0, 0],
        [7, 2, 2, 2, 2],
        [7, 0, 2, 1, 3],
    ]


def test_numbers_in_a_column_of_text_are_as_they_are_written() -> None:
    table = TableInput(("t",), (Text("t", ("12", "0", "5", "true"), 2),))
    record = Preprocessing(table, Classes("y", ("a", "b")))
    assert record.encode({"t": [12, 7, None]}).tolist() == [[0, 2], [0, 1], [0, 0]]
    assert record.encode({"t": [0.5, 12.25]}).tolist() == [[3, 4], [2, 1]]
    assert record.encode({"t": [True]}).tolist() == [[0, 5]]
    assert record.encode({"t": [None, None]}).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(DataError, match="column 't' holds dates; expected text, as in"):
        record.encode({"t": pd.Series(pd.to_datetime(["2020-01-01"]))})


def test_many_rows_are_laid_out_in_parts(record: Preprocessing) -> None:
    texts = ["good", "bad room", None] * 3_000
    found = record.encode({"t": texts, "x": range(9_000)})
    assert (found[:, 1:] == np.tile(found[:3, 1:], (3_000, 1))).all()


def test_texts_of_nothing_that_is_known_are_told(record: Preprocessing) -> None:
    text = (
        r"\[rows\] column 't': 2 of 3 texts hold none of the words of training; the "
        "network knows nothing of them: are they in another language"
    )
    with pytest.warns(DataWarning, match=text):
        record.encode({"t": ["sehr schön", "gut", "room", ""], "x": [0] * 4})


def test_rows_that_are_too_large_name_the_longest_text(
    record: Preprocessing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NERVURE_MOST_BYTES", "1000")
    text = r'takes 2,000 bytes; .*1,000; data.columns.t = "drop", or use fewer rows'
    with pytest.raises(DataError, match=text):
        record.encode({"t": ["good"] * 100, "x": [0] * 100})


# -- the record ------------------------------------------------------------------------


def test_the_record_goes_through_json(record: Preprocessing) -> None:
    assert Preprocessing.from_json(json.dumps(record.to_json())) == record
    assert record.feature_names() == ["x", "t[0]", "t[1]", "t[2]", "t[3]"]
    assert record.categories == (TextCodes(5, 4),)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"length": 0}, r"0 words of a text; expected 1 to 10,000"),
        ({"length": 10**9}, r"1,000,000,000 words of a text; expected 1 to"),
        ({"vocabulary": []}, r"0 words; expected 1 to 1,000,000"),
        (
            {"vocabulary": ["a", "a"]},
            r"inputs.columns\[1\]: one of its words twice; the",
        ),
        ({"vocabulary": ["a" * 51]}, r"words of no or over 50 characters"),
        ({"vocabulary": [""]}, r"words of no or over 50 characters"),
        ({"unit": "bytes"}, "unit"),
    ],
)
def test_a_damaged_record_is_refused(
    record: Preprocessing, change: dict[str, Any], text: str
) -> None:
    document = record.to_json()
    document["inputs"]["columns"][1].update(change)
    with pytest.raises(DataError, match=text):
        Preprocessing.from_json(document)


def test_codes_before_other_columns_are_refused() -> None:
    text, town = Text("t", ("a",), 1), Category("c", ("a",), embedded=True)
    with pytest.raises(DataError, match="codes before other columns"):
        TableInput(("t", "c"), (text, town))
    assert TableInput(("t", "c"), (town, text)).embedded == (town, text)


# -- layers ----------------------------------------------------------------------------

WEIGHT = np.array([[99.0, 99], [1, 10], [2, 20], [3, 30]])


@pytest.mark.parametrize("executor", ["native", "jax"])
@pytest.mark.parametrize(
    ("pooling", "first"),
    [("mean", [7 / 3, 70 / 3]), ("root", [7 / 3**0.5, 70 / 3**0.5]), ("sum", [7, 70])],
)
def test_the_vectors_of_a_bag(executor: str, pooling: str, first: list[float]) -> None:
    if executor == "jax":
        pytest.importorskip("jax")
    layers = [nv.Input(4), nv.EmbeddingBag(4, 2, pooling)]
    net = nv.Network(layers, dtype="float64")
    net.parameters["embedding_bag.weight"] = WEIGHT
    y = net.forward([[0, 2, 2, 3], [0, 0, 0, 0], [1, 0, 0, 0]], executor=executor)
    np.testing.assert_allclose(y, [first, [0, 0], [1, 10]], rtol=1e-6)


def test_the_gradient_of_a_bag_is_shared_by_its_words() -> None:
    """Of the sum of y / 2 rows: a word of a bag of n has 1 / (2 n) each time."""
    net = nv.Network([nv.Input(3), nv.EmbeddingBag(4, 2, "mean")], dtype="float64")

    def total(output: Any, target: Any) -> tuple[float, Any]:
        return float(output.sum() / 2), np.ones_like(output) / 2

    found = net.trace([[0, 1, 1], [3, 1, 2]], np.zeros((2, 2)), loss=total)
    gradient = found["embedding_bag"].gradient["weight"]
    np.testing.assert_allclose(gradient[:, 0], [0, 1 / 2 + 1 / 6, 1 / 6, 1 / 6])


def test_words_that_are_left_out_make_the_others_count_more() -> None:
    layer = nv.EmbeddingBag(2, 1, "sum", dropout=0.75)
    x, weight = np.ones((1, 40_000)), {"weight": np.array([[9.0], [1.0]])}
    (still,) = layer.formula(np, weight, x, info=INFERENCE)
    (found,) = layer.formula(np, weight, x, info=Pass(training=True, seed=3))
    assert still == 40_000
    assert found % 4 == 0  # each that is left counts 4 times
    assert found == pytest.approx(40_000, rel=0.05)


def test_the_place_of_no_word_never_learns() -> None:
    net = nv.Network([nv.Input(3), nv.EmbeddingBag(3, 4), nv.Dense(1)])
    assert not net.parameters["embedding_bag.weight"][0].any()
    X, y = [[0, 1, 2], [0, 0, 1]], [[1.0], [2.0]]
    nv.fit(net, X, y, optimizer=nv.SGD(0.1), epochs=20, progress=False)
    assert not net.parameters["embedding_bag.weight"][0].any()


def test_numbers_categories_and_texts_become_one_row() -> None:
    layer = nv.EmbedText((4, 3), (2, 1), 2, "sum", columns=(3,), columns_dim=1)
    net = nv.Network([nv.Input(5), layer], dtype="float64")
    net.parameters["embed_text.embedding.weight"] = [[0], [5], [6]]
    net.parameters["embed_text.weight"] = WEIGHT
    net.parameters["embed_text.embedding_bag.weight"] = [[0, 0], [7, 7], [8, 8]]
    assert net.forward([[0.5, 2, 1, 3, 2]]).tolist() == [[0.5, 6, 4, 40, 8, 8]]
    sizes = [dict(zip(f.columns, f.sizes, strict=True)) for f in net.graph.codes]
    found = {int(c): int(size) for own in sizes for c, size in own.items()}
    assert found == {1: 3, 2: 4, 3: 4, 4: 3}


@pytest.mark.parametrize(
    ("categories", "kinds"),
    [
        ((TextCodes(9, 3),), ["input", "embed_text"]),
        ((7, TextCodes(9, 3)), ["input", "embed_text"]),
        ((7, TextCodes(9, 2), TextCodes(5, 1)), ["input", "embed_text"]),
    ],
)
def test_the_first_layers_for_texts(categories: Any, kinds: list[str]) -> None:
    begin = entrance((4,), categories)
    assert [layer.kind for layer in begin] == kinds
    assert nv.Network([*begin, nv.Dense(1)]).graph.output_shapes == ((1,),)
    own = [nv.Slice(-3), nv.EmbeddingBag(9)]
    assert [layer.kind for layer in entrance((4,), categories, own)] == ["input"]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nv.EmbeddingBag(0), r"\[embedding_bag\] categories = 0; use one num"),
        (lambda: nv.EmbeddingBag((3, 4)), r"categories = \(3, 4\); use a whole number"),
        (lambda: nv.EmbeddingBag(3, 0), r"dim = 0; use vectors of at least 1 number"),
        (
            lambda: nv.EmbeddingBag(3, 2, "max"),
            r"unknown pooling 'max'.*mean, root, sum",
        ),
        (lambda: nv.EmbeddingBag(3, dropout=1), r"dropout = 1; use a fraction in \[0"),
        (lambda: nv.EmbedText(3, 0), r"length = 0; give a text at least 1 column"),
        (lambda: nv.EmbedText((3, 4), 2), "2 categories for 1 lengths; give both for"),
        (lambda: nv.EmbedText(3, 2, columns=(0,)), r"categories = \(0,\); use one"),
        (
            lambda: nv.Network([nv.Input(3), nv.EmbedText(5, 4)]),
            r"input of shape \(3,\), expected at least 4 columns, the last of them codes",
        ),
        (
            lambda: nv.Network([nv.Input(()), nv.EmbeddingBag(5)]),
            r"input of shape \(\), expected \(..., length\)",
        ),
    ],
)
def test_layers_that_cannot_be(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


# -- networks --------------------------------------------------------------------------


def test_a_network_learns_from_words() -> None:
    data = load(reviews(), target="good", numbers="robust")
    spec = nv.tabular.default(data)
    assert [entry.layer.kind for entry in spec.layers[:2]] == [
        "embed_text",
        "ensemble_dense",
    ]
    run = nv.fit_spec(spec, data, progress=False, epochs=20)
    new = reviews(100, seed=5)
    answers = run.network.predict_classes({n: new[n] for n in ("review", "city")})
    there = [i for i, text in enumerate(new["review"]) if text]
    assert np.mean(answers[there] == np.array(new["good"])[there]) > 0.95


def test_several_texts_beside_categories_and_nothing_else() -> None:
    table = reviews(120)
    both = {"a": table["review"], "b": table["review"][::-1]}
    both |= {"shop": [f"s{i % 40}" for i in range(120)], "y": table["good"]}
    data = load(both, target="y")
    assert data.preprocessing.categories[0] == 41
    net = nv.Network([*data.entrance(), nv.Dense(2, "softmax")], seed=0)
    run = nv.fit(net, data, epochs=3, progress=False)
    assert run.history["loss"][-1] < run.history["loss"][0]
    assert net.preprocessing == data.preprocessing


def test_codes_that_a_network_would_take_for_numbers() -> None:
    data = load(reviews(), target="good")
    net = nv.Network([nv.Input(data.inputs.shape[1:]), nv.Dense(2, "softmax")])
    text = (
        r"column 'review' holds codes from 0 to 27; expected an embedding of 28 "
        r"categories that reads it; .*columns=\{'review': 'drop'\}"
    )
    with pytest.raises(ValueError, match=text):
        nv.fit(net, data, progress=False)
    some = [nv.Input(data.inputs.shape[1:]), nv.Slice(-4), nv.EmbeddingBag(28)]
    with pytest.raises(ValueError, match="column 'review' holds codes"):
        nv.fit(nv.Network([*some, nv.Dense(2, "softmax")]), data, progress=False)


GRU = """
[data]
source = "{source}"
target = "good"
[[layer]]
type = "input"
name = "row"
shape = [12]
[[layer]]
type = "slice"
name = "words"
begin = -9
inputs = ["row"]
[[layer]]
type = "embedding"
categories = 28
dim = 8
unknown = true
[[layer]]
type = "gru"
name = "read"
units = 16
[[layer]]
type = "slice"
name = "others"
end = -9
inputs = ["row"]
[[layer]]
type = "concatenate"
inputs = ["read", "others"]
[[layer]]
type = "dense"
units = 2
activation = "softmax"
[training]
loss = "cross_entropy"
optimizer = {{type = "adam", learning_rate = 0.01}}
epochs = 20
"""


def test_a_gru_reads_the_words_in_order(tmp_path: Path) -> None:
    source = write(tmp_path / "r.csv", reviews())
    (tmp_path / "gru.toml").write_text(GRU.format(source=source))
    run = nv.fit_spec(nv.load_spec(tmp_path / "gru.toml"), progress=False)
    assert run.history["accuracy"][-1] > 0.95


# -- what follows ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the command line on a file with texts."""
    here = tmp_path_factory.mktemp("text")
    table = write(here / "reviews.csv", reviews())
    few = ["--set", "training.epochs=20", "-q", "--out", str(here / "run")]
    assert run(["train", str(table), "--target", "good", *few]) == 0
    return here


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run(list(words)) == 0
    return capsys.readouterr().out


def test_the_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, table = str(folder / "run"), str(folder / "reviews.csv")
    spec = (folder / "run" / "spec.toml").read_text()
    assert 'type = "embed_text"\ncategories = 28\nlength = 9\ndropout = 0.5' in spec
    new = folder / "new.csv"
    new.write_text("review,city\n12 lovely rooms,Rome\nso awful,Oslo\n,Lima\n")
    answers = told(capsys, "predict", model, str(new)).split()
    assert answers[:3] == ["prediction", "yes", "no"]
    assert len(answers) == 4
    assert "accuracy" in told(capsys, "evaluate", model, table)
    assert "city=Rome, review (9 words of 26)" in told(capsys, "inspect", model)


def test_a_model_says_what_it_says_after_it_was_read_again(folder: Path) -> None:
    net = nv.load(folder / "run" / "model.safetensors")
    rows = {"review": ["lovely bed", None], "city": ["Rome", "Oslo"]}
    again = Preprocessing.from_json(net.preprocessing.to_json())
    assert again.encode(rows).tolist() == net.preprocessing.encode(rows).tolist()


def test_the_option_that_reads_characters(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--set", "training.epochs=1", "-q", "--out", str(folder / "letters")]
    use = ["--set", "data.columns.review=characters", "--set", "data.columns.city=drop"]
    table = str(folder / "reviews.csv")
    said = told(capsys, "train", table, "--target", "good", *use, *few)
    assert "review (the first 47 characters of each text; vocabulary of " in said
    assert "city (as asked for)" in said


def test_export_without_the_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ort = pytest.importorskip("onnxruntime")
    model, file = str(folder / "run"), folder / "net.onnx"
    assert run(["export", model, "--out", str(file)]) == 2
    assert capsys.readouterr().err == (
        "error: [export] ONNX cannot hold the preprocessing of column 'review' (text); "
        "expected numbers, dates, categories or arrays; use preprocessing=False "
        "(nervure export --no-raw) and encode rows with net.preprocessing.encode\n"
    )
    told(capsys, "export", model, "--no-raw", "--out", str(file))
    net = nv.load(folder / "run" / "model.safetensors")
    X = net.preprocessing.encode(str(folder / "reviews.csv"))
    session = ort.InferenceSession(str(file))
    (found,) = session.run(None, {session.get_inputs()[0].name: X})
    np.testing.assert_allclose(found, net.forward(X), atol=1e-6)


def test_serving(folder: Path) -> None:
    served = open_served(folder / "run")
    kinds = {c["name"]: c for c in described(served)["columns"]}
    assert kinds["review"] == {
        "name": "review",
        "kind": "text",
        "levels": [],
        "long": True,
    }
    row = {"review": "lovely and fine", "city": "Rome"}
    right = asyncio.run(_asked(served, [row, row | {"review": None}]))
    assert right.status_code == 200, right.text
    assert right.json()["predictions"][0]["prediction"] == "yes"
    wrong = asyncio.run(_asked(served, [row | {"review": 12}]))
    assert wrong.status_code == 400
    assert wrong.json()["error"] == (
        "[row 0] column 'review' holds 12; expected text, as in training; write it in "
        "quotes, or null if there is none"
    )


async def _asked(served: Any, rows: list[Any]) -> httpx.Response:
    service = Service(served, Limits())
    transport = httpx.ASGITransport(make_app(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as one:
        return await one.post("/predict", json=rows)


def test_the_doctor_knows_what_words_tell(folder: Path) -> None:
    """A simple model of words tells the target, one of codes as numbers nothing."""
    subject = nv.diagnose(folder / "run").subject
    assert subject.case().best > 0.8
    prepared = subject.prepared
    assert prepared is not None
    assert Study(prepared.data, prepared.rows, None).yields.best < 0.4


# -- estimators ------------------------------------------------------------------------


def test_the_encoder_of_frames() -> None:
    frame = pd.DataFrame(reviews()).drop(columns="good")
    encoder = TableEncoder().fit(frame)
    assert encoder.codes_ == (TextCodes(28, 9),)
    assert encoder.get_feature_names_out()[-1] == "review[8]"
    assert "free text: review (the first 9 words" in "\n".join(encoder.description_)
    assert encoder.transform(frame).shape == (300, 12)
    without = TableEncoder(columns={"review": "drop"}).fit(frame)
    assert without.codes_ == ()


@pytest.mark.parametrize(
    "make",
    [
        lambda: TabularClassifier(members=4, epochs=15, random_state=0),
        lambda: NeuralNetClassifier(epochs=30, random_state=0),
    ],
    ids=["tabular", "net"],
)
def test_estimators_take_frames_with_texts(make: Any) -> None:
    frame, new = pd.DataFrame(reviews()), pd.DataFrame(reviews(59, seed=3))
    columns = ["review", "city"]
    model = make().fit(frame[columns], frame["good"])
    assert model.score(new[columns], new["good"]) > 0.95


# -- beside another way ----------------------------------------------------------------


def test_doc_strings_are_told_apart_as_by_tfidf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examples = Path(__file__).resolve().parents[1] / "examples"
    monkeypatch.syspath_prepend(str(examples))
    import text_columns as example

    packages = ("asyncio", "email", "logging")
    own, held = example.halves(example.docstrings(3, packages))
    ours = example.of_network(own, held, example.Given())
    assert ours > example.of_tfidf(own, held) - 0.02
    assert ours > 0.9
