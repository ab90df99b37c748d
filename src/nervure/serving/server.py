# SPDX-License-Identifier: BSD-3-Clause
"""A service on a socket, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import signal
import socket
from collections.abc import Callable, Generator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import HANDLED_SIGNALS

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_CONNECTIONS = 1024
LAST_SECONDS = 5
"""Seconds that running requests get when the server is told to end."""


class ServeError(ValueError):
    """An address that cannot be served on."""


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("")
    (True, False, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_token(token: str | None, host: str) -> None:
    """Raises `ServeError` where others could ask without one, or it is none."""
    if token is not None and not (token.isascii() and token.isprintable()):
        raise ServeError(
            "[--token] other letters than those of a header; expected visible ASCII; "
            "take another"
        )
    if token is not None and (not token or " " in token):
        raise ServeError(
            "[--token] empty or with blanks; expected a word; take another"
        )
    if token is None and not is_loopback(host):
        raise ServeError(
            f"[--host] {host or 'all addresses'} is open to other machines; expected a "
            "token that they must know; give --token or set NERVURE_TOKEN, or leave "
            "--host out"
        )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free.

    Raises:
        ServeError: the address is taken or is none of this machine.
    """
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=kind, backlog=MOST_CONNECTIONS)
        # asyncio sends at once (TCP_NODELAY) where the protocol is named, and there
        # alone: else each answer waits for the receipt of its head, 40 ms.
        named = socket.IPPROTO_TCP
        return socket.socket(kind, socket.SOCK_STREAM, named, fileno=made.detach())
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ServeError(
            f"[--port] {host}:{port} cannot be listened on ({reason}); expected an "
            "address of this machine and a free port; give another (0: any)"
        ) from error


def address(listening: socket.socket) -> str:
    """Where a socket is reached, for a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(
    app: Any, listening: socket.socket, seconds: float, begun: Callable[[], None]
) -> None:
    """Serve until SIGINT or SIGTERM; ``begun`` is called when requests are taken."""
    config = uvicorn.Config(
        app,
        http=_patient(seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=LAST_SECONDS,
    )
    _Server(config, begun).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends in order, and does not raise the signal again."""

    def __init__(self, config: uvicorn.Config, begun: Callable[[], None]) -> None:
        super().__init__(config)
        self._begun = begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._begun()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        before = {s: signal.signal(s, self.handle_exit) for s in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _patient(seconds: float) -> type[asyncio.Protocol]:
    """A protocol that ends connections whose requests do not come."""

    class Patient(H11Protocol):
        _timer: asyncio.TimerHandle | None = None
        _seen: object = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore
            super().connection_made(transport)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._seen = self.cycle
            self._timer = self.loop.call_later(seconds, self._look)

        def _look(self) -> None:
            """No request has begun since the last look, and none is on its way."""
            idle = self.conn.their_state is h11.IDLE
            if idle and self.cycle is self._seen:
                self.transport.close()
            else:
                self._wait()

    return Patient
