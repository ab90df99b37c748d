# SPDX-License-Identifier: BSD-3-Clause
"""Atomic writes: a file is the earlier one or the new one, never half of either.

The content goes to a temporary file in the same folder, is brought to the disk and
renamed over the target; then the folder is brought to the disk, so that the name
survives a loss of power as well.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Generator, Iterator
from pathlib import Path

TEMPORARY = ".nervure-tmp"
"""How temporary files end; only a killed process leaves any behind."""

_FACTS = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another folder"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or raise the quota"),
    errno.EFBIG: (
        "the file is larger than allowed",
        "raise the limit (ulimit -f)",
    ),
    errno.EROFS: ("the folder is read-only", "choose another folder"),
    errno.EACCES: ("the folder may not be written", "choose another folder"),
    errno.EPERM: ("the folder may not be written", "choose another folder"),
    errno.ENOENT: ("there is no such folder", "create it or choose another"),
    errno.ENOTDIR: ("its parent is a file", "choose a path inside a folder"),
    errno.EISDIR: ("it is a folder", "choose the path of a file"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}


class WriteError(OSError):
    """A file that could not be written; what stood at its place before still does."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """Yield the path of an empty temporary file that replaces ``path`` on success.

    A symbolic link keeps pointing where it did: its target is replaced. Permissions
    of an earlier file are kept; those of a new one follow the umask, whatever the
    library that writes it thinks of the matter.

    Raises:
        WriteError: the disk is full, the folder read-only, missing, or the like.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("all or nothing")
    ...     (Path(folder) / "a.txt").read_text()
    'all or nothing'
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        earlier = _mode_of(target)
        usual = _create(temporary)
        yield temporary
        _sync(temporary, usual if earlier is None else earlier)
        os.replace(temporary, target)
    except OSError as error:
        _discard(temporary)
        raise explained(path, error) from error
    except BaseException:
        _discard(temporary)
        raise
    _sync_folder(target.parent)


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write a whole file (text as UTF-8), or leave everything as it was.

    Raises:
        WriteError: see `replacing`.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove temporary files of killed processes; call it where no one else writes."""
    for leftover in _leftovers(Path(folder)):
        _discard(leftover)


def _leftovers(folder: Path) -> Iterator[Path]:
    return (p for p in folder.glob(".*") if p.name.endswith(TEMPORARY))


def _mode_of(target: Path) -> int | None:
    try:
        found = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return stat.S_IMODE(found)


def _create(temporary: Path) -> int:
    """Make the file; the permissions that the umask gave it."""
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def _sync(temporary: Path, mode: int) -> None:
    """To the disk, with these permissions: libraries put files of their own there."""
    with open(temporary, "r+b") as file:
        os.fsync(file.fileno())
    os.chmod(temporary, mode)


def _sync_folder(folder: Path) -> None:
    """The rename is done; file systems that cannot sync folders must not fail here."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _discard(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()


def explained(path: str | os.PathLike[str], error: OSError) -> WriteError:
    """The error in words: what failed, where, and what to do."""
    cause = error.strerror or str(error)
    fact, remedy = _FACTS.get(error.errno or 0, (cause, "choose another place"))
    wrong = WriteError(
        f"[{os.fspath(path)}] cannot be written: {fact}; expected room and permission "
        f"for a file; {remedy} (nothing was changed)"
    )
    wrong.errno = error.errno
    return wrong
