# SPDX-License-Identifier: BSD-3-Clause
"""Atomic writes under a full disk, a read-only folder, and a kill."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nervure as nv
from nervure.base.files import WriteError, remove_leftovers, replacing, write_atomically
from nervure.cli.pictures import write_sheet
from nervure.cli.predicting import write


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def half_written(path: Path, error: BaseException) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(b"earlier")
    return path


def test_replaces_the_file_and_leaves_nothing_else(target: Path) -> None:
    write_atomically(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["model.bin"]


def test_text_is_utf8(target: Path) -> None:
    write_atomically(target, "Müller\n")
    assert target.read_bytes() == "Müller\n".encode()


def test_permissions_of_the_earlier_file_are_kept(target: Path) -> None:
    target.chmod(0o640)
    write_atomically(target, b"new")
    assert target.stat().st_mode & 0o777 == 0o640


@pytest.fixture(params=[0o022, 0o077], ids=["umask-022", "umask-077"])
def usual(request: pytest.FixtureRequest) -> Iterator[int]:
    """The permissions of new files, under two umasks."""
    old = os.umask(request.param)
    yield 0o666 & ~request.param
    os.umask(old)


def modes(folder: Path) -> dict[str, int]:
    """Permissions of all files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.name: path.stat().st_mode & 0o777 for path in files}


def test_a_new_file_follows_the_umask(tmp_path: Path, usual: int) -> None:
    write_atomically(tmp_path / "a", b"")
    assert modes(tmp_path) == {"a": usual}


def test_so_does_one_that_a_library_puts_in_its_place(
    tmp_path: Path, usual: int
) -> None:
    with replacing(tmp_path / "a") as temporary:
        other = temporary.with_name("private")
        other.touch(mode=0o600)
        other.replace(temporary)
    assert modes(tmp_path) == {"a": usual}


def test_every_file_of_a_run_follows_the_umask(
    tmp_path: Path, usual: int, make_net: Callable[[], nv.Network], blobs: Any
) -> None:
    nv.fit(make_net(), *blobs, epochs=2, directory=tmp_path / "run", progress=False)
    found = modes(tmp_path)
    assert {"model.safetensors", "spec.toml", "record.jsonl"} < {*found}
    assert len(found) == 5  # and two checkpoints
    assert {*found.values()} == {usual}


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.npz"])
def test_files_of_predictions_follow_the_umask(
    tmp_path: Path, usual: int, name: str
) -> None:
    kind = name.partition(".")[2]
    write({"prediction": np.arange(3)}, tmp_path / name, kind)
    assert modes(tmp_path) == {name: usual}


def test_sheets_follow_the_umask(tmp_path: Path, usual: int) -> None:
    write_sheet(tmp_path / "a.png", [np.zeros((8, 8), np.uint8)])
    assert modes(tmp_path) == {"a.png": usual}


def test_a_symbolic_link_stays_one(target: Path) -> None:
    link = target.with_name("link")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_the_earlier_file(
    target: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        half_written(target, error())
    assert target.read_bytes() == b"earlier"
    assert names(target.parent) == ["model.bin"]


def test_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "no" / "file"
    with pytest.raises(WriteError) as caught:
        write_atomically(path, b"x")
    assert str(caught.value) == (
        f"[{path}] cannot be written: there is no such folder; expected room and "
        "permission for a file; create it or choose another (nothing was changed)"
    )
    assert caught.value.errno == errno.ENOENT


def test_parent_is_a_file(target: Path) -> None:
    with pytest.raises(WriteError, match="its parent is a file; "):
        write_atomically(target / "below", b"x")


def test_target_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="it is a folder; "):
        write_atomically(tmp_path, b"x")
    assert names(tmp_path.parent).count(tmp_path.name) == 1


def test_full_disk(target: Path) -> None:
    """RLIMIT_FSIZE stops the write half-way, as a full disk does."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    try:
        with pytest.raises(WriteError, match="larger than allowed"):
            write_atomically(target, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert target.read_bytes() == b"earlier"
    assert names(target.parent) == ["model.bin"]


@pytest.mark.parametrize(
    ("number", "fact"),
    [
        (
            errno.ENOSPC,
            "the disk is full; expected room and permission for a file; free",
        ),
        (errno.EROFS, "the folder is read-only; "),
        (errno.EACCES, "the folder may not be written; "),
        (errno.EIO, f"{os.strerror(errno.EIO)}; "),
    ],
)
def test_each_cause_is_named(target: Path, number: int, fact: str) -> None:
    with pytest.raises(WriteError) as caught:
        half_written(target, OSError(number, os.strerror(number)))
    assert f"cannot be written: {fact}" in str(caught.value)
    assert target.read_bytes() == b"earlier"
    assert names(target.parent) == ["model.bin"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB of its own; skipped where mounting is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no permission to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def test_real_full_disk(small_disk: Path) -> None:
    write_atomically(small_disk / "a", b"earlier")
    with pytest.raises(WriteError, match="the disk is full"):
        write_atomically(small_disk / "a", b"x" * 200_000)
    assert (small_disk / "a").read_bytes() == b"earlier"
    assert names(small_disk) == ["a"]


def test_real_read_only_folder(small_disk: Path) -> None:
    write_atomically(small_disk / "a", b"earlier")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(WriteError, match="the folder is read-only"):
        write_atomically(small_disk / "a", b"new")
    assert (small_disk / "a").read_bytes() == b"earlier"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_write_permission(target: Path) -> None:
    target.parent.chmod(0o500)
    try:
        with pytest.raises(WriteError, match="may not be written"):
            write_atomically(target, b"new")
    finally:
        target.parent.chmod(0o700)
    assert target.read_bytes() == b"earlier"


KILLED = """
import os, signal, sys
from nervure.base.files import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_bytes(b"new but not renamed")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_between_write_and_rename(target: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"earlier"
    assert len(names(target.parent)) == 2
    remove_leftovers(target.parent)
    assert names(target.parent) == ["model.bin"]
