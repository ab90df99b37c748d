# SPDX-License-Identifier: BSD-3-Clause
"""Records: read while they are written, cut off, of another version, and foreign."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.record import FORMAT, RecordError


@pytest.fixture
def folder(blobs: Any, tmp_path: Path) -> Path:
    """The folder of a run of five epochs."""
    net = nv.Network([nv.Input(2), nv.Dense(4, "relu"), nv.Dense(3, "softmax")], seed=0)
    nv.fit(net, *blobs, epochs=5, directory=tmp_path / "run", progress=False)
    return tmp_path / "run"


def test_columns_of_epochs_and_steps(folder: Path) -> None:
    record = nv.Record.read(folder)
    assert record.format == FORMAT
    assert record.layers == ("dense", "dense_1")
    assert record.parameters[0] == "dense.weight"
    assert record["loss"].shape == record.epochs.shape == (5,)
    samples = len(record.steps)
    assert record["delta"].shape == (samples, 2)
    assert record["ratio"].shape == (samples, 4)
    assert record["rate"].shape == record["cost"].shape == (samples,)
    assert np.isfinite(record["delta"]).all()
    assert "loss" in record
    assert "nothing" not in record
    assert repr(record) == f"<Record 5 epochs, {samples} sampled steps of 2 layers>"


def test_a_column_that_nobody_measured(folder: Path) -> None:
    with pytest.raises(KeyError, match="unknown column 'lost'; did you mean 'loss'"):
        nv.Record.read(folder)["lost"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(("of", "rows"), [("layers", 2), ("parameters", 4)])
def test_frames(folder: Path, library: str, of: str, rows: int) -> None:
    pytest.importorskip(library)
    record = nv.Record.read(folder)
    frame = record.frame(of, library=library)
    assert len(frame) == rows * len(record.steps)
    columns = record.columns(of)
    assert list(frame.columns) == list(columns)
    epochs = record.frame("epochs", library=library)
    assert len(epochs) == 5


def test_names_of_tables_and_libraries(folder: Path) -> None:
    record = nv.Record.read(folder)
    with pytest.raises(ValueError, match=r"unknown table 'layer'.*'layers'"):
        record.columns("layer")
    with pytest.raises(ValueError, match=r"unknown library 'panda'.*'pandas'"):
        record.frame(library="panda")


def test_a_last_line_that_was_cut_off_is_left_out(folder: Path) -> None:
    path = folder / "record.jsonl"
    whole = path.read_bytes()
    known = nv.Record.read(folder).events
    for cut in (1, 5, len(whole.splitlines()[-1])):
        path.write_bytes(whole[:-cut])
        found = nv.Record.read(folder).events
        # Without its line feed alone the line is whole.
        assert found == (known if cut == 1 else known[:-1])


def test_a_line_that_is_no_event(folder: Path) -> None:
    path = folder / "record.jsonl"
    lines = path.read_text().splitlines()
    for wrong in ("[1, 2]", "{", "7"):
        path.write_text("\n".join([lines[0], wrong, *lines[1:]]))
        with pytest.raises(RecordError, match=r"line 2 is no event: .*JSON object"):
            nv.Record.read(folder)


def test_a_line_nested_without_end(folder: Path) -> None:
    path = folder / "record.jsonl"
    path.write_text(path.read_text() + "[" * 100_000 + "\n")
    with pytest.raises(RecordError, match="is no event"):
        nv.Record.read(folder)


def test_a_later_format_is_refused(folder: Path) -> None:
    path = folder / "record.jsonl"
    first, *rest = path.read_text().splitlines()
    later = json.loads(first) | {"format": FORMAT + 1}
    path.write_text("\n".join([json.dumps(later), *rest]))
    text = f"is of format {FORMAT + 1}; expected at most {FORMAT}; read it with the"
    with pytest.raises(RecordError, match=text):
        nv.Record.read(folder)


def test_an_earlier_format_has_no_steps(tmp_path: Path) -> None:
    lines = [
        '{"event": "begin", "again": []}',
        '{"event": "epoch", "epoch": 0, "loss": 1}',
    ]
    path = tmp_path / "record.jsonl"
    path.write_text("\n".join(lines))
    record = nv.Record.read(path)
    assert record["loss"].tolist() == [1.0]
    assert record.layers == ()
    assert record.steps.tolist() == []


def test_unknown_events_and_keys_are_left_alone(folder: Path) -> None:
    path = folder / "record.jsonl"
    known = nv.Record.read(folder)
    path.write_text(path.read_text() + '{"event": "moon", "phase": "full"}\n{"a": 1}\n')
    record = nv.Record.read(folder)
    assert (record["loss"] == known["loss"]).all()
    assert record.of("moon")[0]["phase"] == "full"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "cannot be read: no such file"),
        ("", "is empty; expected the record.jsonl of a run"),
        ("hello\n", "line 1 is no event: .*hello"),
        ('{"event": "epoch", "epoch": 0}\n', "does not begin as a record does"),
    ],
)
def test_what_is_no_record(tmp_path: Path, content: str | None, text: str) -> None:
    if content is not None:
        (tmp_path / "record.jsonl").write_text(content)
    with pytest.raises(RecordError, match=text):
        nv.Record.read(tmp_path)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    """JSON has no NaN: words stand for it."""
    record = nv.Record.read(_with(tmp_path, float("nan"), float("inf")))
    assert np.isnan(record["loss"][0])
    assert record["loss"][1] == np.inf


def _with(folder: Path, *losses: float) -> Path:
    from nervure.record import line_of

    begin = {"event": "begin", "format": FORMAT}
    epochs = [
        {"event": "epoch", "epoch": i, "loss": loss} for i, loss in enumerate(losses)
    ]
    path = folder / "record.jsonl"
    path.write_text("".join(map(line_of, [begin, *epochs])))
    return path


def test_it_can_be_read_while_it_is_written(blobs: Any, tmp_path: Path) -> None:
    counts: list[int] = []

    def look(run: nv.Run) -> None:
        counts.append(len(nv.Record.read(tmp_path / "run").events))

    net = nv.Network([nv.Input(2), nv.Dense(3, "softmax")], seed=0)
    folder = tmp_path / "run"
    nv.fit(net, *blobs, epochs=4, directory=folder, callbacks=[look], progress=False)
    assert counts == sorted(set(counts))
