# SPDX-License-Identifier: BSD-3-Clause
"""A folder that one process works in: numbers, claims, and what is taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.base.files import TEMPORARY, WriteError
from nervure.base.folders import make, numbered, remove
from nervure.base.lock import NAME, FolderLock
from nervure.training.folder import RunFolder, RunFolderError
from nervure.tuning.search import TuneError

X = np.random.default_rng(0).normal(size=(12, 2))
Y = (X[:, 0] > 0).astype(int)
IN_USE = (
    r"^\[.*\] is in use by this process; expected a folder that nobody else works in; "
    r"wait until it has ended, or choose another$"
)


def network() -> nv.Network:
    return nv.Network([nv.Input(2), nv.Dense(2, "softmax")], seed=0)


def fit(folder: Path, *callbacks: Callable[[nv.Run], object], **more: Any) -> nv.Run:
    given = {"epochs": 2, "progress": False, "callbacks": list(callbacks), **more}
    return nv.fit(network(), X, Y, directory=folder, **given)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- numbers ---------------------------------------------------------------------------


def test_numbers_are_taken_by_one_each(tmp_path: Path) -> None:
    """Two that begin together had the same, and one rolled back the other's folder."""
    count, taken = 12, []
    begin, end = threading.Barrier(count), threading.Barrier(count)

    def take() -> None:
        begin.wait()
        with numbered("digits", tmp_path / "runs") as folder:
            taken.append(folder.name)
            (folder / "spec.toml").touch()
            end.wait()

    threads = [threading.Thread(target=take) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"digits-{i + 1}" for i in range(count))
    assert len(left(tmp_path / "runs")) == count


def test_a_number_that_nobody_needed_is_given_back(tmp_path: Path) -> None:
    with numbered("digits", tmp_path / "runs") as folder:
        assert folder.is_dir()
    assert not left(tmp_path)


