# SPDX-License-Identifier: BSD-3-Clause
"""A model at work: bodies of requests to answers, through shared calls."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from nervure.base.words import unknown
from nervure.data.preprocessing import Preprocessing
from nervure.serving.answers import Columns, Wanted
from nervure.serving.batching import Batcher, Call
from nervure.serving.bodies import (
    read_json,
    rows_of_csv,
    rows_of_image,
    rows_of_json,
)
from nervure.serving.faults import RequestError, fault, is_heard
from nervure.serving.metrics import Metrics
from nervure.serving.model import Served
from nervure.serving.protocol import inference_of, plain, response

JSON, CSV = "application/json", "text/csv"
IMAGES = tuple(
    f"image/{kind}" for kind in ("png", "jpeg", "gif", "bmp", "webp", "tiff")
)
SMALL = 1 << 14
"""Bytes of JSON that are read at once; longer bodies go to a thread, which costs as
much as reading a few rows does."""

READERS = 2
"""Bodies that are read at once: each may take many times its size in memory."""

_T = TypeVar("_T")


def is_small(body: bytes) -> bool:
    """Whether a body is worked on at once."""
    return len(body) <= SMALL


@dataclass(frozen=True)
class Limits:
    """What a server takes.

    ``body`` in bytes, ``seconds`` for a request to come and for its answer each,
    ``requests`` at once; all bodies together take ``held`` bodies of full size.
    """

    body: int = 8 << 20
    seconds: float = 30.0
    requests: int = 256
    held: int = 4


@dataclass(frozen=True)
class Answer:
    """Columns for the rows of a request, and what there is to say of these."""

    columns: Columns
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A row of answers for each row."""
        names = list(self.columns)
        rows = zip(*map(plain, self.columns.values()), strict=True)
        predictions = [dict(zip(names, row, strict=True)) for row in rows]
        return {"predictions": predictions, "warnings": list(self.warnings)}


class Service:
    """A served model with its batches and counts.

    ``call`` may stand in the place of the network, as another runtime does.
    """

    def __init__(
        self, served: Served, limits: Limits | None = None, call: Call | None = None
    ) -> None:
        self.served, self.limits = served, limits or Limits()
        self.metrics = Metrics()
        self._batcher = Batcher(
            call or served.outputs, served.together, self.metrics.called
        )
        self._readers = ThreadPoolExecutor(READERS, "nervure-read")

    async def predict(self, kind: str, body: bytes, wanted: Wanted) -> Answer:
        """Answers for the rows of a body of a content type.

        Raises:
            RequestError: it cannot be read.
            ValueError: its rows do not fit the model.
        """
        read = _reader(kind)
        self.served.check(wanted)

        def rows() -> Any:
            where = "image" if kind in IMAGES else "rows"
            with read(self.served.record, body) as found:
                return self.served.encode(found, where)

        return await self._answer(rows, wanted, kind == JSON and is_small(body))

    async def infer(self, body: bytes) -> dict[str, Any]:
        """The answer to a request of the Open Inference Protocol.

        Raises:
            RequestError: it is none.
            ValueError: its rows do not fit the model.
        """
        small = is_small(body)
        asked = await self.done(
            lambda: inference_of(self.served, read_json(body)), small
        )
        wanted = Wanted(bool(self.served.labels), asked.interval, strict=True)
        self.served.check(wanted)
        rows = functools.partial(self.served.encode, asked.rows)
        answer = await self._answer(rows, wanted, small)
        told = (self.served, asked, answer.columns, answer.warnings)
        return await self.done(lambda: response(*told), small)

    async def _answer(
        self, rows: Callable[[], Any], wanted: Wanted, small: bool
    ) -> Answer:
        inputs, warned = await self.done(rows, small)
        outputs = await self._batcher.outputs(inputs)
        tell = functools.partial(self.served.columns, outputs, wanted)
        return Answer(await self.done(tell, small), tuple(warned))

    async def done(self, work: Callable[[], _T], small: bool) -> _T:
        """What a function gives: at once or, if it may take long, beside the loop."""
        if small and not is_heard():
            return work()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, work)


Reader = Callable[[Preprocessing, bytes], AbstractContextManager[Any]]


def _reader(kind: str) -> Reader:
    """What reads bodies of a content type."""
    if kind == JSON:
        return lambda record, body: nullcontext(rows_of_json(record, read_json(body)))
    if kind == CSV:
        return rows_of_csv
    if kind in IMAGES:
        return lambda record, body: nullcontext(rows_of_image(record, body))
    raise fault(
        "content-type",
        f"{kind!r:.60}; expected {JSON}, {CSV}, image/png or image/jpeg; send it so",
        415,
    )


OPTIONS = ("probabilities", "interval")
_FLAGS = {"": True, "1": True, "true": True, "0": False, "false": False}


def wanted_of(options: Mapping[str, str]) -> Wanted:
    """What the options of an address ask for, as ``?probabilities=true&interval=0.9``.

    Raises:
        RequestError: an option or a value that there is not.
    """
    for name in options:
        if name not in OPTIONS:
            raise RequestError(unknown("address", "option", name, OPTIONS))
    flag = options.get("probabilities", "false")
    if flag.lower() not in _FLAGS:
        fact = f"{flag!r:.40}; expected true or false; change it"
        raise fault("probabilities", fact)
    given = options.get("interval")
    try:
        interval = None if given is None else float(given)
    except ValueError:
        fact = f"{given!r:.40}; expected a number between 0 and 1, as 0.9; change it"
        raise fault("interval", fact) from None
    return Wanted(_FLAGS[flag.lower()], interval, strict=True)
