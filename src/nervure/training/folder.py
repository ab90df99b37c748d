# SPDX-License-Identifier: BSD-3-Clause
"""The run folder: spec.toml, record.jsonl, checkpoints/, model.safetensors."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from nervure.base.files import WriteError, explained, remove_leftovers, write_atomically
from nervure.network.modelfile import ModelFileError, read_model, write_model
from nervure.record import FORMAT as RECORD_FORMAT
from nervure.record import NAME, line_of
from nervure.spec.tables import DataSpec
from nervure.training.state import State

KEPT = 2
"""Checkpoints kept: the latest, and the one before it in case that is damaged."""

FORMAT = 1


class RunFolderError(ValueError):
    """A run folder that cannot be started in, or not be resumed from."""


class RunFolder:
    """Files of one run; every one is written atomically or appended line by line.

    ``data`` says where the rows come from, for the spec.
    """

    def __init__(
        self, path: str | os.PathLike[str], data: DataSpec | None = None
    ) -> None:
        self.path = Path(path)
        self.data = data
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model.safetensors"
        self.spec = self.path / "spec.toml"
        self.record = self.path / NAME

    def create(
        self,
        spec: str,
        state: State,
        fingerprint: Mapping[str, str],
        again: Sequence[str] = (),
    ) -> None:
        """Begin a run, with a checkpoint of its first state.

        The spec is written last: a folder with a spec has everything to resume from.
        ``again`` names what `nervure.resume` must be given again.

        Raises:
            RunFolderError: there is a run already.
            WriteError: the folder cannot be written.
        """
        self.refuse_run()
        made = [
            folder
            for folder in (self.checkpoints, self.path, *self.path.parents)
            if not folder.exists()
        ]
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _remove(made)
            raise WriteError(
                f"[{self.path}] cannot be made: {error.strerror}; expected a folder "
                "that may be written; choose another"
            ) from error
        self._clean()
        begin = {"event": "begin", "format": RECORD_FORMAT, "again": list(again)}
        for left in self._found():  # of a process that was killed at this place
            left.unlink()
        try:
            write_atomically(self.record, json.dumps(begin) + "\n")
            self.write_checkpoint(state, fingerprint)
            write_atomically(self.spec, spec)
        except WriteError:
            _remove([*self._found(), self.record, *made])
            raise

    def refuse_run(self) -> None:
        """Raises `RunFolderError` if there is a run already."""
        if self.spec.exists() or self.model.exists():
            raise RunFolderError(
                f"[{self.path}] holds a run already; expected a new folder; continue "
                "it with nv.resume (nervure train --resume), or choose another"
            )

    def untrained(self) -> bool:
        """Whether there is nothing but the beginning of a run."""
        found = [path.stem for path in self._found()]
        return not self.model.exists() and found == [_checkpoint_name(0)]

    def given_again(self) -> list[str]:
        """Arguments of `fit` that no file can hold, by the record's first line."""
        try:
            with open(self.record, encoding="utf-8") as file:
                begin = cast(object, json.loads(file.readline(10_000)))
        except (OSError, ValueError):
            return []
        found = cast(dict[str, Any], begin) if isinstance(begin, dict) else {}
        return [str(name) for name in found.get("again", [])]

    def log(self, event: Mapping[str, Any]) -> None:
        """Append one line to the record.

        Raises:
            WriteError: it cannot be written; the record ends with a whole line.
        """
        size, left = self._record_bytes(), line_of(event).encode()
        try:
            with open(self.record, "ab", buffering=0) as file:
                while left:  # a disk that is almost full takes a part
                    left = left[file.write(left) :]
        except OSError as error:
            self._shorten_record(size)
            raise explained(self.record, error) from error

    def _record_bytes(self) -> int:
        try:
            return self.record.stat().st_size
        except OSError as error:
            raise explained(self.record, error) from error

    # -- checkpoints --------------------------------------------------------------

    def write_checkpoint(self, state: State, fingerprint: Mapping[str, str]) -> Path:
        """Write the state, then drop the oldest checkpoints."""
        path = self.checkpoints / f"{_checkpoint_name(state.step)}.safetensors"
        document = {
            "checkpoint": FORMAT,
            "state": state.document(),
            "fingerprint": dict(fingerprint),
            "record_bytes": self._record_bytes(),
        }
        write_model(path, state.tensors(), document)
        for old in self._found()[:-KEPT]:
            old.unlink(missing_ok=True)
        return path

    def read_checkpoint(self, state: State, fingerprint: Mapping[str, str]) -> None:
        """Take over the latest checkpoint that can be read.

        Raises:
            RunFolderError: there is none, or it belongs to other data or another
                network.
        """
        reason = "there is none"
        self._clean()
        for path in reversed(self._found()):
            try:
                tensors, document = read_model(path)
                parts = document["state"], document["fingerprint"]
            except (ModelFileError, KeyError) as error:
                reason = str(error)
                continue
            _compare(self.path, parts[1], fingerprint)
            _check_arrays(path, state, tensors)
            state.restore(dict(tensors), parts[0])
            self._shorten_record(int(document["record_bytes"]))
            return
        raise RunFolderError(
            f"[{self.path}] no checkpoint can be read ({reason}); expected one in "
            f"{self.checkpoints.name}/; begin a new run"
        )

    def _clean(self) -> None:
        """Remove what killed processes left half-written."""
        remove_leftovers(self.path)
        remove_leftovers(self.checkpoints)

    def _found(self) -> list[Path]:
        return sorted(self.checkpoints.glob("step-*.safetensors"))

    def _shorten_record(self, size: int) -> None:
        """Drop the lines of what the checkpoint does not know of."""
        if self.record.exists() and self.record.stat().st_size > size:
            os.truncate(self.record, size)


def _checkpoint_name(step: int) -> str:
    return f"step-{step:010d}"


def _remove(paths: Sequence[Path]) -> None:
    """Remove files and empty folders, as far as that is possible."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()


def fingerprint_of(
    arrays: Mapping[str, Any], words: Mapping[str, str]
) -> dict[str, str]:
    """What must be the same for a run to go on with the same bits."""
    sums = {name: _checksum(array) for name, array in arrays.items()}
    return {**words, **sums}


def _checksum(array: Any) -> str:
    whole = np.ascontiguousarray(array)
    view = memoryview(cast(Any, whole)).cast("B") if whole.size else b""
    return f"{whole.dtype} {whole.shape} {zlib.crc32(view):08x}"


def _compare(path: Path, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    other = sorted(
        name for name in {*found, *wanted} if found.get(name) != wanted.get(name)
    )
    if other:
        raise RunFolderError(
            f"[{path}] was trained with other {', '.join(other)}; expected the same, "
            "so that the same bits come out; pass what it was begun with, or begin a "
            "new run"
        )


def _check_arrays(path: Path, state: State, tensors: Mapping[str, Any]) -> None:
    # Outputs are of the epoch under way: where none is, other metrics want others.
    passing = ("costs", "weights") if "costs" in tensors else ("costs", "output.")
    for name, array in state.tensors().items():
        if name.startswith(passing):
            continue
        if name not in tensors or tensors[name].shape != array.shape:
            raise RunFolderError(
                f"[{path}] lacks the array {name!r} {array.shape}; expected a "
                "checkpoint of the same network, optimizer and metrics; pass those it "
                "was begun with"
            )
