# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C during training: noted, and acted on where the state is whole."""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any

from nervure.base.stopping import stopped_by


class Interruption:
    """Within it the first Ctrl-C sets ``requested``; a second one raises as usual.

    Python tells signals to its main thread: in another one nothing is noted, but what
    the main thread has noted is seen by all that share the object.
    """

    def __init__(self) -> None:
        self.requested = False
        self._earlier: Any = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._earlier = signal.getsignal(signal.SIGINT)
            if self._earlier is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and self._earlier is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._earlier)

    def at_once(self) -> AbstractContextManager[None]:
        """Within it work of the executors ends as soon as it is requested.

        Raises:
            Stopped: it was.
        """
        return stopped_by(lambda: self.requested)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
