# SPDX-License-Identifier: BSD-3-Clause
"""The addresses of a server: who may ask, how much, and how errors are answered."""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from nervure.serving import protocol
from nervure.serving.answers import as_csv
from nervure.serving.faults import RequestError, fault
from nervure.serving.metrics import CONTENT_TYPE
from nervure.serving.model import described
from nervure.serving.page import page, policy
from nervure.serving.service import CSV, JSON, Answer, Service, is_small, wanted_of

Endpoint = Callable[[Request], Awaitable[Response]]

CLOSE = {"Connection": "close"}
"""Where a body was not read to its end, nothing more comes through."""


WARNINGS, MOST_HEADER = "Nervure-Warnings", 4000


@dataclass(frozen=True)
class Door:
    """Who is let in: who knows the ``token``, or asks for one of the ``hosts``.

    Names of hosts are looked at so that a page from elsewhere, whose name was made to
    point to this machine, cannot ask in the name of its reader (DNS rebinding). None
    lets in everybody.
    """

    token: str | None = None
    hosts: tuple[str, ...] | None = None

    def check(self, request: Request) -> None:
        """Raises `RequestError` for a stranger."""
        if self.token is not None:
            given = request.headers.get("authorization", "")
            word, _, told = given.partition(" ")
            same = hmac.compare_digest(told.strip().encode(), self.token.encode())
            if word.lower() != "bearer" or not same:
                fact = "no token, or another; expected that of the server"
                remedy = "send the header Authorization: Bearer TOKEN"
                raise fault("authorization", f"{fact}; {remedy}", 401)
        self.check_host(request)

    def check_host(self, request: Request) -> None:
        """Raises `RequestError` where another machine is asked for, without a token."""
        if self.hosts is None or self.token is not None:
            return
        name = host_of(request.headers.get("host", ""))
        if name not in self.hosts:
            fact = f"{name!r:.60}; expected {' or '.join(self.hosts)}"
            remedy = "ask for one of these, or start the server with --token"
            raise fault("host", f"{fact}; {remedy}", 421)


def host_of(header: str) -> str:
    """The name in a header ``Host``, without its port.

    >>> host_of("LOCALHOST:8000"), host_of("[::1]:8000")
    ('localhost', '::1')
    """
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rpartition(":")[0] if ":" in name else name


def make_app(service: Service, door: Door | None = None) -> Starlette:
    """The application of a service."""
    return _Addresses(service, door or Door()).app()


