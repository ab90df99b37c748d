# SPDX-License-Identifier: BSD-3-Clause
"""Rows that wait while a call runs go into the next call together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Call = Callable[[Array], Sequence[Array]]
"""Outputs ``(rows, ...)`` of encoded rows."""


@dataclass(frozen=True, eq=False)
class Job:
    """Rows of one request, and who waits for what the network gives for them."""

    inputs: Array
    answer: asyncio.Future[list[Array]]


class Batcher:
    """Calls a model for one batch after the other, in a thread of its own.

    ``together`` rows of several requests share a call; a request of more rows has one
    to itself. ``told`` hears of the rows of each call.
    """

    def __init__(
        self, call: Call, together: int, told: Callable[[int], None] = lambda rows: None
    ) -> None:
        self._call, self._together, self._told = call, together, told
        self._waiting: deque[Job] = deque()
        self._thread = ThreadPoolExecutor(1, "nervure-serve")
        self._task: asyncio.Task[None] | None = None

    async def outputs(self, inputs: Array) -> list[Array]:
        """What the model gives for the rows; its errors are raised."""
        loop = asyncio.get_running_loop()
        job = Job(inputs, loop.create_future())
        self._waiting.append(job)
        if self._task is None:
            self._task = loop.create_task(self._work())
        return await job.answer

    async def _work(self) -> None:
        try:
            while batch := self._next():
                await self._answer(batch)
        finally:
            self._task = None

    def _next(self) -> list[Job]:
        """The jobs of the next call, in their order, without those given up."""
        batch: list[Job] = []
        rows = 0
        while self._waiting:
            job = self._waiting[0]
            if not job.answer.done():
                rows += len(job.inputs)
                if batch and (rows > self._together or not _alike(job, batch[0])):
                    break
                batch.append(job)
            self._waiting.popleft()
        return batch

    async def _answer(self, batch: list[Job]) -> None:
        loop = asyncio.get_running_loop()
        inputs = [job.inputs for job in batch]
        stacked = inputs[0] if len(inputs) == 1 else np.concatenate(inputs)
        try:
            found = await loop.run_in_executor(self._thread, self._call, stacked)
        except Exception as error:
            return await self._refused(batch, error)
        self._told(len(stacked))
        begin = 0
        for job in batch:
            end = begin + len(job.inputs)
            if not job.answer.done():
                job.answer.set_result([y[begin:end] for y in found])
            begin = end

    async def _refused(self, batch: list[Job], error: Exception) -> None:
        """One alone has the error; of several each is tried for itself."""
        if len(batch) > 1:
            for job in batch:
                await self._answer([job])
        elif not batch[0].answer.done():
            batch[0].answer.set_exception(error)


def _alike(job: Job, other: Job) -> bool:
    """Whether rows can lie in one array as they are: bytes are scaled, floats not."""
    return (
        job.inputs.dtype == other.inputs.dtype
        and job.inputs.shape[1:] == other.inputs.shape[1:]
    )