def test_two_commands_that_begin_together(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nervure", "train", "iris", "-q"]
    command += ["--set", "training.epochs=1"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    texts = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert left(tmp_path / "runs") == ["iris-1", "iris-2"]
    for number in (1, 2):
        assert any(f"saved in runs/iris-{number} " in text for text in texts)
        assert nv.load(tmp_path / f"runs/iris-{number}/model.safetensors")


# -- claims ----------------------------------------------------------------------------


def test_a_folder_is_not_begun_twice_at_once(tmp_path: Path) -> None:
    one, other = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    one.begin()
    with pytest.raises(RunFolderError, match=IN_USE):
        other.begin()
    assert left(tmp_path / "run") == [NAME]  # the other took nothing back
    one.release()
    assert other.begin() == []
    other.release()


def test_a_run_is_not_gone_on_with_by_two(tmp_path: Path) -> None:
    """Two resumed runs mixed their records."""
    folder, said = tmp_path / "run", []

    def again(_: nv.Run) -> None:
        with pytest.raises(RunFolderError, match=IN_USE) as caught:
            nv.resume(folder, X, Y, callbacks=[], progress=False)
        said.append(str(caught.value))

    fit(folder, again)
    assert len(said) == 2
    assert NAME not in left(folder)
    given = {"callbacks": [], "progress": False}
    assert nv.resume(folder, X, Y, epochs=3, **given).epoch == 3
    assert NAME not in left(folder)


def test_an_error_lets_the_folder_go(tmp_path: Path) -> None:
    def fail(_: nv.Run) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as kept:  # its traceback holds the session
        fit(tmp_path / "run", fail)
    assert kept.traceback
    assert NAME not in left(tmp_path / "run")
    assert nv.resume(tmp_path / "run", X, Y, callbacks=[], progress=False).epoch == 2


def test_a_refused_resume_lets_the_folder_go(tmp_path: Path) -> None:
    fit(tmp_path / "run")
    for _ in range(2):
        with pytest.raises(RunFolderError, match="was trained with other"):
            fit(tmp_path / "run", resume=True, seed=5)
    assert NAME not in left(tmp_path / "run")


def test_ensembles_are_claimed_as_a_whole(tmp_path: Path) -> None:
    folder, said = tmp_path / "run", []

    def again(run: nv.Run) -> None:
        if run.epoch == 1 and str(run.directory).endswith("0"):
            with pytest.raises(RunFolderError, match=IN_USE):
                nv.resume(folder, X, Y, callbacks=[], progress=False)
            said.append(1)

    given = {"epochs": 2, "progress": False, "jobs": 1, "directory": folder}
    nv.Ensemble.of(network(), 2).fit(X, Y, callbacks=[again], **given)
    assert said == [1]
    assert not list(folder.rglob(NAME))
    again_given = {"callbacks": [], "progress": False}
    assert nv.resume(folder, X, Y, epochs=3, **again_given).runs[1].epoch == 3


def test_an_ensemble_that_fails_lets_all_go(tmp_path: Path) -> None:
    def fail(_: nv.Run) -> None:
        raise ZeroDivisionError

    given = {"epochs": 2, "progress": False, "directory": tmp_path / "run"}
    with pytest.raises(ZeroDivisionError):
        nv.Ensemble.of(network(), 3).fit(X, Y, callbacks=[fail], **given)
    assert not list((tmp_path / "run").rglob(NAME))


def test_what_a_killed_ensemble_left_half_written_goes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    given = {"epochs": 1, "progress": False, "directory": folder}
    nv.Ensemble.of(network(), 2).fit(X, Y, **given)
    (folder / f".model.safetensors.0123{TEMPORARY}").touch()
    nv.resume(folder, X, Y, epochs=2, progress=False)
    assert not [path for path in folder.rglob("*") if TEMPORARY in path.name]


def test_a_search_is_not_gone_on_with_by_two(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    folder = tmp_path / "search"
    space = {"training.batch_size": {"choices": [8, 16]}}
    given = {"space": space, "trials": 1, "progress": False}
    nv.tune("iris", directory=folder, **given)
    assert NAME not in left(folder)
    lock = FolderLock(folder)
    assert lock.take()
    with pytest.raises(TuneError, match=IN_USE):
        nv.tune(directory=folder, resume=True, **{**given, "trials": 2})
    lock.release()
    assert (
        len(nv.tune(directory=folder, resume=True, trials=2, progress=False).trials)
        == 2
    )


HOLD = """
import sys, time
from nervure.base.lock import FolderLock
lock = FolderLock(sys.argv[1])
print(lock.take(), flush=True)
time.sleep(300)
"""


def test_a_claim_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with pytest.raises(RunFolderError, match=f"in use by process {other.pid};"):
            RunFolder(tmp_path).claim()
        other.send_signal(signal.SIGKILL)
    assert (tmp_path / NAME).exists()  # nobody was there to remove it
    lock = FolderLock(tmp_path)
    assert lock.take()
    lock.release()
    assert not (tmp_path / NAME).exists()


def test_a_claim_of_a_file_that_was_removed_meanwhile_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who opens the file before its holder removes it must not lock what is gone."""
    holder, other = FolderLock(tmp_path), FolderLock(tmp_path)
    assert holder.take()
    opened = os.open

    def open_then_let_go(*arguments: Any) -> int:
        descriptor = opened(*arguments)
        monkeypatch.undo()
        holder.release()
        return descriptor

    monkeypatch.setattr(os, "open", open_then_let_go)
    assert other.take()
    assert (tmp_path / NAME).exists()
    assert not FolderLock(tmp_path).take()
    other.release()


# -- folders ---------------------------------------------------------------------------


def test_only_what_was_made_is_taken_back(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    made = make(tmp_path / "a" / "b" / "c")
    assert made == [tmp_path / "a/b/c", tmp_path / "a/b"]
    assert make(tmp_path / "a" / "b" / "c") == []
    (tmp_path / "a/b/other").touch()
    remove(made)
    assert left(tmp_path / "a/b") == ["other"]


def test_a_folder_in_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = (
        r"file/a/b\] cannot be made: not a directory; expected a folder that may be"
    )
    with pytest.raises(WriteError, match=message):
        make(tmp_path / "file" / "a" / "b")
    with pytest.raises(
        WriteError, match=r"file\] cannot be made: not a directory; expec"
    ):
        make(tmp_path / "file")
