# SPDX-License-Identifier: BSD-3-Clause
"""``nervure serve``: a saved network answers over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nervure.base.checks import count, number
from nervure.base.extras import needed


@dataclass(frozen=True)
class Wish:
    """Where a server listens, whom it answers, and how much it takes.

    ``megabytes`` of 10^6 bytes for a body, ``seconds`` for a request to come and for
    its answer.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    name: str | None = None
    megabytes: float = 8.0
    seconds: float = 30.0


def serve(model: Path, wish: Wish) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    for library in ("starlette", "uvicorn"):
        needed(library, "serve")
    from nervure.serving import server
    from nervure.serving.app import Door, make_app
    from nervure.serving.model import open_served
    from nervure.serving.service import Limits, Service

    _check(wish)
    server.check_token(wish.token, wish.host)
    served = open_served(model, wish.name)
    limits = Limits(int(wish.megabytes * 1e6), wish.seconds)
    hosts = (wish.host, *server.LOOPBACK)
    app = make_app(Service(served, limits), Door(wish.token, hosts))
    with server.listen(wish.host, wish.port) as listening:
        place = server.address(listening)

        def begun() -> None:
            print(f"{served.name} at {place} (Ctrl-C ends)", flush=True)

        server.run(app, listening, wish.seconds, begun)
    print("ended", flush=True)


def _check(wish: Wish) -> None:
    count("--port", "port", wish.port, least=0, most=65535)
    number("--body-limit", "megabytes", wish.megabytes, above=0, most=1000)
    number("--time-limit", "seconds", wish.seconds, above=0, most=3600)
