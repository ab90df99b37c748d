# SPDX-License-Identifier: BSD-3-Clause
"""A folder that one process at a time works in.

The lock is the system's: it ends with its process, however that ends, so that a killed
run can be gone on with at once. Its file is removed when it is let go.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from nervure.base.files import explained

NAME = ".nervure-lock"


class FolderLock:
    """Held from `take` to `release`, or to the end of the process.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     one, other = FolderLock(folder), FolderLock(folder)
    ...     one.take(), other.take(), one.release(), other.take(), other.release()
    (True, False, None, True, None)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._path = Path(folder) / NAME
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether the folder is this lock's now; false where another one has it.

        Raises:
            WriteError: the folder cannot be written.
        """
        while self._descriptor is None:
            try:
                descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o666)
            except OSError as error:
                raise explained(self._path, error) from error
            if not _lock(descriptor):
                os.close(descriptor)
                return False
            if self._is_at_its_place(descriptor):
                self._descriptor = descriptor
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
            else:  # its holder has removed it meanwhile
                os.close(descriptor)
        return True

    def claim(self, error: type[Exception]) -> None:
        """Take the folder, or raise an error that says who has it."""
        if not self.take():
            raise error(
                f"[{self._path.parent}] is in use by {self._owner}; expected a folder "
                "that nobody else works in; wait until it has ended, or choose another"
            )

    def _is_at_its_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let the folder go, if it is held."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        with contextlib.suppress(OSError):
            self._path.unlink()
        with contextlib.suppress(OSError):
            os.close(descriptor)

    def __del__(self) -> None:
        self.release()

    @property
    def _owner(self) -> str:
        """Who holds it, in words."""
        try:
            number = int(self._path.read_text()[:20])
        except (OSError, ValueError):
            return "another process"
        return "this process" if number == os.getpid() else f"process {number}"


def _lock(descriptor: int) -> bool:
    """Whether the file could be locked; where a system has no locks, all can."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
