# SPDX-License-Identifier: BSD-3-Clause
"""Pickles made to take all time or memory: the reader has a budget."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nervure.exchange._pickle import Global, Meaning, PickleError, read_pickle
from nervure.exchange._torch_file import _MEANING, read_torch
from nervure.zoo import CheckpointError

NO_CODE = Meaning(lambda name: False, lambda *call: None, lambda key: None)


def read(program: bytes, meaning: Meaning = _MEANING) -> Any:
    return read_pickle(io.BytesIO(program), meaning)


def word(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


ORDERED = b"ccollections\nOrderedDict\n"


def put(n: int) -> bytes:
    return b"r" + struct.pack("<I", n)


def get(n: int) -> bytes:
    return b"j" + struct.pack("<I", n)


def doubled(times: int) -> bytes:
    """A tuple of two references to a tuple of two ...: 2^times leaves."""
    steps = [get(i) + get(i) + b"\x86" + put(i + 1) + b"0" for i in range(times)]
    return b"N" + put(0) + b"0" + b"".join(steps) + get(times)


PROGRAMS: dict[str, tuple[bytes, str]] = {
    "nested tuples": (
        b"\x80\x02N" + b"\x85" * 900_000 + b".",
        "values nested more than 100 deep",
    ),
    "nested lists": (
        b"\x80\x02" + b"(" * 200 + b"l" * 200 + b".",
        "values nested more than 100 deep",
    ),
    "nested dictionaries": (
        b"\x80\x02" + b"}K\x00" * 200 + b"N" + b"s" * 200 + b".",
        "values nested more than 100 deep",
    ),
    "the same tuple in itself twice, as a name of code": (
        b"\x80\x04" + doubled(90) + word("x") + b"\x93.",
        "a name of code that is no text",
    ),
    "one list read again and again": (
        b"\x80\x02]("
        + b"".join(word(f"{i:05d}") + b"N\x86" for i in range(50_000))
        + b"e" + put(0) + b"0"
        + (ORDERED + get(0) + b"\x85R0") * 5_000
        + b"N.",
        "more than 4,000,000 values",
    ),
    "a number of a million digits": (
        b"\x80\x02\x8b" + struct.pack("<i", 400_000) + b"\x01" * 400_000 + b".",
        "a number of more than 128 bits",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_pickle_has_a_budget(name: str) -> None:
    """Each hung, or took more than a gigabyte, or ended in RecursionError."""
    program, fact = PROGRAMS[name]
    with pytest.raises(PickleError) as caught:
        read(program)
    assert fact in str(caught.value)


def test_steps_are_counted() -> None:
    with pytest.raises(PickleError, match="a pickle of over 1,000,000 steps"):
        read(b"\x80\x02" + b"N0" * 500_001 + b"N.")


def test_a_doubled_tuple_alone_is_small_and_harmless() -> None:
    """Nobody walks through it."""
    assert isinstance(read(b"\x80\x02" + doubled(60) + b"."), tuple)


def test_what_nests_as_training_checkpoints_do_is_read() -> None:
    value: Any = {"lr": 0.1}
    for _ in range(20):
        value = {"groups": [value, (1, "a")]}
    assert read(pickle.dumps(value, 2), NO_CODE) == value


def test_a_torch_file_of_such_a_pickle_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "deep.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", PROGRAMS["nested tuples"][0])
    message = (
        r"^\[.*deep.pth\] damaged: values nested more than 100 deep; expected a ch"
    )
    with pytest.raises(CheckpointError, match=message):
        read_torch(str(path))


def test_names_are_compared_as_text_alone() -> None:
    meaning = Meaning(lambda name: name == Global("a", "b"), lambda *c: 1, lambda k: k)
    assert read(b"\x80\x04" + word("a") + word("b") + b"\x93.", meaning) == Global(
        "a", "b"
    )


def test_an_archive_of_very_many_files_is_damaged(tmp_path: Path) -> None:
    """Each of a file's 46 bytes took half a kilobyte of memory."""
    path = tmp_path / "many.pth"
    entry = b"PK\x01\x02" + b"\0" * 42
    count = (16 << 20) // len(entry) + 1
    size = count * len(entry)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, size, 0, 0)
    path.write_bytes(entry * count + end)
    message = r"\] damaged: a list of files of 16,777,258 bytes; expected a checkpoint"
    with pytest.raises(CheckpointError, match=message):
        read_torch(str(path))
