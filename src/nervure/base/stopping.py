# SPDX-License-Identifier: BSD-3-Clause
"""Work that is ended in its midst, by whoever began it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopped(BaseException):
    """Work was ended where whoever began it had asked for that. It has no result.

    Like KeyboardInterrupt no error, so that nothing on the way takes it for one.
    """


_ASKED: ContextVar[Callable[[], bool] | None] = ContextVar("asked", default=None)


@contextmanager
def stopped_by(asked: Callable[[], bool]) -> Generator[None]:
    """Within it the executors' work in this thread ends as soon as ``asked()``.

    Raises:
        Stopped: it was.
    """
    token = _ASKED.set(asked)
    try:
        yield
    finally:
        _ASKED.reset(token)


def look() -> None:
    """Between two parts of long work.

    Raises:
        Stopped: it is to end here.
    """
    asked = _ASKED.get()
    if asked is not None and asked():
        raise Stopped
