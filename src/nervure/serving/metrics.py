# SPDX-License-Identifier: BSD-3-Clause
"""What a server counts, in the text format that Prometheus reads.

Format: https://prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1024.0, 4096.0)


class Histogram:
    """How often a value was at most each of some bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: str = "") -> Iterator[str]:
        """Cumulative counts, the sum and the number of values."""
        total = 0
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for bound, count in zip(bounds, self._counts, strict=True):
            total += count
            inner = f'{labels},le="{bound}"' if labels else f'le="{bound}"'
            yield f"{name}_bucket{{{inner}}} {total}"
        outer = f"{{{labels}}}" if labels else ""
        yield f"{name}_sum{outer} {self._sum:.9g}"
        yield f"{name}_count{outer} {total}"


def _seconds() -> dict[str, Histogram]:
    return {}


@dataclass(eq=False)
class Metrics:
    """Requests, errors, rows, calls and seconds of a server since it began.

    >>> metrics = Metrics()
    >>> metrics.answered("predict", 200, 0.002)
    >>> 'nervure_requests_total{endpoint="predict",status="200"} 1' in metrics.text()
    True
    """

    requests: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    rows: int = 0
    waiting: int = 0
    batches: Histogram = field(default_factory=lambda: Histogram(ROWS))
    seconds: dict[str, Histogram] = field(default_factory=_seconds)

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request that got its answer."""
        self.requests[endpoint, status] += 1
        self.seconds.setdefault(endpoint, Histogram(SECONDS)).add(seconds)

    def called(self, rows: int) -> None:
        """Count a call of the model."""
        self.rows += rows
        self.batches.add(rows)

    def text(self) -> str:
        """All of it in Prometheus' text format."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        counted = sorted(self.requests.items())
        name = "nervure_requests_total"
        yield from _head(name, "counter", "Requests answered.")
        for (endpoint, status), count in counted:
            yield f'{name}{{endpoint="{endpoint}",status="{status}"}} {count}'
        name = "nervure_errors_total"
        yield from _head(name, "counter", "Requests answered with a status of 400 on.")
        errors = Counter[str]()
        for (endpoint, status), count in counted:
            errors[endpoint] += count if status >= 400 else 0
        yield from (f'{name}{{endpoint="{e}"}} {n}' for e, n in errors.items())
        yield from _head("nervure_rows_total", "counter", "Rows predicted.")
        yield f"nervure_rows_total {self.rows}"
        yield from _head("nervure_requests_waiting", "gauge", "Requests not answered.")
        yield f"nervure_requests_waiting {self.waiting}"
        name = "nervure_batch_rows"
        yield from _head(name, "histogram", "Rows of each call of the model.")
        yield from self.batches.lines(name)
        name = "nervure_request_seconds"
        yield from _head(name, "histogram", "Seconds from a request to its answer.")
        for endpoint, histogram in sorted(self.seconds.items()):
            yield from histogram.lines(name, f'endpoint="{endpoint}"')


def _head(name: str, kind: str, said: str) -> Iterator[str]:
    yield f"# HELP {name} {said}"
    yield f"# TYPE {name} {kind}"
