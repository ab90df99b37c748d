# SPDX-License-Identifier: BSD-3-Clause
"""The run folder: spec.toml, record.jsonl, checkpoints/, model.safetensors."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from nervure.base.files import WriteError, explained, remove_leftovers, write_atomically
from nervure.base.folders import make, remove
from nervure.base.lock import FolderLock
from nervure.base.words import is_list, is_table
from nervure.data.sparse import Sparse
from nervure.record import FORMAT as RECORD_FORMAT
from nervure.record import NAME, line_of
from nervure.spec.tables import DataSpec, Spec
from nervure.training import checkpoint
from nervure.training.state import State

KEPT = 2
"""Checkpoints kept: the latest, and the one before it in case that is damaged."""


class RunFolderError(ValueError):
    """A run folder that cannot be started in, or not be resumed from."""


class RunFolder:
    """Files of one run; every one is written atomically or appended line by line.

    ``data`` says where the rows come from, for the spec. ``chain`` is the spec of an
    autoencoder: its layers, from which the network with all its terms is made.
    """

    def __init__(
        self, path: str | os.PathLike[str], data: DataSpec | None = None
    ) -> None:
        self.path = Path(path)
        self.data = data
        self.chain: Spec | None = None
        self.checkpoints = self.path / "checkpoints"
        self.model = self.path / "model.safetensors"
        self.spec = self.path / "spec.toml"
        self.record = self.path / NAME
        self._lock = FolderLock(self.path)

    def claim(self) -> None:
        """Keep others from this folder until `release`, or the end of the process.

        What killed processes left half-written goes.

        Raises:
            RunFolderError: it is in use.
            WriteError: it cannot be written.
        """
        self._lock.claim(RunFolderError)
        remove_leftovers(self.path)
        remove_leftovers(self.checkpoints)

    def release(self) -> None:
        """Let others work in the folder."""
        self._lock.release()

    def create(
        self,
        spec: str,
        state: State,
        fingerprint: Mapping[str, str],
        again: Sequence[str] = (),
    ) -> None:
        """Begin a run, with a checkpoint of its first state; the folder is claimed.

        The spec is written last: a folder with a spec has everything to resume from.
        ``again`` names what `nervure.resume` must be given again.

        Raises:
            RunFolderError: there is a run already, or one is just begun.
            WriteError: the folder cannot be written.
        """
        made = self.begin(self.checkpoints)
        begin = {"event": "begin", "format": RECORD_FORMAT, "again": list(again)}
        for left in self._found():  # of a process that was killed at this place
            left.unlink()
        try:
            write_atomically(self.record, json.dumps(begin) + "\n")
            self.write_checkpoint(state, fingerprint)
            write_atomically(self.spec, spec)
        except WriteError:
            self.release()
            remove([*self._found(), self.record, *made])
            raise

    def begin(self, inner: Path | None = None) -> list[Path]:
        """Make the folder, perhaps with one inside of it, and claim it for a new run.

        Returns the folders that are new, the innermost first.

        Raises:
            RunFolderError: there is a run already, or one is just begun.
            WriteError: the folder cannot be written.
        """
        self.refuse_run()
        made = make(inner or self.path)
        try:
            self.claim()
            self.refuse_run()  # one that another process has begun meanwhile
        except (RunFolderError, WriteError):
            self.release()
            remove(made)
            raise
        return made

    def refuse_run(self) -> None:
        """Raises `RunFolderError` if there is a run already."""
        if self.spec.exists() or self.model.exists():
            raise RunFolderError(
                f"[{self.path}] holds a run already; expected a new folder; continue "
                "it with nv.resume (nervure train --resume), or choose another"
            )

    def untrained(self) -> bool:
        """Whether there is nothing but the beginning of a run."""
        found = [path.name for path in self._found()]
        return not self.model.exists() and found == [checkpoint.name_of(0)]

    def given_again(self) -> list[str]:
        """Arguments of `fit` that no file can hold, by the record's first line."""
        try:
            with open(self.record, encoding="utf-8") as file:
                begin = cast(object, json.loads(file.readline(10_000)))
        except (OSError, ValueError, RecursionError):
            return []
        again = begin.get("again") if is_table(begin) else None
        return [str(name) for name in again] if is_list(again) else []

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
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise explained(self.record, error) from error

    # -- checkpoints --------------------------------------------------------------

    def write_checkpoint(self, state: State, fingerprint: Mapping[str, str]) -> Path:
        """Write the state, then drop the oldest checkpoints."""
        path = self.checkpoints / checkpoint.name_of(state.step)
        checkpoint.write(path, state, fingerprint, self._record_bytes())
        remove(self._found()[:-KEPT])
        return path

    def read_checkpoint(self, state: State, fingerprint: Mapping[str, str]) -> None:
        """Take over the latest checkpoint that can be read; the folder is claimed.

        Raises:
            RunFolderError: there is none, it belongs to other data or another network,
                or the folder is in use.
        """
        self.claim()
        try:
            self._take_over(state, fingerprint)
        except RunFolderError:
            self.release()
            raise

    def _take_over(self, state: State, fingerprint: Mapping[str, str]) -> None:
        reason = "there is none"
        for path in reversed(self._found()):
            try:
                found = checkpoint.read(path)
            except checkpoint.DamagedError as error:
                reason = str(error)
                continue
            _compare(self.path, found.fingerprint, fingerprint)
            _check_arrays(path, checkpoint.differences(found, state))
            state.restore(found.tensors, found.state)
            self._shorten_record(found.record_bytes)
            return
        raise RunFolderError(
            f"[{self.path}] no checkpoint can be read ({reason}); expected one in "
            f"{self.checkpoints.name}/; begin a new run"
        )

    def _found(self) -> list[Path]:
        """The checkpoints, earliest first."""
        several = self.checkpoints.glob("step-*.safetensors")
        return sorted(path for path in several if checkpoint.NAME.fullmatch(path.name))

    def _shorten_record(self, size: int) -> None:
        """Drop the lines that the checkpoint does not know of, and parts of lines."""
        if not self.record.exists():
            return
        with open(self.record, "r+b") as file:
            known = file.read(size)
            file.truncate(known.rfind(b"\n") + 1)


def fingerprint_of(
    arrays: Mapping[str, Any], words: Mapping[str, str]
) -> dict[str, str]:
    """What must be the same for a run to go on with the same bits."""
    sums = {name: _checksum(array) for name, array in arrays.items()}
    return {**words, **sums}


def _checksum(array: Any) -> str:
    if isinstance(array, Sparse):
        return " ".join(map(_checksum, (array.values, array.columns, array.starts)))
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


def _check_arrays(path: Path, differences: Sequence[str]) -> None:
    if differences:
        raise RunFolderError(
            f"[{path}] array {differences[0]}, for the network, optimizer and metrics "
            "at hand; pass those it was begun with"
        )