class _Addresses:
    def __init__(self, service: Service, door: Door) -> None:
        self._service, self._door = service, door
        self._metrics, self._limits = service.metrics, service.limits
        self._held = 0
        self._model = described(service.served)
        self._metadata = protocol.model_metadata(service.served)

    def app(self) -> Starlette:
        """Routes, and errors in JSON."""
        name = "/v2/models/{name}"
        routes = [
            self._get("/", self._page, "page", open_to_all=True),
            self._get("/model", self._described, "model"),
            self._get("/metrics", self._counted, "metrics"),
            self._post("/predict", self._predict, "predict"),
            self._get("/v2", self._server, "v2"),
            self._get("/v2/health/live", self._live, "health", open_to_all=True),
            self._get("/v2/health/ready", self._ready, "health", open_to_all=True),
        ]
        for base in (name, f"{name}/versions/{{version}}"):
            routes += [
                self._get(base, self._metadata_of, "v2"),
                self._get(f"{base}/ready", self._model_ready, "v2"),
                self._post(f"{base}/infer", self._infer, "infer"),
            ]
        errors: Any = {HTTPException: self._no_such}
        return Starlette(routes=routes, exception_handlers=errors)

    def _get(
        self, path: str, endpoint: Endpoint, name: str, *, open_to_all: bool = False
    ) -> Route:
        guarded = self._guarded(endpoint, name, open_to_all)
        return Route(path, guarded, methods=["GET"])

    def _post(self, path: str, endpoint: Endpoint, name: str) -> Route:
        return Route(path, self._guarded(endpoint, name, False), methods=["POST"])

    def _guarded(self, endpoint: Endpoint, name: str, open_to_all: bool) -> Endpoint:
        """The endpoint for those who may ask; every answer is counted."""

        async def guarded(request: Request) -> Response:
            begun = time.perf_counter()
            self._metrics.waiting += 1
            try:
                check = self._door.check_host if open_to_all else self._door.check
                response = await self._told(request, endpoint, check)
            finally:
                self._metrics.waiting -= 1
            seconds = time.perf_counter() - begun
            self._metrics.answered(name, response.status_code, seconds)
            return response

        return guarded

    async def _told(
        self, request: Request, endpoint: Endpoint, check: Callable[[Request], None]
    ) -> Response:
        """What an endpoint answers, or the error that it ends with."""
        try:
            check(request)
            return await endpoint(request)
        except RequestError as error:
            return told(str(error), error.status)
        except ClientDisconnect:
            return told("[request] it ended before its body did", 400)
        except TimeoutError:
            fact = f"no answer within {self._limits.seconds:g} s; expected less work"
            return told(f"[server] {fact}; send fewer rows, or later", 503)
        except (ValueError, ArithmeticError) as error:
            return told(" ".join(str(error).split("\n")), 400)
        except ImportError as error:
            return told(str(error), 501)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            fact = "a fault of the program, not of the request"
            return told(f"[server] {fact}; see what it wrote, and report it", 500)

    async def _no_such(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        what = {404: "no such address", 405: f"no {request.method} here"}
        fact = what.get(status, "not possible")
        self._metrics.answered("other", status, 0.0)
        path = request.url.path
        return told(
            f"[{path[:60]}] {fact}; expected GET /, /model, /metrics, /v2/..., or POST "
            "/predict, /v2/models/NAME/infer; change the address",
            status,
            getattr(error, "headers", None),
        )

    # -- bodies ---------------------------------------------------------------------

    async def _with_body(
        self, request: Request, use: Callable[[bytes], Awaitable[Response]]
    ) -> Response:
        """What is made of a body that came in time and is no larger than it may be."""
        if self._metrics.waiting > self._limits.requests:
            raise _busy(f"{self._limits.requests} requests")
        parts: list[bytes] = []
        try:
            try:
                async with asyncio.timeout(self._limits.seconds):
                    await self._receive(request, parts)
            except TimeoutError:
                raise _too_slow(self._limits.seconds) from None
            async with asyncio.timeout(self._limits.seconds):
                return await use(b"".join(parts))
        finally:
            self._held -= sum(map(len, parts))

    async def _receive(self, request: Request, parts: list[bytes]) -> None:
        most = self._limits.body
        encoding = request.headers.get("content-encoding", "identity")
        if encoding != "identity":
            fact = f"{encoding!r:.40}; expected a body as it is"
            raise fault("content-encoding", f"{fact}; send it unpacked", 415)
        size = request.headers.get("content-length", "0")
        if size.isdecimal() and int(size[:20]) > most:
            raise _too_large(most)
        taken = 0
        async for part in request.stream():
            taken += len(part)
            self._held += len(part)
            parts.append(part)
            if taken > most:
                raise _too_large(most)
            if self._held > most * self._limits.held:
                raise _busy("large requests")

    # -- endpoints ------------------------------------------------------------------

    async def _predict(self, request: Request) -> Response:
        wanted = wanted_of(dict(request.query_params))
        kind = content_type(request)

        async def use(body: bytes) -> Response:
            answer = await self._service.predict(kind, body, wanted)
            as_table = content_type(request, "accept") == CSV

            def written() -> Response:
                return _as_csv(answer) if as_table else as_json(answer.to_json())

            return await self._service.done(written, is_small(body))

        return await self._with_body(request, use)

    async def _infer(self, request: Request) -> Response:
        self._check_name(request)
        if content_type(request) != JSON:
            fact = f"{content_type(request)!r:.60}; expected {JSON}"
            raise fault("content-type", f"{fact}; send it so", 415)

        async def use(body: bytes) -> Response:
            value = await self._service.infer(body)
            return await self._service.done(lambda: as_json(value), is_small(body))

        return await self._with_body(request, use)

    async def _page(self, request: Request) -> Response:
        headers = {
            "Content-Security-Policy": policy(),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return Response(page(), media_type="text/html", headers=headers)

    async def _described(self, request: Request) -> Response:
        return as_json(self._model)

    async def _counted(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def _server(self, request: Request) -> Response:
        return as_json(protocol.server_metadata())

    async def _live(self, request: Request) -> Response:
        return as_json({"live": True})

    async def _ready(self, request: Request) -> Response:
        return as_json({"ready": True})

    async def _metadata_of(self, request: Request) -> Response:
        self._check_name(request)
        return as_json(self._metadata)

    async def _model_ready(self, request: Request) -> Response:
        self._check_name(request)
        return as_json({"name": self._service.served.name, "ready": True})

    def _check_name(self, request: Request) -> None:
        own = self._service.served.name
        given = request.path_params["name"]
        version = request.path_params.get("version", protocol.VERSION)
        if (given, version) != (own, protocol.VERSION):
            fact = f"no model {given!r:.60} of version {version!r:.20}"
            expected = f"expected {own!r} of version {protocol.VERSION}"
            raise fault("models", f"{fact}; {expected}; ask for it", 404)


def _too_large(most: int) -> RequestError:
    return fault(
        "body",
        f"more than {most:,} bytes; expected at most so many; send fewer rows at once",
        413,
    )


def _too_slow(seconds: float) -> RequestError:
    fact = f"not whole within {seconds:g} s; expected it sooner"
    return fault("body", f"{fact}; send less, or faster", 408)


def _busy(what: str) -> RequestError:
    return fault("server", f"{what} at once already; expected fewer; try again", 503)


# -- answers --------------------------------------------------------------------------


def content_type(request: Request, header: str = "content-type") -> str:
    """The type that a header names, without its parameters."""
    return request.headers.get(header, "").partition(";")[0].strip().lower()


def as_json(value: Any, status: int = 200) -> Response:
    """A value as JSON."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode(errors="replace"), status, media_type=JSON)


def _as_csv(answer: Answer) -> Response:
    """Answers as a table; what there is to say of it in a header."""
    response = Response(as_csv(answer.columns), media_type=CSV)
    if answer.warnings:
        response.headers[WARNINGS] = json.dumps(answer.warnings)[:MOST_HEADER]
    return response


def told(text: str, status: int, headers: Any = None) -> Response:
    """An error; where the body may not have been read, the connection ends."""
    response = as_json({"error": text}, status)
    response.headers.update(headers or {})
    if status in (401, 408, 413, 415, 421, 503):
        response.headers.update(CLOSE)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response
