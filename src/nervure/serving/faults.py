# SPDX-License-Identifier: BSD-3-Clause
"""What is wrong with a request: a status of HTTP and a text for whoever sent it."""

from __future__ import annotations


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
