# SPDX-License-Identifier: BSD-3-Clause
"""Watch: findings while training goes on, each told once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from nervure.findings.case import Case
from nervure.findings.examining import examine
from nervure.findings.facts import Facts
from nervure.findings.finding import Finding
from nervure.graph.graph import Graph
from nervure.graph.objective import Objective
from nervure.record import Record
from nervure.spec.tables import Spec


class Watch:
    """Follows the record of one training.

    Args:
        spec: what was asked for; read when it is first needed.
    """

    def __init__(
        self,
        spec: Callable[[], Spec],
        graph: Graph,
        objective: Objective,
        record: Record,
    ) -> None:
        self._asked, self._graph = spec, graph
        self._objective, self._record = objective, record

    @cached_property
    def _spec(self) -> Spec:
        return self._asked()

    def case(self, live: bool) -> Case:
        """All that is known so far."""
        record = self._record
        facts = Facts.of_event(record.latest("data"))
        known = (self._spec, self._graph, self._objective, facts, record)
        return Case(*known, live=live)

    def news(self) -> list[Finding]:
        """What is found now and was not told before; not what is but a note."""
        told = {event.get("code") for event in self._record.of("finding")}
        found = examine(self.case(live=True))
        return [f for f in found if f.code not in told and f.severity != "note"]

    def findings(self) -> list[Finding]:
        """Everything that is found by what was told so far."""
        return examine(self.case(live=False))
