# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong with a request: a status of HTTP and a text for whoever sent it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager

from nervure.data._errors import DataWarning


class RequestError(ValueError):
    """A request that is not answered; the text is ``[where] fact; ...; remedy``."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def fault(where: str, said: str, status: int = 400) -> RequestError:
    """The error of a place.

    >>> str(fault("body", "empty; expected JSON; send some"))
    '[body] empty; expected JSON; send some'
    """
    return RequestError(f"[{where}] {said}", status)


_LISTENING = threading.Lock()  # catching warnings is for one thread at a time


def is_heard() -> bool:
    """Whether somebody listens, so that `heard` would wait."""
    return _LISTENING.locked()


@contextmanager
def heard() -> Generator[list[str]]:
    """What is warned of, as texts in a list that is full in the end.

    Raises:
        RequestError: values or rows were lost: their answers would be of others.
    """
    texts: list[str] = []
    with _LISTENING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
    for one in caught:
        text = str(one.message)
        if issubclass(one.category, DataWarning):
            fact = text.removesuffix("; they count as missing").removesuffix(
                "; left out"
            )
            raise RequestError(f"{fact}; expected rows without losses; correct them")
        texts.append(text)
